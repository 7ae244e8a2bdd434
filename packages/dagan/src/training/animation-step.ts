// One training step of the animation model (Section 3.5, Eq. 10): generator and keypoint detector against the
// discriminator, with the face-depth network fixed.
import { autocast, backward, noGrad, optim, type Tensor, tidy } from '@dagan/libtorch';
import { type DeformationOptions, ThinPlateSpline } from '../geometry/thin-plate-spline.js';
import {
  discriminatorLoss,
  equivarianceJacobianLoss,
  equivarianceValueLoss,
  featureMatchingLoss,
  generatorAdversarialLoss,
  ImagePyramid,
  type KeypointDistanceOptions,
  keypointDistanceLoss,
  OBJECTIVE_WEIGHTS,
  type ObjectiveTerm,
  type ObjectiveWeights,
  objective,
  perceptualLoss,
  type Pyramid,
} from '../losses/index.js';
import type { DaGAN } from '../models/dagan.js';
import type { MultiScaleDiscriminator } from '../models/discriminator.js';
import type { Generated } from '../models/generator.js';
import type { Keypoints } from '../models/keypoints.js';
import type { PerceptualNetwork } from '../models/vgg19.js';

/** Two frames of the same person: [N, 3, H, W] in [0, 1] each. */
export type FramePair = { source: Tensor; driving: Tensor };

export type AnimationStepOptions = {
  weights?: ObjectiveWeights;
  keypointDistance?: KeypointDistanceOptions;
  deformation?: DeformationOptions;
  /** Arithmetic of convolutions and matrix products; weights and optimiser stay float32. */
  precision?: 'float32' | 'bfloat16';
  learningRate?: number;
};

/** What a step has seen: the losses as numbers, unweighted but for `total`, and what the networks made of the batch. */
export type AnimationStepResult = {
  losses: Readonly<Record<ObjectiveTerm | 'total' | 'discriminator', number>>;
  generated: Generated;
};

