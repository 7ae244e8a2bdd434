// Losses and statistics as numbers, the same in all ranks.
import { type distributed, noGrad, stack, type Tensor } from '@dagan/libtorch';
import { NonFiniteLossError } from '../run/non-finite-loss.js';

/** Scalars of this rank, each [], as their means over the ranks. */
export function rankMeansOf<Name extends string>(
  scalars: Readonly<Partial<Record<Name, Tensor>>>,
  group: distributed.ProcessGroup | null,
): Record<Name, number> {
  const names = Object.keys(scalars) as Name[];
  const values = noGrad(() => stack(names.map((name) => scalars[name]!.detach().to({ dtype: 'float32' }))));
  const numbers = (group?.allReduce(values, 'mean') ?? values).toFloat32Array();
  return Object.fromEntries(names.map((name, i) => [name, numbers[i]!])) as Record<Name, number>;
}

/** The means of what parts of a batch gave, all under the same names. */
export function partMeansOf<Means extends Readonly<Partial<Record<string, number>>>>(parts: readonly Means[]): Means {
  const mean = (name: string): number => parts.reduce((sum, each) => sum + (each[name] ?? 0), 0) / parts.length;
  return Object.fromEntries(Object.keys(parts[0]!).map((name) => [name, mean(name)])) as Means;
}

/**
 * Losses as their means over the ranks.
 *
 * @throws NonFiniteLossError, in all ranks, naming the first that is not finite in some rank
 */
export function finiteMeansOf<Name extends string>(
  losses: Readonly<Partial<Record<Name, Tensor>>>,
  group: distributed.ProcessGroup | null,
): Record<Name, number> {
  const means = rankMeansOf(losses, group);
  for (const [name, value] of Object.entries<number>(means)) {
    if (!Number.isFinite(value)) throw new NonFiniteLossError(name);
  }
  return means;
}
