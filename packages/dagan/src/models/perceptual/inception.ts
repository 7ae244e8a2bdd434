// Inception v3 up to its first 16th-resolution block (Szegedy et al., "Rethinking the Inception Architecture for Computer
// Vision", 2016) as the measure of the perceptual loss.
import { cat, F, nn, run, type Tensor, tidy } from '@dagan/libtorch';
import type { PerceptualNetwork } from './vgg19.js';

/** A convolution that keeps the size (but for its stride), with the batch norm that follows it folded in, and a ReLU. */
class ConvRelu extends nn.Module {
  readonly conv: nn.Conv2d;

  constructor(from: number, to: number, kernel: F.Pair, stride = 1) {
    super();
    const [height, width] = typeof kernel === 'number' ? [kernel, kernel] : kernel;
    this.conv = new nn.Conv2d(from, to, kernel, { stride, padding: [(height - 1) / 2, (width - 1) / 2] });
  }

  forward(x: Tensor): Tensor {
    return this.conv.forward(x).relu();
  }
}

/** One convolution after the other. */
class Chain extends nn.Module {
  readonly steps: nn.ModuleList<ConvRelu>;

  constructor(steps: readonly ConvRelu[]) {
    super();
    this.steps = new nn.ModuleList(steps);
  }

  forward(x: Tensor): Tensor {
    return [...this.steps].reduce((y, step) => step.forward(y), x);
  }
}

const chain = (...steps: ConvRelu[]): Chain => new Chain(steps);

/** Halves the size: the greatest of 3 x 3. */
const maxPool = (x: Tensor): Tensor => F.maxPool2d(x, 3, { stride: 2, padding: 1 });

/** Mean of 3 x 3 without counting what lies outside. */
const localMean = (x: Tensor): Tensor => run('aten::avg_pool2d', [x, [3, 3], [1, 1], [1, 1], false, false]);

/** Branches that look at 1, 5 and 3 + 3 pixels and at a local mean, side by side (Fig. 5 of the paper). */
class MixedSquare extends nn.Module {
  readonly single: Chain;
  readonly five: Chain;
  readonly double: Chain;
  readonly pooled: Chain;

  constructor(from: number, pooled: number) {
    super();
    this.single = chain(new ConvRelu(from, 64, 1));
    this.five = chain(new ConvRelu(from, 48, 1), new ConvRelu(48, 64, 5));
    this.double = chain(new ConvRelu(from, 64, 1), new ConvRelu(64, 96, 3), new ConvRelu(96, 96, 3));
    this.pooled = chain(new ConvRelu(from, pooled, 1));
  }

  forward(x: Tensor): Tensor {
    const { single, five, double, pooled } = this;
    return cat([single.forward(x), five.forward(x), double.forward(x), pooled.forward(localMean(x))], 1);
  }
}

/** Halves the size and widens (Fig. 10). */
class Reduction extends nn.Module {
  readonly single = chain(new ConvRelu(288, 384, 3, 2));
  readonly double = chain(new ConvRelu(288, 64, 1), new ConvRelu(64, 96, 3), new ConvRelu(96, 96, 3, 2));

  forward(x: Tensor): Tensor {
    return cat([this.single.forward(x), this.double.forward(x), maxPool(x)], 1);
  }
}

/** Branches of 7 x 7 split into 1 x 7 and 7 x 1 (Fig. 6). */
class MixedSplit extends nn.Module {
  readonly single = chain(new ConvRelu(768, 192, 1));
  readonly seven = chain(new ConvRelu(768, 128, 1), new ConvRelu(128, 128, [1, 7]), new ConvRelu(128, 192, [7, 1]));
  readonly double = chain(
    new ConvRelu(768, 128, 1),
    new ConvRelu(128, 128, [7, 1]),
    new ConvRelu(128, 128, [1, 7]),
    new ConvRelu(128, 128, [7, 1]),
    new ConvRelu(128, 192, [1, 7]),
  );
  readonly pooled = chain(new ConvRelu(768, 192, 1));

  forward(x: Tensor): Tensor {
    const { single, seven, double, pooled } = this;
    return cat([single.forward(x), seven.forward(x), double.forward(x), pooled.forward(localMean(x))], 1);
  }
}

/**
 * Mean absolute difference of each feature map between portraits of different people, over the scales 1, 1/2, 1/4 and 1/8.
 * The difference of its maps is divided by it: every layer then says 1 of another person, and the sum over layers and scales lies where the
 * published networks' VGG-19 term lies in training (docs/perceptual.md).
 */
const TYPICAL = [0.26, 0.93, 0.83, 0.7, 0.37, 0.25] as const;

/**
 * Features of pictures [N, 3, H, W] in [0, 1], from 16 pixels a side: the picture itself, then relu of the first convolution
 * (32 channels, H x W), of the third (64, H/2), of the fifth (192, H/4), the third square block (288, H/8) and the first split
 * block (768, H/16).
 *
 * It departs from the classifier in two ways that a loss needs. All convolutions and poolings keep the picture's edge (the
 * classifier crops it), and the first convolution also looks at the odd pixels, of which the classifier's stride sees half:
 * together with the picture itself this leaves gradient descent no pattern of single pixels that the measure cannot see.
 */
export class InceptionFeatures extends nn.Module implements PerceptualNetwork {
  readonly layers = TYPICAL.length;
  readonly typical = TYPICAL;
  // In the order in which the file numbers the convolutions.
  readonly stem = new nn.ModuleList([
    new ConvRelu(3, 32, 3),
    new ConvRelu(32, 32, 3),
    new ConvRelu(32, 64, 3),
    new ConvRelu(64, 80, 1),
    new ConvRelu(80, 192, 3),
  ]);
  readonly square = new nn.ModuleList([new MixedSquare(192, 32), new MixedSquare(256, 64), new MixedSquare(288, 64)]);
  readonly reduction = new Reduction();
  readonly split = new MixedSplit();

  /** With random weights, frozen. */
  constructor() {
    super();
    this.requiresGrad_(false);
    this.eval();
  }

  /** The convolutions in the file's order: the first is its `conv2d_1`. */
  convolutions(): nn.Conv2d[] {
    return [...this.namedModules()].flatMap(([, module]) => (module instanceof nn.Conv2d ? [module] : []));
  }

  features(image: Tensor): Tensor[] {
    return tidy(() => {
      const { stem } = this;
      const edges = stem.at(0).forward(image.mul(2).sub(1)); // [N, 32, H, W]
      const even = F.maxPool2d(edges, 1, { stride: 2 }); // what a stride of 2 gives
      const texture = stem.at(2).forward(stem.at(1).forward(even)); // [N, 64, H/2, W/2]
      const corners = stem.at(4).forward(stem.at(3).forward(maxPool(texture))); // [N, 192, H/4, W/4]
      const parts = [...this.square].reduce((x, block) => block.forward(x), maxPool(corners)); // [N, 288, H/8, W/8]
      const regions = this.split.forward(this.reduction.forward(parts)); // [N, 768, H/16, W/16]
      return [image, edges, texture, corners, parts, regions];
    });
  }
}
