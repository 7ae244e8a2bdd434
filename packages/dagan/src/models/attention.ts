// Cross-modal attention (Section 3.4, Eq. 9): the source's depth features ask, the warped features answer.
import { nn, type Tensor, zeros } from '@dagan/libtorch';

/**
 * How the answer meets the warped features F_w:
 * `residual` is the published model's `gamma * attention + F_w`, with gamma learned from 0 and ReLU after every
 * projection; `literal` is Eq. 9 as printed, where the attention's answer replaces F_w.
 */
export type AttentionForm = 'residual' | 'literal';

/** Query channels are an eighth of the features'. */
const QUERY_REDUCTION = 8;

export class CrossModalAttention extends nn.Module {
  readonly queryConv: nn.Conv2d;
  readonly keyConv: nn.Conv2d;
  readonly valueConv: nn.Conv2d;
  gamma: nn.Parameter | null; // [1]
  readonly form: AttentionForm;

  constructor(channels: number, form: AttentionForm) {
    super();
    this.gamma = form === 'residual' ? new nn.Parameter(zeros([1])) : null;
    this.queryConv = new nn.Conv2d(channels, channels / QUERY_REDUCTION, 1);
    this.keyConv = new nn.Conv2d(channels, channels / QUERY_REDUCTION, 1);
    this.valueConv = new nn.Conv2d(channels, channels, 1);
    this.form = form;
  }

  /** Query of the source's depth features [N, C, h, w] -> [N, h w, C / 8]. It depends on the source alone. */
  query(depthFeatures: Tensor): Tensor {
    return this.#project(this.queryConv, depthFeatures).transpose(1, 2);
  }

  /** Refines the warped features [N, C, h, w]; one query may serve a whole batch. */
  forward(query: Tensor, warped: Tensor): Tensor {
    const [n, channels, height, width] = warped.shape as [number, number, number, number];
    const attention = this.weights(query, warped); // [N, h w, h w]
    const value = this.#project(this.valueConv, warped); // [N, C, h w]
    const answer = value.matmul(attention.transpose(1, 2)).reshape(n, channels, height, width);
    return this.gamma ? answer.mul(this.gamma).add(warped) : answer;
  }

  /** Attention weights: row i says where position i of the source's depth looks, [N, h w, h w], rows sum to 1. */
  weights(query: Tensor, warped: Tensor): Tensor {
    return query.matmul(this.#project(this.keyConv, warped)).softmax(2);
  }

  /** [N, C, h, w] -> [N, C', h w] */
  #project(conv: nn.Conv2d, features: Tensor): Tensor {
    const projected = conv.forward(features).flatten(2);
    return this.form === 'residual' ? projected.relu() : projected;
  }
}
