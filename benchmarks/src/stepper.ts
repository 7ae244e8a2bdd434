// Training steps of the animation model, to be timed. Pictures are noise: what a step costs does not depend on them.
import { type distributed, rand, tidy } from '@dagan/libtorch';
import { DaGAN, perceptualNetwork, trainingPreset } from 'dagan';
import { MultiScaleDiscriminator } from 'dagan/models';
import { AnimationStep, joinRanks } from 'dagan/training';

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
  const { model: wanted, discriminator } = trainingPreset(preset);
  const model = new DaGAN(wanted).train().to({ memoryFormat: 'channels_last' });
  const judge = new MultiScaleDiscriminator({ ...discriminator, keypoints: wanted.numKeypoints });
  judge.to({ memoryFormat: 'channels_last' });
  const place = { device: 'cpu', group };
  joinRanks([model, judge], [model.generator, model.keypointDetector], place);
  // The paper's losses, all of them, whatever the preset trains with.
  const config = { ...trainingPreset('dagan'), model: wanted, precision };
  const step = new AnimationStep(model, judge, perceptualNetwork('default'), config, place);
  return () => {
    const begin = performance.now();
    tidy(() => step.run({ source: rand([batchSize, 3, size, size]), driving: rand([batchSize, 3, size, size]) }));
    return performance.now() - begin;
  };
}
