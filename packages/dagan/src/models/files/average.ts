// The mean of networks that were trained from the same weights: often better than each of them ("Model soups", Wortsman et
// al., ICML 2022).
import { type nn, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { CheckpointError } from '@dagan/libtorch/checkpoint';

/** Weights from a file, and how much they count beside the others. */
export type AveragePart = { path: string; state: nn.StateDict; share: number };

/**
 * Averages weights and running statistics, tensor by tensor, in float32; whole numbers (counters) are those of the first
 * part. The result belongs to the caller's scope.
 *
 * @param parts shares are positive and need not add up to 1
 * @throws CheckpointError, naming the first file that has not the same tensors as the first part
 */
export function averageStates(parts: readonly [AveragePart, ...AveragePart[]]): Map<string, Tensor> {
  const [first, ...others] = parts;
  for (const other of others) checkSame(first, other);
  const sum = parts.reduce((total, { share }) => total + share, 0);
  const mean = (name: string): Tensor =>
    parts
      .map(({ state, share }) =>
        state
          .get(name)!
          .to({ dtype: 'float32' })
          .mul(share / sum),
      )
      .reduce((total, part) => total.add(part));
  return tidy(() =>
    noGrad(
      () => new Map([...first.state].map(([name, value]) => [name, isFractional(value) ? mean(name) : value.clone()])),
    ),
  );
}

const isFractional = ({ dtype }: Tensor): boolean => dtype.includes('float');

function checkSame(first: AveragePart, { path, state }: AveragePart): void {
  const refuse = (what: string): never => {
    throw new CheckpointError(path, `cannot be averaged with ${first.path}: ${what}`);
  };
  for (const [name, { shape }] of first.state) {
    const found = state.get(name)?.shape;
    if (!found) refuse(`${name} is missing`);
    else if (found.join() !== shape.join()) refuse(`${name} is [${found.join(', ')}], not [${shape.join(', ')}]`);
  }
  const extra = [...state.keys()].find((name) => !first.state.has(name));
  if (extra !== undefined) refuse(`only this file has ${extra}`);
}
