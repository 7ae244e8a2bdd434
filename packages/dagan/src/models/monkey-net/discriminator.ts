// The discriminator of Monkey-Net: sees a frame with the keypoints it should show, and normalises over all frames of a clip.
import { cat, F, nn, type Tensor, tidy } from '@dagan/libtorch';
import type { Judgement } from '../discriminator.js';
import { type GaussianKeypoints, gaussianHeatmaps } from './keypoints.js';

export type MonkeyDiscriminatorConfig = {
  /** Convolution blocks. */
  blocks: number;
  /** Channels double in every block, from twice this in the first ... */
  blockExpansion: number;
  /** ... up to this. */
  maxFeatures: number;
};

/** The published configuration. */
export const MONKEY_DISCRIMINATOR: MonkeyDiscriminatorConfig = { blocks: 4, blockExpansion: 32, maxFeatures: 256 };

/** 4x4 convolution without padding, instance norm over a clip, leaky ReLU, halving of the size. */
class ClipBlock extends nn.Module {
  readonly conv: nn.Conv2d;
  readonly norm: nn.InstanceNorm2d | null;

  constructor(inChannels: number, outChannels: number, { norm }: { norm: boolean }) {
    super();
    this.conv = new nn.Conv2d(inChannels, outChannels, 4);
    this.norm = norm ? new nn.InstanceNorm2d(outChannels, { affine: true }) : null;
  }

  forward(x: Tensor, frames: number): Tensor {
    const convolved = this.conv.forward(x);
    const normalised = this.norm ? overClips(convolved, frames, this.norm) : convolved;
    return F.avgPool2d(F.leakyRelu(normalised, 0.2), 2);
  }
}

/** Normalises each clip and channel by its own mean and variance: frames [N T, C, H, W] lie as one tall picture each clip. */
function overClips(x: Tensor, frames: number, norm: nn.InstanceNorm2d): Tensor {
  if (frames === 1) return norm.forward(x);
  const [count, channels, height, width] = x.shape as [number, number, number, number];
  const clips = count / frames;
  const tall = x.reshape(clips, frames, channels, height, width).transpose(1, 2);
  const normalised = norm.forward(tall.reshape(clips, channels, frames * height, width));
  return normalised
    .reshape(clips, channels, frames, height, width)
    .transpose(1, 2)
    .reshape(...x.shape);
}

export class MonkeyDiscriminator extends nn.Module {
  readonly downBlocks: nn.ModuleList<ClipBlock>;
  readonly conv: nn.Conv2d;

  constructor(numKeypoints: number, config: MonkeyDiscriminatorConfig = MONKEY_DISCRIMINATOR) {
    super();
    const { blocks, blockExpansion, maxFeatures } = config;
    const width = (i: number) => Math.min(maxFeatures, blockExpansion * 2 ** i);
    this.downBlocks = new nn.ModuleList(
      Array.from(
        { length: blocks },
        (_, i) => new ClipBlock(i === 0 ? 3 + numKeypoints : width(i), width(i + 1), { norm: i > 0 }),
      ),
    );
    this.conv = new nn.Conv2d(width(blocks), 1, 1);
  }

  /**
   * @param frames [N T, 3, H, W] of N clips, one after another
   * @param keypoints that the frames should show, detached from what found them
   * @param perClip T, frames of every clip
   */
  forward(frames: Tensor, keypoints: GaussianKeypoints, perClip = 1): Judgement {
    return tidy(() => {
      const heat = gaussianHeatmaps(keypoints, [frames.size(2), frames.size(3)]);
      let x = cat([frames, heat], 1); // [N T, 3 + K, H, W]
      const features = [frames];
      for (const block of this.downBlocks) {
        x = block.forward(x, perClip);
        features.push(x);
      }
      return { prediction: this.conv.forward(x), features };
    });
  }
}
