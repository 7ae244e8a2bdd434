// What the animation networks and the discriminator are judged by (Section 3.5, Eq. 10): one batch -> the terms of both losses.
import { autocast, noGrad, type Tensor } from '@dagan/libtorch';
import { FACE_LANDMARK_NAMES, type FaceLandmark } from '../../faces/index.js';
import type { ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import {
  discriminatorLoss,
  equivarianceJacobianLoss,
  equivarianceValueLoss,
  featureMatchingLoss,
  generatorAdversarialLoss,
  ImagePyramid,
  type KeypointDistanceOptions,
  keypointDistanceLoss,
  landmarkLoss,
  type ObjectiveTerm,
  type ObjectiveWeights,
  type Pyramid,
  perceptualLoss,
  pixelLoss,
} from '../../losses/index.js';
import type { DaGAN } from '../../models/dagan.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { Generated } from '../../models/generator.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import type { Keypoints } from '../../tensors/keypoint-set.js';

/**
 * Two frames of the same person, [N, 3, H, W] in [0, 1] each; where the driving one shows mouth and eyes, [N, 1, H, W]; and a
 * spot around each of its `FACE_LANDMARK_NAMES`, [N, L, H, W].
 */
export type FramePair = { source: Tensor; driving: Tensor; regions?: Tensor; landmarks?: Tensor };

/** Everything that the networks made of a pair. Disparities are null for models without depth. */
export type AnimationSeen = {
  sourceDisparity: Tensor | null; // [N, 1, H, W]
  drivingDisparity: Tensor | null; // [N, 1, H, W]
  sourceKeypoints: Keypoints;
  drivingKeypoints: Keypoints;
  generated: Generated;
};

export type AnimationObjectiveOptions = {
  /** A term of weight 0 is not computed. */
  weights: ObjectiveWeights;
  keypointDistance: KeypointDistanceOptions;
  /** How many times as much as others pixels of mouth and eyes count in the pixel and warp losses. */
  regionWeight: number;
  /** Number of the keypoint that a landmark of the face leads (landmark loss). */
  landmarkKeypoints: Partial<Record<FaceLandmark, number>>;
  /** Arithmetic of convolutions and matrix products. */
  precision: 'float32' | 'bfloat16';
  /** Where the networks are. */
  device: string;
};

export class AnimationObjective {
  /** Whether the discriminator has a say, if its terms have weights. */
  useDiscriminator = true;
  readonly #pyramid: ImagePyramid;

  /** @param perceptual null only if the perceptual term has weight 0 */
  constructor(
    readonly model: DaGAN,
    readonly discriminator: MultiScaleDiscriminator,
    readonly perceptual: PerceptualNetwork | null,
    readonly options: AnimationObjectiveOptions,
  ) {
    if (!perceptual && options.weights.perceptual > 0) {
      throw new TypeError(
        'the perceptual term has a weight but there is no perceptual network: bring one, or set its weight to 0',
      );
    }
    this.#pyramid = new ImagePyramid().to({ device: options.device });
  }

  /** Weights of the terms; what has weight 0 is not computed. */
  get weights(): ObjectiveWeights {
    const { weights } = this.options;
    return this.useDiscriminator ? weights : { ...weights, generatorAdversarial: 0, featureMatching: 0 };
  }

  /** Whether the discriminator is run, and learns. */
  get adversarial(): boolean {
    const { generatorAdversarial, featureMatching } = this.weights;
    return generatorAdversarial > 0 || featureMatching > 0;
  }

  /** Pictures at the scales at which they are compared and judged, without a gradient. */
  pyramid(image: Tensor): Pyramid {
    return noGrad(() => this.#pyramid.forward(image));
  }

  /**
   * How much every pixel of the driving frame counts in the pixel and warp losses, at the scales at which frames are
   * compared; null if all count alike.
   *
   * @param regions 1 in mouth and eyes, 0 elsewhere, [N, 1, H, W]
   */
  importance(regions: Tensor | undefined): Pyramid | null {
    const { regionWeight, weights } = this.options;
    if (!regions || regionWeight === 1 || (weights.pixel === 0 && weights.warp === 0)) return null;
    const [count, , height, width] = regions.shape as [number, number, number, number];
    const scales = this.pyramid(regions.expand(count, 3, height, width));
    return new Map([...scales].map(([scale, inside]) => [scale, inside.mul(regionWeight - 1).add(1)]));
  }

  /** The pair through all networks: depth, keypoints, and the driving frame rebuilt from the source. */
  reconstruct({ source, driving }: FramePair): AnimationSeen {
    return this.#inPrecision(() => {
      const { generator, keypointDetector } = this.model;
      const [sourceDisparity, drivingDisparity] = [this.#disparity(source), this.#disparity(driving)];
      const sourceKeypoints = keypointDetector.forward(source, sourceDisparity);
      const drivingKeypoints = keypointDetector.forward(driving, drivingDisparity);
      const encoded = generator.encodeSource(source, sourceDisparity);
      const generated = generator.forward(encoded, drivingKeypoints, sourceKeypoints);
      return { sourceDisparity, drivingDisparity, sourceKeypoints, drivingKeypoints, generated };
    });
  }

  /**
   * The unweighted terms of Eq. 10 (and what was added to it), each [].
   *
   * @param pair whose driving frame was rebuilt
   * @param real pyramid of the driving frame
   * @param transform deformation of the driving frame, with which its keypoints must move
   * @param importance of its pixels
   */
  generatorTerms(
    seen: AnimationSeen,
    { driving, landmarks }: Pick<FramePair, 'driving' | 'landmarks'>,
    real: Pyramid,
    transform: ThinPlateSpline,
    importance: Pyramid | null = null,
  ): Partial<Record<ObjectiveTerm, Tensor>> {
    return this.#inPrecision(() => {
      const { weights } = this;
      const { sourceKeypoints, drivingKeypoints } = seen;
      const fake = this.#pyramid.forward(seen.generated.prediction);
      const terms: Partial<Record<ObjectiveTerm, Tensor>> = {};
      if (weights.perceptual > 0) terms.perceptual = perceptualLoss(this.perceptual!, fake, real);
      if (weights.pixel > 0) terms.pixel = pixelLoss(fake, real, importance ?? undefined);
      if (weights.warp > 0) {
        terms.warp = pixelLoss(this.#pyramid.forward(seen.generated.deformed), real, importance ?? undefined);
      }
      if (this.adversarial) {
        const [ofFake, ofReal] = this.#judge(fake, real, drivingKeypoints);
        terms.generatorAdversarial = generatorAdversarialLoss(ofFake);
        terms.featureMatching = featureMatchingLoss(ofReal, ofFake);
      }
      if (weights.equivarianceValue > 0 || weights.equivarianceJacobian > 0) {
        const deformed = transform.transformFrame(driving); // [N, 3, H, W]
        const moved = this.model.keypointDetector.forward(deformed, this.#disparity(deformed));
        terms.equivarianceValue = equivarianceValueLoss(drivingKeypoints, moved, transform);
        if (weights.equivarianceJacobian > 0) {
          terms.equivarianceJacobian = equivarianceJacobianLoss(drivingKeypoints, moved, transform);
        }
      }
      if (weights.keypointDistance > 0) {
        const { keypointDistance } = this.options;
        terms.keypointDistance = keypointDistanceLoss(sourceKeypoints, keypointDistance).add(
          keypointDistanceLoss(drivingKeypoints, keypointDistance),
        );
      }
      if (weights.landmark > 0) {
        if (!landmarks)
          throw new TypeError('the landmark term has a weight but the batch does not say where landmarks are');
        const { landmarkKeypoints } = this.options;
        const led = FACE_LANDMARK_NAMES.map((name) => landmarkKeypoints[name] ?? null);
        terms.landmark = landmarkLoss(drivingKeypoints, landmarks, led);
      }
      return terms;
    });
  }

  /** The discriminator's own loss -> []. */
  discriminatorLoss(seen: AnimationSeen, real: Pyramid): Tensor {
    return this.#inPrecision(() => {
      const fake = this.pyramid(seen.generated.prediction.detach());
      const [ofFake, ofReal] = this.#judge(fake, real, seen.drivingKeypoints);
      return discriminatorLoss(ofReal, ofFake);
    });
  }

  /** What the discriminator says of generated and real frames, neither of which lets the keypoints learn. */
  #judge(fake: Pyramid, real: Pyramid, { value }: Keypoints) {
    const keypoints = { value: value.detach() };
    return [this.discriminator.forward(fake, keypoints), this.discriminator.forward(real, keypoints)] as const;
  }

  /** The face-depth network is fixed. */
  #disparity(image: Tensor): Tensor | null {
    return noGrad(() => this.model.depthNetwork?.forward(image) ?? null);
  }

  #inPrecision<T>(body: () => T): T {
    const { precision, device } = this.options;
    return precision === 'float32' ? body() : autocast({ device, dtype: precision }, body);
  }
}
