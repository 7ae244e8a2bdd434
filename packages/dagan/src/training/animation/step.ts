// One training step of the animation model (Section 3.5, Eq. 10): generator and keypoint detector against the
// discriminator, with the face-depth network fixed.
import { optim, tidy } from '@dagan/libtorch';
import { ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import { type ObjectiveTerm, objective } from '../../losses/objective.js';
import type { DaGAN } from '../../models/dagan.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import { keepingBuffers } from '../loop/buffers.js';
import { Descent } from '../loop/descent.js';
import { finiteMeansOf, partMeansOf } from '../loop/scalars.js';
import type { TrainingPlace } from '../ranks/ranks.js';
import type { AnimationTrainingConfig } from './config.js';
import { AnimationObjective, type AnimationSeen } from './objective.js';
import { type FramePair, narrowPair } from './pair.js';
import { variedPairs } from './vary.js';

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
  readonly #generatorDescent: Descent;
  readonly #discriminatorDescent: Descent;

  /** @param perceptual null only if the perceptual term has weight 0 */
  constructor(
    readonly model: DaGAN,
    readonly discriminator: MultiScaleDiscriminator,
    perceptual: PerceptualNetwork | null,
    readonly config: AnimationTrainingConfig,
    readonly place: TrainingPlace,
  ) {
    this.objective = new AnimationObjective(model, discriminator, perceptual, config, place.device);
    const adam = { lr: config.learningRate, betas: ADAM_BETAS };
    this.generatorOptimizer = new optim.Adam(model.generator.parameters(), adam);
    this.detectorOptimizer = new optim.Adam(model.keypointDetector.parameters(), adam);
    this.discriminatorOptimizer = new optim.Adam(discriminator.parameters(), adam);
    const descent = (name: string, ...optimizers: optim.Adam[]) =>
      new Descent(name, optimizers, config.clipNorm, place.group);
    this.#generatorDescent = descent(
      'generator and keypoint detector',
      this.generatorOptimizer,
      this.detectorOptimizer,
    );
    this.#discriminatorDescent = descent('the discriminator', this.discriminatorOptimizer);
    model.depthNetwork?.eval().requiresGrad_(false);
  }

  /**
   * Learns from a batch. The result's tensors belong to the caller's scope.
   *
   * @param transform deformation of the driving frames; by default a random one
   * @throws NonFiniteLossError, in all ranks if it comes up in one, without having changed the networks
   */
  run(batch: FramePair, transform?: ThinPlateSpline): AnimationStepResult {
    return keepingBuffers([this.model, this.discriminator], () => this.#run(batch, transform));
  }

  #run(batch: FramePair, transform?: ThinPlateSpline): AnimationStepResult {
    const parts = this.#partsOf(variedPairs(batch, this.config), transform);
    for (const descent of this.#descents) descent.zeroGrad();
    let seen: AnimationSeen | undefined;
    const losses = parts.map((part, i) => {
      const result = this.#learn(part, i === parts.length - 1);
      seen = result.seen;
      return result.losses;
    });
    const gradientNorms: AnimationStepResult['gradientNorms'] = { generator: this.#generatorDescent.finish() };
    if (this.objective.adversarial) gradientNorms.discriminator = this.#discriminatorDescent.finish();
    for (const descent of this.#descents) descent.step();
    return { losses: partMeansOf(losses), gradientNorms, pairs: parts.at(-1)!.pair, seen: seen! };
  }

  /** Adds the gradients of a part of the batch; both losses see the networks as they were before the step. */
  #learn({ pair, transform }: Part, last: boolean): { losses: AnimationLosses; seen: AnimationSeen } {
    return tidy(() => {
      const { group } = this.place;
      const share = 1 / this.config.accumulate;
      const real = this.objective.pyramid(pair.driving);
      const seen = this.objective.reconstruct(pair, this.config.guided);

      // The discriminator is a fixed judge here; it must not collect gradients of the generator's loss.
      this.discriminator.requiresGrad_(false);
      const terms = this.objective.generatorTerms(seen, pair, real, transform);
      this.discriminator.requiresGrad_(true);
      const total = objective(terms, this.objective.weights);
      const losses: AnimationLosses = finiteMeansOf({ ...terms, total }, group);
      this.#generatorDescent.backward(total.mul(share), { last });
      if (!this.objective.adversarial) return { losses, seen };

      const judged = this.objective.discriminatorLoss(seen, real);
      const { discriminator } = finiteMeansOf({ discriminator: judged }, group);
      this.#discriminatorDescent.backward(judged.mul(share), { last });
      return { losses: { ...losses, discriminator }, seen };
    });
  }

  set learningRate(rate: number) {
    for (const descent of this.#descents) descent.learningRate = rate;
  }

  /** Frees the optimisers' averages; the networks stay. */
  dispose(): void {
    for (const descent of this.#descents) descent.dispose();
  }

  get #descents(): readonly Descent[] {
    return [this.#generatorDescent, this.#discriminatorDescent];
  }

  /** The batch in parts, each with its deformation. */
  #partsOf(batch: FramePair, given?: ThinPlateSpline): Part[] {
    const { accumulate, deformation } = this.config;
    const count = batch.driving.size(0);
    if (count % accumulate !== 0) {
      throw new RangeError(`a batch of ${count} cannot be cut into ${accumulate} equal parts`);
    }
    const { theta, weights } = given ?? ThinPlateSpline.random(count, deformation, { device: this.place.device });
    const size = count / accumulate;
    return Array.from({ length: accumulate }, (_, i) => ({
      pair: narrowPair(batch, i * size, size),
      transform: new ThinPlateSpline(theta.narrow(0, i * size, size), weights.narrow(0, i * size, size)),
    }));
  }
}

type Part = { pair: FramePair; transform: ThinPlateSpline };
