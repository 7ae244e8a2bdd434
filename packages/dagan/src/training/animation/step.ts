// One training step of the animation model (Section 3.5, Eq. 10): generator and keypoint detector against the
// discriminator, with the face-depth network fixed.
import { backward, type distributed, noGrad, optim, stack, type Tensor, tidy } from '@dagan/libtorch';
import { type DeformationOptions, ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import { OBJECTIVE_WEIGHTS, type ObjectiveTerm, objective } from '../../losses/index.js';
import type { DaGAN } from '../../models/dagan.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import { BufferSnapshot } from '../loop/buffers.js';
import { NonFiniteLossError } from '../run/non-finite-loss.js';
import { AnimationObjective, type AnimationObjectiveOptions, type AnimationSeen, type FramePair } from './objective.js';
import { type ReshapeOptions, reshapePairs } from './reshape.js';
import { type SwayOptions, swayPairs } from './sway.js';

export type AnimationStepOptions = Partial<AnimationObjectiveOptions> & {
  deformation?: DeformationOptions;
  /** Deformation that both frames of a pair undergo alike before anything else; null for none. */
  reshape?: ReshapeOptions | null;
  /** Motion of their heads, of each frame by itself, after that; null for none. */
  sway?: SwayOptions | null;
  learningRate?: number;
  /** Parts that the batch is cut into, one after another, so that it needs less memory. */
  accumulate?: number;
  /** Largest Euclidean norm of the gradients of generator and detector together, and of the discriminator's; null for any. */
  clipNorm?: number | null;
  /** The ranks that train together, each with its share of the batch. */
  group?: distributed.ProcessGroup | null;
};

/** The losses as numbers, unweighted but for `total`; what has weight 0 is missing, and so is a discriminator without a say. */
export type AnimationLosses = Readonly<
  Partial<Record<ObjectiveTerm, number>> & { total: number; discriminator?: number }
>;

export type AnimationStepResult = {
  losses: AnimationLosses;
  /** Norms of the gradients before clipping. */
  gradientNorms: { generator: number; discriminator?: number };
  /** The batch's (last) part as the networks saw it. */
  pairs: FramePair;
  /** What they made of it. */
  seen: AnimationSeen;
};

const ADAM_BETAS = [0.5, 0.999] as const;

export class AnimationStep {
  readonly generatorOptimizer: optim.Adam;
  readonly detectorOptimizer: optim.Adam;
  readonly discriminatorOptimizer: optim.Adam;
  readonly objective: AnimationObjective;
  readonly #options: Required<Omit<AnimationStepOptions, keyof AnimationObjectiveOptions>>;
  readonly #generatorGradients: optim.GradientAverager;
  readonly #discriminatorGradients: optim.GradientAverager;

  constructor(
    readonly model: DaGAN,
    readonly discriminator: MultiScaleDiscriminator,
    perceptual: PerceptualNetwork | null,
    options: AnimationStepOptions = {},
  ) {
    const {
      weights = OBJECTIVE_WEIGHTS,
      keypointDistance = {},
      regionWeight = 1,
      landmarkKeypoints = {},
      precision = 'float32',
      device = 'cpu',
      ...own
    } = options;
    const learningRate = own.learningRate ?? 2e-4;
    const defaults = { deformation: {}, reshape: null, sway: null, accumulate: 1, clipNorm: null, group: null };
    this.#options = { ...defaults, ...own, learningRate };
    this.objective = new AnimationObjective(model, discriminator, perceptual, {
      weights,
      keypointDistance,
      regionWeight,
      landmarkKeypoints,
      precision,
      device,
    });
    const adam = { lr: learningRate, betas: ADAM_BETAS };
    this.generatorOptimizer = new optim.Adam(model.generator.parameters(), adam);
    this.detectorOptimizer = new optim.Adam(model.keypointDetector.parameters(), adam);
    this.discriminatorOptimizer = new optim.Adam(discriminator.parameters(), adam);
    this.#generatorGradients = new optim.GradientAverager(this.#generatorParameters(), this.#options.group);
    this.#discriminatorGradients = new optim.GradientAverager(discriminator.parameters(), this.#options.group);
    model.depthNetwork?.eval().requiresGrad_(false);
  }

  /**
   * Learns from a batch. The result's tensors belong to the caller's scope.
   *
   * @param transform deformation of the driving frames; by default a random one
   * @throws NonFiniteLossError, in all ranks if it comes up in one, without having changed the networks
   */
  run(batch: FramePair, transform?: ThinPlateSpline): AnimationStepResult {
    return tidy(() => {
      using before = new BufferSnapshot([this.model, this.discriminator]);
      try {
        return this.#run(batch, transform);
      } catch (error) {
        before.restore();
        throw error;
      }
    });
  }

  #run(batch: FramePair, transform?: ThinPlateSpline): AnimationStepResult {
    const { accumulate, clipNorm, reshape, sway } = this.#options;
    const reshaped = reshape ? reshapePairs(batch, reshape) : batch;
    const parts = this.#partsOf(sway ? swayPairs(reshaped, sway) : reshaped, transform);
    for (const optimizer of this.optimizers) optimizer.zeroGrad();
    let seen: AnimationSeen | undefined;
    const losses = parts.map((part, i) => {
      const result = this.#learn(part, i === accumulate - 1);
      seen = result.seen;
      return result.losses;
    });
    this.#generatorGradients.finish();
    const generator = this.#clip('generator and keypoint detector', this.#generatorParameters(), clipNorm);
    const gradientNorms: AnimationStepResult['gradientNorms'] = { generator };
    if (this.objective.adversarial) {
      this.#discriminatorGradients.finish();
      gradientNorms.discriminator = this.#clip('the discriminator', this.discriminator.parameters(), clipNorm);
    }
    for (const optimizer of this.optimizers) optimizer.step();
    return { losses: meanOf(losses), gradientNorms, pairs: parts.at(-1)!, seen: seen! };
  }

  /** Adds the gradients of a part of the batch; both losses see the networks as they were before the step. */
  #learn(
    { source, driving, regions, landmarks, transform }: Part,
    last: boolean,
  ): { losses: AnimationLosses; seen: AnimationSeen } {
    return tidy(() => {
      const share = 1 / this.#options.accumulate;
      const real = this.objective.pyramid(driving);
      const importance = this.objective.importance(regions);
      const seen = this.objective.reconstruct({ source, driving });

      // The discriminator is a fixed judge here; it must not collect gradients of the generator's loss.
      this.discriminator.requiresGrad_(false);
      const terms = this.objective.generatorTerms(seen, { driving, landmarks }, real, transform, importance);
      this.discriminator.requiresGrad_(true);
      const total = objective(terms, this.objective.weights);
      const losses: AnimationLosses = this.#finite({ ...terms, total });
      if (last) this.#generatorGradients.start();
      backward([total.mul(share)]);
      if (!this.objective.adversarial) return { losses, seen };

      const judged = this.objective.discriminatorLoss(seen, real);
      const { discriminator } = this.#finite({ discriminator: judged });
      if (last) this.#discriminatorGradients.start();
      backward([judged.mul(share)]);
      return { losses: { ...losses, discriminator }, seen };
    });
  }

  get optimizers(): readonly optim.Adam[] {
    return [this.generatorOptimizer, this.detectorOptimizer, this.discriminatorOptimizer];
  }

  set learningRate(rate: number) {
    for (const optimizer of this.optimizers) optimizer.lr = rate;
  }

  /** Frees the optimisers' averages; the networks stay. */
  dispose(): void {
    for (const optimizer of this.optimizers) optimizer.dispose();
    this.#generatorGradients.dispose();
    this.#discriminatorGradients.dispose();
  }

  #generatorParameters() {
    return [...this.generatorOptimizer.parameters, ...this.detectorOptimizer.parameters];
  }

  /** The batch in parts, each with its deformation. */
  #partsOf({ source, driving, regions, landmarks }: FramePair, given?: ThinPlateSpline): Part[] {
    const { accumulate, deformation } = this.#options;
    const { device } = this.objective.options;
    const count = driving.size(0);
    if (count % accumulate !== 0)
      throw new RangeError(`a batch of ${count} cannot be cut into ${accumulate} equal parts`);
    const { theta, weights } = given ?? ThinPlateSpline.random(count, deformation, { device });
    const [size, part] = [
      count / accumulate,
      (of: Tensor, i: number) => of.narrow(0, i * (count / accumulate), count / accumulate),
    ];
    if (size === count)
      return [{ source, driving, regions, landmarks, transform: new ThinPlateSpline(theta, weights) }];
    return Array.from({ length: accumulate }, (_, i) => ({
      source: part(source, i),
      driving: part(driving, i),
      regions: regions && part(regions, i),
      landmarks: landmarks && part(landmarks, i),
      transform: new ThinPlateSpline(part(theta, i), part(weights, i)),
    }));
  }

  /** The losses as numbers, the mean over ranks, so that all ranks know of one that is not finite. */
  #finite<Name extends string>(losses: Partial<Record<Name, Tensor>>): Record<Name, number> {
    const names = Object.keys(losses) as Name[];
    const values = noGrad(() => stack(names.map((name) => losses[name]!.detach().to({ dtype: 'float32' }))));
    const numbers = [...(this.#options.group?.allReduce(values, 'mean') ?? values).toFloat32Array()];
    const wrong = names.find((_, i) => !Number.isFinite(numbers[i]));
    if (wrong !== undefined) throw new NonFiniteLossError(wrong);
    return Object.fromEntries(names.map((name, i) => [name, numbers[i]!])) as Record<Name, number>;
  }

  #clip(what: string, parameters: ReturnType<DaGAN['parameters']>, limit: number | null): number {
    const norm = optim.clipGradNorm(parameters, limit ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(norm)) throw new NonFiniteLossError(`gradient of ${what}`);
    return norm;
  }
}

type Part = FramePair & { transform: ThinPlateSpline };

function meanOf(losses: readonly AnimationLosses[]): AnimationLosses {
  const entries = Object.keys(losses[0]!).map((name) => {
    const values = losses.map((each) => each[name as keyof AnimationLosses] ?? 0);
    return [name, values.reduce((sum, value) => sum + value, 0) / values.length];
  });
  return Object.fromEntries(entries) as AnimationLosses;
}
