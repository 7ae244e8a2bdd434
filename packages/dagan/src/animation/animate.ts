// The animation itself: driving frames in, frames of the moving portrait out, a batch at a time.
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { Analysis, Engine } from './engine.js';
import type { FaceWatch } from './face-watch.js';
import { type MotionOptions, MotionTransfer } from './motion.js';

export type AnimateOptions = MotionOptions & {
  /** Computes the driving frames' disparity too, for display. */
  withDisparity?: boolean;
  /** Tells which frames show the face; in the others the portrait rests. Default: all do. */
  watch?: Pick<FaceWatch, 'see'>;
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

/**
 * Animates the portrait that the engine has been given (`setSource`).
 *
 * @param source what `setSource` returned
 * @param frames driving frames of the engine's size, with the seconds at which they are shown where smoothing is to go
 *   by them, and their numbers where `watch` is to tell them; whatever else the input carries comes back
 */
export async function* animate<Input extends { picture: Picture; timestamp?: number; number?: number }>(
  engine: Engine,
  source: Analysis,
  frames: AsyncIterable<Input>,
  { withDisparity = false, watch, ...options }: AnimateOptions = {},
): AsyncGenerator<AnimatedFrame<Input>> {
  const motion = new MotionTransfer(source.keypoints, { names: engine.keypointNames, ...options });
  for await (const inputs of batches(frames, engine.batchSize)) {
    const driving = engine.drive(
      inputs.map((input) => input.picture),
      { withDisparity },
    );
    const [analyses, hasFace] = await Promise.all([driving, facesIn(inputs)]);
    const keypoints = analyses.map((found, i) => motion.next(found.keypoints, inputs[i]!.timestamp, hasFace[i]));
    const pictures = await engine.generate(keypoints);
    for (const [i, input] of inputs.entries()) {
      yield { input, driving: analyses[i]!, keypoints: keypoints[i]!, picture: pictures[i]! };
    }
  }

  /** Which frames show the face. */
  async function facesIn(inputs: readonly Input[]): Promise<boolean[]> {
    const found: boolean[] = [];
    for (const { picture, number } of inputs) found.push(!watch || (await watch.see(picture, number)) === 'face');
    return found;
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
