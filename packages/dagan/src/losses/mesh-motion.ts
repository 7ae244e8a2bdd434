// Mesh motion loss: where the face mesh says what moved where, the motion field must say the same. Not in the paper, whose motion
// learns from colours alone: lips and lids are too few pixels for that where pairs are few.
import { F, noGrad, type Tensor, tidy } from '@dagan/libtorch';

/**
 * `sum_p w_p |T(d_p) - s_p| / sum_p w_p` over points seen in both frames, the mean along x and y; 0 if there are none -> [].
 *
 * @param deformation T, where each driving position comes from in the source, [N, h, w, 2]
 * @param landmarks x, y and 1 where seen of P points of source (s) and driving frame (d), [N, 2, P, 3]
 * @param weights w of each point, [P]
 */
export function meshMotionLoss(deformation: Tensor, landmarks: Tensor, weights: Tensor): Tensor {
  return tidy(() => {
    const { source, driving, counts } = noGrad(() => {
      const [ofSource, ofDriving] = [landmarks.select(1, 0), landmarks.select(1, 1)]; // [N, P, 3]
      return {
        source: ofSource.narrow(2, 0, 2),
        driving: ofDriving.narrow(2, 0, 2),
        counts: ofSource.select(2, 2).mul(ofDriving.select(2, 2)).mul(weights), // [N, P]
      };
    });
    const found = fieldAt(deformation.to({ dtype: 'float32' }), driving);
    const distance = found.sub(source).abs().mean([2]); // [N, P]
    return distance.mul(counts).sum().div(counts.sum().clamp(1));
  });
}

/** A field [N, h, w, 2], whose corners are the centres of the outermost pixels, at places [N, P, 2] -> [N, P, 2]. */
function fieldAt(field: Tensor, places: Tensor): Tensor {
  const sampled = F.gridSample(field.permute(0, 3, 1, 2), places.unsqueeze(1), {
    alignCorners: true,
    paddingMode: 'border',
  }); // [N, 2, 1, P]
  return sampled.squeeze(2).transpose(1, 2);
}
