// A start for the attention (Eq. 9): queries ask for what goes together with their depth. Left to itself, a query is nearly the same
// everywhere, as features behind a ReLU have large means, and all rows look at the same few places.
import { noGrad, run, runMany, type Tensor, tidy } from '@dagan/libtorch';
import type { CrossModalAttention } from '../../models/attention.js';

/** Small variances are raised by this share of the mean one, as a batch knows them badly. */
const RIDGE = 0.02;

/** How much two places that agree are drawn together: the square of what projections are multiplied by. */
const STRENGTH = 6;

/**
 * Sets query and key to the canonical correlations (Hotelling, "Relations between two sets of variates", 1936) of depth features
 * and appearance features at the same places: centred, of variance 1, each weighted by its correlation.
 *
 * @param depth depth features, [N, C, h, w]
 * @param appearance features of the same pictures, [N, C, h, w]
 */
export function alignAttention(attention: CrossModalAttention, depth: Tensor, appearance: Tensor): void {
  noGrad(() =>
    tidy(() => {
      const { queryConv, keyConv } = attention;
      const [ofDepth, ofAppearance] = [centred(attention.pooled(depth)), centred(attention.pooled(appearance))];
      const [whiteDepth, whiteAppearance] = [whitening(ofDepth.samples), whitening(ofAppearance.samples)];
      const across = whiteDepth.matmul(covariance(ofDepth.samples, ofAppearance.samples)).matmul(whiteAppearance);
      const [left, correlations, right] = runMany('aten::linalg_svd', [across, true, null]) as [Tensor, Tensor, Tensor];
      const count = queryConv.weight.size(0);
      const strength = run('aten::sqrt', [correlations.narrow(0, 0, count)]).mul(Math.sqrt(STRENGTH)); // [C / 8]
      const fill = (conv: typeof queryConv, white: Tensor, directions: Tensor, mean: Tensor): void => {
        const weight = white
          .matmul(directions.narrow(1, 0, count))
          .mul(strength)
          .transpose(0, 1); // [C / 8, C]
        conv.weight.copy_(weight.reshape(...conv.weight.shape));
        conv.bias!.copy_(weight.matmul(mean).neg());
      };
      fill(queryConv, whiteDepth, left, ofDepth.mean);
      fill(keyConv, whiteAppearance, right.transpose(0, 1), ofAppearance.mean);
    }),
  );
}

/** Features [N, C, h, w] as samples [N h w, C] without their mean [C], in float64. */
function centred(features: Tensor): { samples: Tensor; mean: Tensor } {
  const channels = features.size(1);
  const samples = features.permute(0, 2, 3, 1).reshape(-1, channels).to({ dtype: 'float64' });
  const mean = samples.mean([0]);
  return { samples: samples.sub(mean), mean };
}

/** Of centred samples: [C, C]. */
const covariance = (a: Tensor, b: Tensor): Tensor => a.transpose(0, 1).matmul(b).div(a.size(0));

/** The inverse square root of the samples' covariance, [C, C]. */
function whitening(samples: Tensor): Tensor {
  const [variances, axes] = runMany('aten::linalg_eigh', [covariance(samples, samples), 'L']) as [Tensor, Tensor];
  const raised = variances.add(variances.mean().mul(RIDGE));
  return axes.mul(run('aten::rsqrt', [raised])).matmul(axes.transpose(0, 1));
}
