// From what the networks made to the frames of the output: the square at a size, the whole portrait, or all side by side.
import type { Analysis } from '../animation/engine.js';
import { PasteBack } from '../animation/paste-back.js';
import type { Square } from '../faces/framing.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { inPlane } from '../tensors/in-plane.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import { grid } from '../visualization/drawing.js';
import { drawKeypoints } from '../visualization/keypoints.js';
import { heatPicture, type ValueRange, valueRange } from '../visualization/maps.js';

/** Makes the frames of the output. */
export type Composer = {
  width: number;
  height: number;
  /** @param driving the driving frame's square @param seen what was found in it @param result the animated square */
  frame(driving: Picture, seen: Analysis, result: Picture): Picture;
};

/** The animated square, `side` x `side`. */
export const squareComposer = (side: number): Composer => ({
  width: side,
  height: side,
  frame: (_driving, _seen, result) => resizePicture(result, side, side),
});

/** The animated square in the whole portrait. @param still the portrait's square as the networks make it without motion */
export function wholeComposer(portrait: Picture, square: Square, still: Picture): Composer {
  const { width, height } = portrait;
  const back = new PasteBack(portrait, square, { still });
  return { width, height, frame: (_driving, _seen, result) => back.paste(result) };
}

/** Portrait, driving frame, depth, keypoints and result side by side. @param space what moves: `Engine.motion` */
export function sideBySideComposer(source: Picture, portrait: Analysis, size: number, space?: MotionSpace): Composer {
  const fit = (picture: Picture): Picture => resizePicture(picture, size, size);
  const first = fit(source);
  // Of the portrait, which shows a face: a driving clip may begin with black frames.
  let range: ValueRange | undefined = portrait.disparity ? valueRange(portrait.disparity) : undefined;
  return {
    width: size * (portrait.disparity ? 5 : 4),
    height: size,
    frame: (driving, seen, result) => {
      // Of models whose keypoints need no depth, the portrait's is the only one there is.
      const depth = seen.disparity ?? portrait.disparity;
      if (depth) range ??= valueRange(depth);
      const second = fit(driving);
      const keypoints = drawKeypoints(second, inPlane(seen.keypoints, space), { brightness: 0.6 });
      return grid([first, second, ...(depth ? [fit(heatPicture(depth, range))] : []), keypoints, fit(result)]);
    },
  };
}
