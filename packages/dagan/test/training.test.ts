// Training runs as people have them: they end, are killed, go on, run out of disk, diverge, and leave a model to use.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  cat,
  full,
  getThreads,
  liveTensors,
  manualSeed,
  noGrad,
  readStateDict,
  setThreads,
  stack,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { FACE_LANDMARKS, TRAVELLING_POINTS } from '../src/faces/landmarks.js';
import { ThinPlateSpline } from '../src/geometry/index.js';
import { OBJECTIVE_WEIGHTS, type ObjectiveWeights } from '../src/losses/index.js';
import { trainedSize } from '../src/models/files/model-file.js';
import { DaGAN, loadModel } from '../src/models/index.js';
import type { ResidualDecoder } from '../src/models/residual-decoder.js';
import { coordinateGrid } from '../src/tensors/grid.js';
import {
  type AnimationLosses,
  AnimationTrainee,
  type BatchProvider,
  CheckpointFolder,
  checkTrainingConfig,
  crc32c,
  datasetPairs,
  encodeRecord,
  type FramePair,
  finalSize,
  learningRateFactor,
  modelForSize,
  NonFiniteLossError,
  phaseOf,
  reshapePairs,
  type SwayOptions,
  swayPairs,
  TRAINING_PRESETS,
  trainAnimation,
  trainingPreset,
} from '../src/training/index.js';
import { assertClose, largestDifference } from './compare.js';
import { makeFolderClip } from './data-fixtures.js';
import { loadDagan } from './small-models.js';
import { edges, runTraining, type Scenario, syntheticPairs, tinyConfig } from './training-worker.js';

const worker = fileURLToPath(new URL('./training-worker.js', import.meta.url));
const threads = getThreads();
let root: string;
let runs = 0;

before(() => {
  root = mkdtempSync(join(tmpdir(), 'dagan-training-'));
  setThreads(1);
});
after(() => {
  setThreads(threads);
  rmSync(root, { recursive: true, force: true });
});

const freshFolder = (): string => join(root, `run-${runs++}`);

type LogEntry = { kind: string; step: number; losses: AnimationLosses; gradientNorms: Record<string, number> };

const logOf = (folder: string): LogEntry[] =>
  readFileSync(join(folder, 'log.jsonl'), 'utf8')
    .split('\n')
    .flatMap((line) => (line ? [JSON.parse(line) as LogEntry] : []));

/** What every step of a run saw, without times. */
const stepsOf = (folder: string) =>
  logOf(folder).flatMap(({ kind, step, losses, gradientNorms }) =>
    kind === 'step' ? [{ step, losses, gradientNorms }] : [],
  );

type Ended = { code: number | null; signal: NodeJS.Signals | null; errors: string };

/** Runs the worker; `watch` is called now and then until it kills it. */
function startWorker(
  folder: string,
  scenario: Scenario,
  { prefix = [], watch }: { prefix?: string[]; watch?: (kill: (signal: NodeJS.Signals) => void) => void } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const command = [...prefix, process.execPath, worker, folder, JSON.stringify(scenario)];
    const child = spawn(command[0]!, command.slice(1), {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, OMP_NUM_THREADS: '1' },
    });
    let errors = '';
    child.stderr.on('data', (data) => (errors += data));
    const kill = (signal: NodeJS.Signals) => {
      clearInterval(timer);
      child.kill(signal);
    };
    const timer = watch && setInterval(() => watch(kill), 5);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(timer);
      resolve({ code, signal, errors });
    });
  });
}

/** Names of all files below a folder. */
const filesOf = (folder: string): string[] => readdirSync(folder, { recursive: true }).map(String);

