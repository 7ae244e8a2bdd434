// What the animation networks and the discriminator are judged by (Section 3.5, Eq. 10): one batch -> the terms of both losses.
import { noGrad, type Tensor } from '@dagan/libtorch';
import { FACE_LANDMARK_NAMES } from '../../faces/landmarks.js';
import type { ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import { discriminatorLoss, generatorAdversarialLoss } from '../../losses/adversarial.js';
import { equivarianceJacobianLoss, equivarianceValueLoss } from '../../losses/equivariance.js';
import { featureMatchingLoss } from '../../losses/feature-matching.js';
import { keypointDistanceLoss } from '../../losses/keypoint-distance.js';
import { landmarkLoss } from '../../losses/landmark.js';
import type { ObjectiveTerm, ObjectiveWeights } from '../../losses/objective.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid, type Pyramid } from '../../losses/pyramid.js';
import type { DaGAN } from '../../models/dagan.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { Generated } from '../../models/generator.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import { inPrecision } from '../loop/mixed-precision.js';
import { type AnimationTrainingConfig, weighsRegions } from './config.js';
import type { FramePair } from './pair.js';

/** Everything that the networks made of a pair. Disparities are null for models without depth. */
export type AnimationSeen = {
  sourceDisparity: Tensor | null; // [N, 1, H, W]
  drivingDisparity: Tensor | null; // [N, 1, H, W]
  sourceKeypoints: Keypoints;
  drivingKeypoints: Keypoints;
  generated: Generated;
};

export class AnimationObjective {
  /** Whether the discriminator has a say, if its terms have weights. */
  useDiscriminator = true;
  readonly #pyramid: ImagePyramid;

  /**
   * @param perceptual null only if the perceptual term has weight 0
   * @param device where the networks are
   */
  constructor(
    readonly model: DaGAN,
    readonly discriminator: MultiScaleDiscriminator,
    readonly perceptual: PerceptualNetwork | null,
    readonly config: AnimationTrainingConfig,
    readonly device: string,
  ) {
    if (!perceptual && config.weights.perceptual > 0) {
      throw new TypeError(
        'the perceptual term has a weight but there is no perceptual network: bring one, or set its weight to 0',
      );
    }
    this.#pyramid = new ImagePyramid().to({ device });
  }

  /** Weights of the terms; what has weight 0 is not computed. */
  get weights(): ObjectiveWeights {
    const { weights, model } = this.config;
    return {
      ...weights,
      ...(!model.estimateJacobian && { equivarianceJacobian: 0 }),
      ...(!this.useDiscriminator && { generatorAdversarial: 0, featureMatching: 0 }),
    };
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

  /** The pair through all networks: depth, keypoints, and the driving frame rebuilt from the source. */
  reconstruct({ source, driving }: Pick<FramePair, 'source' | 'driving'>): AnimationSeen {
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
   * @param seen what `reconstruct` made of the pair
   * @param real pyramid of the driving frame
   * @param transform deformation of the driving frame, with which its keypoints must move
   */
  generatorTerms(
    seen: AnimationSeen,
    pair: FramePair,
    real: Pyramid,
    transform: ThinPlateSpline,
  ): Partial<Record<ObjectiveTerm, Tensor>> {
    const importance = this.#importance(pair);
    return this.#inPrecision(() => {
      const { weights, config } = this;
      const { driving, landmarks } = pair;
      const { sourceKeypoints, drivingKeypoints } = seen;
      const fake = this.#pyramid.forward(seen.generated.prediction);
      const terms: Partial<Record<ObjectiveTerm, Tensor>> = {};
      if (weights.perceptual > 0) terms.perceptual = perceptualLoss(this.perceptual!, fake, real);
      if (weights.pixel > 0) terms.pixel = pixelLoss(fake, real, importance);
      if (weights.warp > 0) {
        terms.warp = pixelLoss(this.#pyramid.forward(seen.generated.deformed), real, importance);
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
        terms.keypointDistance = keypointDistanceLoss(sourceKeypoints, config.keypointDistance).add(
          keypointDistanceLoss(drivingKeypoints, config.keypointDistance),
        );
      }
      if (weights.landmark > 0) {
        if (!landmarks)
          throw new TypeError('the landmark term has a weight but the batch does not say where landmarks are');
        const led = FACE_LANDMARK_NAMES.map((name) => config.landmarkKeypoints?.[name] ?? null);
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

  /**
   * How much every pixel of the driving frame counts in the pixel and warp losses, at the scales at which frames are
   * compared; undefined if all count alike.
   */
  #importance({ regions }: FramePair): Pyramid | undefined {
    if (!regions || !weighsRegions(this.config)) return undefined;
    const { regionWeight } = this.config;
    const [count, , height, width] = regions.shape as [number, number, number, number];
    const scales = this.pyramid(regions.expand(count, 3, height, width));
    return new Map([...scales].map(([scale, inside]) => [scale, inside.mul(regionWeight! - 1).add(1)]));
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
    return inPrecision(this.config, this.device, body);
  }
}
