// A model of a system beside DaGAN while it is trained: model, judge, optimisers, average. What it learns by is the system's own
// (`SystemObjective`); the loop knows it as any trainee.
import { type nn, optim, type Tensor, tidy } from '@dagan/libtorch';
import { objective } from '../../losses/objective.js';
import type { AnimationModel, Frame } from '../../models/animation-model.js';
import { type ModelMetadata, saveModel } from '../../models/files/model-file.js';
import { systemOf } from '../../models/files/systems.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import { batchOn } from '../batches/batches.js';
import { withAverages } from '../loop/averages.js';
import { keepingBuffers } from '../loop/buffers.js';
import { Descent } from '../loop/descent.js';
import { inPrecision } from '../loop/mixed-precision.js';
import { keepingRandomNumbers } from '../loop/random-state.js';
import { finiteMeansOf, partMeansOf } from '../loop/scalars.js';
import { joinSections, loadSections, type Sections } from '../loop/state-sections.js';
import { joinRanks, type TrainingPlace } from '../ranks/ranks.js';
import { TrainingSetupError } from '../run/setup-error.js';
import type { Evaluated, Learned, LearnOptions, Trainee } from '../run/training-stage.js';
import { decayAt } from './config.js';
import { evaluateReconstruction } from './evaluation.js';
import { freeze, partsOf } from './freeze.js';
import { trainingOf } from './objectives.js';
import { type FramePair, narrowPair } from './pair.js';
import { frameSheet } from './pictures.js';
import type { SystemTrainingConfig } from './system-config.js';
import type { SystemObjective } from './system-objective.js';
import { variedPairs } from './vary.js';

const ADAM_BETAS = [0.5, 0.999] as const;

export class SystemTrainee implements Trainee<FramePair> {
  readonly model: AnimationModel;
  readonly objective: SystemObjective;
  readonly average: optim.ExponentialMovingAverage;
  readonly #optimizer: optim.Adam;
  readonly #descent: Descent;
  readonly #judge: { optimizer: optim.Adam; descent: Descent } | null;

  /**
   * New networks with random weights, the same in all ranks.
   *
   * @param perceptual null only if the perceptual term has weight 0
   * @param people in the data; those of pairs that are numbered beyond, such as portraits that move, are dealt out to them
   */
  constructor(
    readonly config: SystemTrainingConfig,
    readonly perceptual: PerceptualNetwork | null,
    readonly place: TrainingPlace,
    people = 1,
  ) {
    const { device, group } = place;
    this.model = systemOf(config.model).build(config.model).to({ device, memoryFormat: 'channels_last' });
    for (const { size } of config.phases) {
      const { sizeMultiple } = this.model;
      if (size % sizeMultiple === 0) continue;
      throw new TrainingSetupError(
        `pictures of ${size} pixels do not fit ${config.name}: its model takes multiples of ${sizeMultiple}`,
      );
    }
    this.objective = trainingOf(config.model).objective(this.model, { config, perceptual, device, people });
    const { judge } = this.objective;
    joinRanks(judge ? [this.model, judge] : [this.model], [this.model], place);
    freeze(this.model, config.freeze);
    const adam = { lr: config.learningRate, betas: ADAM_BETAS };
    const descentOf = (name: string, optimizer: optim.Adam) => new Descent(name, [optimizer], config.clipNorm, group);
    this.#optimizer = new optim.Adam(this.model.parameters(), adam);
    this.#descent = descentOf('the model', this.#optimizer);
    if (judge) {
      const optimizer = new optim.Adam(judge.parameters(), adam);
      this.#judge = { optimizer, descent: descentOf('the discriminator', optimizer) };
    } else this.#judge = null;
    this.average = new optim.ExponentialMovingAverage(this.model, config.averageDecay);
    this.train();
  }

  /** The networks take pictures of any size that fits. */
  resized(): this {
    return this;
  }

