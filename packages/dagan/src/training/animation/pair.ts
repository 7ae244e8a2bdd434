// A batch of frame pairs, and the one place that knows which tensors it has: whatever moves, cuts, joins or bends a pair does it
// through `mapPair`.
import { cat, stack, type Tensor } from '@dagan/libtorch';
import { movedPoints } from '../../geometry/moved-points.js';

/** Two frames of the same person each, and what is known of their faces. */
export type FramePair = {
  source: Tensor; // [N, 3, H, W] in [0, 1]
  driving: Tensor; // [N, 3, H, W] in [0, 1]
  /** 1 in mouth and eyes, 0 elsewhere. */
  regions?: Tensor; // [N, 1, H, W]
  /**
   * x, y and 1 where seen, else three zeros, of the `TRAVELLING_POINTS` in source and driving frame; -1 and 1 are the centres of
   * the outermost pixels.
   */
  landmarks?: Tensor; // [N, 2, P, 3]
  /** The number of whom they show, among the people of the training. */
  person?: Tensor; // [N]
};

export type PairField = keyof FramePair;

/**
 * What a tensor of a pair lies over, pixel by pixel: whatever moves pixels must move all that lies over the same frame alike.
 * `points` are coordinates in both frames, which go the other way; `none` lies over nothing and stays.
 */
export type PairLayer = 'source' | 'driving' | 'points' | 'none';

const LAYERS = {
  source: 'source',
  driving: 'driving',
  regions: 'driving',
  landmarks: 'points',
  person: 'none',
} as const satisfies Record<PairField, PairLayer>;

/** Makes a new pair out of each tensor that a pair has; its first dimension is N. Whatever else it carries is left out. */
export function mapPair(pair: FramePair, f: (value: Tensor, layer: PairLayer, field: PairField) => Tensor): FramePair {
  const fields = Object.keys(LAYERS) as PairField[];
  const mapped = fields.flatMap((field) => {
    const value = pair[field];
    return value ? [[field, f(value, LAYERS[field], field)] as const] : [];
  });
  return Object.fromEntries(mapped) as FramePair;
}

/** Some pairs of a batch, as views. */
export function narrowPair(pair: FramePair, start: number, length: number): FramePair {
  return mapPair(pair, (value) => value.narrow(0, start, length));
}

/** Batches with the same tensors as one, in their order. */
export function joinPairs(first: FramePair, ...others: readonly FramePair[]): FramePair {
  return mapPair(first, (value, _, field) => cat([value, ...others.map((other) => other[field]!)]));
}

/** Some pairs from the beginning of a batch mapped, the others as they are to the last bit. */
export function mapFirst(
  pair: FramePair,
  count: number,
  f: (value: Tensor, layer: Exclude<PairLayer, 'none'>) => Tensor,
): FramePair {
  const rest = narrowPair(pair, count, pair.source.size(0) - count);
  const moved = mapPair(narrowPair(pair, 0, count), (value, layer) => (layer === 'none' ? value : f(value, layer)));
  return joinPairs(moved, rest);
}

/** A map of places of both frames, [N, M, 2] -> [N, M, 2], through which they are sampled. */
export type PairMaps = Readonly<Record<'source' | 'driving', (places: Tensor) => Tensor>>;

/** Landmarks [N, 2, P, 3] after their frames have been sampled through maps, as if -1 and 1 were the edges of the pixels. */
export function moveLandmarks(landmarks: Tensor, { source, driving }: PairMaps, side: number): Tensor {
  return stack(
    [source, driving].map((map, which) => movedPoints(landmarks.select(1, which), map, side)),
    1,
  );
}
