// The animation itself: driving frames in, frames of the moving portrait out, a batch at a time.
import type { Picture } from '../media/picture.js';
import type { Analysis, Engine, KeypointSet } from './engine.js';
import { type TransferOptions, transferKeypoints } from './transfer.js';

export type AnimateOptions = Partial<TransferOptions> & {
  /**
   * Keypoints of the driving frame that counts as the portrait's own pose; by default the first frame's.
   * Relative motion is measured from it.
   */
  reference?: KeypointSet;
  /** Computes the driving frames' disparity too, for display. */
  withDisparity?: boolean;
};

/** One generated frame, with what led to it. */
export type AnimatedFrame<Input> = {
  /** The driving frame as it came. */
  input: Input;
  driving: Analysis;
  /** The portrait's keypoints in this frame. */
  keypoints: KeypointSet;
  picture: Picture;
};

/**
 * Animates the portrait that the engine has been given (`setSource`).
 *
 * @param source what `setSource` returned
 * @param frames driving frames of the engine's size; whatever else the input carries (time stamps, say) comes back
 */
export async function* animate<Input extends { picture: Picture }>(
  engine: Engine,
  source: Analysis,
  frames: AsyncIterable<Input>,
  { motion = 'relative', adaptScale = false, reference, withDisparity = false }: AnimateOptions = {},
): AsyncGenerator<AnimatedFrame<Input>> {
  let anchor = reference;
  for await (const inputs of batches(frames, engine.batchSize)) {
    const analyses = await engine.drive(
      inputs.map((input) => input.picture),
      { withDisparity },
    );
    anchor ??= analyses[0]!.keypoints;
    const from = anchor;
    const keypoints = analyses.map((analysis) =>
      transferKeypoints(source.keypoints, analysis.keypoints, from, { motion, adaptScale }),
    );
    const pictures = await engine.generate(keypoints);
    for (const [i, input] of inputs.entries()) {
      yield { input, driving: analyses[i]!, keypoints: keypoints[i]!, picture: pictures[i]! };
    }
  }
}

/** Groups of up to `size` items, in order. */
async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
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
