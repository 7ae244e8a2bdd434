// A network that knows faces as a measure of whose face is seen: the MobileNet `faceres` (Savchenko, "Efficient facial
// representations for age, gender and identity recognition in organizing photo albums using multi-output ConvNet", 2019), in the
// place of VGGFace, whose weights may not be passed on. It is the network that `faces/identity.ts` runs, here with gradients.
import fs from 'node:fs';
import { F, nn, noGrad, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { toNumberArray } from '@dagan/libtorch/checkpoint';
import { readOnnxConstants } from '@dagan/libtorch/onnx';
import { faceModelPath } from '../../face-models.js';
import { PerceptualNetworkError } from './inception-weights.js';
import type { PerceptualNetwork } from './vgg19.js';

/** Of @dagan/faces. */
const FILE = 'face-identity.onnx';

/** Channels after the stem and after each of 13 blocks, and whether a block halves the size. */
const STEM = 32;
const BLOCKS: readonly (readonly [channels: number, stride: 1 | 2])[] = [
  ...([
    [64, 1],
    [128, 2],
    [128, 1],
    [256, 2],
    [256, 1],
    [512, 2],
  ] as const),
  ...([
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [512, 1],
    [1024, 2],
    [1024, 1],
  ] as const),
];

/** Blocks whose results are features: the last at each size. */
const SEEN = [1, 3, 5, 11, 13];

/** Side of the pictures that it takes. */
const SIZE = 224;

/** What the network was taught to subtract from blue, green and red, in 0 to 255. */
const MEAN = [103.939, 116.779, 123.68];

/**
 * The part of a training square that the network looks at: the face with a margin of 1.4, as `identity.ts` cuts it, where the
 * squares of the training clips have it (`faces/framing.ts`), in parts of the side.
 */
const FACE = { side: 0.777, x: 0.5, y: 0.554 } as const;

/** Convolution with bias and ReLU6; a stride of 2 puts the odd row and column behind, as TensorFlow does. */
class ConvRelu6 extends nn.Module {
  readonly conv: nn.Conv2d;

  constructor(from: number, to: number, kernel: 1 | 3, { stride = 1, groups = 1 } = {}) {
    super();
    const padding = kernel === 3 && stride === 1 ? 1 : 0;
    this.conv = new nn.Conv2d(from, to, kernel, { stride, groups, padding });
  }

  forward(x: Tensor): Tensor {
    const padded = this.conv.stride === 2 ? F.pad(x, [0, 1, 0, 1]) : x;
    return this.conv.forward(padded).clamp(0, 6);
  }
}

/** Each channel by itself, then all channels of each place (Howard et al., "MobileNets", 2017). */
class SeparableBlock extends nn.Module {
  readonly depthwise: ConvRelu6;
  readonly pointwise: ConvRelu6;

  constructor(from: number, to: number, stride: number) {
    super();
    this.depthwise = new ConvRelu6(from, from, 3, { stride, groups: from });
    this.pointwise = new ConvRelu6(from, to, 1);
  }

  forward(x: Tensor): Tensor {
    return this.pointwise.forward(this.depthwise.forward(x));
  }
}

/**
 * Features of faces in squares framed as those of the training clips are, [N, 3, H, W] in [0, 1]: 64 channels at 112 x 112, 128 at
 * 56 x 56, 256 at 28 x 28, 512 at 14 x 14, and 1024 at 7 x 7, whose mean is the embedding.
 */
export class IdentityFeatures extends nn.Module implements PerceptualNetwork {
  readonly layers = SEEN.length;
  readonly stem = new ConvRelu6(3, STEM, 3, { stride: 2 });
  readonly blocks = new nn.ModuleList(
    BLOCKS.map(([to, stride], i) => new SeparableBlock(BLOCKS[i - 1]?.[0] ?? STEM, to, stride)),
  );

  /** With random weights, frozen. */
  constructor() {
    super();
    this.requiresGrad_(false);
    this.eval();
  }

  features(image: Tensor): Tensor[] {
    return tidy(() => {
      let x = this.stem.forward(faceOf(image)); // [N, 32, 112, 112]
      const maps: Tensor[] = [];
      for (const [i, block] of [...this.blocks].entries()) {
        x = block.forward(x);
        if (SEEN.includes(i + 1)) maps.push(x);
      }
      return maps;
    });
  }

  /** Whose face it is: of length 1, [N, 1024]. */
  embedding(image: Tensor): Tensor {
    return tidy(() => {
      const mean = this.features(image).at(-1)!.mean([2, 3]);
      return mean.div(mean.square().sum([1], true).add(1e-12).sqrt());
    });
  }
}

/** The face of a square, at the network's size and in its numbers: [N, 3, H, W] -> [N, 3, 224, 224], blue first. */
function faceOf(image: Tensor): Tensor {
  const [height, width] = [image.size(2), image.size(3)];
  const [rows, columns] = [Math.round(FACE.side * height), Math.round(FACE.side * width)];
  const top = Math.min(height - rows, Math.round((FACE.y - FACE.side / 2) * height));
  const left = Math.round((FACE.x - FACE.side / 2) * width);
  const face = image.narrow(2, top, rows).narrow(3, left, columns);
  const mean = tensor(MEAN, { shape: [1, 3, 1, 1] }).to({ dtype: image.dtype, device: image.device });
  return F.upsampleBilinear(face, [SIZE, SIZE]).flip(1).mul(255).sub(mean);
}

/**
 * The network with its weights, from @dagan/faces; batch norms are folded into the convolutions.
 *
 * @throws PerceptualNetworkError if the file is absent, or does not hold this network
 */
export function loadIdentityFeatures(): IdentityFeatures {
  let path: string;
  try {
    path = faceModelPath(FILE);
  } catch (error) {
    throw new PerceptualNetworkError((error as Error).message);
  }
  const network = new IdentityFeatures();
  try {
    const weights = readWeights(path);
    noGrad(() => tidy(() => fill(network, weights)));
  } catch (error) {
    network.dispose();
    throw new PerceptualNetworkError(`${path} does not hold the network faceres: ${(error as Error).message}`);
  }
  return network;
}

/** The constants of the file, made where they are asked for. */
function readWeights(path: string): (name: string, shape: readonly number[]) => Tensor {
  const constants = readOnnxConstants(fs.readFileSync(path));
  return (name, shape) => {
    const constant = constants.get(`${name}/float16`) ?? constants.get(name);
    const dtype = constant?.type;
    if (constant?.shape.join() !== shape.join() || (dtype !== 'float16' && dtype !== 'float32')) {
      throw new RangeError(`${name} is not [${shape}]`);
    }
    const bytes = new Uint8Array(constant!.bytes);
    const values = toNumberArray({ name, dtype, shape, byteLength: bytes.length, read: () => bytes });
    return tensor(Float32Array.from(values), { shape: [...shape] });
  };
}

function fill(network: IdentityFeatures, weight: (name: string, shape: readonly number[]) => Tensor): void {
  const whole = ({ conv }: ConvRelu6, name: string): void => {
    const [to, from, height, width] = conv.weight.shape as [number, number, number, number];
    conv.weight.copy_(weight(`${name}/convolution/merged_input`, [to, from, height, width]));
    conv.bias!.copy_(weight(`${name}_bn/batchnorm_1/sub`, [to, 1, 1]).reshape(to));
  };
  whole(network.stem, 'conv1');
  for (const [i, { depthwise, pointwise }] of [...network.blocks].entries()) {
    const name = `conv_dw_${i + 1}`;
    const channels = depthwise.conv.weight.size(0);
    const kernel = weight(`${name}/depthwise_kernel`, [channels, 1, 3, 3]);
    const scale = weight(`${name}_bn/batchnorm_1/mul`, [channels, 1, 1]).reshape(channels, 1, 1, 1);
    depthwise.conv.weight.copy_(kernel.mul(scale));
    depthwise.conv.bias!.copy_(weight(`${name}_bn/batchnorm_1/sub`, [channels, 1, 1]).reshape(channels));
    whole(pointwise, `conv_pw_${i + 1}`);
  }
}
