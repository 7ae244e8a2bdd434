// Head pose and expression of a picture (Wang et al. 2021, Section 3.1): how the canonical keypoints are turned, shifted and
// bent to be where they are.
import { arange, cat, F, nn, type Tensor } from '@dagan/libtorch';
import { HALF_TURN } from '../../geometry/head-rotation.js';
import { exactly, widened } from '../../tensors/precision.js';
import type { OsfvConfig } from './config.js';
import type { SpaceKeypoints } from './keypoint-detector.js';

/** What is found in pictures. */
export type Head = {
  /** Of each angle, its classes before the softmax, [N, B]; by what they are used for (see `forward`). */
  bins: Record<'yaw' | 'pitch' | 'roll', Tensor>;
  /** Yaw, pitch and roll in degrees, [N, 3]. */
  angles: Tensor;
  translation: Tensor; // [N, 3]
  /** How expression moves each keypoint. */
  expression: Tensor; // [N, K, 3]
  /** Mean features, [N, C]. */
  features: Tensor;
};

/** A class of an angle is three degrees wide, the first at -99. */
const BIN_WIDTH = 3;
const FIRST_BIN = -99;

/** 1x1, 3x3 and 1x1 convolution with batch norms around a shortcut (He et al., 2016). */
class Bottleneck extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly conv2: nn.Conv2d;
  readonly conv3: nn.Conv2d;
  readonly norm1: nn.BatchNorm2d;
  readonly norm2: nn.BatchNorm2d;
  readonly norm3: nn.BatchNorm2d;
  /** Where the size is halved the shortcut is a convolution. */
  readonly skip: nn.Conv2d | null;
  readonly norm4: nn.BatchNorm2d | null;

  constructor(channels: number, stride: 1 | 2) {
    super();
    const narrow = channels / 4;
    this.conv1 = new nn.Conv2d(channels, narrow, 1);
    this.conv2 = new nn.Conv2d(narrow, narrow, 3, { padding: 1, stride });
    this.conv3 = new nn.Conv2d(narrow, channels, 1);
    this.norm1 = new nn.BatchNorm2d(narrow);
    this.norm2 = new nn.BatchNorm2d(narrow);
    this.norm3 = new nn.BatchNorm2d(channels);
    this.skip = stride === 2 ? new nn.Conv2d(channels, channels, 1, { stride }) : null;
    this.norm4 = stride === 2 ? new nn.BatchNorm2d(channels) : null;
  }

  /** Rearranges the block for use without training. */
  fuse(): void {
    this.norm1.foldInto(this.conv1);
    this.norm2.foldInto(this.conv2);
    this.norm3.foldInto(this.conv3);
    if (this.skip) this.norm4!.foldInto(this.skip);
  }

  forward(x: Tensor): Tensor {
    const narrow = this.norm1.forward(this.conv1.forward(x)).relu();
    const seen = this.norm2.forward(this.conv2.forward(narrow)).relu();
    const out = this.norm3.forward(this.conv3.forward(seen)); // [N, C, h, w]
    const shortcut = this.skip ? this.norm4!.forward(this.skip.forward(x)) : x;
    return out.add(shortcut).relu();
  }
}

const blocks = (count: number, channels: number): nn.ModuleList<Bottleneck> =>
  new nn.ModuleList(Array.from({ length: count }, () => new Bottleneck(channels, 1)));

/** A ResNet-50 whose stages widen by 1x1 convolutions of their own, and five linear heads. */
export class HeadEstimator extends nn.Module {
  readonly conv1: nn.Conv2d;
  readonly norm1: nn.BatchNorm2d;
  readonly conv2: nn.Conv2d;
  readonly norm2: nn.BatchNorm2d;
  readonly block1: nn.ModuleList<Bottleneck>;
  readonly conv3: nn.Conv2d;
  readonly norm3: nn.BatchNorm2d;
  readonly block2: Bottleneck;
  readonly block3: nn.ModuleList<Bottleneck>;
  readonly conv4: nn.Conv2d;
  readonly norm4: nn.BatchNorm2d;
  readonly block4: Bottleneck;
  readonly block5: nn.ModuleList<Bottleneck>;
  readonly conv5: nn.Conv2d;
  readonly norm5: nn.BatchNorm2d;
  readonly block6: Bottleneck;
  readonly block7: nn.ModuleList<Bottleneck>;
  readonly fcRoll: nn.Linear;
  readonly fcPitch: nn.Linear;
  readonly fcYaw: nn.Linear;
  readonly fcT: nn.Linear;
  readonly fcExp: nn.Linear;
  readonly #keypoints: number;

