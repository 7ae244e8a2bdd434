// One rank of the steps in training-ranks.test.ts: takes its share of a batch and writes what it learned from it.
// Argument: a file for this rank. Ranks find one another through the environment.
import { fileURLToPath } from 'node:url';
import { distributed, manualSeed, nn, saveStateDict, setThreads, type Tensor, tidy } from '@dagan/libtorch';
import { ThinPlateSpline } from '../src/geometry/index.js';
import { MultiScaleDiscriminator } from '../src/models/discriminator.js';
import { DaGAN } from '../src/models/index.js';
import { AnimationStep, AnimationTrainee, type FramePair } from '../src/training/index.js';
import { edges, syntheticPairs, tinyConfig } from './training-worker.js';

type Group = distributed.ProcessGroup | null;

/** Pairs of the whole batch. */
const PAIRS = 4;

/** A rank's share of a batch and of its deformations, which are the same however many ranks there are. */
async function shares(group: Group, count: number): Promise<[FramePair, ThinPlateSpline][]> {
  const [rank, worldSize] = [group?.rank ?? 0, group?.worldSize ?? 1];
  const batchSize = PAIRS / worldSize;
  const data = await syntheticPairs.training({ size: 64, batchSize, rank, worldSize });
  const result: [FramePair, ThinPlateSpline][] = [];
  for (let step = 0; step < count; step++) {
    manualSeed(20 + step);
    const { theta, weights } = ThinPlateSpline.random(PAIRS);
    const own = (value: Tensor) => value.narrow(0, rank * batchSize, batchSize);
    result.push([await data.next(), new ThinPlateSpline(own(theta), own(weights))]);
  }
  return result;
}

const copies = (prefix: string, state: Iterable<readonly [string, Tensor]>): [string, Tensor][] =>
  [...state].map(([name, value]) => [`${prefix}.${name}`, value.detach().clone()]);

/**
 * Gradients and running statistics after one step in float64: in float32 the kinks of the networks make those of the same
 * batch in another order differ by half a percent.
 */
export async function gradients(group: Group): Promise<Map<string, Tensor>> {
  const [[{ source, driving }, { theta, weights }]] = (await shares(group, 1)) as [[FramePair, ThinPlateSpline]];
  const wide = (value: Tensor) => value.to({ dtype: 'float64' });
  manualSeed(1);
  const config = tinyConfig({ reshape: undefined, sway: undefined });
  const model = new DaGAN(config.model).to({ dtype: 'float64' }).train();
  const discriminator = new MultiScaleDiscriminator({ blockExpansion: 8, maxFeatures: 32, keypoints: 5 });
  discriminator.to({ dtype: 'float64' });
  if (group) for (const part of [model.generator, model.keypointDetector]) nn.convertSyncBatchNorm(part, group);
  const step = new AnimationStep(model, discriminator, edges, config, { device: 'cpu', group });
  step.run({ source: wide(source), driving: wide(driving) }, new ThinPlateSpline(wide(theta), wide(weights)));
  const parameters = [...model.namedParameters('model'), ...discriminator.namedParameters('discriminator')];
  return new Map([
    ...copies(
      'gradient',
      parameters.flatMap(([name, { grad }]) => (grad ? [[name, grad] as const] : [])),
    ),
    ...copies(
      'buffer',
      [...model.stateDict()].filter(([, value]) => !(value instanceof nn.Parameter)),
    ),
  ]);
}

/** The whole state of a training after three steps, which ranks with random numbers of their own start. */
async function threeSteps(group: Group): Promise<Map<string, Tensor>> {
  const batches = await shares(group, 3);
  manualSeed(7 + (group?.rank ?? 0));
  const state = new AnimationTrainee(tinyConfig({ batchSize: PAIRS }), 64, edges, { device: 'cpu', group });
  for (const [step, [batch, transform]] of batches.entries()) {
    tidy(() => state.step.run(batch, transform).losses);
    state.average(step);
  }
  return new Map(copies('state', state.stateDict()));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1);
  using group = distributed.initFromEnvironment({ timeoutSeconds: 180 });
  saveStateDict(process.argv[2]!, new Map([...(await gradients(group)), ...(await threeSteps(group))]));
}
