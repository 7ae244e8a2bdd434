// ResNet encoder (He et al., "Deep Residual Learning for Image Recognition", 2016) as monodepth2 uses it: five feature maps,
// with the parameter names that image-classification checkpoints have.
import { F, nn, type Tensor } from '@dagan/libtorch';
import { matching } from '../tensors/precision.js';

/** Depth of a ResNet: basic blocks for 18, bottlenecks for 50. */
export type ResnetLayers = 18 | 50;

/** Blocks in each of the four stages. */
const BLOCKS: Record<ResnetLayers, readonly [number, number, number, number]> = { 18: [2, 2, 2, 2], 50: [3, 4, 6, 3] };

/** Channels inside the blocks of each stage of the full network, the first also those of the stem. */
export const RESNET_WIDTHS = [64, 128, 256, 512] as const;

/** A block's output channels are its width times this. */
const EXPANSION: Record<ResnetLayers, number> = { 18: 1, 50: 4 };

/** Classes of the checkpoints that encoders start from; the layer that tells them apart is loaded and saved, never run. */
const CLASSES = 1000;

/** Mean and deviation that monodepth2 takes for all colours. */
const MEAN = 0.45;
const DEVIATION = 0.225;

/** `full` times `width`. Throws a RangeError unless that is a positive whole number. */
export function scaledChannels(full: number, width: number): number {
  const channels = full * width;
  if (!(Number.isInteger(channels) && channels > 0)) {
    throw new RangeError(
      `a width of ${width} gives ${channels} of ${full} channels; use a whole power of two, down to 1/16`,
    );
  }
  return channels;
}

const conv3x3 = (from: number, to: number, stride = 1) =>
  new nn.Conv2d(from, to, 3, { stride, padding: 1, bias: false });
const conv1x1 = (from: number, to: number, stride = 1) => new nn.Conv2d(from, to, 1, { stride, bias: false });

/** Normally distributed weights that keep the size of gradients through ReLUs (He et al., "Delving Deep", 2015). */
function initialize(conv: nn.Conv2d): void {
  const [out, , height, width] = conv.weight.shape as [number, number, number, number];
  using weight = conv.weight.detach();
  weight.normal_(0, Math.sqrt(2 / (out * height * width)));
}

/** 1x1 convolution and normalisation that fit a block's input to its output. */
class Downsample extends nn.Module {
  readonly #conv: nn.Conv2d;
  readonly #norm: nn.BatchNorm2d;

  constructor(from: number, to: number, stride: number) {
    super();
    this.#conv = conv1x1(from, to, stride);
    this.#norm = new nn.BatchNorm2d(to);
  }

