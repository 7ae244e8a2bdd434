// Training steps of the animation model, to be timed. Pictures are noise: what a step costs does not depend on them.
import { type distributed, rand, tidy } from '@dagan/libtorch';
import { AnimationStep, DaGAN, joinRanks, MultiScaleDiscriminator, perceptualNetwork, trainingPreset } from 'dagan';

export type StepperOptions = {
  preset: string;
  precision: 'float32' | 'bfloat16';
  size: number;
  /** Pairs per step of this process. */
  batchSize: number;
  /** The ranks that train together. */
  group?: distributed.ProcessGroup | null;
};

/** A training of its own; each call takes a step and gives the milliseconds that it took. */
export function animationStepper({ preset, precision, size, batchSize, group = null }: StepperOptions): () => number {
  const { model: config, discriminator } = trainingPreset(preset);
  const model = new DaGAN(config).train().to({ memoryFormat: 'channels_last' });
  const judge = new MultiScaleDiscriminator({ ...discriminator, keypoints: config.numKeypoints });
  judge.to({ memoryFormat: 'channels_last' });
  joinRanks([model, judge], [model.generator, model.keypointDetector], { device: 'cpu', group });
  const step = new AnimationStep(model, judge, perceptualNetwork('default'), { precision, group });
  return () => {
    const begin = performance.now();
    tidy(() => step.run({ source: rand([batchSize, 3, size, size]), driving: rand([batchSize, 3, size, size]) }));
    return performance.now() - begin;
  };
}
