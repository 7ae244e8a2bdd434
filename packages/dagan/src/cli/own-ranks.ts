// A command that runs in several processes at once: each of them runs its command line again.

import { chooseDevice } from '../pipelines/choose-model.js';
import { launchRanks, RankError } from '../training/ranks/launch-ranks.js';
import { UserError } from './errors.js';

/** Starts the ranks that `--nproc` asks for, and ends with them. */
export async function launchOwnRanks({
  nproc,
  threads,
  signal,
}: {
  nproc: number;
  threads?: number;
  signal?: AbortSignal;
}): Promise<void> {
  try {
    await launchRanks({
      count: nproc,
      script: process.argv[1]!,
      arguments: process.argv.slice(2),
      threads,
      signal,
    });
  } catch (error) {
    throw error instanceof RankError ? new UserError(`${error.message}; the other ranks have been ended`) : error;
  }
}

/** What `--device auto` means to one of several ranks on a machine: a GPU of its own, where there are any. */
export function ownDevice(): string {
  return chooseDevice('auto') === 'cpu' ? 'cpu' : `cuda:${Number(process.env.LOCAL_RANK ?? 0)}`;
}