  override children(): [string, nn.Module][] {
    return [
      ['0', this.#conv],
      ['1', this.#norm],
    ];
  }

  fuse(): void {
    this.#norm.foldInto(this.#conv);
  }

  forward(input: Tensor): Tensor {
    return this.#norm.forward(this.#conv.forward(input));
  }
}

/** relu(F(x) + x), x fitted where the sizes differ. */
abstract class ResidualBlock extends nn.Module {
  abstract downsample: Downsample | null;

  protected abstract residual(input: Tensor): Tensor;

  forward(input: Tensor): Tensor {
    const shortcut = this.downsample ? this.downsample.forward(input) : input;
    return this.residual(input).add(shortcut).relu();
  }
}

const fit = (from: number, to: number, stride: number): Downsample | null =>
  stride !== 1 || from !== to ? new Downsample(from, to, stride) : null;

/** Two 3x3 convolutions. */
class BasicBlock extends ResidualBlock {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  downsample: Downsample | null;

  constructor(from: number, width: number, stride: number) {
    super();
    this.conv1 = conv3x3(from, width, stride);
    this.bn1 = new nn.BatchNorm2d(width);
    this.conv2 = conv3x3(width, width);
    this.bn2 = new nn.BatchNorm2d(width);
    this.downsample = fit(from, width, stride);
  }

  fuse(): void {
    this.bn1.foldInto(this.conv1);
    this.bn2.foldInto(this.conv2);
  }

  protected override residual(input: Tensor): Tensor {
    const hidden = this.bn1.forward(this.conv1.forward(input)).relu();
    return this.bn2.forward(this.conv2.forward(hidden));
  }
}

/** 1x1, 3x3 (which carries the stride) and 1x1 convolution, the last to four times the width. */
class Bottleneck extends ResidualBlock {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  conv2: nn.Conv2d;
  bn2: nn.BatchNorm2d;
  conv3: nn.Conv2d;
  bn3: nn.BatchNorm2d;
  downsample: Downsample | null;

  constructor(from: number, width: number, stride: number) {
    super();
    const to = width * EXPANSION[50];
    this.conv1 = conv1x1(from, width);
    this.bn1 = new nn.BatchNorm2d(width);
    this.conv2 = conv3x3(width, width, stride);
    this.bn2 = new nn.BatchNorm2d(width);
    this.conv3 = conv1x1(width, to);
    this.bn3 = new nn.BatchNorm2d(to);
    this.downsample = fit(from, to, stride);
  }

  fuse(): void {
    this.bn1.foldInto(this.conv1);
    this.bn2.foldInto(this.conv2);
    this.bn3.foldInto(this.conv3);
  }

  protected override residual(input: Tensor): Tensor {
    let hidden = this.bn1.forward(this.conv1.forward(input)).relu();
    hidden = this.bn2.forward(this.conv2.forward(hidden)).relu();
    return this.bn3.forward(this.conv3.forward(hidden));
  }
}

/** Blocks in a row; the first changes channels and stride. */
class Stage extends nn.ModuleList<ResidualBlock> {
  constructor(layers: ResnetLayers, from: number, width: number, blocks: number, stride: number) {
    const Block = layers === 18 ? BasicBlock : Bottleneck;
    const to = width * EXPANSION[layers];
    super(Array.from({ length: blocks }, (_, i) => new Block(i === 0 ? from : to, width, i === 0 ? stride : 1)));
  }

  forward(input: Tensor): Tensor {
    let x = input;
    for (const block of this) x = block.forward(x);
    return x;
  }
}

/** The classification network's layers, under the names that its checkpoints have. */
class Resnet extends nn.Module {
  conv1: nn.Conv2d;
  bn1: nn.BatchNorm2d;
  layer1: Stage;
  layer2: Stage;
  layer3: Stage;
  layer4: Stage;
  fc: nn.Linear;

  constructor(layers: ResnetLayers, inputImages: number, widths: readonly number[]) {
    super();
    const stem = widths[0]!;
    const out = widths.map((width) => width * EXPANSION[layers]);
    const stage = (i: number, stride: number) =>
      new Stage(layers, i === 0 ? stem : out[i - 1]!, widths[i]!, BLOCKS[layers][i]!, stride);
    this.conv1 = new nn.Conv2d(3 * inputImages, stem, 7, { stride: 2, padding: 3, bias: false });
    this.bn1 = new nn.BatchNorm2d(stem);
    this.layer1 = stage(0, 1);
    this.layer2 = stage(1, 2);
    this.layer3 = stage(2, 2);
    this.layer4 = stage(3, 2);
    this.fc = new nn.Linear(out[3]!, CLASSES);
    for (const [, module] of this.namedModules()) if (module instanceof nn.Conv2d) initialize(module);
  }

  fuse(): void {
    this.bn1.foldInto(this.conv1);
  }

  forward(input: Tensor): Tensor[] {
    const stem = this.bn1.forward(this.conv1.forward(input)).relu();
    const first = this.layer1.forward(F.maxPool2d(stem, 3, { stride: 2, padding: 1 }));
    const second = this.layer2.forward(first);
    const third = this.layer3.forward(second);
    return [stem, first, second, third, this.layer4.forward(third)];
  }
}

/**
 * Features of a picture, or of several pictures stacked by channel, at five scales.
 *
 * State dicts call its tensors `encoder.conv1.weight`, `encoder.layer1.0.conv1.weight` and so on, and hold the unused
 * classification layer `encoder.fc`.
 */
export class ResnetEncoder extends nn.Module {
  encoder: Resnet;

  /** Channels of the five feature maps. */
  readonly channels: readonly number[];

  /** @param width multiplies the channels of every layer; each of 64, 128, 256 and 512 times it must be whole */
  constructor({ layers, inputImages = 1, width = 1 }: { layers: ResnetLayers; inputImages?: number; width?: number }) {
    super();
    const widths = RESNET_WIDTHS.map((full) => scaledChannels(full, width));
    this.encoder = new Resnet(layers, inputImages, widths);
    this.channels = [widths[0]!, ...widths.map((channels) => channels * EXPANSION[layers])];
  }

  /**
   * @param image [N, 3 inputImages, H, W] in [0, 1]
   * @returns five feature maps [N, channels[i], H / s, W / s] at strides s = 2, 4, 8, 16 and 32
   */
  forward(image: Tensor): Tensor[] {
    return this.encoder.forward(matching(image.sub(MEAN).div(DEVIATION), this.encoder.conv1));
  }
}
