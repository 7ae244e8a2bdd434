// The animation model while it is trained: networks, optimisers, averages. It learns, is tried, saved and exported; its state dict
// is what a checkpoint holds.
import { cat, nn, noGrad, optim, type Tensor, tidy } from '@dagan/libtorch';
import { withKernelsOf } from '../../models/anti-alias.js';
import { DaGAN } from '../../models/dagan.js';
import { MultiScaleDiscriminator } from '../../models/discriminator.js';
import { type ModelMetadata, saveModel } from '../../models/files/model-file.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import { batchOn } from '../batches/batches.js';
import { withAverages } from '../loop/averages.js';
import { keepingRandomNumbers } from '../loop/random-state.js';
import { joinSections, loadSections, type Sections } from '../loop/state-sections.js';
import { joinRanks, type TrainingPlace } from '../ranks/ranks.js';
import type { Evaluated, Learned, LearnOptions, Trainee } from '../run/training-stage.js';
import { alignAttention } from './align-attention.js';
import { type AnimationTrainingConfig, decayAt, finalSize, modelForSize, phaseOf } from './config.js';
import { evaluateReconstruction } from './evaluation.js';
import { freeze, partsOf } from './freeze.js';
import type { FramePair } from './pair.js';
import { animationSheet } from './pictures.js';
import { AnimationStep } from './step.js';

export class AnimationTrainee implements Trainee<FramePair> {
  readonly model: DaGAN;
  readonly discriminator: MultiScaleDiscriminator;
  readonly step: AnimationStep;
  readonly averages: {
    readonly generator: optim.ExponentialMovingAverage;
    readonly detector: optim.ExponentialMovingAverage;
  };

  /**
   * New networks with random weights, the same in all ranks.
   *
   * @param size of the pictures that they will see
   * @param perceptual null only if the perceptual term has weight 0
   */
  constructor(
    readonly config: AnimationTrainingConfig,
    readonly size: number,
    readonly perceptual: PerceptualNetwork | null,
    readonly place: TrainingPlace,
  ) {
    const layout = { device: place.device, memoryFormat: 'channels_last' } as const;
    this.model = new DaGAN(modelForSize(config, size)).to(layout);
    this.discriminator = new MultiScaleDiscriminator({
      ...config.discriminator,
      keypoints: config.model.numKeypoints,
    }).to(layout);
    joinRanks([this.model, this.discriminator], [this.model.generator, this.model.keypointDetector], place);
    freeze(this.model, config.freeze);
    this.step = new AnimationStep(this.model, this.discriminator, perceptual, config, place);
    this.averages = {
      generator: new optim.ExponentialMovingAverage(this.model.generator, config.averageDecay),
      detector: new optim.ExponentialMovingAverage(this.model.keypointDetector, config.averageDecay),
    };
    this.train();
  }

  resized(size: number): AnimationTrainee {
    return keepingRandomNumbers(this.place.device, () => {
      const next = new AnimationTrainee(this.config, size, this.perceptual, this.place);
      tidy(() => next.loadStateDict(this.stateDict()));
      this[Symbol.dispose]();
      return next;
    });
  }

  learn(batch: FramePair, { step, learningRate, drawing }: LearnOptions): Learned {
    this.step.learningRate = learningRate;
    const { adversarial = true, painting = true } = phaseOf(this.config, step);
    this.step.objective.useDiscriminator = adversarial;
    this.step.objective.paints = painting;
    if (step === this.config.alignAttentionAt) this.#alignAttention(batch);
    const learned = tidy(() => {
      const { losses, gradientNorms, pairs, seen } = this.step.run(batchOn(batch, this.place.device));
      return { losses, gradientNorms, sheet: drawing ? animationSheet(pairs, seen) : null };
    });
    this.average(step);
    return learned;
  }

  async evaluate(batches: AsyncIterable<FramePair>): Promise<Evaluated> {
    const { objective } = this.step;
    const result = await this.withAverages(() => evaluateReconstruction(objective, batches, this.place));
    return { result, sheet: null };
  }

