// Training steps of the animation model, to be timed. Pictures are noise: what a step costs does not depend on them.
import { cat, type distributed, noGrad, ones, rand, tidy } from '@dagan/libtorch';
import { perceptualNetwork, trainingPreset } from 'dagan';
import { TRAVELLING_POINTS } from 'dagan/faces';
import { AnimationTrainee, type AnimationTrainingConfig, type FramePair, finalSize } from 'dagan/training';

/**
 * What a step learns: the motion alone or painting as well, each with the preset's own losses; painting by a detector that is frozen,
 * without the losses that would teach it; or all of the paper's losses with the discriminator, whatever the preset trains with.
 */
export const LESSONS = ['motion', 'painting', 'frozen', 'paper'] as const;

export type StepperOptions = {
  preset: string;
  lesson: (typeof LESSONS)[number];
  precision: 'float32' | 'bfloat16';
  size: number;
  /** Pairs per step of this process. */
  batchSize: number;
  /** The ranks that train together. */
  group?: distributed.ProcessGroup | null;
};

/** A training of its own; each call takes a step and gives the milliseconds that it took. */
export function animationStepper({ group = null, ...options }: StepperOptions): () => number {
  const { size, batchSize } = options;
  const config = configOf(options);
  const trainee = new AnimationTrainee(config, size, perceptualNetwork('default', { learning: true }), {
    device: 'cpu',
    group,
  });
  return () => {
    const begin = performance.now();
    tidy(() => trainee.learn(noise(batchSize, size), { step: 0, learningRate: config.learningRate, drawing: false }));
    return performance.now() - begin;
  };
}

/** The preset with one phase of this size before its own last one, which says what size the finished model is for. */
function configOf({ preset, lesson, precision, size }: StepperOptions): AnimationTrainingConfig {
  const own = trainingPreset(preset);
  const phase = { size, share: 0.5, painting: lesson !== 'motion', adversarial: lesson === 'paper' };
  const phases = [phase, { ...phase, size: finalSize(own) }];
  if (lesson === 'frozen') {
    const weights = { ...own.weights, landmark: 0, equivarianceValue: 0, equivarianceJacobian: 0 };
    return { ...own, phases, precision, weights, freeze: ['keypoint_detector'] };
  }
  if (lesson !== 'paper') return { ...own, phases, precision };
  return { ...trainingPreset('dagan'), model: own.model, discriminator: own.discriminator, phases, precision };
}

/** Pairs whose faces fill the middle of the pictures. */
function noise(count: number, size: number): FramePair {
  return tidy(() =>
    noGrad(() => {
      const places = rand([count, 2, TRAVELLING_POINTS.length, 2]).sub(0.5);
      const landmarks = cat([places, ones([count, 2, TRAVELLING_POINTS.length, 1])], 3);
      const [source, driving] = [rand([count, 3, size, size]), rand([count, 3, size, size])];
      return { source, driving, regions: ones([count, 1, size, size]), landmarks };
    }),
  );
}