/** Lines in a run's log, of which an unfinished last one counts too. */
const progressOf = (folder: string): number => {
  const path = join(folder, 'log.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length : 0;
};

describe('a run', () => {
  const twelve: Scenario = {
    config: { steps: 12 },
    every: { checkpoint: 2, evaluation: 5, pictures: 0 },
    resume: true,
  };
  let whole: string;

  before(async () => {
    whole = freshFolder();
    const { code, errors } = await startWorker(whole, twelve);
    assert.equal(code, 0, errors);
    assert.deepEqual(
      stepsOf(whole).map(({ step }) => step),
      Array.from({ length: 12 }, (_, i) => i + 1),
    );
  });

  /** Kills the worker a while after its log has so many lines. */
  const killAfter = (folder: string, lines: number, delay: number, signal: NodeJS.Signals) => {
    let since = 0;
    return (kill: (signal: NodeJS.Signals) => void) => {
      if (progressOf(folder) < lines) return;
      since ||= performance.now();
      if (performance.now() - since >= delay) kill(signal);
    };
  };

  test('that is killed again and again has the same losses as one that is not, to the last bit', async () => {
    const folder = freshFolder();
    let kills = 0;
    for (const [lines, delay] of [
      [2, 0],
      [7, 37],
    ] as const) {
      const watch = killAfter(folder, lines, delay, 'SIGKILL');
      const { signal } = await startWorker(folder, { ...twelve, standStillAt: 11 }, { watch });
      if (signal === 'SIGKILL') kills += 1;
    }
    assert.equal(kills, 2);
    const { code, errors } = await startWorker(folder, twelve);
    assert.equal(code, 0, errors);
    assert.deepEqual(stepsOf(folder), stepsOf(whole));
    const hash = (of: string, file: string) => {
      using model = openCheckpoint(join(of, file));
      return model.metadata.sha256;
    };
    for (const file of ['model.safetensors', 'best.safetensors']) assert.equal(hash(folder, file), hash(whole, file));
    assert.deepEqual(
      filesOf(folder).filter((name) => name.endsWith('.part')),
      [],
    );
  });

  test('that is interrupted saves the step that it is in, and goes on from there', async () => {
    const folder = freshFolder();
    const rare: Scenario = { ...twelve, every: { checkpoint: 100, evaluation: 0, pictures: 0 } };
    const { code, errors } = await startWorker(folder, rare, { watch: killAfter(folder, 4, 0, 'SIGINT') });
    assert.equal(code, 0, errors);
    const [saved] = new CheckpointFolder(join(folder, 'checkpoints'), 1).steps();
    assert.equal(saved, stepsOf(folder).at(-1)!.step);
    assert.ok(saved! < 12);
    assert.equal((await startWorker(folder, rare)).code, 0);
    assert.deepEqual(stepsOf(folder), stepsOf(whole));
  });

  test('on a full disk loses nothing that was there, says so, and goes on when there is room', async () => {
    const folder = freshFolder();
    cpSync(whole, folder, { recursive: true });
    const checkpoints = new CheckpointFolder(join(folder, 'checkpoints'), 2);
    const there = checkpoints.steps();
    const longer: Scenario = { ...twelve, config: { steps: 14 }, every: { checkpoint: 1, evaluation: 0, pictures: 0 } };
    // No file may become larger than 2 MB; a checkpoint has 3.
    const limited = ['/bin/sh', '-c', 'ulimit -f 4000; exec "$@"', 'sh'];
    const { code, errors } = await startWorker(folder, longer, { prefix: limited });
    assert.equal(code, 1);
    assert.match(errors, /CheckpointError: .*step-00000014\.safetensors: cannot be written .*EFBIG.*free space/);
    assert.match(readFileSync(join(folder, 'log.jsonl'), 'utf8'), /step 13: no checkpoint: .*cannot be written/);
    assert.deepEqual(checkpoints.steps(), there);
    assert.equal(checkpoints.newest()!.step, 12);
    assert.deepEqual(
      filesOf(folder).filter((name) => name.endsWith('.part')),
      [],
    );
    const failed = stepsOf(folder);
    assert.equal((await startWorker(folder, longer)).code, 0);
    assert.deepEqual(stepsOf(folder), failed);
  });

  test('keeps the newest checkpoints and the best one', () => {
    const folder = new CheckpointFolder(join(whole, 'checkpoints'), 2);
    const best = folder.newest()!.best!;
    assert.deepEqual(
      folder.steps(),
      [...new Set([12, 10, best.step])].sort((a, b) => b - a),
    );
    const evaluated = logOf(whole).filter(({ kind }) => kind === 'evaluation') as unknown as {
      step: number;
      l1: number;
    }[];
    assert.deepEqual(
      evaluated.map(({ step }) => step),
      [5, 10, 12],
    );
    assert.equal(best.value, Math.min(...evaluated.map(({ l1 }) => l1)));
  });

  test('calls a model the best of those that saw pictures of its size', async () => {
    const folder = freshFolder();
    const phases = [
      { size: 64, share: 0.5 },
      { size: 128, share: 0.5 },
    ];
    const config = { model: trainingPreset('debug').model, phases, steps: 4 };
    const every = { checkpoint: 4, evaluation: 1, pictures: 0 };
    const { best } = await runTraining(folder, { config, every });
    const errors = logOf(folder).flatMap((entry) => (entry.kind === 'evaluation' && 'l1' in entry ? [entry.l1] : []));
    assert.equal(errors.length, 4);
    assert.equal(best!.value, Math.min(...(errors.slice(2) as number[])));
  });

  test('leaves the averaged model as a file that animates', () => {
    const { model, metadata } = loadModel({ checkpoint: join(whole, 'model.safetensors') });
    assert.equal(metadata.training_steps, '12');
    assert.equal(trainedSize(metadata), 64);
    assert.deepEqual(model.config, tinyConfig().model);
    const { tensors } = new CheckpointFolder(join(whole, 'checkpoints'), 1).newest()!;
    const state = model.stateDict();
    for (const [part, prefix] of [
      ['generator.', 'average.generator.'],
      ['keypoint_detector.', 'average.keypoint_detector.'],
      ['depth_network.', 'model.depth_network.'],
    ] as const) {
      const names = [...state.keys()].filter((name) => name.startsWith(part));
      assert.ok(names.length > 10);
      for (const name of names) {
        assert.equal(largestDifference(state.get(name)!, tensors.get(prefix + name.slice(part.length))!), 0, name);
      }
    }
  });

  test('goes on only if asked to, and not from a damaged checkpoint if there is an earlier one', async () => {
    await assert.rejects(
      runTraining(whole, { config: { steps: 12 } }),
      /holds a training with checkpoints: go on with it or name another folder/,
    );
    const folder = freshFolder();
    await runTraining(folder, { config: { steps: 4 }, every: { checkpoint: 2, evaluation: 0, pictures: 0 } });
    const checkpoints = new CheckpointFolder(join(folder, 'checkpoints'), 2);
    truncateSync(checkpoints.pathOf(4), 1000);
    await runTraining(folder, { config: { steps: 4 }, resume: true });
    assert.match(
      readFileSync(join(folder, 'log.jsonl'), 'utf8'),
      /step-00000004.safetensors.*going back to the checkpoint before/,
    );
    assert.deepEqual(stepsOf(folder), stepsOf(whole).slice(0, 4));
  });

  test('that meets a number that is none stops, names the term, and keeps the state before the step', async () => {
    const folder = freshFolder();
    const poisoned: BatchProvider<FramePair> = {
      ...syntheticPairs,
      training: async (request, state) => {
        const source = await syntheticPairs.training(request, state);
        return {
          ...source,
          next: async () => {
            const batch = await source.next();
            if (source.state() === 8) batch.driving.fill_(Number.NaN);
            return batch;
          },
        };
      },
    };
    const common = {
      config: tinyConfig({ steps: 6 }),
      folder,
      perceptual: edges,
      place: { device: 'cpu', group: null },
      keep: 1,
      every: { checkpoint: 0, evaluation: 0, pictures: 0 },
    };
    await assert.rejects(trainAnimation({ ...common, data: poisoned }), (error: Error) => {
      assert.ok(error instanceof NonFiniteLossError);
      assert.equal(error.term, 'perceptual');
      return true;
    });
    const checkpoint = new CheckpointFolder(join(folder, 'checkpoints'), 1).newest()!;
    assert.equal(checkpoint.step, 3);
    tidy(() => {
      for (const [name, value] of checkpoint.tensors) {
        assert.ok(value.to({ dtype: 'float32' }).isFinite().all().item(), name);
      }
    });
    const outcome = await trainAnimation({ ...common, data: syntheticPairs, resume: true });
    assert.deepEqual([outcome.step, outcome.interrupted], [6, false]);
  });

  test('grows from small pictures to large ones with the same weights, while motion stays at one size', async () => {
    const preset = trainingPreset('debug'); // 128 x 128, motion at 32 x 32
    const phases = [
      { size: 64, share: 0.5 },
      { size: 128, share: 0.5 },
    ];
    const config = { model: preset.model, phases, steps: 4 };
    assert.equal(modelForSize(config, 64).generator.denseMotion.scaleFactor, 0.5);
    assert.throws(() => modelForSize(config, 16), /pictures of 16 pixels cannot be shrunk/);
    assert.deepEqual(
      [0, 1, 2, 3].map((step) => phaseOf(config, step).size),
      [64, 64, 128, 128],
    );
    const folder = freshFolder();
    await runTraining(folder, { config, every: { checkpoint: 3, evaluation: 0, pictures: 3 } });
    const steps = logOf(folder).filter(({ kind }) => kind === 'step') as unknown as { size: number }[];
    assert.deepEqual(
      steps.map(({ size }) => size),
      [64, 64, 128, 128],
    );
    const { model } = loadDagan({ checkpoint: join(folder, 'model.safetensors') });
    assert.equal(model.config.keypointDetector.scaleFactor, 0.25);
    // What a checkpoint says before the pictures grew is a model for large ones too.
    const early = freshFolder();
    await runTraining(early, { config, every: { checkpoint: 2, evaluation: 0, pictures: 0 } });
    const checkpoint = new CheckpointFolder(join(early, 'checkpoints'), 2).pathOf(2);
    const { model: grown, metadata, unused } = loadModel({ checkpoint });
    assert.match(metadata.name!, /, after step 2$/);
    assert.ok(unused.some((name) => name.startsWith('discriminator.')));
    assert.deepEqual(grown.config, model.config);
    const expected = model.stateDict();
    assert.deepEqual(
      [...grown.stateDict()].map(([name, { shape }]) => [name, [...shape]]),
      [...expected].map(([name, { shape }]) => [name, [...shape]]),
    );

    const small = new AnimationTrainee(tinyConfig(config), 64, edges, { device: 'cpu', group: null });
    const before = new Map([...small.stateDict()].map(([name, value]) => [name, value.detach().clone()]));
    const large = small.resized(128);
    let kernels = 0;
    for (const [name, value] of large.stateDict()) {
      if (name.endsWith('down.weight')) kernels += 1;
      else assert.equal(largestDifference(value, before.get(name)!), 0, name);
    }
    assert.equal(kernels, 4);
  });
});

test('a test folder is what a run is judged by, and is not passed over if nothing in it can be used', async () => {
  const data = join(root, 'clips');
  for (const clip of ['train/anna', 'train/ben', 'train/cleo']) await makeFolderClip(join(data, clip), 0, 3);
  const options = { seed: 0, heldOut: 0.4, heldOutSamples: 1, workers: 1 };
  const request = { size: 16, batchSize: 1, rank: 0, worldSize: 1 };
  const judgedBy = async (): Promise<string[]> => {
    const names: string[] = [];
    for await (const batch of (await datasetPairs(data, options)).heldOut(request)!) {
      names.push(...batch.names);
      batch[Symbol.dispose]();
    }
    return names;
  };
  assert.match((await judgedBy())[0]!, /^train\//);
  mkdirSync(join(data, 'test'));
  await assert.rejects(judgedBy(), /clips.test: /);
  await makeFolderClip(join(data, 'test', 'dora'), 0, 3);
  assert.deepEqual(await judgedBy(), ['test/dora']);
});

test('a phase can do without the discriminator, which learns nothing until it takes part', async () => {
  const folder = freshFolder();
  const phases = [
    { size: 64, share: 0.5, adversarial: false },
    { size: 64, share: 0.5 },
  ];
  await runTraining(folder, { config: { phases, steps: 4 }, every: { checkpoint: 2, evaluation: 0, pictures: 0 } });
  const told = stepsOf(folder).map(({ losses, gradientNorms }) => [
    'discriminator' in losses!,
    'featureMatching' in losses!,
    'discriminator' in gradientNorms!,
  ]);
  assert.deepEqual(told, [...Array(2).fill([false, false, false]), ...Array(2).fill([true, true, true])]);

  manualSeed(tinyConfig().seed);
  const untrained = new AnimationTrainee(tinyConfig(), 64, edges, { device: 'cpu', group: null });
  const learned = (step: number) => {
    const state = readStateDict(
      openCheckpoint(new CheckpointFolder(join(folder, 'checkpoints'), 2).pathOf(step)).tensors,
    );
    return [...untrained.discriminator.stateDict()].filter(
      ([name, value]) => largestDifference(value, state.get(`discriminator.${name}`)!) > 0,
    ).length;
  };
  assert.equal(learned(2), 0);
  assert.ok(learned(4) > 10);
});

test('an attention that is to get its start at a step has it from then on, and not before', async () => {
  const folder = freshFolder();
  const every = { checkpoint: 1, evaluation: 0, pictures: 0 };
  const weightAt = (step: number): Tensor => {
    const file = openCheckpoint(new CheckpointFolder(join(folder, 'checkpoints'), 3).pathOf(step));
    return readStateDict(file.tensors).get('model.generator.attention.query_conv.weight')!;
  };
  await runTraining(folder, { config: { steps: 3, alignAttentionAt: 1, learningRate: 1e-6 }, every, keep: 3 });
  assert.ok(largestDifference(weightAt(3), weightAt(2)) < 1e-4);
  assert.ok(largestDifference(weightAt(2), weightAt(1)) > 1e-2);
});

describe('a step', () => {
  const place = { device: 'cpu', group: null };
  let batch: FramePair;
  let transform: ThinPlateSpline;

  before(async () => {
    batch = await (await syntheticPairs.training({ size: 64, batchSize: 2, rank: 0, worldSize: 1 })).next();
    manualSeed(3);
    transform = ThinPlateSpline.random(2);
  });

  const stateOf = (changes: Parameters<typeof tinyConfig>[0] = {}): AnimationTrainee => {
    manualSeed(1);
    return new AnimationTrainee(tinyConfig({ reshape: undefined, sway: undefined, ...changes }), 64, edges, place);
  };

  test('with the warp loss alone teaches where things move, not how they look', () => {
    const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((name) => [name, 0])) as ObjectiveWeights;
    const state = stateOf({ weights: { ...none, warp: 1 } });
    const before = new Map([...state.model.namedParameters()].map(([name, value]) => [name, value.detach().clone()]));
    const { losses, seen } = state.step.run(batch, transform);
    const pyramid = state.step.objective.pyramid(batch.driving);
    const expected = tidy(() => {
      const scales = [...state.step.objective.pyramid(seen.generated.deformed)];
      return scales.reduce((sum, [scale, image]) => sum + image.sub(pyramid.get(scale)!).abs().mean().item(), 0);
    });
    assert.deepEqual(Object.keys(losses), ['warp', 'total']);
    assert.ok(Math.abs(losses.warp! - expected) < 1e-5 && expected > 0.01, `${losses.warp}, ${expected}`);
    const changed = [...state.model.namedParameters()]
      .filter(([name, value]) => largestDifference(value, before.get(name)!) > 0)
      .map(([name]) => name.split('.').slice(0, 2).join('.'));
    assert.deepEqual([...new Set(changed)].sort(), [
      'generator.dense_motion_network',
      'keypoint_detector.jacobian',
      'keypoint_detector.kp',
      'keypoint_detector.predictor',
    ]);
  });

  test('counts mouth and eyes as often as it is told to, in what is painted and in what is warped', () => {
    const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((name) => [name, 0])) as ObjectiveWeights;
    const weights = { ...none, pixel: 1, warp: 1 };
    const lossesWith = (share: number, regionWeight?: number) =>
      stateOf({ weights, regionWeight }).step.run({ ...batch, regions: full([2, 1, 64, 64], share) }, transform).losses;
    const plain = lossesWith(1);
    const ratio = (losses: typeof plain, name: 'pixel' | 'warp'): number => losses[name]! / plain[name]!;
    for (const name of ['pixel', 'warp'] as const) {
      // Regions fade out at the border of the picture, where the smaller scales see beyond it.
      const three = ratio(lossesWith(1, 3), name);
      assert.ok(three > 2.7 && three < 3.001, `${three}`);
      assert.ok(Math.abs(ratio(lossesWith(0, 3), name) - 1) < 1e-5);
      assert.ok(
        Math.abs(ratio(stateOf({ weights, regionWeight: 3 }).step.run(batch, transform).losses, name) - 1) < 1e-5,
      );
    }
    const halves = cat([full([1, 1, 64, 64], 1), zeros([1, 1, 64, 64])]);
    for (const accumulate of [1, 2]) {
      const warpOf = (regions: Tensor): number =>
        stateOf({ weights, regionWeight: 3, accumulate }).step.run({ ...batch, regions }, transform).losses.warp!;
      const share = warpOf(halves) / warpOf(zeros([2, 1, 64, 64]));
      assert.ok(share > 1.2 && share < 2.8, `${share} in ${accumulate}`);
    }
  });

  /** Landmarks of pairs [N, 2, P, 3], all in one place of both frames. */
  const landmarksAt = (x: number, y: number, count = 2): Tensor =>
    tensor([x, y, 1]).expand(count, 2, TRAVELLING_POINTS.length, 3).contiguous();
  const ledModel = { ...tinyConfig().model, semanticKeypoints: { lowerLip: 3 } };

  test('leads keypoints of both frames to landmarks', () => {
    const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((name) => [name, 0])) as ObjectiveWeights;
    const weights = { ...none, landmark: 1 };
    const [x, y] = [-0.4, 0.3];
    const landmarks = landmarksAt(x, y);
    const led = stateOf({ weights, model: ledModel, learningRate: 5e-3 }).step;
    const losses = Array.from({ length: 40 }, () => led.run({ ...batch, landmarks }, transform).losses.landmark!);
    const { sourceKeypoints, drivingKeypoints } = led.run({ ...batch, landmarks }, transform).seen;
    const off = [sourceKeypoints, drivingKeypoints].map(({ value }) =>
      value
        .select(1, 3)
        .sub(tensor([x, y]))
        .abs()
        .mean()
        .item(),
    );
    assert.ok(Math.max(...off) < 0.6 * losses[0]!, `${losses[0]}, then ${off}`);
    const { step } = stateOf({ weights, model: ledModel });
    assert.throws(() => step.run(batch, transform), /landmark has a weight but the batch does not say/);
  });

  test('compares mouth and eyes by themselves, and nothing else', () => {
    const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((name) => [name, 0])) as ObjectiveWeights;
    const weights = { ...none, perceptualParts: 1 };
    const seeing = { ...batch, landmarks: landmarksAt(0.5, -0.5) };
    const lossOn = (driving: Tensor): number =>
      stateOf({ weights }).step.run({ ...seeing, driving }, transform).losses.perceptualParts!;
    const plain = lossOn(batch.driving);
    assert.ok(plain > 0.01, `${plain}`);
    const painted = (row: number, column: number): Tensor => {
      const changed = batch.driving.clone();
      changed.narrow(2, row, 8).narrow(3, column, 8).fill_(1);
      return changed;
    };
    // All landmarks are in the upper right quarter; keypoints of the driving frame depend on all of it.
    const change = (row: number, column: number): number => Math.abs(lossOn(painted(row, column)) - plain) / plain;
    assert.ok(change(12, 44) > 10 * change(50, 4), `${change(12, 44)}, ${change(50, 4)}`);
    assert.throws(() => stateOf({ weights }).step.run(batch, transform), /perceptualParts has a weight but the batch/);
  });

  test('teaches the motion field where points of the mesh went', () => {
    const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((name) => [name, 0])) as ObjectiveWeights;
    const weights = { ...none, meshMotion: 1 };
    const { step } = stateOf({ weights, model: ledModel, guided: 1, learningRate: 1e-3 });
    const landmarks = cat([landmarksAt(0.3, 0.1).narrow(1, 0, 1), landmarksAt(0.1, 0).narrow(1, 1, 1)], 1);
    const losses = Array.from({ length: 30 }, () => step.run({ ...batch, landmarks }, transform).losses.meshMotion!);
    assert.ok(losses.at(-1)! < 0.6 * losses[0]!, `${losses[0]}, then ${losses.at(-1)}`);
  });

  test('puts named keypoints on their landmarks in as many pairs as it is told to', () => {
    const { step, model } = stateOf({ model: ledModel });
    model.eval(); // batch norm lets one pair see the other
    const landmarks = landmarksAt(0.5, -0.5);
    const fieldOf = (guided: number): Tensor =>
      noGrad(() => step.objective.reconstruct({ ...batch, landmarks }, guided).generated.deformation);
    const [free, half, all] = [fieldOf(0), fieldOf(0.5), fieldOf(1)];
    const differs = (a: Tensor, b: Tensor, pair: number): boolean =>
      largestDifference(a.narrow(0, pair, 1), b.narrow(0, pair, 1)) > 1e-4;
    assert.deepEqual(
      [0, 1].map((pair) => differs(free, all, pair)),
      [true, true],
    );
    assert.deepEqual(
      [0, 1].map((pair) => differs(half, free, pair)),
      [false, true],
    );
    const { sourceKeypoints } = step.objective.reconstruct({ ...batch, landmarks }, 1);
    assert.ok(largestDifference(sourceKeypoints.value.select(1, 3), tensor([0.5, -0.5]).expand(2, 2)) > 0.05);
  });

  test('leaves a frozen detector alone where every keypoint has its landmark, and paints the same', () => {
    const { numKeypoints } = tinyConfig().model;
    const names = Object.keys(FACE_LANDMARKS).slice(0, numKeypoints);
    const semanticKeypoints = Object.fromEntries(names.map((name, keypoint) => [name, keypoint]));
    const model = { ...tinyConfig().model, estimateJacobian: false, semanticKeypoints };
    const asked = stateOf({ model, guided: 1 });
    const spared = stateOf({
      model,
      guided: 1,
      freeze: ['keypoint_detector'],
      weights: { ...OBJECTIVE_WEIGHTS, landmark: 0 },
    });
    spared.model.loadStateDict(asked.model.stateDict());
    for (const state of [asked, spared]) state.model.eval();
    spared.model.keypointDetector.forward = () => assert.fail('nobody needs what it finds');
    const landmarks = landmarksAt(0.5, -0.5);
    const painted = ({ step }: typeof asked): Tensor =>
      noGrad(() => step.objective.reconstruct({ ...batch, landmarks }, 1).generated.prediction);
    assert.ok(largestDifference(painted(asked), painted(spared)) < 1e-6);
    const unseen = landmarks.mul(tensor([1, 1, 0]));
    assert.throws(
      () => spared.step.objective.reconstruct({ ...batch, landmarks: unseen }, 1),
      /nobody needs what it finds/,
    );
  });

  test('asks a frozen detector for both frames at once, which finds what it finds in each by itself', () => {
    const state = stateOf({ freeze: ['keypoint_detector'] });
    const { keypointDetector, depthNetwork } = state.model;
    const before = new Map([...keypointDetector.stateDict()].map(([name, value]) => [name, value.clone()]));
    const seen = noGrad(() => state.step.objective.reconstruct(batch));
    for (const frame of ['source', 'driving'] as const) {
      const alone = noGrad(() => keypointDetector.forward(batch[frame], depthNetwork?.forward(batch[frame]) ?? null));
      assert.ok(largestDifference(seen[`${frame}Keypoints`].value, alone.value) < 1e-4);
      if (alone.jacobian) assert.ok(largestDifference(seen[`${frame}Keypoints`].jacobian!, alone.jacobian) < 1e-3);
    }
    state.learn(batch, { step: 0, learningRate: 1e-3, drawing: false });
    for (const [name, value] of keypointDetector.stateDict())
      assert.equal(largestDifference(value, before.get(name)!), 0);
  });

  test('teaches painting also where pixels of the source are kept', () => {
    const none = Object.fromEntries(Object.keys(OBJECTIVE_WEIGHTS).map((name) => [name, 0])) as ObjectiveWeights;
    const state = stateOf({ weights: { ...none, painted: 1 }, learningRate: 2e-3 });
    const { kept } = state.model.generator.decoder as ResidualDecoder;
    kept!.bias!.detach().fill_(50); // everything is kept
    const losses = Array.from({ length: 15 }, () => state.step.run(batch, transform).losses);
    assert.ok(losses.at(-1)!.painted! < 0.9 * losses[0]!.painted!, `${losses[0]!.painted}, ${losses.at(-1)!.painted}`);
    const { model } = tinyConfig();
    const plain = { ...model, generator: { ...model.generator, keepsPixels: false } };
    const paints = stateOf({ model: plain, weights: { ...none, pixel: 1, painted: 1 } }).step.run(batch, transform);
    assert.equal(paints.losses.painted, undefined, 'where all is painted the pixel loss says it');
  });

  test('learns motion alone where a phase does not paint', () => {
    const state = stateOf({
      phases: [{ size: 64, share: 1, painting: false }],
      weights: { ...tinyConfig().weights, warp: 1 },
    });
    const before = new Map([...state.model.stateDict()].map(([name, value]) => [name, value.clone()]));
    const { losses } = state.learn(batch, { step: 0, learningRate: 1e-3, drawing: false });
    assert.ok(losses.warp! > 0);
    assert.deepEqual([losses.perceptual, losses.pixel, losses.generatorAdversarial], [undefined, undefined, undefined]);
    const changed = [...state.model.stateDict()].flatMap(([name, value]) =>
      largestDifference(value, before.get(name)!) > 0 ? [name.split('.').slice(0, 2).join('.')] : [],
    );
    assert.deepEqual(
      [...new Set(changed)].filter((part) => /^generator\.(?!dense)/.test(part)),
      [],
    );
    assert.ok(changed.includes('generator.dense_motion_network'));
  });

  test('bends both frames of as many pairs as it is told to, and what says where mouth and eyes are, in the same way', () => {
    const picture = batch.source;
    const regions = picture.narrow(1, 0, 1);
    const pair: FramePair = { source: picture, driving: picture, regions };
    manualSeed(5);
    const bent = reshapePairs(pair, { share: 0.5 });
    assert.ok(largestDifference(bent.source.narrow(0, 0, 1), picture.narrow(0, 0, 1)) > 0.05);
    assert.equal(largestDifference(bent.source.narrow(0, 1, 1), picture.narrow(0, 1, 1)), 0);
    assert.equal(largestDifference(bent.driving, bent.source), 0);
    assert.equal(largestDifference(bent.regions!, bent.source.narrow(1, 0, 1)), 0);
    assert.equal(reshapePairs(pair, { share: 0 }), pair);
    const one = picture.narrow(0, 0, 1);
    const twins = reshapePairs({ source: cat([one, one]), driving: cat([one, one]) }, { share: 1 }).source;
    assert.ok(largestDifference(twins.narrow(0, 0, 1), twins.narrow(0, 1, 1)) > 0.05, 'each in its own way');
  });

  test('takes landmarks along when it bends and sways pictures, to a third of a pixel', () => {
    const size = 64;
    // A bright spot around each of a few places, whose middle can be found again.
    const places = [
      [-0.4, -0.3],
      [0.35, 0.1],
      [0, 0.45],
    ] as const;
    const grid = coordinateGrid(size, size); // [64, 64, 2]
    const spotAt = ([x, y]: readonly [number, number]): Tensor =>
      grid
        .sub(tensor([x, y]))
        .square()
        .sum([2])
        .mul(-150)
        .exp(); // [64, 64]
    const frames = stack(places.map(spotAt)).unsqueeze(0).expand(4, 3, size, size).contiguous(); // a spot in each channel
    const landmarks = tensor([places.map(([x, y]) => [x, y, 1])])
      .unsqueeze(1)
      .expand(4, 2, 3, 3)
      .contiguous();
    const middles = (pictures: Tensor): Tensor => {
      const flat = pictures.flatten(2); // [4, 3, 64 64]
      return flat.matmul(grid.view(size * size, 2)).div(flat.sum([2]).unsqueeze(2)); // [4, 3, 2]
    };
    const pair: FramePair = { source: frames, driving: frames, landmarks };
    manualSeed(3);
    for (const moved of [reshapePairs(pair, { share: 1, sigmaSpline: 0.003 }), swayPairs(pair, { share: 1 })]) {
      for (const [which, pictures] of [moved.source, moved.driving].entries()) {
        const told = moved.landmarks!.select(1, which); // [4, 3, 3]
        assert.equal(told.narrow(2, 2, 1).sum().item(), 12);
        const off = largestDifference(told.narrow(2, 0, 2), middles(pictures)) * (size / 2);
        assert.ok(off < 0.33, `${off} pixels`);
        assert.ok(largestDifference(told, landmarks.select(1, which)) > 0.01, 'it moved');
      }
    }
    const far = reshapePairs(pair, { share: 1, sigmaAffine: 3 }).landmarks!;
    const gone = far.select(3, 2).eq(0).to({ dtype: 'float32' });
    assert.ok(gone.sum().item() > 0, 'what leaves the picture is not seen');
    assert.equal(far.select(3, 0).mul(gone).abs().sum().item(), 0);
  });

  test('learns from bent pairs, and says what it saw', () => {
    for (const accumulate of [1, 2]) {
      const { step, model } = stateOf({ reshape: { share: 1 }, accumulate });
      const { pairs, seen } = step.run(batch, transform);
      const last = batch.source.narrow(0, 2 - pairs.source.size(0), pairs.source.size(0));
      assert.ok(largestDifference(pairs.source, last) > 0.05);
      assertClose(
        seen.sourceDisparity!,
        noGrad(() => model.depthNetwork!.forward(pairs.source)),
        1e-5,
      );
    }
    const lossesOf = (reshape?: { share: number }) => stateOf({ reshape }).step.run(batch, transform).losses;
    assert.deepEqual(lossesOf({ share: 0 }), lossesOf(undefined));
    assert.notDeepEqual(lossesOf({ share: 1 }), lossesOf(undefined));
  });

  test('sways the heads of as many pairs as it is told to, of each frame by itself, and leaves the border', () => {
    const picture = batch.source;
    const regions = picture.narrow(1, 0, 1);
    const pair: FramePair = { source: picture, driving: picture, regions };
    const top = (frames: Tensor): Tensor => frames.narrow(0, 0, 1).narrow(2, 0, 1);
    manualSeed(5);
    const swayed = swayPairs(pair, { share: 0.5 });
    const [source, driving] = [swayed.source.narrow(0, 0, 1), swayed.driving.narrow(0, 0, 1)];
    assert.ok(largestDifference(source, picture.narrow(0, 0, 1)) > 0.05);
    assert.ok(largestDifference(source, driving) > 0.05, 'each frame in its own way');
    assert.equal(largestDifference(swayed.regions!, swayed.driving.narrow(1, 0, 1)), 0);
    assert.equal(largestDifference(swayed.source.narrow(0, 1, 1), picture.narrow(0, 1, 1)), 0);
    assert.equal(swayPairs(pair, { share: 0 }), pair);
    const still = swayPairs(pair, { share: 1, tilt: 0, shift: 0, scale: 0 }).source;
    assert.ok(largestDifference(top(swayed.source), top(still)) < 1e-5);
  });

  test('tilts, shifts and scales the middle of a swayed picture by what it says', () => {
    const size = 65;
    // Both coordinates of every pixel as a picture: what is sampled says where it was sampled.
    const grid = coordinateGrid(size, size).permute(2, 0, 1).unsqueeze(0); // [1, 2, 65, 65]
    const many = grid.expand(400, 2, size, size).contiguous();
    const slopesOf = (options: Omit<SwayOptions, 'share'>): { shift: number[]; size: number[]; angle: number[] } => {
      manualSeed(11);
      const field = swayPairs({ source: many, driving: many }, { share: 1, ...options }).source;
      const at = (axis: number, column: number): number[] => [
        ...field.narrow(1, axis, 1).narrow(2, 32, 1).narrow(3, column, 1).toFloat32Array(),
      ];
      const slope = (axis: number): number[] => {
        const left = at(axis, 28);
        return at(axis, 36).map((value, i) => (value - left[i]!) / (8 / 32));
      };
      const [x, y] = [slope(0), slope(1)];
      return {
        shift: at(0, 32),
        size: x.map((value, i) => Math.hypot(value, y[i]!)),
        angle: x.map((value, i) => (Math.atan2(y[i]!, value) * 180) / Math.PI),
      };
    };
    const deviation = (values: number[], from: number): number =>
      Math.sqrt(values.reduce((sum, value) => sum + (value - from) ** 2, 0) / values.length);
    const tilted = slopesOf({ tilt: 12, shift: 0, scale: 0 });
    assert.ok(Math.abs(deviation(tilted.angle, 0) / 12 - 1) < 0.15, `${deviation(tilted.angle, 0)} degrees`);
    assert.ok(deviation(tilted.shift, 0) < 0.03 && deviation(tilted.size, 1) < 0.05);
    const shifted = slopesOf({ tilt: 0, shift: 0.08, scale: 0 });
    assert.ok(Math.abs(deviation(shifted.shift, 0) / 0.08 - 1) < 0.15, `${deviation(shifted.shift, 0)}`);
    assert.ok(deviation(shifted.angle, 0) < 1 && deviation(shifted.size, 1) < 0.05);
    const scaled = slopesOf({ tilt: 0, shift: 0, scale: 0.1 });
    assert.ok(Math.abs(deviation(scaled.size, 1) / 0.1 - 1) < 0.25, `${deviation(scaled.size, 1)}`);
    assert.ok(deviation(scaled.angle, 0) < 1 && deviation(scaled.shift, 0) < 0.03);
  });

  test('learns from swayed pairs', () => {
    const lossesOf = (sway?: SwayOptions) => stateOf({ sway }).step.run(batch, transform).losses;
    assert.deepEqual(lossesOf({ share: 0 }), lossesOf(undefined));
    assert.notDeepEqual(lossesOf({ share: 1 }), lossesOf(undefined));
  });

  test('of a batch in two parts adds up to the step of one part, if both are the same', () => {
    const one = { source: batch.source.narrow(0, 0, 1), driving: batch.driving.narrow(0, 0, 1) };
    const twice = { source: cat([one.source, one.source]), driving: cat([one.driving, one.driving]) };
    const { theta, weights } = transform;
    const [first, firstWeights] = [theta.narrow(0, 0, 1), weights.narrow(0, 0, 1)];
    const single = stateOf().step.run(one, new ThinPlateSpline(first, firstWeights));
    const double = stateOf({ accumulate: 2 }).step.run(
      twice,
      new ThinPlateSpline(cat([first, first]), cat([firstWeights, firstWeights])),
    );
    assert.deepEqual(double.losses, single.losses);
    for (const name of ['generator', 'discriminator'] as const) {
      assert.ok(Math.abs(double.gradientNorms[name]! / single.gradientNorms[name]! - 1) < 1e-4, name);
    }
    assert.throws(() => stateOf({ accumulate: 3 }).step.run(batch), /a batch of 2 cannot be cut into 3 equal parts/);
  });

  test('in 16 bits has nearly the losses of 32 bits, and leaves weights of 32 bits', () => {
    const exact = stateOf().step.run(batch, transform);
    const state = stateOf({ precision: 'bfloat16' });
    const coarse = state.step.run(batch, transform);
    for (const [name, value] of Object.entries(exact.losses)) {
      const found = coarse.losses[name as keyof AnimationLosses]!;
      assert.ok(Math.abs(found - value) <= 0.05 * Math.abs(value) + 0.01, `${name}: ${found} instead of ${value}`);
    }
    for (const parameter of state.model.parameters()) assert.equal(parameter.dtype, 'float32');
  });

  test('leaves frozen parts alone, weights and running statistics, and changes all others', () => {
    const state = stateOf({ freeze: ['keypoint_detector', 'generator.dense_motion_network'] });
    const before = new Map([...state.model.stateDict()].map(([name, value]) => [name, value.detach().clone()]));
    state.step.run(batch, transform);
    const changed = (name: string, value: Tensor) =>
      largestDifference(value.to({ dtype: 'float32' }), before.get(name)!.to({ dtype: 'float32' })) > 0;
    for (const [name, value] of state.model.stateDict()) {
      const frozen = /^(keypoint_detector|generator\.dense_motion_network|depth_network)\./.test(name);
      if (frozen) assert.ok(!changed(name, value), `${name} changed`);
    }
    const learned = [...state.model.generator.decoder.namedParameters('generator.decoder')];
    assert.ok(learned.length > 5 && learned.every(([name, value]) => changed(name, value)));
    assert.throws(() => stateOf({ freeze: ['mouth'] }), /no part 'mouth' to freeze; parts are generator, generator\./);
  });

  test('clips gradients to a norm', () => {
    const state = stateOf({ clipNorm: 0.5 });
    const { gradientNorms } = state.step.run(batch, transform);
    assert.ok(gradientNorms.generator > 0.5);
    const squares = [...state.model.parameters()].map(({ grad }) =>
      grad ? tidy(() => grad.square().sum().item()) : 0,
    );
    assert.ok(Math.abs(Math.sqrt(squares.reduce((sum, each) => sum + each, 0)) - 0.5) < 1e-3);
  });

  test('after step leaves no tensors behind', () => {
    const state = stateOf();
    const step = () => tidy(() => state.step.run(batch).losses);
    step();
    const live = liveTensors();
    for (let i = 0; i < 5; i++) step();
    assert.equal(liveTensors(), live);
  });
});

