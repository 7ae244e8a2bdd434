// The image attention block of MarioNETte (Ha et al., 2020): every place of the driver's features looks for what it needs at all places
// of all portraits, so that portraits need not agree.
import { cat, nn, type Tensor } from '@dagan/libtorch';
import { placeCodes } from './target-encoder.js';

/** Portraits as they are looked into. */
export type Tokens = {
  /** All places of all portraits, [N or 1, P, C]. */
  values: Tensor;
  /** Where they lie, [1, P, C]. */
  places: Tensor;
};

/** A map [N, C, h, w] as places one after the other, [N, h w, C]. */
const flat = (map: Tensor): Tensor => map.flatten(2).transpose(1, 2);

/** All places of maps of several portraits [N, C, h, w]. */
export function tokensOf(maps: readonly Tensor[]): Tokens {
  const places = maps.map((map) => placeCodes(map.size(2), map.size(3), map.size(1), map.device));
  return { values: cat(maps.map(flat), 1), places: cat(places, 1) };
}

/** softmax(Q K^T / sqrt(C)) V, added to the driver's features; instance norm; a convolution, added; instance norm. */
export class ImageAttention extends nn.Module {
  readonly query: nn.Linear;
  readonly key: nn.Linear;
  readonly value: nn.Linear;
  /** From places to what is added to queries and keys. */
  readonly queryPlace: nn.Linear;
  readonly keyPlace: nn.Linear;
  readonly norm1: nn.InstanceNorm2d;
  readonly norm2: nn.InstanceNorm2d;
  readonly conv: nn.SpectralNormConv2d;

  /** @param channels of the driver's features @param target channels of the portraits' */
  constructor(channels: number, target: number) {
    super();
    this.query = new nn.Linear(channels, channels);
    this.key = new nn.Linear(target, channels);
    this.value = new nn.Linear(target, channels);
    this.queryPlace = new nn.Linear(channels, channels);
    this.keyPlace = new nn.Linear(target, channels);
    this.norm1 = new nn.InstanceNorm2d(channels, { affine: true });
    this.norm2 = new nn.InstanceNorm2d(channels, { affine: true });
    this.conv = new nn.SpectralNormConv2d(channels, channels, 3, { padding: 1 });
  }

  /** @param x the driver's features [N, C, h, w] */
  forward(x: Tensor, { values, places }: Tokens): Tensor {
    const [count, channels, height, width] = x.shape as [number, number, number, number];
    const own = this.queryPlace.forward(placeCodes(height, width, channels, x.device));
    const query = this.query.forward(flat(x)).add(own); // [N, h w, C]
    const key = this.key.forward(values).add(this.keyPlace.forward(places)); // [N or 1, P, C]
    const scores = query.matmul(key.transpose(1, 2)).mul(channels ** -0.5); // [N, h w, P]
    const found = scores.softmax(-1).matmul(this.value.forward(values)); // [N, h w, C]
    const blended = this.norm1.forward(x.add(found.transpose(1, 2).reshape(count, channels, height, width)));
    return this.norm2.forward(blended.add(this.conv.forward(blended)));
  }
}