/** A term of the loss is not a finite number. The networks are as they were before the step. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';
  constructor(readonly term: string) {
    super(`the loss '${term}' is not finite; the step was not taken`);
  }
}

const ADAM_BETAS = [0.5, 0.999] as const;

export class AnimationStep {
  readonly generatorOptimizer: optim.Adam;
  readonly detectorOptimizer: optim.Adam;
  readonly discriminatorOptimizer: optim.Adam;
  readonly #pyramid: ImagePyramid;
  readonly #options: Required<AnimationStepOptions>;

  constructor(
    readonly model: DaGAN,
    readonly discriminator: MultiScaleDiscriminator,
    readonly perceptual: PerceptualNetwork,
    options: AnimationStepOptions = {},
  ) {
    const learningRate = options.learningRate ?? 2e-4;
    this.#options = {
      weights: OBJECTIVE_WEIGHTS,
      keypointDistance: {},
      deformation: {},
      precision: 'float32',
      learningRate,
      ...options,
    };
    this.#pyramid = new ImagePyramid();
    const adam = { lr: learningRate, betas: ADAM_BETAS };
    this.generatorOptimizer = new optim.Adam(model.generator.parameters(), adam);
    this.detectorOptimizer = new optim.Adam(model.keypointDetector.parameters(), adam);
    this.discriminatorOptimizer = new optim.Adam(discriminator.parameters(), adam);
    model.depthNetwork?.eval().requiresGrad_(false);
  }

  /** Learns from a batch. The result's tensors belong to the caller's scope. */
  run(batch: FramePair, transform?: ThinPlateSpline): AnimationStepResult {
    return tidy(() => {
      const deformation = transform ?? ThinPlateSpline.random(batch.driving.size(0), this.#options.deformation);
      const real = noGrad(() => this.#pyramid.forward(batch.driving));
      const { terms, driving, generated } = this.#inPrecision(() => this.#generatorTerms(batch, real, deformation));
      const total = objective(terms, this.#options.weights);
      const losses = this.#finite({ ...terms, total });
      this.#update([this.generatorOptimizer, this.detectorOptimizer], total);

      const discriminator = this.#inPrecision(() => this.#discriminatorLoss(real, generated.prediction, driving));
      const judged = this.#finite({ discriminator });
      this.#update([this.discriminatorOptimizer], discriminator);
      return { losses: { ...losses, ...judged }, generated };
    });
  }

  /** The terms of Eq. 10 for a batch. */
  #generatorTerms({ source, driving }: FramePair, real: Pyramid, transform: ThinPlateSpline) {
    const [sourceDisparity, drivingDisparity] = [this.#disparity(source), this.#disparity(driving)];
    const detector = this.model.keypointDetector;
    const sourceKeypoints = detector.forward(source, sourceDisparity);
    const drivingKeypoints = detector.forward(driving, drivingDisparity);
    const generator = this.model.generator;
    const generated = generator.forward(
      generator.encodeSource(source, sourceDisparity),
      drivingKeypoints,
      sourceKeypoints,
    );
    const pyramid = this.#pyramid.forward(generated.prediction);
    const [fake, genuine] = this.#judge(pyramid, real, drivingKeypoints);
    const deformed = transform.transformFrame(driving); // [N, 3, H, W]
    const deformedKeypoints = detector.forward(deformed, this.#disparity(deformed));
    const { weights, keypointDistance } = this.#options;
    const terms: Partial<Record<ObjectiveTerm, Tensor>> = {
      perceptual: perceptualLoss(this.perceptual, pyramid, real),
      generatorAdversarial: generatorAdversarialLoss(fake),
      featureMatching: featureMatchingLoss(genuine, fake),
      equivarianceValue: equivarianceValueLoss(drivingKeypoints, deformedKeypoints, transform),
      keypointDistance: keypointDistanceLoss(sourceKeypoints, keypointDistance).add(
        keypointDistanceLoss(drivingKeypoints, keypointDistance),
      ),
    };
    if (weights.equivarianceJacobian > 0) {
      terms.equivarianceJacobian = equivarianceJacobianLoss(drivingKeypoints, deformedKeypoints, transform);
    }
    return { terms, driving: drivingKeypoints, generated };
  }

  /** What the discriminator says of generated and real frames, neither of which lets the keypoints learn. */
  #judge(generated: Pyramid, real: Pyramid, { value }: Keypoints) {
    const keypoints = { value: value.detach() };
    return [this.discriminator.forward(generated, keypoints), this.discriminator.forward(real, keypoints)] as const;
  }

  #discriminatorLoss(real: Pyramid, prediction: Tensor, driving: Keypoints): Tensor {
    const [fake, genuine] = this.#judge(this.#pyramid.forward(prediction.detach()), real, driving);
    return discriminatorLoss(genuine, fake);
  }

  #disparity(image: Tensor): Tensor | null {
    return noGrad(() => this.model.depthNetwork?.forward(image) ?? null);
  }

  #inPrecision<T>(body: () => T): T {
    return this.#options.precision === 'float32' ? body() : autocast({ dtype: this.#options.precision }, body);
  }

  /** The losses as numbers. */
  #finite<Name extends string>(losses: Partial<Record<Name, Tensor>>): Record<Name, number> {
    const entries = Object.entries<Tensor | undefined>(losses).map(([name, loss]) => [name, loss?.item() ?? 0] as const);
    const wrong = entries.find(([, value]) => !Number.isFinite(value));
    if (wrong) throw new NonFiniteLossError(wrong[0]);
    return Object.fromEntries(entries) as Record<Name, number>;
  }

  #update(optimizers: readonly optim.Adam[], loss: Tensor): void {
    for (const optimizer of optimizers) optimizer.zeroGrad();
    backward([loss]);
    for (const optimizer of optimizers) optimizer.step();
  }
}
