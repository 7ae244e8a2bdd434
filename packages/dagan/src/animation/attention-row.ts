// Rows of the depth-to-appearance attention (Section 3.4, Eq. 9), each computed when it is asked for: the whole matrix has as
// many rows as the features have places, and nobody looks at all of them.
import type { ScalarMap } from '../tensors/values.js';

/** What the attention weights of a frame are made of. Places are counted row by row, `width` x `height` of them. */
export type AttentionFactors = {
  width: number;
  height: number;
  /** Of the portrait's depth: [h w, d]. */
  query: Float32Array;
  /** Of the warped features: [d, h w]. */
  key: Float32Array;
};

/**
 * Where a place of the portrait's depth looks in the frame: its row of softmax(Q K), weights that sum to 1.
 *
 * @throws RangeError if there is no such place
 */
export function attentionRow({ width, height, query, key }: AttentionFactors, place: number): ScalarMap {
  const places = width * height;
  const channels = key.length / places;
  if (!(Number.isInteger(place) && place >= 0 && place < places)) {
    throw new RangeError(`a place of the portrait must be a whole number from 0 to ${places - 1}, not ${place}`);
  }
  const scores = new Float64Array(places);
  for (let channel = 0; channel < channels; channel++) {
    const factor = query[place * channels + channel]!;
    const row = key.subarray(channel * places, (channel + 1) * places);
    for (let i = 0; i < places; i++) scores[i] = scores[i]! + factor * row[i]!;
  }
  const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const weights = scores.map((score) => Math.exp(score - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { width, height, data: Float32Array.from(weights, (weight) => weight / total) };
}
