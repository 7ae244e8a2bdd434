// The processes that train together, each with its share of every batch.
import { type distributed, nn, type Tensor, tensor, tidy } from '@dagan/libtorch';

/** Where and with whom networks are trained. */
export type TrainingPlace = {
  device: string;
  /** Null for a process alone. */
  group: distributed.ProcessGroup | null;
};

/** This process's number and how many there are. */
export function rankOf({ group }: TrainingPlace): { rank: number; worldSize: number } {
  return { rank: group?.rank ?? 0, worldSize: group?.worldSize ?? 1 };
}

/**
 * Makes all ranks begin with rank 0's weights, and batch norms take their statistics over all ranks. Does nothing for a
 * process alone.
 *
 * @param modules to be trained together
 * @param normalized those whose batch norms learn
 */
export function joinRanks(
  modules: readonly nn.Module[],
  normalized: readonly nn.Module[],
  { group }: TrainingPlace,
): void {
  if (!group || group.worldSize === 1) return;
  for (const module of normalized) nn.convertSyncBatchNorm(module, group);
  for (const module of modules) tidy(() => broadcast(module.stateDict(), group));
}

/** Gives all ranks rank 0's tensors. */
function broadcast(state: nn.StateDict, group: distributed.ProcessGroup): void {
  for (const value of state.values()) group.broadcast(value.detach());
}

/** Whether it is so in any rank. */
export function anyRank(own: boolean, { group, device }: TrainingPlace): boolean {
  if (!group || group.worldSize === 1) return own;
  return tidy(() => group.allReduce(tensor([own ? 1 : 0]).to({ device }), 'max').item() > 0);
}

/** The tensors of all ranks, in the order of ranks; alone, a copy of the own. */
export function gatherRanks(own: Tensor, { group, device }: TrainingPlace): Tensor[] {
  if (!group) return [own.clone()];
  return group.allGather(device === 'cpu' ? own : own.to({ device }));
}