describe('a configuration', () => {
  test('is there for the paper, for the rows of its Table 4 and for small machines, each of which can be built', () => {
    const rows = ['baseline', 'baseline-fdn', 'baseline-cam', 'dagan', 'fomm', 'fomm-fdn', 'fomm-cam', 'fomm-fdn-cam'];
    for (const name of [...rows, 'vox-256', 'starter-256', 'starter-fomm-256', 'debug']) {
      const preset = trainingPreset(name);
      const { model, weights } = preset;
      const row = name === 'starter-fomm-256' ? 'fomm' : name;
      const published = row.startsWith('fomm') ? 10 : 15;
      assert.equal(
        model.numKeypoints,
        { debug: 5, 'starter-256': 71, 'starter-fomm-256': 71 }[name] ?? published,
        name,
      );
      assert.equal(weights.keypointDistance, row.startsWith('fomm') || name === 'starter-256' ? 0 : 10, name);
      assert.equal(model.depthGuidedKeypoints, !/^(baseline|fomm)(-cam)?$/.test(row), name);
      assert.equal(model.generator.attention !== 'none', !/^(baseline|fomm)(-fdn)?$/.test(row), name);
      for (const { size } of preset.phases) {
        const { scaleFactor } = modelForSize(preset, size).generator.denseMotion;
        assert.equal(scaleFactor * size, name === 'debug' ? 32 : 64, name);
      }
    }
    assert.throws(() => trainingPreset('vox'), /no training preset 'vox'; known are vox-256, starter-256/);
  });

  test('called starter-256 makes a model of at most 30 MB in 16 bits', () => {
    using model = new DaGAN(TRAINING_PRESETS['starter-256'].model);
    const bytes = [...model.stateDict().values()].reduce((sum, { numel }) => sum + 2 * numel, 0);
    assert.ok(bytes <= 30e6 && bytes > 15e6, `${bytes} bytes`);
    assert.equal(finalSize(TRAINING_PRESETS['starter-256']), 256);
    for (const name of ['starter-256', 'starter-fomm-256']) checkTrainingConfig(trainingPreset(name));
  });

  test('has a learning rate that warms up, falls at milestones or follows a cosine', () => {
    const at = (schedule: Parameters<typeof learningRateFactor>[0], ...steps: number[]) =>
      steps.map((step) => Number(learningRateFactor(schedule, step, 100).toFixed(4)));
    assert.deepEqual(at({ kind: 'constant' }, 0, 99), [1, 1]);
    assert.deepEqual(at({ kind: 'constant', warmup: 3 }, 0, 1, 2, 3), [0.25, 0.5, 0.75, 1]);
    assert.deepEqual(at({ kind: 'milestones', at: [0.6, 0.9], factor: 0.1 }, 59, 60, 89, 90), [1, 0.1, 0.1, 0.01]);
    assert.deepEqual(at({ kind: 'cosine', floor: 0.1 }, 0, 50, 100, 200), [1, 0.55, 0.1, 0.1]);
  });

  test('that cannot be is refused before anything is written', async () => {
    const folder = freshFolder();
    const refused = (config: Scenario['config'], message: RegExp) =>
      assert.rejects(runTraining(folder, { config }), message);
    await refused({ batchSize: 3, accumulate: 2 }, /a batch of 3 cannot be shared among 2 parts: take 2 or 4/);
    await refused({ phases: [{ size: 64, share: 0.5 }] }, /shares of the phases add up to 0.5/);
    await refused({ learningRate: 0 }, /learningRate must be positive, not 0/);
    await refused({ averageDecay: 1 }, /averageDecay must be from 0 to below 1/);
    await refused({ reshape: { share: 1.5 } }, /reshape.share must be from 0 to 1, not 1.5/);
    await refused({ reshape: { share: 1, sigmaSpline: -1 } }, /reshape.sigmaSpline must be a number from 0, not -1/);
    await refused(
      { reshape: { share: 1, controlPoints: 1 } },
      /reshape.controlPoints must be a whole number from 2, not 1/,
    );
    await refused({ sway: { share: -0.5 } }, /sway.share must be from 0 to 1, not -0.5/);
    await refused({ sway: { share: 1, tilt: -3 } }, /sway.tilt must be a number from 0, not -3/);
    const weights = { ...tinyConfig().weights, landmark: 1 };
    const refusedLandmarks = (semanticKeypoints: Record<string, number>, message: RegExp) =>
      refused({ weights, model: { ...tinyConfig().model, semanticKeypoints } }, message);
    await refusedLandmarks({}, /'landmark' has weight 1 and guided is 0, but the model's semanticKeypoints names no/);
    await refusedLandmarks({ upperLip: 0, lowerLip: 0 }, /two landmarks lead keypoint 0/);
    await refusedLandmarks({ upperLip: 15 }, /semanticKeypoints.upperLip must be from 0 to \d+, .* not 15/);
    await refusedLandmarks({ beard: 0 }, /there is no landmark 'beard'; known are upperLip, lowerLip/);
    await refused({ guided: 2 }, /guided must be from 0 to 1, not 2/);
    await refused({ regionWeight: -1 }, /regionWeight must be a number from 0, not -1/);
    assert.ok(!existsSync(folder));
  });
});

test('event files hold records with the checksums that their readers ask for', async () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  const folder = freshFolder();
  await runTraining(folder, { config: { steps: 2 }, every: { checkpoint: 0, evaluation: 0, pictures: 2 } });
  const [name] = readdirSync(folder).filter((file) => file.startsWith('events.out.tfevents.'));
  const bytes = readFileSync(join(folder, name!));
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const data = bytes.subarray(at + 12, at + 12 + length);
    assert.deepEqual(bytes.subarray(at, at + 16 + length), encodeRecord(data));
    records.push(data);
    at += 16 + length;
  }
  assert.equal(records.length, 4); // the version, two steps, one picture
  assert.ok(records[0]!.includes('brain.Event:2'));
  assert.ok(records[1]!.includes('loss/perceptual') && records[3]!.includes(Buffer.from('\x89PNG', 'latin1')));
});
