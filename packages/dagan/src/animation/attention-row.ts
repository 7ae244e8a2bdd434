// Rows of the depth-to-appearance attention (Section 3.4, Eq. 9), each computed when it is asked for: the whole matrix has as
// many rows as the features have places, and nobody looks at all of them.
import type { ScalarMap } from '../tensors/values.js';

/** What the attention weights of a frame are made of. Places are counted row by row, `width` x `height` of them. */
export type AttentionFactors = {
  width: number;
  height: number;
  /** Of the portrait's depth: [h w, d]. */
  query: Float32Array;
  /** Of the warped features: [d, k]; k is h w, or fewer where each key stands for a square of places (`attentionPool`). */
  key: Float32Array;
};

/**
 * Where a place of the portrait's depth looks in the frame: its row of softmax(Q K), weights that sum to 1. The weight of a key that
 * stands for several places is shared among them.
 *
 * @throws RangeError if there is no such place
 */
export function attentionRow({ width, height, query, key }: AttentionFactors, place: number): ScalarMap {
  const places = width * height;
  if (!(Number.isInteger(place) && place >= 0 && place < places)) {
    throw new RangeError(`a place of the portrait must be a whole number from 0 to ${places - 1}, not ${place}`);
  }
  const channels = query.length / places;
  const keys = key.length / channels;
  const scores = new Float64Array(keys);
  for (let channel = 0; channel < channels; channel++) {
    const factor = query[place * channels + channel]!;
    const row = key.subarray(channel * keys, (channel + 1) * keys);
    for (let i = 0; i < keys; i++) scores[i] = scores[i]! + factor * row[i]!;
  }
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    width,
    height,
    data: spread(
      weights.map((weight) => weight / total),
      width,
      height,
    ),
  };
}

/** Weights of squares of places over these places, row by row; each keeps its sum. */
function spread(weights: Float64Array, width: number, height: number): Float32Array {
  const pool = Math.round(Math.sqrt((width * height) / weights.length));
  if (pool === 1) return Float32Array.from(weights);
  const [columns, rows] = [Math.floor(width / pool), Math.floor(height / pool)];
  return Float32Array.from({ length: width * height }, (_, place) => {
    const [column, row] = [Math.floor((place % width) / pool), Math.floor(Math.floor(place / width) / pool)];
    // What is left over at the right and lower rim has no key.
    return column < columns && row < rows ? weights[row * columns + column]! / pool ** 2 : 0;
  });
}
