// The pictures of a run as files, for those who look at them without TensorBoard.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeWholeSync, writing } from '../../media/files.js';
import { encodePng, pictureToSharp } from '../../media/pictures/images.js';
import type { TrainingObserver } from './observers.js';

/** Writes `step-00000500-networks.png` and so on into a folder, which is made with the first picture. */
export function pictureFolder(folder: string): TrainingObserver {
  return {
    pictures: async (step, pictures) => {
      writing(folder, () => mkdirSync(folder, { recursive: true }));
      for (const [name, picture] of Object.entries(pictures)) {
        const png = await encodePng(pictureToSharp(picture)).toBuffer();
        const path = join(folder, `step-${`${step}`.padStart(8, '0')}-${name.replaceAll(' ', '-')}.png`);
        writeWholeSync(path, png);
      }
    },
  };
}
