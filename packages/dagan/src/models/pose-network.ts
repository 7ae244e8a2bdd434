// The pose network F_p (Section 3.2 of the paper, Eq. 2): two frames -> camera motion between them, and the camera's
// intrinsics, which face videos do not come with.
import { cat, F, nn, onesLike, stack, type Tensor, tensor, tidy, zerosLike } from '@dagan/libtorch';
import { ResnetEncoder, type ResnetLayers } from './resnet.js';

/**
 * Where the principal point can lie. The focal lengths are `softplus` of the head times the picture's size in either case.
 * - `centred`: at the picture's centre plus what the head says, to any side (Gordon et al., "Depth from Videos in the Wild",
 *   2019).
 * - `published`: as in the published code, whose softplus pushes it right of and below the centre.
 */
export type IntrinsicsForm = 'centred' | 'published';

export type PoseConfig = {
  /** Depth of the residual encoder. */
  layers: ResnetLayers;
  /** Where the principal point can lie. */
  intrinsics?: IntrinsicsForm;
  /** Multiplies the channels of the encoder. 1 if not given, as published. */
  width?: number;
  /**
   * Multiplies what the head says of the motion. 0.01 if not given, as published: training starts from a camera nearly at
   * rest. Between 0.05 and 0.15, random weights left half the photometric error on rendered clips after 500 steps.
   */
  motionScale?: number;
};

/** Camera motion between two frames, and the camera. */
export type CameraMotion = {
  /** Rotation axis times angle in radians, [N, 3]. */
  axisAngle: Tensor;
  /** [N, 3], in the unit of depth. */
  translation: Tensor;
  /** K, in pixels of the frames, [N, 3, 3]. */
  intrinsics: Tensor;
};

const WIDTH = 256;

/** Motions that published files carry: only the first is used, the second is what monodepth2's decoder brings along. */
const MOTIONS = 2;

const MOTION_SCALE = 0.01;

/** Positions of the layers in published files. */
const [SQUEEZE, FIRST, SECOND, MOTION, FOCAL, OFFSET] = [0, 1, 2, 3, 4, 5];

/** Encoder features -> motions [N, 2, 6] and intrinsics [N, 3, 3]. */
export class PoseDecoder extends nn.Module {
  readonly net: nn.ModuleList<nn.Conv2d>;
  readonly #form: IntrinsicsForm;
  readonly #motionScale: number;

  /** What the focal lengths are read off. */
  get focalHead(): nn.Conv2d {
    return this.net.at(FOCAL);
  }

  /** What the principal point is read off. */
  get principalPointHead(): nn.Conv2d {
    return this.net.at(OFFSET);
  }

  constructor(
    inChannels: number,
    { intrinsics = 'centred', motionScale = MOTION_SCALE }: Pick<PoseConfig, 'intrinsics' | 'motionScale'> = {},
  ) {
    super();
    this.#form = intrinsics;
    this.#motionScale = motionScale;
    this.net = new nn.ModuleList([
      new nn.Conv2d(inChannels, WIDTH, 1),
      new nn.Conv2d(WIDTH, WIDTH, 3, { padding: 1 }),
      new nn.Conv2d(WIDTH, WIDTH, 3, { padding: 1 }),
      new nn.Conv2d(WIDTH, 6 * MOTIONS, 1),
      new nn.Conv2d(WIDTH, 2, 3, { padding: 1 }),
      new nn.Conv2d(WIDTH, 2, 3, { padding: 1 }),
    ]);
  }

  /**
   * @param features the encoder's last, [N, C, h, w]
   * @param size [H, W] of the frames
   * @returns axis-angle and translation side by side, [N, 2, 6], and K in pixels, [N, 3, 3]
   */
  forward(features: Tensor, size: readonly [number, number]): { motions: Tensor; intrinsics: Tensor } {
    return tidy(() => {
      let x = features;
      for (const layer of [SQUEEZE, FIRST, SECOND]) x = this.net.at(layer).forward(x).relu(); // [N, 256, h, w]
      const motions = this.#head(MOTION, x).mean([2, 3]).mul(this.#motionScale).view(-1, MOTIONS, 6);
      return { motions, intrinsics: this.#intrinsics(x, size) };
    });
  }

  /** A head's map in float32: a camera in 16 bits would be off by pixels. */
  #head(position: number, x: Tensor): Tensor {
    return this.net.at(position).forward(x).to({ dtype: 'float32' });
  }

  #intrinsics(x: Tensor, [height, width]: readonly [number, number]): Tensor {
    const size = tensor([width, height]).to({ device: x.device });
    const focal = F.softplus(this.#head(FOCAL, x)).mean([2, 3]).mul(size); // [N, 2]
    const raw = this.#head(OFFSET, x); // [N, 2, h, w]
    const offset = this.#form === 'published' ? F.softplus(raw) : raw;
    const centre = offset.mean([2, 3]).add(0.5).mul(size); // [N, 2]
    const [fx, fy] = focal.unbind(1) as [Tensor, Tensor];
    const [cx, cy] = centre.unbind(1) as [Tensor, Tensor];
    const zero = zerosLike(fx);
    return stack([fx, zero, cx, zero, fy, cy, zero, zero, onesLike(fx)], 1).view(-1, 3, 3);
  }
}

/** Two frames of a video -> camera motion and intrinsics. State dicts hold `pose_encoder.*` and `pose.*`. */
export class PoseNetwork extends nn.Module {
  readonly poseEncoder: ResnetEncoder;
  readonly pose: PoseDecoder;

  constructor({ layers, width, ...form }: PoseConfig) {
    super();
    this.poseEncoder = new ResnetEncoder({ layers, inputImages: 2, width });
    this.pose = new PoseDecoder(this.poseEncoder.channels.at(-1)!, form);
  }

  /**
   * @param first the earlier frame, [N, 3, H, W] in [0, 1]
   * @param second the later frame, likewise
   * @returns the motion that takes points of the first frame's camera to the second's
   */
  forward(first: Tensor, second: Tensor): CameraMotion {
    return tidy(() => {
      const features = this.poseEncoder.forward(cat([first, second], 1)).at(-1)!;
      const { motions, intrinsics } = this.pose.forward(features, [first.size(2), first.size(3)]);
      const motion = motions.select(1, 0); // [N, 6]
      return { axisAngle: motion.slice(1, 0, 3), translation: motion.slice(1, 3, 6), intrinsics };
    });
  }
}
