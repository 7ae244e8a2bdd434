// Convolutions at a larger size than they are computed at: exact rewrites that do the same with fewer multiplications.
import { cat, empty, F, isTracing, nn, stack, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';

/** Four phases (0, 0), (0, 1), (1, 0), (1, 1), [N, C, H, W] each -> [N, C, 2 H, 2 W] with out(2 i + a, 2 j + b). */
function interleave(phases: readonly Tensor[]): Tensor {
  const [n, channels, height, width] = phases[0]!.shape as [number, number, number, number];
  const where = { dtype: phases[0]!.dtype, device: phases[0]!.device };
  const result = empty([n, 2 * height, 2 * width, channels], where).permute(0, 3, 1, 2);
  for (const [i, phase] of phases.entries()) {
    const [a, b] = [i >> 1, i & 1];
    result.slice(2, a, undefined, 2).slice(3, b, undefined, 2).copy_(phase);
  }
  return result;
}

/** Sums of a 3-tap kernel's taps that fall on the same pixel after doubling, by phase: [before, here] or [here, after]. */
const PHASE_TAPS = [
  [[0], [1, 2]],
  [[0, 1], [2]],
] as const;

/** Which of the nine taps of a 3x3 kernel are added to each of the sixteen of its four phases. */
const TAP_SUMS = Float32Array.from({ length: 9 * 16 }, (_, i) => {
  const [tap, sum] = [Math.floor(i / 16), i % 16];
  const [a, b, u, v] = [sum >> 3, (sum >> 2) & 1, (sum >> 1) & 1, sum & 1] as const;
  const has = (phase: number, place: number, index: number) => PHASE_TAPS[phase]![place]!.some((t) => t === index);
  return has(a, u, Math.floor(tap / 3)) && has(b, v, tap % 3) ? 1 : 0;
});

/** A 3x3 kernel [O, I, 3, 3] as what it is on repeated pixels, phase by phase: [O, I, 4, 2, 2]. Autograd records it. */
function phaseKernels(weight: Tensor): Tensor {
  const [out, inner] = weight.shape as [number, number];
  const sums = tensor(TAP_SUMS, { shape: [9, 16] }).to({ dtype: weight.dtype, device: weight.device });
  return weight.reshape(out, inner, 9).matmul(sums).reshape(out, inner, 4, 2, 2);
}

/**
 * `UpsamplingConv2d` for training: weight [O, I, 3, 3] and bias [O] learn as those of a convolution of the doubled picture.
 *
 * @param input [N, I, H, W]
 * @returns [N, O, 2 H, 2 W]
 */
export function upsamplingConv2d(input: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const [out, inner] = weight.shape as [number, number];
  const kernel = phaseKernels(weight)
    .flip(2)
    .transpose(1, 2)
    .reshape(4 * out, inner, 2, 2);
  const offset = bias?.unsqueeze(1).expand(out, 4).flatten();
  return shuffled(F.conv2d(input, kernel, offset, { padding: 1 })).contiguous('channels_last');
}

/**
 * Doubling the size by repeating pixels, then a 3x3 convolution, as one 2x2 convolution with four times the channels:
 * every output pixel sees only 2x2 different input pixels. Needs 16 / 36 of the multiplications.
 */
export class UpsamplingConv2d extends nn.Module {
  weight: nn.Parameter; // [4 O, I, 2, 2]
  bias: nn.Parameter; // [4 O]

  /** @param conv the 3x3 convolution that follows the doubling */
  constructor(conv: nn.Conv2d) {
    super();
    const kernel = tidy(() => phaseKernels(conv.weight).permute(2, 0, 1, 3, 4).flatten(0, 1));
    this.weight = new nn.Parameter(kernel).requiresGrad_(false);
    this.bias = new nn.Parameter((conv.bias ?? zeros([conv.weight.size(0)])).repeat(4)).requiresGrad_(false);
  }

  /** @param border zeros around the input, as a padded convolution has, or its outermost pixels repeated */
  forward(input: Tensor, border: 'zeros' | 'replicate' = 'zeros'): Tensor {
    const [height, width] = [input.size(2), input.size(3)];
    const convolve = (weight: Tensor, bias: Tensor): Tensor =>
      border === 'zeros'
        ? F.conv2d(input, weight, bias, { padding: 1 })
        : F.conv2d(F.pad(input, [1, 1, 1, 1], 'replicate'), weight, bias); // [N, 4 O, H + 1, W + 1]
    if (isTracing()) return shuffled(convolve(pixelMajor(this.weight), pixelMajor(this.bias)));
    const windows = convolve(this.weight, this.bias);
    const channels = this.weight.size(0) / 4;
    // Phase 0 looks at the pixel before and this one, phase 1 at this one and the next.
    return interleave(
      [0, 1, 2, 3].map((phase) =>
        windows
          .narrow(1, phase * channels, channels)
          .narrow(2, phase >> 1, height)
          .narrow(3, phase & 1, width),
      ),
    ); // [N, O, 2 H, 2 W]
  }
}

/** Channels [4 O, ...], phase by phase, as [4 O, ...] output channel by output channel, the last phase first. */
const pixelMajor = (parameter: Tensor): Tensor => {
  const [channels, ...rest] = parameter.shape as [number, ...number[]];
  return parameter
    .reshape(4, channels / 4, ...rest)
    .flip(0)
    .transpose(0, 1)
    .reshape(channels, ...rest);
};

/**
 * The result from windows whose phases stand in the opposite order: with phase 1 on even rows and phase 0 on odd ones, the
 * shift by a window between them is the shift by a row, so that all pixels lie in their order, one row and column in.
 * Nothing is written in place, so this can be recorded; on LibTorch in 16 bits it is the slower form.
 */
function shuffled(windows: Tensor): Tensor {
  const whole = F.pixelShuffle(windows, 2); // [N, O, 2 H + 2, 2 W + 2]
  return whole.narrow(2, 1, whole.size(2) - 2).narrow(3, 1, whole.size(3) - 2);
}

/**
 * A convolution with few output channels, computed for 2x2 pixels at a time: four times the channels at a quarter of the
 * positions. Processors compute at least 16 channels at once, so that three are mostly waste.
 */
export class BlockwiseConv2d extends nn.Module {
  weight: nn.Parameter; // [4 O, I, k + 1, k + 1]
  bias: nn.Parameter; // [4 O]
  readonly #padding: number;

  /**
   * @param convs convolutions of the same input, k x k with k odd, that keep its size (which must be even); the channels of
   *   one follow those of the other
   */
  constructor(...convs: readonly [nn.Conv2d, ...nn.Conv2d[]]) {
    super();
    const kernel = convs[0].weight.size(2);
    this.#padding = (kernel - 1) / 2;
    const biasOf = ({ bias, weight }: nn.Conv2d): Tensor => bias ?? zeros([weight.size(0)]);
    // Phase (a, b) is the same kernel moved down by a and right by b; pixelShuffle wants the phases behind the channels.
    const weight = tidy(() => {
      const whole = cat(convs.map((conv) => conv.weight));
      return stack(
        [0, 1, 2, 3].map((phase) => {
          const [a, b] = [phase >> 1, phase & 1];
          return F.pad(whole, [b, 1 - b, a, 1 - a]);
        }),
        1,
      ).flatten(0, 1);
    });
    this.weight = new nn.Parameter(weight).requiresGrad_(false);
    const bias = tidy(() => cat(convs.map(biasOf)).unsqueeze(1).repeat(1, 4).flatten());
    this.bias = new nn.Parameter(bias).requiresGrad_(false);
  }

  forward(input: Tensor): Tensor {
    return F.pixelShuffle(F.conv2d(input, this.weight, this.bias, { stride: 2, padding: this.#padding }), 2);
  }
}
