// A portrait that moves while it is driven: its frames and the driver's, side by side.
import type { DrivenFrame } from '../animation/animate.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import type { DriverFrame } from './driver.js';
import type { PortraitFrame } from './held-frames.js';

/** What is seen in one frame of the output: what drives, and of a portrait that moves its own frame. */
export type SeenFrame = DriverFrame & { portrait?: Picture; portraitFace?: FaceMesh; canvas?: Picture };

/** Frames that drive beside those of a portrait that moves, until one of them ends. One picture drives all along. */
export async function* beside(
  driven: AsyncIterable<readonly DrivenFrame<DriverFrame>[]>,
  portraits: AsyncGenerator<PortraitFrame>,
  { frameRate, isStill }: { frameRate: number; isStill: boolean },
): AsyncGenerator<DrivenFrame<SeenFrame>[]> {
  const duration = 1 / frameRate;
  let number = 0;
  try {
    for await (const batch of driven) {
      for (const frame of batch) {
        const times = isStill ? Infinity : frame.input.times;
        for (let i = 0; i < times; i++) {
          const next = await portraits.next();
          if (next.done) return;
          const { square: portrait, canvas, face: portraitFace } = next.value;
          const input = {
            ...frame.input,
            portrait,
            portraitFace,
            canvas,
            times: 1,
            timestamp: number++ * duration,
            duration,
          };
          yield [{ ...frame, input }];
        }
      }
    }
  } finally {
    await portraits.return(undefined);
  }
}
