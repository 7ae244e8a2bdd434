// Cross-modal attention (Section 3.4, Eq. 9): the source's depth features ask, the warped features answer.
import { cat, F, isTracing, nn, ones, runMany, type Tensor, tidy, zeros } from '@dagan/libtorch';
import { matching, widened } from '../tensors/precision.js';

/**
 * How the answer meets the warped features F_w:
 * `residual` is the published model's `gamma * attention + F_w`, with gamma learned from 0 and ReLU after every
 * projection; `literal` is Eq. 9 as printed, where the attention's answer replaces F_w; `scaled` adds the answer as `residual`
 * does, but without ReLUs and with scores over the square root of their channels (Vaswani et al., "Attention Is All You
 * Need", 2017), so that rows depend on their query from the first step on.
 */
export type AttentionForm = 'residual' | 'literal' | 'scaled';

/** Query channels are an eighth of the features'. */
const QUERY_REDUCTION = 8;

export class CrossModalAttention extends nn.Module {
  readonly queryConv: nn.Conv2d;
  readonly keyConv: nn.Conv2d;
  readonly valueConv: nn.Conv2d;
  gamma: nn.Parameter | null; // [1]
  readonly form: AttentionForm;
  readonly #pool: number;

  /** @param pool keys and values are the means of `pool` by `pool` places */
  constructor(channels: number, form: AttentionForm, pool = 1) {
    super();
    this.gamma = form === 'literal' ? null : new nn.Parameter(form === 'residual' ? zeros([1]) : ones([1]));
    this.queryConv = new nn.Conv2d(channels, channels / QUERY_REDUCTION, 1);
    this.keyConv = new nn.Conv2d(channels, channels / QUERY_REDUCTION, 1);
    this.valueConv = new nn.Conv2d(channels, channels, 1);
    this.form = form;
    this.#pool = pool;
  }

  /** Query of the source's depth features [N, C, h, w] -> [N, h w, C / 8]. It depends on the source alone. */
  query(depthFeatures: Tensor): Tensor {
    const query = this.#project(this.queryConv, depthFeatures).transpose(1, 2);
    return this.form === 'scaled' ? query.mul(query.size(2) ** -0.5) : query;
  }

  /** Key of the warped features [N, C, h, w] -> [N, C / 8, k], k = h w / pool^2. */
  key(warped: Tensor): Tensor {
    return this.#project(this.keyConv, this.pooled(warped));
  }

  /** Refines the warped features [N, C, h, w]; one query may serve a whole batch. */
  forward(query: Tensor, warped: Tensor): Tensor {
    const [n, channels, height, width] = warped.shape as [number, number, number, number];
    const features = matching(warped, this.valueConv);
    const pooled = this.pooled(features); // [N, C, h / pool, w / pool]
    const key = this.#project(this.keyConv, pooled); // [N, C / 8, k]
    const value = this.#project(this.valueConv, pooled).transpose(1, 2); // [N, k, C]
    const inUse = isTracing() ? attendInParts : attendInBlocks;
    const answer = (this.training ? attend : inUse)(query, key, value); // [N, h w, C]
    const picture = answer.transpose(1, 2).reshape(n, channels, height, width);
    return this.gamma ? picture.mul(this.gamma).add(features) : picture;
  }

  /** Attention weights: row i says where position i of the source's depth looks, [N, h w, k], rows sum to 1. */
  weights(query: Tensor, warped: Tensor): Tensor {
    return attentionWeights(query, this.key(warped));
  }

  /** What keys and values are made of: [N, C, h, w] -> [N, C, h / pool, w / pool]. */
  pooled(features: Tensor): Tensor {
    return this.#pool === 1 ? features : F.avgPool2d(features, this.#pool);
  }

  /** [N, C, h, w] -> [N, C', h w] */
  #project(conv: nn.Conv2d, features: Tensor): Tensor {
    const projected = conv.forward(matching(features, conv)).flatten(2);
    return this.form === 'residual' ? projected.relu() : projected;
  }
}

/** softmax(Q K) over the keys, in float32 whatever the inputs are. */
const attentionWeights = (query: Tensor, key: Tensor): Tensor => widened(query.matmul(key)).softmax(2);

/** softmax(Q K) V: query [N, q, d], key [N, d, k], value [N, k, C] -> [N, q, C]. */
const attend = (query: Tensor, key: Tensor, value: Tensor): Tensor =>
  attentionWeights(query, key).to({ dtype: value.dtype }).matmul(value);

/** Queries that are answered together: their weights stay in the processor's cache. */
const BLOCK = 256;

/** The same as `attend`, picture by picture and block by block, so that the h w x h w weights never exist as a whole. */
function attendInBlocks(query: Tensor, key: Tensor, value: Tensor): Tensor {
  const [n, queries] = [key.size(0), query.size(1)];
  const answers = Array.from({ length: n }, (_, i) => {
    const [q, k, v] = [query.narrow(0, query.size(0) === 1 ? 0 : i, 1), key.narrow(0, i, 1), value.narrow(0, i, 1)];
    const blocks: Tensor[] = [];
    for (let from = 0; from < queries; from += BLOCK) {
      blocks.push(tidy(() => attend(q.narrow(1, from, Math.min(BLOCK, queries - from)), k, v)));
    }
    return cat(blocks, 1); // [1, q, C]
  });
  return cat(answers);
}

/**
 * Blocks of a recorded network, the same number at any size: 4 x 4 blocks of 256 at the published one. In two steps,
 * because a graphics processor's program in a browser reads and writes few buffers (10, often 8), and a part is one.
 */
const PARTS = 4;

/** The same again in a form whose steps depend neither on the number of pictures nor on their size, for recording. */
function attendInParts(query: Tensor, key: Tensor, value: Tensor): Tensor {
  const inParts = (whole: Tensor, answer: (part: Tensor) => Tensor): Tensor =>
    cat(runMany('aten::chunk', [whole, PARTS, 1]).map(answer), 1);
  return inParts(query, (group) => inParts(group, (part) => tidy(() => attend(part, key, value)))); // [N, q, C]
}
