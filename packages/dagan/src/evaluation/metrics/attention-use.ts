// Whether the attention has learned anything (Section 3.4, Fig. 9): whether the face looks at the face, and whether where a place
// looks depends on the place.
import { type AttentionFactors, attentionRow } from '../../animation/attention-row.js';

/** What the attention of a frame does. */
export type AttentionUse = {
  /** Share of their weight that the asking places put on the answering ones, 0 to 1. */
  mass: number;
  /** Share of all places that answer: the mass of attention that looks everywhere alike. */
  area: number;
  /** Mean cosine of the rows of two asking places: 1 if all look at the same places, whoever asks. */
  similarity: number;
};

/**
 * @param factors of a frame
 * @param asking which places of the portrait ask (those of its face), by number, row by row; at least two
 * @param answering which places of the frame lie in what they should look at (the face there), alike
 * @throws RangeError for fewer than two asking places, or a place that there is not
 */
export function attentionUse(
  factors: AttentionFactors,
  asking: readonly number[],
  answering: readonly number[],
): AttentionUse {
  if (asking.length < 2) throw new RangeError('at least two places must ask, for rows to be compared');
  const places = factors.width * factors.height;
  const sum = new Float64Array(places); // of rows of length 1
  let mass = 0;
  for (const place of asking) {
    const { data } = attentionRow(factors, place);
    mass += answering.reduce((total, at) => total + data[at]!, 0);
    const length = Math.sqrt(data.reduce((total, weight) => total + weight * weight, 0));
    for (let at = 0; at < places; at++) sum[at] = sum[at]! + data[at]! / length;
  }
  const count = asking.length;
  // |sum of u|^2 = count + the cosines of all ordered pairs.
  const square = sum.reduce((total, value) => total + value * value, 0);
  return {
    mass: mass / count,
    area: answering.length / places,
    similarity: (square - count) / (count * (count - 1)),
  };
}