  learn(batch: FramePair, { step, learningRate, drawing }: LearnOptions): Learned {
    for (const descent of this.#descents) descent.learningRate = learningRate;
    const { judge } = this.objective;
    const learned = tidy(() =>
      keepingBuffers(judge ? [this.model, judge] : [this.model], () =>
        this.#learn(batchOn(batch, this.place.device), drawing),
      ),
    );
    this.average.update(decayAt(this.config, step));
    return learned;
  }

  #learn(batch: FramePair, drawing: boolean): Learned {
    const { accumulate } = this.config;
    const pairs = variedPairs(batch, this.config);
    const size = pairs.driving.size(0) / accumulate;
    for (const descent of this.#descents) descent.zeroGrad();
    let sheet: Learned['sheet'] = null;
    const losses = Array.from({ length: accumulate }, (_, i) => {
      const part = narrowPair(pairs, i * size, size);
      const last = i === accumulate - 1;
      const { losses: found, frame } = this.#learnPart(part, last);
      if (last && drawing) sheet = frameSheet(part, frame);
      return found;
    });
    const gradientNorms: Record<string, number> = { generator: this.#descent.finish() };
    if (this.#judge) gradientNorms.discriminator = this.#judge.descent.finish();
    for (const descent of this.#descents) descent.step();
    return { losses: partMeansOf(losses), gradientNorms, sheet };
  }

  /** Adds the gradients of a part of the batch; both losses see the networks as they were before the step. */
  #learnPart(pair: FramePair, last: boolean): { losses: Learned['losses']; frame: Frame } {
    const { group } = this.place;
    const share = 1 / this.config.accumulate;
    // The judge must not collect gradients of the model's loss.
    this.objective.judge?.requiresGrad_(false);
    const { frame, terms, judgeLoss } = this.#inPrecision(() => this.objective.judged(pair));
    this.objective.judge?.requiresGrad_(true);
    const total = objective(terms, this.config.weights);
    const losses = finiteMeansOf({ ...terms, total }, group) as Learned['losses'];
    this.#descent.backward(total.mul(share), { last });
    if (!this.#judge || !judgeLoss) return { losses, frame };
    const own = this.#inPrecision(judgeLoss);
    const { discriminator } = finiteMeansOf({ discriminator: own }, group);
    this.#judge.descent.backward(own.mul(share), { last });
    return { losses: { ...losses, discriminator: discriminator! }, frame };
  }

  async evaluate(batches: AsyncIterable<FramePair>): Promise<Evaluated> {
    const reconstruct = (pair: FramePair) => ({
      generated: this.#inPrecision(() => this.objective.reconstruct(pair)),
    });
    const train = (training: boolean): void => this.train(training);
    const evaluated = () => evaluateReconstruction({ reconstruct }, batches, this.place);
    const result = await withAverages([this.average], train, evaluated);
    return { result, sheet: null };
  }

  /** Takes over a model's weights. @throws StateDictError if it is another model */
  loadModel(model: nn.StateDict): void {
    this.model.loadStateDict(model);
  }

  /** The judge, which a file to start from may hold. */
  get discriminator(): nn.Module | null {
    return this.objective.judge;
  }

  /** Starts the average at the present weights, after these have been loaded. */
  restartAverages(): void {
    this.average.update(0);
  }

  /** All layers as in training, but for frozen parts, which are as in use. */
  train(training = true): void {
    this.model.train(training);
    for (const [, part] of partsOf(this.model, this.config.freeze)) part.eval();
  }

  /** Every tensor by name. Only the optimisers' step numbers are new; the others stay their owners' own. */
  stateDict(): Map<string, Tensor> {
    return joinSections(this.#sections());
  }

  /** @throws StateDictError if the tensors are not those of such a training */
  loadStateDict(state: nn.StateDict): void {
    loadSections(this.#sections(), state);
  }

  /** Everything is in the tensors. */
  memory(): null {
    return null;
  }

  recall(): void {}

  /** Writes the averaged model as a file that `dagan animate` takes. */
  export(path: string, metadata: ModelMetadata): void {
    keepingRandomNumbers(this.place.device, () =>
      tidy(() => {
        using model = systemOf(this.config.model).build(this.config.model);
        model.loadStateDict(this.average.stateDict());
        saveModel(path, model, metadata);
      }),
    );
  }

  [Symbol.dispose](): void {
    for (const descent of this.#descents) descent.dispose();
    this.average.dispose();
    this.objective.dispose();
    this.model.dispose();
  }

  get #descents(): readonly Descent[] {
    return this.#judge ? [this.#descent, this.#judge.descent] : [this.#descent];
  }

  #sections(): Sections {
    const { judge } = this.objective;
    return [
      ['model.', this.model],
      ['average.', this.average],
      ['adam.model.', this.#optimizer],
      ...(judge && this.#judge
        ? ([
            ['discriminator.', judge],
            ['adam.discriminator.', this.#judge.optimizer],
          ] as const)
        : []),
    ];
  }

  #inPrecision<T>(body: () => T): T {
    return inPrecision(this.config, this.place.device, body);
  }
}
