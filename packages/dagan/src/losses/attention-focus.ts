// Attention focus loss: who asks from a place of the face is to be answered from around that place. Not in the paper, where a query is
// left to find its answers: from few people's clips it does not, and all rows of Eq. 9 look at the same few places of the border.
import { F, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { squaredDistances } from '../models/keypoints.js';
import { widened } from '../tensors/precision.js';

/** How far around a place answers count, on the picture from -1 to 1: a third of a face. */
const REACH = 0.25;

/** No answer at all is no worse than this. */
const LEAST = 1e-4;

/** What attends, and who is asked. */
export type AttentionSeen = {
  /** Queries of places of the source, [1 or N, h w, d], in rows of w. */
  query: Tensor;
  /** Keys of places of the driving frame, [N, d, h' w'], in rows of w'. */
  key: Tensor;
  querySize: readonly [h: number, w: number];
  keySize: readonly [h: number, w: number];
};

/**
 * `-log sum_k A_pk exp(-|x_k - d_p|^2 / 2 r^2)`, the mean over points p seen in both frames: A_p is how a query at s_p, p's place in
 * the source, weighs the places x_k of the driving frame, where p stands at d_p. 0 if no point was seen -> [].
 *
 * @param landmarks x, y and 1 where seen of P points of source (s) and driving frame (d), [N, 2, P, 3]
 */
export function attentionFocusLoss({ query, key, querySize, keySize }: AttentionSeen, landmarks: Tensor): Tensor {
  return tidy(() => {
    const [asker, asked] = [widened(query), widened(key)];
    const [count, channels] = [key.size(0), key.size(1)];
    const { places, near, seen } = noGrad(() => {
      const exact = landmarks.to({ dtype: asker.dtype });
      const [ofSource, ofDriving] = [exact.select(1, 0), exact.select(1, 1)]; // [N, P, 3]
      const distances = squaredDistances({ value: ofDriving.narrow(2, 0, 2) }, keySize); // [N, P, h', w']
      const near = distances
        .mul(-1 / (2 * REACH ** 2))
        .exp()
        .flatten(2); // [N, P, h' w']
      const seen = ofSource.select(2, 2).mul(ofDriving.select(2, 2)); // [N, P]
      return { places: ofSource.narrow(2, 0, 2).unsqueeze(1), near, seen }; // [N, 1, P, 2]
    });
    const map = asker
      .transpose(1, 2)
      .expand(count, channels, query.size(1))
      .reshape(count, channels, ...querySize);
    const queries = F.gridSample(map, places, { alignCorners: true, paddingMode: 'border' }).squeeze(2); // [N, d, P]
    const rows = queries.transpose(1, 2).matmul(asked).softmax(2); // [N, P, h' w']
    const answered = rows.mul(near).sum([2]).clamp(LEAST).log().neg(); // [N, P]
    return answered.mul(seen).sum().div(seen.sum().clamp(1));
  });
}
