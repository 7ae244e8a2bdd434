// Dense motion (Section 3.3, Eq. 7-8): keypoint pairs -> sparse motions -> one motion field and an occlusion map.
import { cat, F, isTracing, nn, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import type { Keypoints } from '../tensors/keypoint-set.js';
import { exactly, matching } from '../tensors/precision.js';
import { AntiAliasDownsample } from './anti-alias.js';
import { hiddenBy } from './facing.js';
import type { Iris } from './gaze.js';
import { Hourglass, type HourglassConfig } from './hourglass.js';
import { keypointsAfter, keypointsToGaussian, squaredDistances } from './keypoints.js';
import { type Field, type Lids, type Refinement, refinedByLandmarks } from './landmark-motion.js';
import { type Contour, openedBy } from './openings.js';
import { sharedAffine } from './shared-affine.js';
import type { SkinPoint } from './skin.js';
import { stretchOf } from './stretch.js';

export type DenseMotionConfig = HourglassConfig & {
  /** The motion field is computed at this scale of the picture. */
  scaleFactor: number;
  /** Variance of the keypoints' heatmaps, in units of the [-1, 1] square. */
  keypointVariance: number;
  /**
   * Whether pictures and features are sampled on the grid that motion is built on, whose corners are the centres of the
   * outermost pixels, so that no motion moves nothing. Default false: the published models sample as if the corners were
   * edges, which shrinks what is moved by a 64th, and have learned it.
   */
  alignCorners?: boolean;
  /**
   * Whether the motions of keypoints without jacobians share the affine map that takes the driving keypoints nearest to the
   * source's, so that heads that lean, turn or come nearer are followed between the keypoints as well. Default false: offsets
   * alone (Eq. 7).
   */
  affine?: boolean;
  /**
   * How steeply a keypoint's say in the motion mask falls with the distance d from it: as `d^(-2 maskFalloff)`. What is learned is
   * added to the scores of this inverse distance weighting (Shepard, 1968), so that every place moves with the keypoints next to it
   * from the first step on, be they near or far. Default 0, as published.
   */
  maskFalloff?: number;
  /**
   * Keypoints on landmarks of the face stay out of the network, which makes a field of the others. Where a landmark is nearer than this,
   * on the picture from -1 to 1, the field is that of the landmarks (`refinedByLandmarks`). Default: the network sees all keypoints.
   */
  landmarkReach?: number;
  /** Lids among these landmarks, for each eye. Default: none. */
  lids?: readonly Lids[];
  /** Irises among them, each with its eye. Default: none. */
  irises?: readonly Iris[];
  /**
   * The skin around each of these landmarks. With it landmarks that the driving frame hides have no say, and what only landmarks tell
   * that the source hides is occluded. Default: all count as seen.
   */
  skin?: readonly SkinPoint[];
  /**
   * How much the occlusion map's score falls with every doubling by which the field stretches the source beyond twice its area. What the
   * map hides is then hidden from a decoder that looks at the moved source, too, and none of its pixels are kept there. Default 0, as
   * published.
   */
  stretchPenalty?: number;
  /**
   * Keypoints around what can open, such as the inner rim of the lips, in order. What is within such a contour, and comes from outside of
   * it in the source, is occluded and hidden likewise. Default: none, as published.
   */
  contours?: readonly Contour[];
};

/** What the network found, with the pictures behind it. */
export type DenseMotion = {
  /** Motion mask: how much each sparse motion counts, the background first, [N, K + 1, h, w]; sums to 1 over K + 1. */
  mask: Tensor;
  /** The source moved by each sparse motion that the network sees, the background first, [N, K + 1, 3, h, w]. */
  sparseDeformed: Tensor;
  /** Where each driving position comes from in the source, (x, y) in [-1, 1], [N, h, w, 2]. */
  deformation: Tensor;
  /** 1 where the warped source can be used, 0 where it must be painted anew, [N, 1, h, w]; null if not estimated. */
  occlusionMap: Tensor | null;
};

const KERNEL = 7;

/** Where the square of the distance is below this, nearer than a pixel of 256, a keypoint's say grows no more. */
const NEAREST = 5e-5;

/** At this distance from a keypoint, on the picture from -1 to 1, the background begins with as much say as it. */
const REACH = 0.3;

export class DenseMotionNetwork extends nn.Module {
  readonly hourglass: Hourglass;
  readonly mask: nn.Conv2d;
  readonly occlusion: nn.Conv2d | null;
  readonly down: AntiAliasDownsample | null;
  readonly #variance: number;
  readonly #alignCorners: boolean;
  readonly #affine: boolean;
  readonly #maskFalloff: number;
  readonly #stretchPenalty: number;
  readonly #contours: readonly Contour[];
  readonly #refinement: Refinement;
  /** How many keypoints, the first ones, refine the network's field. */
  readonly #refining: number;

  constructor(config: DenseMotionConfig, { numKeypoints, refining = 0, estimateOcclusionMap }: DenseMotionOptions) {
    super();
    const motions = numKeypoints - refining + 1;
    this.hourglass = new Hourglass(motions * (3 + 1), config);
    const same = { padding: (KERNEL - 1) / 2 };
    this.mask = new nn.Conv2d(this.hourglass.outChannels, motions, KERNEL, same);
    const { maskFalloff = 0 } = config;
    if (maskFalloff > 0) startBackground(this.mask.bias!, -2 * maskFalloff * Math.log(REACH));
    this.occlusion = estimateOcclusionMap ? new nn.Conv2d(this.hourglass.outChannels, 1, KERNEL, same) : null;
    this.down = config.scaleFactor === 1 ? null : new AntiAliasDownsample(3, config.scaleFactor);
    this.#variance = config.keypointVariance;
    this.#alignCorners = config.alignCorners ?? false;
    this.#affine = config.affine ?? false;
    this.#maskFalloff = maskFalloff;
    this.#stretchPenalty = config.stretchPenalty ?? 0;
    this.#contours = config.contours ?? [];
    const { landmarkReach = 1, lids = [], irises = [], skin = [] } = config;
    this.#refinement = { reach: landmarkReach, lids, irises, skin };
    this.#refining = refining;
  }

  /** The source as this network sees it, [N, 3, H, W] -> [N, 3, h, w]. It depends on the source alone. */
  shrink(source: Tensor): Tensor {
    return this.down ? this.down.forward(source) : source;
  }

  /**
   * @param smallSource the result of `shrink`; one source may serve a whole batch of keypoints
   */
  forward(smallSource: Tensor, allDriving: Keypoints, allSource: Keypoints): DenseMotion {
    const [driving, source] = [keypointsAfter(allDriving, this.#refining), keypointsAfter(allSource, this.#refining)];
    const [n, k] = driving.value.shape as [number, number, number];
    const [height, width] = [smallSource.size(2), smallSource.size(3)];
    const motions = exactly(smallSource, () => {
      const shared = this.#affine ? sharedAffine(driving.value, source.value) : null;
      return sparseMotions(driving, source, height, width, shared);
    }); // [N, K + 1, h, w, 2]
    const size = [height, width] as const;
    const near = keypointsToGaussian(driving, size, this.#variance); // [N, K, h, w]
    const heatmaps = withBackground(near.sub(keypointsToGaussian(source, size, this.#variance))); // [N, K + 1, h, w]
    const repeated = smallSource
      .unsqueeze(1)
      .expand(n, k + 1, 3, height, width)
      .reshape(-1, 3, height, width);
    const places = motions.reshape(-1, height, width, 2); // [N (K + 1), h, w, 2]
    const sparseDeformed = F.gridSample(repeated, places, { alignCorners: this.#alignCorners }) // [N (K + 1), 3, h, w]
      .reshape(n, k + 1, 3, height, width);
    const input = cat([heatmaps.unsqueeze(2), sparseDeformed], 2).reshape(n, -1, height, width); // [N, 4 (K + 1), h, w]
    const features = matching(this.hourglass.forward(input), this.mask);
    return exactly(features, () => {
      const [scores, visible] = this.#heads(features);
      const mask = (this.#maskFalloff ? scores.add(this.#closeness(driving, size)) : scores).softmax(1);
      const deformation = motions.mul(mask.unsqueeze(4)).sum([1]); // [N, h, w, 2]
      const field = this.#refined({ mask, deformation }, allDriving, allSource);
      const occlusionMap = visible && this.#occlusionMap(visible, field, allDriving, allSource);
      return { ...field, sparseDeformed, occlusionMap };
    });
  }

  #refined(field: Field, driving: Keypoints, source: Keypoints): Field {
    if (this.#refining === 0) return field;
    const landmarks = ({ value }: Keypoints): Tensor => value.narrow(1, 0, this.#refining);
    return refinedByLandmarks(field, landmarks(driving), landmarks(source), this.#refinement);
  }

  /** Scores of inverse distance weighting, 0 for the background: [N, K + 1, h, w]. */
  #closeness(driving: Keypoints, size: readonly [number, number]): Tensor {
    return withBackground(squaredDistances(driving, size).add(NEAREST).log().mul(-this.#maskFalloff));
  }

  /** The occlusion map from its scores, less where the source cannot have what the field brings: [N, 1, h, w]. */
  #occlusionMap(scores: Tensor, { mask, deformation }: Field, driving: Keypoints, source: Keypoints): Tensor {
    const stretched = this.#stretchPenalty > 0 ? stretchOf(deformation).mul(this.#stretchPenalty) : 0;
    const [contours, skin, landmarks] = [this.#contours, this.#refinement.skin ?? [], this.#refining];
    const missing = [
      ...(contours.length > 0 ? [openedBy(deformation, driving, source, contours)] : []),
      ...(skin.length > 0 ? [hiddenBy(mask.narrow(1, 1, landmarks), source.value.narrow(1, 0, landmarks), skin)] : []),
    ];
    return missing.reduce((seen, less) => seen.mul(less.neg().add(1)), scores.sub(stretched).sigmoid());
  }

  /**
   * Scores of the motions [N, K + 1, h, w] and, before its sigmoid, the occlusion map [N, 1, h, w], in one go: processors compute
   * at least eight channels at once, so that the one of the map by itself costs as much as all the others.
   */
  #heads(features: Tensor): [scores: Tensor, visible: Tensor | null] {
    if (!this.occlusion) return [this.mask.forward(features), null];
    const weight = cat([this.mask.weight, this.occlusion.weight]);
    const bias = cat([this.mask.bias!, this.occlusion.bias!]);
    const convolve = this.training && !isTracing() ? F.trainingConv2d : F.conv2d;
    const both = convolve(features, weight, bias, { padding: (KERNEL - 1) / 2 });
    const motions = this.mask.weight.size(0);
    return [both.narrow(1, 0, motions), both.narrow(1, motions, 1)];
  }
}

/** Lets the background, first of the motions, compete with keypoints that are out of reach from the start. */
function startBackground(bias: Tensor, score: number): void {
  tidy(() => bias.detach().select(0, 0).fill_(score));
}

/** Maps of keypoints with an empty one for the background first: [N, K, h, w] -> [N, K + 1, h, w]. */
const withBackground = (maps: Tensor): Tensor => cat([maps.narrow(1, 0, 1).mul(0), maps], 1);

export type DenseMotionOptions = {
  numKeypoints: number;
  /** How many of them, the first ones, refine the network's field; default 0. */
  refining?: number;
  estimateOcclusionMap: boolean;
};

/**
 * Motion around every keypoint, driving -> source, with the identity for the background first: [N, K + 1, h, w, 2].
 * First order: T(z) = p_s + J_s J_d^-1 (z - p_d); without jacobians this is the paper's offset p_s - p_d (Eq. 7), or the
 * shared map A around it, T(z) = p_s + A (z - p_d).
 *
 * @param shared A where keypoints have no jacobians, [N, 2, 2]; null for none
 */
export function sparseMotions(
  driving: Keypoints,
  source: Keypoints,
  height: number,
  width: number,
  shared: Tensor | null = null,
): Tensor {
  const [n, k] = driving.value.shape as [number, number, number];
  const grid = coordinateGrid(height, width, driving.value).reshape(1, 1, height, width, 2);
  const centre = (points: Tensor): Tensor => points.reshape(-1, k, 1, 1, 2);
  let relative = grid.sub(centre(driving.value)); // [N, K, h, w, 2]
  const linear =
    driving.jacobian && source.jacobian
      ? source.jacobian.matmul(driving.jacobian.inverse()) // [N, K, 2, 2]
      : shared?.unsqueeze(1).expand(n, k, 2, 2);
  if (linear) {
    // Row vectors: z J^T, as one small matrix product per keypoint.
    relative = relative
      .reshape(n, k, height * width, 2)
      .matmul(linear.transpose(2, 3))
      .reshape(n, k, height, width, 2);
  }
  const moved = relative.add(centre(source.value));
  return cat([grid.expand(n, 1, height, width, 2), moved], 1);
}
