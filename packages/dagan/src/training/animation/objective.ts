// What the animation networks and the discriminator are judged by (Section 3.5, Eq. 10): one batch -> the terms of both losses.
import { cat, noGrad, stack, type Tensor, tensor } from '@dagan/libtorch';
import { type FaceLandmark, landmarkPlace, MOUTH_AND_EYES, TRAVELLING_WEIGHTS } from '../../faces/landmarks.js';
import type { ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import { discriminatorLoss, generatorAdversarialLoss } from '../../losses/adversarial.js';
import { type AttentionSeen, attentionFocusLoss } from '../../losses/attention-focus.js';
import { enlargedParts } from '../../losses/enlarged-parts.js';
import { equivarianceJacobianLoss, equivarianceValueLoss } from '../../losses/equivariance.js';
import { featureMatchingLoss } from '../../losses/feature-matching.js';
import { keypointDistanceLoss } from '../../losses/keypoint-distance.js';
import { type LedKeypoint, landmarkLoss } from '../../losses/landmark.js';
import { meshMotionLoss } from '../../losses/mesh-motion.js';
import type { ObjectiveTerm, ObjectiveWeights } from '../../losses/objective.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid, type Pyramid } from '../../losses/pyramid.js';
import { keepsPixels, type ModelConfig, refiningKeypoints } from '../../models/config/config.js';
import type { DaGAN } from '../../models/dagan.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { EncodedSource, Generated, Moved } from '../../models/generator.js';
import { keypointsAfter } from '../../models/keypoints.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import type { Painted } from '../../models/residual-decoder.js';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import { inPrecision } from '../loop/mixed-precision.js';
import { type AnimationTrainingConfig, needsPerceptualNetwork, weighsRegions } from './config.js';
import type { FramePair } from './pair.js';

/** Everything that the networks made of a pair. Disparities are null for models without depth. */
export type AnimationSeen = {
  sourceDisparity: Tensor | null; // [N, 1, H, W]
  drivingDisparity: Tensor | null; // [N, 1, H, W]
  sourceKeypoints: Keypoints;
  drivingKeypoints: Keypoints;
  /** In a phase without painting the moved source is the prediction. */
  generated: Moved & Painted;
  /** Null without attention, or without painting. */
  attention: AttentionSeen | null;
};

type Found = Omit<AnimationSeen, 'generated' | 'attention'>;

export class AnimationObjective {
  /** Whether the discriminator has a say, if its terms have weights. */
  useDiscriminator = true;
  /** Whether frames are painted; if not, the motion alone learns. */
  paints = true;
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
    if (!perceptual && needsPerceptualNetwork(config)) {
      throw new TypeError(
        'a perceptual term has a weight but there is no perceptual network: bring one, or set its weight to 0',
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
      ...(!(this.useDiscriminator && this.paints) && { generatorAdversarial: 0, featureMatching: 0 }),
      ...(!this.paints && { perceptual: 0, perceptualParts: 0, pixel: 0 }),
      ...(!(this.paints && this.model.generator.attention) && { attentionFocus: 0 }),
      ...(!(this.paints && keepsPixels(model.generator)) && { painted: 0 }),
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

  /** The pair as far as its motion, with the moved source for a prediction. See `reconstruct`. */
  move(pair: FramePair, guided = 0): AnimationSeen {
    return this.#inPrecision(() => this.#moved(pair, this.#found(pair, guided), guided));
  }

  /**
   * The pair through all networks: depth, keypoints, and the driving frame rebuilt from the source.
   *
   * @param guided share of the pairs whose semantic keypoints are put on their landmarks before the motion network sees them
   */
  reconstruct(pair: FramePair, guided = 0): AnimationSeen {
    return this.#inPrecision(() => {
      const found = this.#found(pair, guided);
      if (!this.paints) return this.#moved(pair, found, guided);
      const { generator } = this.model;
      const { from, to } = this.#led(pair, found, guided);
      const disparity = found.sourceDisparity ?? (generator.attention && this.#disparity(pair.source));
      const encoded = generator.encodeSource(pair.source, disparity);
      const generated = generator.forward(encoded, to, from);
      return { ...found, generated, attention: this.#attention(encoded, generated) };
    });
  }

  /**
   * Depth and keypoints of both frames. A detector that neither learns nor is asked, because every keypoint has its landmark, is
   * left alone, and so is the depth that guides it.
   */
  #found(pair: FramePair, guided: number): Found {
    const { freeze, weights, model } = this.config;
    const idle = freeze.includes('keypoint_detector') && weights.landmark === 0 && !model.estimateJacobian;
    return (idle && guided === 1 ? this.#byLandmarks(pair) : null) ?? this.#detected(pair);
  }

  /** Keypoints on their landmarks; null unless each has one, and all were seen. */
  #byLandmarks({ landmarks }: FramePair): Found | null {
    const led = ledKeypoints(this.config.model).sort((a, b) => a.keypoint - b.keypoint);
    if (!landmarks || led.length < this.config.model.numKeypoints) return null;
    const places = stack(
      led.map(({ landmark }) => landmarks.select(2, landmark)),
      2,
    ); // [N, 2, K, 3]
    if (places.narrow(3, 2, 1).amin().item() < 1) return null;
    const [sourceKeypoints, drivingKeypoints] = [0, 1].map((frame) => ({
      value: places.select(1, frame).narrow(2, 0, 2), // [N, K, 2]
      jacobian: null,
    })) as [Keypoints, Keypoints];
    return { sourceDisparity: null, drivingDisparity: null, sourceKeypoints, drivingKeypoints };
  }

  #detected({ source, driving }: FramePair): Found {
    const { keypointDetector } = this.model;
    const frames = cat([source, driving]);
    const disparities = this.#disparity(frames); // depth is fixed, and knows no batch
    const [sourceDisparity, drivingDisparity] = halves(disparities);
    if (this.config.freeze.includes('keypoint_detector')) {
      const { value, jacobian } = noGrad(() => keypointDetector.forward(frames, disparities));
      const [values, jacobians] = [halves(value), halves(jacobian)];
      const [sourceKeypoints, drivingKeypoints] = [0, 1].map((frame) => ({
        value: values[frame]!,
        jacobian: jacobians[frame]!,
      })) as [Keypoints, Keypoints];
      return { sourceDisparity, drivingDisparity, sourceKeypoints, drivingKeypoints };
    }
    const sourceKeypoints = keypointDetector.forward(source, sourceDisparity);
    const drivingKeypoints = keypointDetector.forward(driving, drivingDisparity);
    return { sourceDisparity, drivingDisparity, sourceKeypoints, drivingKeypoints };
  }

  #moved(pair: FramePair, found: Found, guided: number): AnimationSeen {
    const { generator } = this.model;
    const { from, to } = this.#led(pair, found, guided);
    const small = { image: pair.source, smallImage: generator.denseMotionNetwork.shrink(pair.source) };
    const moved = generator.move(small, to, from);
    const generated = { ...moved, prediction: moved.deformed, keptPixels: null, painted: null };
    return { ...found, generated, attention: null };
  }

  /** Who asks whom. The features that are asked do not learn from it. */
  #attention({ query, features }: EncodedSource, { warpedFeatures }: Generated): AttentionSeen | null {
    const { attention } = this.model.generator;
    if (!attention || !query || this.weights.attentionFocus === 0) return null;
    const asked = warpedFeatures.detach();
    const sizeOf = (map: Tensor): [number, number] => [map.size(2), map.size(3)];
    return {
      query,
      key: attention.key(asked),
      querySize: sizeOf(features),
      keySize: sizeOf(attention.pooled(asked)),
    };
  }

  /** Source and driving keypoints as the motion network sees them. */
  #led({ landmarks }: FramePair, { sourceKeypoints, drivingKeypoints }: Found, share: number) {
    const led = (keypoints: Keypoints, frame: 0 | 1): Keypoints =>
      landmarks ? this.#guided(keypoints, landmarks.select(1, frame), share) : keypoints;
    return { from: led(sourceKeypoints, 0), to: led(drivingKeypoints, 1) };
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
      const located = (['perceptualParts', 'landmark', 'meshMotion', 'attentionFocus'] as const).find(
        (name) => weights[name] > 0,
      );
      if (located && !landmarks) {
        throw new TypeError(`${located} has a weight but the batch does not say where landmarks are`);
      }
      const fake = this.paints ? this.#pyramid.forward(seen.generated.prediction) : null;
      const terms: Partial<Record<ObjectiveTerm, Tensor>> = {};
      if (weights.perceptual > 0) terms.perceptual = perceptualLoss(this.perceptual!, fake!, real);
      if (weights.perceptualParts > 0) {
        const parts = [seen.generated.prediction, driving].map((image) =>
          enlargedParts(image, landmarks!.select(1, 1), MOUTH_AND_EYES),
        );
        const [ofFake, ofReal] = parts.map((part): Pyramid => new Map([[1, part]]));
        terms.perceptualParts = perceptualLoss(this.perceptual!, ofFake!, ofReal!);
      }
      if (weights.pixel > 0) terms.pixel = pixelLoss(fake!, real, importance);
      const { painted } = seen.generated;
      if (weights.painted > 0 && painted) {
        terms.painted = pixelLoss(this.#pyramid.forward(painted), real, importance);
      }
      if (weights.warp > 0) {
        terms.warp = pixelLoss(this.#pyramid.forward(seen.generated.deformed), real, importance);
      }
      if (this.adversarial) {
        const [ofFake, ofReal] = this.#judge(fake!, real, drivingKeypoints);
        terms.generatorAdversarial = generatorAdversarialLoss(ofFake);
        terms.featureMatching = featureMatchingLoss(ofReal, ofFake);
      }
      if (weights.equivarianceValue > 0 || weights.equivarianceJacobian > 0) {
        const deformed = transform.transformFrame(driving); // [N, 3, H, W]
        const moved = this.model.keypointDetector.forward(deformed, this.#disparity(deformed));
        terms.equivarianceValue = equivarianceValueLoss(drivingKeypoints, moved, transform);
        if (weights.equivarianceJacobian > 0) {
          const without = refiningKeypoints(config.model);
          const [d, t] = [drivingKeypoints, moved].map((keypoints) => keypointsAfter(keypoints, without));
          terms.equivarianceJacobian = equivarianceJacobianLoss(d!, t!, transform);
        }
      }
      if (weights.keypointDistance > 0) {
        terms.keypointDistance = keypointDistanceLoss(sourceKeypoints, config.keypointDistance).add(
          keypointDistanceLoss(drivingKeypoints, config.keypointDistance),
        );
      }
      if (weights.landmark > 0) {
        const led = ledKeypoints(config.model);
        const [ofSource, ofDriving] = [landmarks!.select(1, 0), landmarks!.select(1, 1)]; // [N, P, 3]
        const losses = [landmarkLoss(sourceKeypoints, ofSource, led), landmarkLoss(drivingKeypoints, ofDriving, led)];
        terms.landmark = losses[0]!.add(losses[1]!).div(2);
      }
      if (weights.meshMotion > 0) {
        const counts = tensor([...TRAVELLING_WEIGHTS]).to({ device: this.device });
        terms.meshMotion = meshMotionLoss(seen.generated.deformation, landmarks!, counts);
      }
      if (weights.attentionFocus > 0) terms.attentionFocus = attentionFocusLoss(seen.attention!, landmarks!);
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

  /**
   * Keypoints whose semantic ones stand on their landmarks [N, P, 3], where these were seen, in a share of the pairs that is spread
   * evenly. Jacobians stay.
   */
  #guided(keypoints: Keypoints, landmarks: Tensor, share: number): Keypoints {
    if (share === 0) return keypoints;
    const { value, jacobian } = keypoints;
    const [count, all] = [value.size(0), value.size(1)];
    const names = new Map(ledKeypoints(this.config.model).map(({ keypoint, landmark }) => [keypoint, landmark]));
    const rows = Array.from({ length: all }, (_, keypoint) => names.get(keypoint));
    const which = Array.from({ length: count }, (_, i) => Math.floor((i + 1) * share) - Math.floor(i * share));
    const { place, free } = noGrad(() => {
      const led = tensor(which)
        .view(count, 1, 1)
        .mul(tensor(rows.map((row) => (row === undefined ? 0 : 1))).view(1, all, 1))
        .to({ device: this.device }); // [N, K, 1]
      const index = tensor(
        rows.map((row) => row ?? 0),
        { dtype: 'int64' },
      ).to({ device: this.device });
      const known = landmarks.indexSelect(1, index).mul(led); // [N, K, 3]
      return { place: known.narrow(2, 0, 2), free: known.narrow(2, 2, 1).neg().add(1) };
    });
    return { value: value.mul(free).add(place), jacobian };
  }

  /** The face-depth network is fixed. */
  #disparity(image: Tensor): Tensor | null {
    return noGrad(() => this.model.depthNetwork?.forward(image) ?? null);
  }

  #inPrecision<T>(body: () => T): T {
    return inPrecision(this.config, this.device, body);
  }
}

/** Of source and driving frames, one behind the other: each by itself. */
function halves<T extends Tensor | null>(both: T): [T, T] {
  if (both === null) return [both, both];
  const count = both.size(0) / 2;
  return [both.narrow(0, 0, count) as T, both.narrow(0, count, count) as T];
}

/** The keypoints that landmarks of the face lead. */
function ledKeypoints({ semanticKeypoints = {} }: Pick<ModelConfig, 'semanticKeypoints'>): LedKeypoint[] {
  return Object.entries(semanticKeypoints).map(([name, keypoint]) => ({
    keypoint,
    landmark: landmarkPlace(name as FaceLandmark),
  }));
}
