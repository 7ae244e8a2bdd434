// How much arithmetic a model takes: two operations for each multiplication of convolutions and matrix products, as they are
// computed in use, counted at the operator door. Sampling, norms and activations are a few per cent and not counted.
import {
  type Argument,
  type CallObserver,
  noGrad,
  observeCalls,
  type Result,
  rand,
  Tensor,
  tidy,
} from '@dagan/libtorch';
import type { AnimationModel } from '../animation-model.js';

/**
 * Operations of each step; a portrait takes `source` once, every frame `drive` and `generate`. The face mesh, which drives some models, is
 * not counted.
 */
export type ModelOperations = { source: number; drive: number; generate: number };

/**
 * Counts the operations of a model on pictures of `size` x `size` pixels.
 *
 * @param model prepared by `prepareForInference`, for other forms of it take other numbers of operations
 */
export function modelOperations(model: AnimationModel, size: number): ModelOperations {
  return noGrad(() =>
    tidy(() => {
      const picture = rand([1, 3, size, size]);
      const { meshPoints } = model.motion;
      if (meshPoints) {
        const landmarks = rand([1, meshPoints.length, 2]).mul(2).sub(1);
        const source = counting(() => model.source(picture, [], [landmarks]));
        const generate = counting(() => model.generate(source.result, { value: landmarks, jacobian: null }));
        return { source: source.operations, drive: 0, generate: generate.operations };
      }
      const source = counting(() => model.source(picture));
      const drive = counting(() => model.driving(picture, source.result));
      const generate = counting(() => model.generate(source.result, drive.result.keypoints));
      return { source: source.operations, drive: drive.operations, generate: generate.operations };
    }),
  );
}

function counting<T>(body: () => T): { operations: number; result: T } {
  let operations = 0;
  const observer: CallObserver = {
    instead: () => undefined,
    called: (name, _schema, args, result) => {
      operations += operationsOf(name, args, result);
    },
  };
  return { result: observeCalls(observer, body), operations };
}

const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);

/** Operations of one call; 0 for all that is neither convolution nor matrix product. */
function operationsOf(name: string, args: readonly Argument[], result: Result): number {
  const [first, second] = args;
  if (!(result instanceof Tensor && first instanceof Tensor && second instanceof Tensor)) return 0;
  // A transposed kernel is [in, out / groups, ...]: every element of the input is multiplied with out / groups kernels.
  if (/^aten::conv_transpose[123]d/.test(name)) return 2 * product(first.shape) * product(second.shape.slice(1));
  if (/^aten::(conv[123]d|convolution|linear)/.test(name)) {
    return 2 * product(result.shape) * product(second.shape.slice(1));
  }
  return /^aten::(matmul|bmm|mm)$/.test(name) ? 2 * product(result.shape) * first.shape.at(-1)! : 0;
}
