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
  frame(seen: ComposedFrame): Picture;
};

/** What a frame of the output is made of. */
export type ComposedFrame = {
  /** The driving frame's square, and what was found in it. */
  driving: Picture;
  seen: Analysis;
  /** The animated square. */
  result: Picture;
  /** Of a portrait that moves: its own frame, the square and the whole. */
  portrait?: Picture;
  canvas?: Picture;
};

/** The animated square, `side` x `side`. */
export const squareComposer = (side: number): Composer => ({
  width: side,
  height: side,
  frame: ({ result }) => resizePicture(result, side, side, { enlarge: 'lanczos' }),
});

/** The animated square in the whole portrait. @param still the portrait's square as the networks make it without motion */
export function wholeComposer(portrait: Picture, square: Square, still: Picture): Composer {
  const { width, height } = portrait;
  const back = new PasteBack(portrait, square, { still });
  return { width, height, frame: ({ result, canvas }) => back.paste(result, canvas) };
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
    frame: ({ driving, seen, result, portrait: moving }) => {
      // Of models whose keypoints need no depth, the portrait's is the only one there is.
      const depth = seen.disparity ?? portrait.disparity;
      if (depth) range ??= valueRange(depth);
      const second = fit(driving);
      const keypoints = drawKeypoints(second, inPlane(seen.keypoints, space), { brightness: 0.6 });
      return grid([
        moving ? fit(moving) : first,
        second,
        ...(depth ? [fit(heatPicture(depth, range))] : []),
        keypoints,
        fit(result),
      ]);
    },
  };
}
