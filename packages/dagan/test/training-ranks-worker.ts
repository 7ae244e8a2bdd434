// One rank of the step in training-ranks.test.ts: takes its share of a batch and writes what it learned from it.
// Argument: a file for this rank. Ranks find one another through the environment.
import { fileURLToPath } from 'node:url';
import { distributed, manualSeed, saveStateDict, setThreads, type Tensor, tidy } from '@dagan/libtorch';
import { ThinPlateSpline } from '../src/geometry/index.js';
import { AnimationState } from '../src/training/index.js';
import { edges, syntheticPairs, tinyConfig } from './training-worker.js';

/** Pairs of the whole batch. */
const PAIRS = 4;

/** Two steps (the second with buckets in the order in which gradients came): gradients, losses' means, state afterwards. */
export async function twoSteps(group: distributed.ProcessGroup | null): Promise<Map<string, Tensor>> {
  const [rank, worldSize] = [group?.rank ?? 0, group?.worldSize ?? 1];
  const batchSize = PAIRS / worldSize;
  manualSeed(7 + rank); // so that equal weights are the training's own doing; the first rank's count
  const state = new AnimationState(tinyConfig({ batchSize: PAIRS }), 64, edges, { device: 'cpu', group });
  const data = await syntheticPairs.training({ size: 64, batchSize, rank, worldSize });
  const seen = new Map<string, Tensor>();
  for (const step of [1, 2]) {
    const batch = await data.next();
    manualSeed(20 + step);
    const { theta, weights } = ThinPlateSpline.random(PAIRS);
    const own = (value: Tensor) => value.narrow(0, rank * batchSize, batchSize);
    tidy(() => state.step.run(batch, new ThinPlateSpline(own(theta), own(weights))).losses);
    for (const [name, parameter] of [
      ...state.model.namedParameters('model'),
      ...state.discriminator.namedParameters('discriminator'),
    ]) {
      if (parameter.grad) seen.set(`${step}.gradient.${name}`, parameter.grad.detach().clone());
    }
  }
  for (const [name, value] of state.stateDict()) seen.set(`state.${name}`, value.detach().clone());
  return seen;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1);
  using group = distributed.initFromEnvironment({ timeoutSeconds: 60 });
  saveStateDict(process.argv[2]!, await twoSteps(group));
}
