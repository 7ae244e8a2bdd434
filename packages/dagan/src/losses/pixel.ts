// Pixel loss: generated and real frames must have the same colours in the same places. Not in the paper, whose perceptual
// network (VGG-19) sees every pixel; the default one begins with a stride and overlooks shifts of colour. The same of the
// source as the motion field alone moves it is the term `warp`.
import { type Tensor, tidy } from '@dagan/libtorch';
import { meanAbsoluteDifference } from './difference.js';
import type { Pyramid } from './pyramid.js';

/**
 * `sum over scales of mean (importance |generated - real|)` -> []. The real frame gets no gradient.
 *
 * @param generated pyramid of the generated frame, or of the warped source
 * @param real pyramid of the driving frame, with the same scales
 * @param importance pyramid of how much each pixel counts; 1 everywhere by default
 */
export function pixelLoss(generated: Pyramid, real: Pyramid, importance?: Pyramid): Tensor {
  return tidy(() =>
    [...generated]
      .map(([scale, image]) => {
        const target = real.get(scale);
        if (!target) throw new RangeError(`the real frame's pyramid lacks scale ${scale}; it has ${[...real.keys()]}`);
        return meanAbsoluteDifference(image, target.detach(), importance?.get(scale));
      })
      .reduce((sum, difference) => sum.add(difference)),
  );
}
