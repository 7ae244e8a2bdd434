// Shrinking pictures without aliasing: a Gaussian blur, then every n-th pixel.
import { arange, cat, F, isTracing, keep, nn, type Tensor, tensor, zeros } from '@dagan/libtorch';
import { exactly, widened } from '../tensors/precision.js';

/**
 * Separable Gaussian of (1 / scale - 1) / 2 pixels standard deviation, cut off at 4 of them and normalised:
 * [kernel, kernel] values in row-major order.
 */
function gaussianKernel(scale: number): { size: number; values: Float32Array } {
  const sigma = (1 / scale - 1) / 2;
  const size = 2 * Math.round(4 * sigma) + 1;
  const line = Array.from({ length: size }, (_, i) => Math.exp(-((i - (size - 1) / 2) ** 2) / (2 * sigma ** 2)));
  const total = line.reduce((sum, value) => sum + value, 0);
  const values = Float32Array.from({ length: size * size }, (_, i) => {
    const row = line[Math.floor(i / size)]!;
    return (row * line[i % size]!) / total ** 2;
  });
  return { size, values };
}

/** Shrinks [N, C, H, W] by `scale` = 1 / n to [N, C, H / n, W / n]. The blur treats what is outside as black. */
export class AntiAliasDownsample extends nn.Module {
  weight: Tensor; // [C, 1, kernel, kernel]
  readonly #channels: number;
  readonly #stride: number;
  readonly #padding: number;

  constructor(channels: number, scale: number) {
    super();
    const stride = Math.round(1 / scale);
    if (Math.abs(1 / scale - stride) > 1e-6) throw new RangeError(`scale must be 1 / n, not ${scale}`);
    const { size, values } = gaussianKernel(scale);
    const repeated = new Float32Array(channels * values.length);
    for (let channel = 0; channel < channels; channel++) repeated.set(values, channel * values.length);
    this.weight = keep(tensor(repeated, { shape: [channels, 1, size, size] }));
    this.#channels = channels;
    this.#stride = stride;
    this.#padding = (size - 1) / 2;
  }

  forward(image: Tensor): Tensor {
    const wide = widened(image);
    const weight = this.weight.to({ dtype: wide.dtype });
    return exactly(image, () => {
      if (isTracing()) {
        return F.conv2d(wide, weight, null, { padding: this.#padding, stride: this.#stride, groups: this.#channels });
      }
      // Two products with matrices, though most entries are 0, take less time than a convolution of every channel by itself.
      const line = weight.select(0, 0).sum([0, 1]); // [kernel]
      const across = wide.matmul(this.#rows(line, wide.size(3)).transpose(0, 1)); // [N, C, H, W / n]
      return this.#rows(line, wide.size(2)).matmul(across); // [N, C, H / n, W / n]
    });
  }

  /** The blur of a line of so many pixels, at those that stay, as a matrix: [ceil(length / n), length]. */
  #rows(line: Tensor, length: number): Tensor {
    const { dtype, device } = line;
    const places = { dtype: 'int64', device } as const;
    const from = arange(Math.ceil(length / this.#stride), places)
      .mul(this.#stride)
      .unsqueeze(1);
    const tap = arange(length, places)
      .sub(from)
      .add(this.#padding + 1); // 1 is the first, beside which there is nothing
    const nothing = zeros([1], { dtype, device });
    const index = tap.clamp(0, line.size(0) + 1).flatten();
    return cat([nothing, line, nothing]).indexSelect(0, index).view(-1, length);
  }
}

const isKernel = (name: string): boolean => /(^|\.)down\.weight$/.test(name);

/** A model's state with another one's blurs in place of its own: they follow from the size of the pictures and are not learned. */
export function withKernelsOf(other: nn.StateDict, state: readonly (readonly [string, Tensor])[]): Map<string, Tensor> {
  const learned = state.filter(([name]) => !isKernel(name));
  return new Map([...learned, ...[...other].filter(([name]) => isKernel(name))]);
}
