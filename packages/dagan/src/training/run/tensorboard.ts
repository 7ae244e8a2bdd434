// A run as TensorBoard shows it.
import { encodePng, pictureToSharp } from '../../media/pictures/images.js';
import { EventFile } from './event-file.js';
import type { TrainingObserver } from './observers.js';

const under = (heading: string, values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`${heading}/${name}`, value]));

/** @param step behind which a resumed run goes on; TensorBoard then drops what earlier files say of later steps */
export function tensorBoard(folder: string, step: number): TrainingObserver {
  const file = new EventFile(folder, step > 0 ? step + 1 : 0);
  return {
    step: ({ step, losses, gradientNorms, statistics = {}, learningRate, images, seconds }) =>
      file.scalars(step, {
        ...under('loss', losses),
        ...under('gradient norm', gradientNorms),
        ...under('statistics', statistics),
        'training/learning rate': learningRate,
        'training/images per second': images / seconds,
      }),
    evaluation: (step, result) => file.scalars(step, under('held out', result)),
    pictures: async (step, pictures) => {
      for (const [name, picture] of Object.entries(pictures)) {
        const png = await encodePng(pictureToSharp(picture)).toBuffer();
        file.picture(step, name, { width: picture.width, height: picture.height, png });
      }
    },
    close: () => file.close(),
  };
}