  /** All layers as in training, but for frozen parts and the depth network, which are as in use but for how convolutions are computed. */
  train(training = true): void {
    const { generator, keypointDetector, depthNetwork } = this.model;
    generator.train(training);
    keypointDetector.train(training);
    const fixed = partsOf(this.model, this.config.freeze).map(([, part]) => part);
    for (const part of depthNetwork ? [depthNetwork, ...fixed] : fixed) resting(part, training);
  }

  /** Takes the last step into the averages. @param steps taken so far */
  average(steps: number): void {
    const decay = decayAt(this.config, steps);
    this.averages.generator.update(decay);
    this.averages.detector.update(decay);
  }

  /**
   * Takes over a model's weights, whatever size of pictures it is for.
   * @throws StateDictError if it is another model
   */
  loadModel(model: nn.StateDict): void {
    this.model.loadStateDict(withKernelsOf(this.model.stateDict(), [...model]));
  }

  /** Starts the averages at the present weights, after these have been loaded. */
  restartAverages(): void {
    this.averages.generator.update(0);
    this.averages.detector.update(0);
  }

  /** Runs `body` with the averages in the model's place, as the model will be used. */
  withAverages<T>(body: () => T | Promise<T>): Promise<T> {
    const { generator, detector } = this.averages;
    return withAverages([generator, detector], (training) => this.train(training), body);
  }

  /** Gives the attention its start, by the batch's pictures; in all ranks by rank 0's. */
  #alignAttention(batch: FramePair): void {
    const { generator, depthNetwork } = this.model;
    const { attention } = generator;
    if (!attention) return;
    this.train(false);
    noGrad(() =>
      tidy(() => {
        const { source, driving } = batchOn(batch, this.place.device);
        const pictures = cat([source, driving]);
        const disparity = depthNetwork!.forward(pictures);
        const { features } = generator.encodeSource(pictures, disparity);
        alignAttention(attention, generator.depthFeatures(disparity), features);
      }),
    );
    joinRanks([attention], [], this.place);
    this.train();
  }

  /** Every tensor by name. Only the optimisers' step numbers are new; the others stay their owners' own. */
  stateDict(): Map<string, Tensor> {
    return joinSections(this.#sections());
  }

  /** @throws StateDictError if the tensors are not those of such a training */
  loadStateDict(state: nn.StateDict): void {
    loadSections(this.#sections(), state, (section, own) => withKernelsOf(section.stateDict(), [...own]));
  }

  /** Everything is in the tensors. */
  memory(): null {
    return null;
  }

  recall(): void {}

  /** Writes the averaged model, for pictures of the final size, as a file that `dagan animate` takes. */
  export(path: string, metadata: ModelMetadata): void {
    keepingRandomNumbers(this.place.device, () =>
      tidy(() => {
        using model = new DaGAN(modelForSize(this.config, finalSize(this.config)));
        const averaged: [string, Tensor][] = [
          ...this.model.stateDict(),
          ...prefixed('generator.', this.averages.generator.stateDict()),
          ...prefixed('keypoint_detector.', this.averages.detector.stateDict()),
        ];
        model.loadStateDict(withKernelsOf(model.stateDict(), averaged));
        saveModel(path, model, metadata);
      }),
    );
  }

  [Symbol.dispose](): void {
    this.step.dispose();
    this.averages.generator.dispose();
    this.averages.detector.dispose();
    this.model.dispose();
    this.discriminator.dispose();
  }

  #sections(): Sections {
    return [
      ['model.', this.model],
      ['discriminator.', this.discriminator],
      ['average.generator.', this.averages.generator],
      ['average.keypoint_detector.', this.averages.detector],
      ['adam.generator.', this.step.generatorOptimizer],
      ['adam.keypoint_detector.', this.step.detectorOptimizer],
      ['adam.discriminator.', this.step.discriminatorOptimizer],
    ];
  }
}

/** As in use; in training convolutions need fewer multiplications all the same. */
function resting(part: nn.Module, training: boolean): void {
  part.eval();
  for (const [, module] of part.namedModules()) if (module instanceof nn.Conv2d) module.train(training);
}

const prefixed = (prefix: string, state: nn.StateDict): [string, Tensor][] =>
  [...state].map(([name, value]) => [`${prefix}${name}`, value]);
