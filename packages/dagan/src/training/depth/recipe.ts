// How the depth network is trained (Section 3.2 of the paper): every choice in which paper, published code and practice differ.

import type { DepthRange } from '../../geometry/disparity.js';
import type { CameraModel } from '../../geometry/view-synthesis.js';
import type { PhotometricOptions } from '../../losses/photometric.js';
import type { LearningRateSchedule } from '../run/schedule.js';

export type DepthRecipe = {
  /** Frames that explain each other: 2 is the target and the next one, 3 has the one before it too. */
  frames: 2 | 3;
  /** Scales of the disparity that learn, the full size first: 1 to 4. Each is enlarged to the full size before warping. */
  scales: 1 | 2 | 3 | 4;
  photometric: PhotometricOptions;
  /** Every pixel learns from the source that explains it best; else from the mean of all. */
  minimumReprojection: boolean;
  /** Pixels that look best without any warping do not learn. */
  automasking: boolean;
  /** Weight of the edge-aware smoothness at full size; halved at every smaller scale. */
  smoothness: number;
  /** `exact`: the intrinsics get a gradient; `published`: they are cut to whole pixels and do not. */
  camera: CameraModel;
  /** `centred`: the optical axis meets the picture in its middle; `learned`: it meets it anywhere. */
  principalPoint: 'centred' | 'learned';
  /**
   * Steps at the beginning in which all pixels of all sources count, without minimum reprojection and automasking: an
   * untrained pose network does worse than no motion at most pixels, which masking would then hide from it.
   */
  warmup: number;
  /**
   * Steps at the beginning in which the intrinsics stay as they are: while depth is flat and motion rough, a focal length
   * that is too short was seen to explain frames slightly better.
   */
  intrinsicsWarmup: number;
  /** Learning rate of the intrinsics over that of the networks: a focal length that jumps makes depth follow it. */
  intrinsicsRate: number;
  depthRange: DepthRange;
};

const published: DepthRecipe = {
  frames: 3,
  scales: 4,
  photometric: { alpha: 0.8, form: 'published' },
  minimumReprojection: true,
  automasking: true,
  smoothness: 1e-3,
  camera: 'exact',
  principalPoint: 'centred',
  warmup: 0,
  intrinsicsWarmup: 0,
  intrinsicsRate: 0.1,
  depthRange: {},
};

/**
 * Recipes by name.
 * - `published`: that of the published code and of monodepth2, with the paper's alpha and intrinsics that learn.
 * - `scratch`: the same with a beginning that networks with random weights need.
 * - `paper`: two frames and the photometric error of Eq. 5 alone.
 */
export const DEPTH_RECIPES = {
  published,
  scratch: { ...published, warmup: 1200, intrinsicsWarmup: 2000 },
  paper: {
    ...published,
    frames: 2,
    scales: 1,
    photometric: { alpha: 0.8, form: 'paper' },
    minimumReprojection: false,
    automasking: false,
    smoothness: 0,
  },
} as const satisfies Record<string, DepthRecipe>;

/** Learning rate of Adam in monodepth2. */
export const DEPTH_LEARNING_RATE = 1e-4;

/** monodepth2's schedule: the full rate for three quarters of the training, then a tenth of it. */
export const DEPTH_SCHEDULE: LearningRateSchedule = { kind: 'milestones', at: [0.75], factor: 0.1 };
