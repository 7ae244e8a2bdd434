// Image pyramids: pictures at several scales, shrunk without aliasing, as the perceptual loss and the discriminator see them.
import { nn, type Tensor } from '@dagan/libtorch';
import { AntiAliasDownsample } from '../models/anti-alias.js';

/** A picture [N, C, H, W] by scale: [N, C, H scale, W scale]. */
export type Pyramid = ReadonlyMap<number, Tensor>;

/** Scales of the published configuration. */
export const PYRAMID_SCALES: readonly number[] = [1, 0.5, 0.25, 0.125];

/** Makes pyramids. It has no weights; `to` moves its kernels to the pictures' device. */
export class ImagePyramid extends nn.Module {
  readonly #levels: ReadonlyMap<number, AntiAliasDownsample | null>;

  /** @param scales each 1 / n */
  constructor(scales: readonly number[] = PYRAMID_SCALES, channels = 3) {
    super();
    this.#levels = new Map(
      scales.map((scale) => [scale, scale === 1 ? null : new AntiAliasDownsample(channels, scale)]),
    );
  }

  override children(): [string, nn.Module][] {
    return [...this.#levels].flatMap(([scale, down]) => (down ? [[`${scale}`.replace('.', '-'), down]] : []));
  }

  /** @param image [N, C, H, W] */
  forward(image: Tensor): Map<number, Tensor> {
    return new Map([...this.#levels].map(([scale, down]) => [scale, down ? down.forward(image) : image]));
  }
}
