// The animation itself, a batch at a time: driving frames are looked at (`drivenBy`), then the portrait is moved as they say
// (`animateBy`). What drives may also come from elsewhere than pictures: a template has looked at them before.
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { Analysis, Engine } from './engine.js';
import type { FaceWatch } from './face-watch.js';
import type { HeadAngles } from './free-view.js';
import { InnerMouth, type InnerMouthChoice } from './inner-mouth.js';
import { type MotionOptions, MotionTransfer } from './motion.js';

export type DrivingOptions = {
  /** Computes the driving frames' disparity too, for display. */
  withDisparity?: boolean;
  /** Tells which frames show the face; in the others the portrait rests. Default: all do. */
  watch?: Pick<FaceWatch, 'see' | 'face'>;
};

/** How the portrait is moved, and what its mouth shows. */
export type MovingOptions = MotionOptions & {
  /** What a mouth shows that the portrait has shut. Default `auto`. */
  innerMouth?: InnerMouthChoice;
};

export type AnimateOptions = MovingOptions & DrivingOptions;

/** What is known of a driving frame beside what it shows. */
export type DrivingFrame = {
  /** Seconds at which it is shown; smoothing goes by it. */
  timestamp?: number;
  /** The portrait's own frame at that time, of the engine's size, where the portrait is a clip; the same again while it rests. */
  portrait?: Picture;
  /** The face in it, where it is known. */
  portraitFace?: FaceMesh;
};

/** A driving frame as a picture; `watch` may tell frames by their numbers. */
export type DrivingPicture = DrivingFrame & { picture: Picture; number?: number };

/** A driving frame that was looked at. */
export type DrivenFrame<Input> = {
  /** The frame as it came. */
  input: Input;
  /** What was found in it. */
  driving: Analysis;
  /** Whether it shows the face that drives. */
  hasFace: boolean;
  /** The picture in which it was found; templates have none. */
  picture?: Picture;
  /** Where nothing drives but the head's angles: these. */
  angles?: HeadAngles;
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
 * Animates the portrait that the engine has been given (`setSource`) by pictures.
 *
 * @param source what `setSource` returned
 * @param frames driving frames of the engine's size, with the seconds at which they are shown where smoothing is to go
 *   by them, and their numbers where `watch` is to tell them; whatever else the input carries comes back
 */
export function animate<Input extends DrivingPicture>(
  engine: Engine,
  source: Analysis,
  frames: AsyncIterable<Input>,
  options: AnimateOptions = {},
): AsyncGenerator<AnimatedFrame<Input>> {
  return animateBy(engine, source, drivenBy(engine, frames, options), options);
}

/**
 * Looks at driving frames: the first half of the animation, which needs no portrait.
 *
 * @returns as many frames at a time as the engine computes together
 */
export async function* drivenBy<Input extends DrivingPicture>(
  engine: Engine,
  frames: AsyncIterable<Input>,
  { withDisparity = false, watch }: DrivingOptions = {},
): AsyncGenerator<DrivenFrame<Input>[]> {
  for await (const inputs of batches(frames, engine.batchSize)) {
    const faces = watch && facesIn(inputs, watch);
    const driving = engine.drive(
      inputs.map((input) => input.picture),
      { withDisparity, faces },
    );
    const [analyses, seen] = await Promise.all([driving, faces]);
    yield inputs.map((input, i) => ({
      input,
      driving: analyses[i]!,
      hasFace: !seen || seen[i] !== undefined,
      picture: input.picture,
    }));
  }
}

/** The face in each frame, where it is seen. */
async function facesIn(
  inputs: readonly DrivingPicture[],
  watch: Pick<FaceWatch, 'see' | 'face'>,
): Promise<(FaceMesh | undefined)[]> {
  const found: (FaceMesh | undefined)[] = [];
  for (const { picture, number } of inputs) {
    await watch.see(picture, number);
    found.push(watch.face);
  }
  return found;
}

/**
 * Moves the portrait that the engine has been given as driving frames say: the second half of the animation.
 *
 * @param driven frames that were looked at, in batches; those of one batch have one portrait
 */
export async function* animateBy<Input extends DrivingFrame>(
  engine: Engine,
  source: Analysis,
  driven: AsyncIterable<readonly DrivenFrame<Input>[]>,
  { innerMouth, ...options }: MovingOptions = {},
): AsyncGenerator<AnimatedFrame<Input>> {
  const motion = new MotionTransfer(source.keypoints, {
    names: engine.keypointNames,
    space: engine.motion,
    ...options,
  });
  const mouth = InnerMouth.of(engine.keypointNames ?? {}, innerMouth);
  let shown: Picture | undefined;
  for await (const batch of driven) {
    const { portrait, portraitFace: face } = batch[0]?.input ?? {};
    if (portrait && portrait !== shown) motion.portrait = (await engine.setSource(portrait, { face })).keypoints;
    shown = portrait;
    const keypoints = batch.map(({ input, driving, hasFace, angles }) =>
      angles ? motion.turned(angles) : motion.next(driving.keypoints, input.timestamp, hasFace),
    );
    const pictures = await engine.generate(keypoints);
    for (const [i, { input, driving, hasFace, picture: seen }] of batch.entries()) {
      const painted = { picture: pictures[i]!, keypoints: keypoints[i]! };
      const driver = seen && { picture: seen, keypoints: driving.keypoints, hasFace };
      const picture = mouth?.in(painted, motion, driver) ?? painted.picture;
      yield { input, driving, keypoints: painted.keypoints, picture };
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
