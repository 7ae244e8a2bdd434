// The animation itself: driving frames in, frames of the moving portrait out, a batch at a time.
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { Analysis, Engine } from './engine.js';
import { KeypointSmoother, type SmoothingOptions } from './smoothing.js';
import { type TransferOptions, transferKeypoints } from './transfer.js';

export type AnimateOptions = Partial<TransferOptions> & {
  /**
   * Keypoints of the driving frame that counts as the portrait's own pose; by default the first frame's.
   * Relative motion is measured from it.
   */
  reference?: KeypointSet;
  /** Smooths the driving keypoints over time; `true` for the default strength. Default: as they are. */
  smoothing?: SmoothingOptions | boolean;
  /** Computes the driving frames' disparity too, for display. */
  withDisparity?: boolean;
};

/** One generated frame, with what led to it. */
export type AnimatedFrame<Input> = {
  /** The driving frame as it came. */
  input: Input;
  /** What was found in it, before smoothing. */
  driving: Analysis;
  /** The portrait's keypoints in this frame. */
  keypoints: KeypointSet;
  picture: Picture;
};

/** Seconds between frames that carry no time stamps. */
const FRAME_TIME = 1 / 25;

/**
 * Animates the portrait that the engine has been given (`setSource`).
 *
 * @param source what `setSource` returned
 * @param frames driving frames of the engine's size, with the seconds at which they are shown where smoothing is to go
 *   by them; whatever else the input carries comes back
 */
export async function* animate<Input extends { picture: Picture; timestamp?: number }>(
  engine: Engine,
  source: Analysis,
  frames: AsyncIterable<Input>,
  { motion = 'relative', adaptScale = false, reference, smoothing = false, withDisparity = false }: AnimateOptions = {},
): AsyncGenerator<AnimatedFrame<Input>> {
  let anchor = reference;
  const smoother = smoothing ? new KeypointSmoother(smoothing === true ? {} : smoothing) : undefined;
  let shown: number | undefined;
  for await (const inputs of batches(frames, engine.batchSize)) {
    const analyses = await engine.drive(
      inputs.map((input) => input.picture),
      { withDisparity },
    );
    anchor ??= analyses[0]!.keypoints;
    const from = anchor;
    const keypoints = analyses.map((analysis, i) => {
      const { timestamp } = inputs[i]!;
      const elapsed = timestamp !== undefined && shown !== undefined ? timestamp - shown : FRAME_TIME;
      shown = timestamp;
      const moved = smoother ? smoother.next(analysis.keypoints, elapsed) : analysis.keypoints;
      return transferKeypoints(source.keypoints, moved, from, { motion, adaptScale });
    });
    const pictures = await engine.generate(keypoints);
    for (const [i, input] of inputs.entries()) {
      yield { input, driving: analyses[i]!, keypoints: keypoints[i]!, picture: pictures[i]! };
    }
  }
}

/** Groups of up to `size` items, in order. */
export async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length === size) {
      yield batch;
      batch = [];
    }
  }
  if (batch.length > 0) yield batch;
}