  constructor({ headEstimator: { width, numBins }, numKeypoints }: OsfvConfig) {
    super();
    this.conv1 = new nn.Conv2d(3, width, 7, { stride: 2, padding: 3 });
    this.norm1 = new nn.BatchNorm2d(width);
    this.conv2 = new nn.Conv2d(width, 4 * width, 1);
    this.norm2 = new nn.BatchNorm2d(4 * width);
    this.block1 = blocks(3, 4 * width);
    this.conv3 = new nn.Conv2d(4 * width, 8 * width, 1);
    this.norm3 = new nn.BatchNorm2d(8 * width);
    this.block2 = new Bottleneck(8 * width, 2);
    this.block3 = blocks(3, 8 * width);
    this.conv4 = new nn.Conv2d(8 * width, 16 * width, 1);
    this.norm4 = new nn.BatchNorm2d(16 * width);
    this.block4 = new Bottleneck(16 * width, 2);
    this.block5 = blocks(5, 16 * width);
    this.conv5 = new nn.Conv2d(16 * width, 32 * width, 1);
    this.norm5 = new nn.BatchNorm2d(32 * width);
    this.block6 = new Bottleneck(32 * width, 2);
    this.block7 = blocks(2, 32 * width);
    this.fcRoll = new nn.Linear(32 * width, numBins);
    this.fcPitch = new nn.Linear(32 * width, numBins);
    this.fcYaw = new nn.Linear(32 * width, numBins);
    this.fcT = new nn.Linear(32 * width, 3);
    this.fcExp = new nn.Linear(32 * width, 3 * numKeypoints);
    // An untrained head stands where its canonical keypoints are: usual weights would scatter them far outside of the picture.
    for (const layer of [this.fcT, this.fcExp]) for (const weight of layer.parameters()) weight.detach().zero_();
    this.#keypoints = numKeypoints;
  }

  /** Rearranges the stem and the steps between stages for use without training. */
  fuse(): void {
    this.norm1.foldInto(this.conv1);
    this.norm2.foldInto(this.conv2);
    this.norm3.foldInto(this.conv3);
    this.norm4.foldInto(this.conv4);
    this.norm5.foldInto(this.conv5);
  }

  /** @param image [N, 3, H, W] in [0, 1] */
  forward(image: Tensor): Head {
    let x = F.maxPool2d(this.norm1.forward(this.conv1.forward(image)).relu(), 3, { stride: 2, padding: 1 });
    x = this.norm2.forward(this.conv2.forward(x)).relu(); // [N, 4 C, H / 4, W / 4]
    for (const block of this.block1) x = block.forward(x);
    x = this.block2.forward(this.norm3.forward(this.conv3.forward(x)).relu());
    for (const block of this.block3) x = block.forward(x);
    x = this.block4.forward(this.norm4.forward(this.conv4.forward(x)).relu());
    for (const block of this.block5) x = block.forward(x);
    x = this.block6.forward(this.norm5.forward(this.conv5.forward(x)).relu());
    for (const block of this.block7) x = block.forward(x);
    const features = widened(x.mean([2, 3])); // [N, 32 C]
    return exactly(features, () => this.#headOf(features));
  }

  #headOf(features: Tensor): Head {
    // The published networks have learned yaw where the layer is called roll, and the other way around.
    const bins = {
      yaw: this.fcRoll.forward(features),
      pitch: this.fcPitch.forward(features),
      roll: this.fcYaw.forward(features),
    };
    return {
      bins,
      angles: cat(
        [bins.yaw, bins.pitch, bins.roll].map((each) => degreesOf(each).unsqueeze(1)),
        1,
      ),
      translation: this.fcT.forward(features),
      expression: this.fcExp.forward(features).reshape(-1, this.#keypoints, 3),
      features,
    };
  }
}

/** The expected angle under the classes' softmax, [N, B] -> [N]. */
export function degreesOf(bins: Tensor): Tensor {
  const numbers = arange(bins.size(1), { dtype: bins.dtype, device: bins.device });
  return bins.softmax(1).mul(numbers).sum([1]).mul(BIN_WIDTH).add(FIRST_BIN);
}

/** R = Rx(pitch) Ry(yaw) Rz(roll) of yaw, pitch and roll in degrees: [N, 3] -> [N, 3, 3]. */
export function rotationOf(angles: Tensor): Tensor {
  const radians = angles.div(180).mul(HALF_TURN);
  const [yaw, pitch, roll] = [0, 1, 2].map((i) => radians.narrow(1, i, 1)) as [Tensor, Tensor, Tensor]; // [N, 1]
  const matrix = (rows: readonly Tensor[]): Tensor => cat(rows, 1).reshape(-1, 3, 3);
  const [zero, one] = [yaw.mul(0), yaw.mul(0).add(1)];
  const [cosP, sinP, cosY, sinY, cosR, sinR] = [
    ...[pitch.cos(), pitch.sin(), yaw.cos(), yaw.sin(), roll.cos(), roll.sin()],
  ] as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor];
  const x = matrix([one, zero, zero, zero, cosP, sinP.neg(), zero, sinP, cosP]);
  const y = matrix([cosY, zero, sinY, zero, one, zero, sinY.neg(), zero, cosY]);
  const z = matrix([cosR, sinR.neg(), zero, sinR, cosR, zero, zero, zero, one]);
  return x.matmul(y).matmul(z);
}

/** Canonical keypoints as a head has them: R k + t + e, jacobians R J. One canonical set may serve many heads. */
export function keypointsOfHead(
  canonical: SpaceKeypoints,
  { angles, translation, expression }: Pick<Head, 'angles' | 'translation' | 'expression'>,
): SpaceKeypoints {
  return exactly(angles, () => turnedBy(rotationOf(angles), canonical, translation, expression));
}

/** @param rotation [N, 3, 3] */
function turnedBy(
  rotation: Tensor,
  canonical: SpaceKeypoints,
  translation: Tensor,
  expression: Tensor,
): SpaceKeypoints {
  const turned = canonical.value.matmul(rotation.transpose(1, 2)); // [N, K, 3]
  return {
    value: turned.add(translation.unsqueeze(1)).add(expression),
    jacobian: canonical.jacobian && rotation.unsqueeze(1).matmul(canonical.jacobian),
  };
}
