// A small training in a process of its own, for tests that kill it, starve it of disk or share it among ranks.
// Arguments: the run's folder and a JSON object of `Scenario`. Ranks find one another through the environment.
import { fileURLToPath } from 'node:url';
import { cat, distributed, F, setThreads, type Tensor, tensor, tidy } from '@dagan/libtorch';
import type { PerceptualNetwork } from '../src/models/perceptual/vgg19.js';
import {
  type AnimationRun,
  type AnimationTrainingConfig,
  type BatchProvider,
  type FramePair,
  runLog,
  tensorBoard,
  trainAnimation,
  trainingPreset,
} from '../src/training/index.js';
import type { TrainingObserver } from '../src/training/run/observers.js';

/** Features of a picture without weights: itself, and its edges at half the size. */
class Edges implements PerceptualNetwork {
  readonly layers = 2;

  features(image: Tensor): Tensor[] {
    const small = F.avgPool2d(image, 2);
    return [image, small.narrow(3, 1, small.size(3) - 1).sub(small.narrow(3, 0, small.size(3) - 1))];
  }
}

export const edges: PerceptualNetwork = new Edges();

/** Pairs of blurred noise, one moved against the other: a function of the position in the data alone. */
function pairAt(position: number, size: number): { source: Tensor; driving: Tensor } {
  return tidy(() => {
    const coarse = Float32Array.from({ length: 3 * 8 * 8 }, (_, i) => {
      const x = Math.sin((i + 1) * 12.9898 + position * 78.233) * 43758.5453;
      return x - Math.floor(x);
    });
    const picture = F.upsampleBilinear(tensorOf(coarse), [size, size]);
    const shift = 2 + (position % 5);
    return { source: picture, driving: F.pad(picture, [shift, 0, 0, 0], 'reflect').narrow(3, 0, size).contiguous() };
  });
}

function tensorOf(values: Float32Array): Tensor {
  return tensor(values, { shape: [1, 3, 8, 8] });
}

function batchAt(first: number, count: number, size: number): FramePair {
  return tidy(() => {
    const pairs = Array.from({ length: count }, (_, i) => pairAt(first + i, size));
    return { source: cat(pairs.map(({ source }) => source)), driving: cat(pairs.map(({ driving }) => driving)) };
  });
}

/** Pairs made up as they are asked for. */
export const syntheticPairs: BatchProvider<FramePair> = {
  training: async ({ size, batchSize, rank, worldSize }, state) => {
    let position = typeof state === 'number' ? state : 0;
    return {
      next: async () => {
        const batch = batchAt(position + rank * batchSize, batchSize, size);
        position += batchSize * worldSize;
        return batch;
      },
      state: () => position,
    };
  },
  heldOut: ({ size, batchSize, rank, worldSize }) => ({
    async *[Symbol.asyncIterator]() {
      for (let i = rank; i < 4; i += worldSize) yield batchAt(1000 + i * batchSize, batchSize, size);
    },
  }),
};

/** The preset `debug` with pictures of 64 x 64, and with what the starter preset has beyond the paper's. */
export function tinyConfig(changes: Partial<AnimationTrainingConfig> = {}): AnimationTrainingConfig {
  const preset = trainingPreset('debug');
  const { model } = preset;
  return {
    ...preset,
    model: {
      ...model,
      keypointDetector: { ...model.keypointDetector, scaleFactor: 0.5 },
      generator: {
        ...model.generator,
        keepsPixels: true,
        denseMotion: { ...model.generator.denseMotion, scaleFactor: 0.5 },
      },
    },
    reshape: { share: 0.5 },
    sway: { share: 0.5 },
    phases: [{ size: 64, share: 1 }],
    ...changes,
  };
}

export type Scenario = Partial<Pick<AnimationRun, 'every' | 'keep' | 'resume'>> & {
  config?: Partial<AnimationTrainingConfig>;
  /** Seconds that ranks wait for one another. */
  timeoutSeconds?: number;
  /** The step after which it stands still for ever, so that whoever kills it does not come too late. */
  standStillAt?: number;
};

const standingStill = (at: number | undefined): TrainingObserver => ({
  step: ({ step }) => void (step === at && Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)),
});

/** Runs a training, alone or as one of the ranks that the environment describes. */
export async function runTraining(folder: string, scenario: Scenario, signal?: AbortSignal) {
  const { config, timeoutSeconds, standStillAt, ...rest } = scenario;
  const group = process.env.RANK ? distributed.initFromEnvironment({ timeoutSeconds }) : null;
  return trainAnimation({
    config: tinyConfig(config),
    folder,
    data: syntheticPairs,
    perceptual: edges,
    place: { device: 'cpu', group },
    every: { checkpoint: 3, evaluation: 0, pictures: 0 },
    keep: 2,
    observers: (step) => [runLog(`${folder}/log.jsonl`, step), tensorBoard(folder, step), standingStill(standStillAt)],
    signal,
    ...rest,
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setThreads(1);
  const stop = new AbortController();
  process.on('SIGINT', () => stop.abort());
  const [folder, scenario] = process.argv.slice(2) as [string, string];
  try {
    console.log(JSON.stringify(await runTraining(folder, JSON.parse(scenario) as Scenario, stop.signal)));
  } catch (error) {
    console.error(`${(error as Error).name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
