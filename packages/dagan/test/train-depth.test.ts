// `dagan train depth` as people call it: from clips to a file that the second stage takes, through kills and resumes.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { getThreads, rand, saveStateDict, setThreads, type Tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { renderHeadClip } from '../src/data/synthetic-head.js';
import { writePicture } from '../src/media/index.js';
import { DaGAN, DepthNetwork, loadDepthFile, PoseNetwork, publishedName, saveModel } from '../src/models/index.js';
import {
  type BatchProvider,
  CheckpointFolder,
  DepthTrainee,
  depthStart,
  depthTraining,
  type FrameTriple,
  NonFiniteLossError,
  runLog,
  trainDepth,
} from '../src/training/index.js';
import { dagan, SMALL_WITHOUT_DEPTH, startDagan } from './cli-run.js';
import { largestDifference } from './compare.js';

const SIZE = 64;
const threads = getThreads();
let root: string;
let clips: string;

before(async () => {
  root = mkdtempSync(join(tmpdir(), 'dagan-train-depth-'));
  clips = join(root, 'clips');
  setThreads(1);
  await makeClips(clips, ['anna', 'ben', 'cleo']);
});
after(() => {
  setThreads(threads);
  rmSync(root, { recursive: true, force: true });
});

/** A data set of rendered heads as folders of frames, a clip per person. */
async function makeClips(path: string, people: readonly string[], motion?: number): Promise<void> {
  for (const [seed, person] of people.entries()) {
    const folder = join(path, 'train', person, 'clip');
    mkdirSync(folder, { recursive: true });
    const { frames } = renderHeadClip({ size: SIZE, frames: 6, seed: seed + 1, motion });
    for (const [i, frame] of frames.entries()) await writePicture(join(folder, `${i}.png`), frame);
  }
}

/** The words of a small, quick training. */
const words = (run: string, ...more: string[]): string[] => [
  ...['train', 'depth', '--data', clips, '-o', join(root, run), '--size', `${SIZE}`, '--width', '0.0625'],
  ...['--batch-size', '2', '--held-out', '0.3', '--evaluation-targets', '2', '--device', 'cpu', ...more],
];

type LogEntry = { kind: string; step: number; losses?: object; statistics?: object; text?: string };

const logOf = (run: string): LogEntry[] => {
  const path = join(root, run, 'log.jsonl');
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.slice(0, -1).map((line) => JSON.parse(line) as LogEntry);
};

/** What the steps of a run saw, without times. */
const stepsOf = (run: string) =>
  logOf(run).flatMap(({ kind, step, losses, statistics }) => (kind === 'step' ? [{ step, losses, statistics }] : []));

const metadataOf = (path: string) => {
  using file = openCheckpoint(path);
  return file.metadata;
};

describe('a run', () => {
  const often = [
    '--steps',
    '8',
    '--checkpoint-every',
    '2',
    '--evaluate-every',
    '3',
    '--pictures-every',
    '4',
    '--resume',
  ];

  before(async () => {
    const { code, stdout, stderr } = await dagan(root, words('whole', ...often));
    assert.equal(code, 0, stderr);
    assert.equal(stdout, `${join(root, 'whole', 'depth.safetensors')}\n`);
    assert.match(stderr, /step 8\/8 .*total .*photometric .*motion .*focalX.*held out: photometric .*unmoved/s);
  });

  test('leaves networks, checkpoints, logs and pictures', () => {
    const folder = join(root, 'whole');
    const { config, poseConfig, network, metadata } = loadDepthFile(join(folder, 'depth.safetensors'));
    assert.deepEqual(
      [config, poseConfig],
      [
        { layers: 18, width: 1 / 16 },
        { layers: 18, width: 1 / 16, motionScale: 0.1 },
      ],
    );
    assert.equal(metadata.format, 'dagan-depth-1');
    assert.equal(metadata.training_steps, '8');
    assert.ok(Math.abs(Number(metadata.focal_x) - Math.log(2)) < 0.05, metadata.focal_x);
    const [disparity] = tidy(() => network.forward(rand([1, 3, SIZE, SIZE])).unbind(0)) as [Tensor];
    assert.deepEqual(disparity.shape, [1, SIZE, SIZE]);
    assert.deepEqual(readdirSync(join(folder, 'pictures')).sort(), [
      'step-00000003-held-out.png',
      'step-00000004-networks.png',
      'step-00000006-held-out.png',
      'step-00000008-held-out.png',
      'step-00000008-networks.png',
    ]);
    assert.ok(readdirSync(folder).some((name) => name.startsWith('events.out.tfevents.')));
    const evaluations = logOf('whole').filter(({ kind }) => kind === 'evaluation') as unknown as {
      step: number;
      photometric: number;
      unmoved: number;
    }[];
    assert.deepEqual(
      evaluations.map(({ step }) => step),
      [3, 6, 8],
    );
    for (const { photometric, unmoved } of evaluations) assert.ok(photometric > 0 && photometric <= unmoved * 1.01);
    const best = evaluations.reduce((a, b) => (b.photometric < a.photometric ? b : a));
    assert.equal(metadataOf(join(folder, 'best.safetensors')).training_steps, `${best.step}`);
    assert.deepEqual(new CheckpointFolder(join(folder, 'checkpoints'), 3).steps().slice(0, 3).includes(8), true);
  });

  test('that is killed and goes on has the same losses as one that is not, to the last bit', async () => {
    const { child, result } = startDagan(root, words('killed', ...often));
    const watch = setInterval(() => {
      if (stepsOf('killed').length >= 3) child.kill('SIGKILL');
    }, 5);
    const { code } = await result;
    clearInterval(watch);
    assert.equal(code, null);
    assert.ok(stepsOf('killed').length < 8, 'the run was over before it was killed');
    const again = await dagan(root, words('killed', ...often));
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stderr, /going on after step [2-6]/);
    assert.deepEqual(stepsOf('killed'), stepsOf('whole'));
    for (const file of ['depth.safetensors', 'best.safetensors']) {
      assert.equal(metadataOf(join(root, 'killed', file)).sha256, metadataOf(join(root, 'whole', file)).sha256);
    }
  });

  test('leaves checkpoints whose mean is a depth network for stage 2, but not beside a whole model', async () => {
    const [checkpoints, last] = [join(root, 'whole', 'checkpoints'), join(root, 'whole', 'depth.safetensors')];
    const files = [last, ...readdirSync(checkpoints).map((file) => join(checkpoints, file))];
    const { code, stdout, stderr } = await dagan(root, ['average', ...files, '-o', 'mean.safetensors']);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /mean\.safetensors: the mean of \d files that hold face depth alone/);
    const parts = files.map((file) => loadDepthFile(file));
    const mean = loadDepthFile(join(root, 'mean.safetensors'));
    assert.deepEqual([mean.config, mean.poseConfig], [parts[0]!.config, parts[0]!.poseConfig]);
    for (const kind of ['network', 'poseNetwork'] as const) {
      const state = mean[kind]!.stateDict();
      for (const [name, value] of state) {
        if (value.dtype !== 'float32') continue;
        const sum = parts.map((part) => part[kind]!.stateDict().get(name)!).reduce((total, each) => total.add(each));
        assert.ok(largestDifference(value, sum.div(parts.length)) < 1e-5, name);
      }
    }
    saveModel(join(root, 'model.safetensors'), new DaGAN(SMALL_WITHOUT_DEPTH));
    const mixed = await dagan(root, ['average', last, 'model.safetensors', '-o', 'x.safetensors']);
    assert.equal(mixed.code, 1);
    assert.match(mixed.stderr, /model\.safetensors: holds a model, .*depth\.safetensors face depth alone/);
  });

  test('of two ranks has the losses of one process', async () => {
    const { code, stderr } = await dagan(root, words('ranks', '--steps', '2', '--nproc', '2', '--evaluate-every', '0'));
    assert.equal(code, 0, stderr);
    const alone = await dagan(root, words('alone', '--steps', '2', '--evaluate-every', '0'));
    assert.equal(alone.code, 0, alone.stderr);
    const totals = (run: string) => stepsOf(run).map(({ losses }) => (losses as { total: number }).total);
    assert.equal(totals('ranks').length, 2);
    for (const [i, total] of totals('alone').entries()) {
      assert.ok(Math.abs(totals('ranks')[i]! / total - 1) < 1e-3, `${totals('ranks')[i]} instead of ${total}`);
    }
  });

  test('is refused what it cannot go on with, in words', async () => {
    const whole = (...more: string[]) => dagan(root, words('whole', ...more));
    const [fresh, wider, other] = await Promise.all([
      whole('--steps', '9'),
      whole('--resume', '--width', '0.125'),
      dagan(root, [
        ...'train animation --resume --preset debug --depth untrained'.split(' '),
        '--data',
        clips,
        '-o',
        join(root, 'whole'),
      ]),
    ]);
    assert.match(fresh.stderr, /^dagan: .*whole holds a training with checkpoints: go on with it \(--resume\).*\n$/);
    assert.match(wider.stderr, /this run goes on with a ResNet-18 of width 0\.0625: leave --layers and --width out/);
    assert.match(
      other.stderr,
      /whole holds a training of face depth, not of an animation model: .*`dagan train depth`/,
    );
    for (const { code, stderr } of [fresh, wider, other]) {
      assert.equal(code, 2);
      assert.doesNotMatch(stderr, /--debug/);
    }
  });

  test('goes on with other clips only if that is accepted', async () => {
    const changed = join(root, 'changed');
    await makeClips(changed, ['anna', 'ben', 'cleo', 'dora']);
    const on = words('whole', '--resume', '--steps', '9', '--evaluate-every', '0').map((word) =>
      word === clips ? changed : word,
    );
    const refused = await dagan(root, on);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /is not as it was when the run was saved.*--accept-changed-data/);
    const accepted = await dagan(root, [...on, '--accept-changed-data']);
    assert.equal(accepted.code, 0, accepted.stderr);
    assert.equal(stepsOf('whole').length, 9);
  });

  test('gives the second stage its depth network, whatever its width', async () => {
    const run = join(root, 'second');
    const { code, stderr } = await dagan(root, [
      ...['train', 'animation', '--data', clips, '-o', run, '--preset', 'debug', '--weight', 'perceptual=0'],
      ...['--depth', join(root, 'killed', 'depth.safetensors'), '--steps', '1', '--evaluate-every', '0'],
    ]);
    assert.equal(code, 0, stderr);
    const [first, second] = [join(root, 'killed', 'depth.safetensors'), join(run, 'model.safetensors')].map((path) =>
      loadDepthFile(path).network.stateDict(),
    );
    for (const [name, value] of first!) {
      const wide = (tensor: Tensor) => tensor.to({ dtype: 'float32' });
      assert.equal(largestDifference(wide(value), wide(second!.get(name)!)), 0, name);
    }
  });
});

test('clips that stand still are left out, and what cannot be is refused before anything is written', async () => {
  const still = join(root, 'still');
  await makeClips(still, ['anna', 'ben'], 0);
  const run = join(root, 'refused');
  const refuse = async (more: readonly string[], message: RegExp, data = clips): Promise<void> => {
    const given = words('refused', '--steps', '1', ...more).map((word) => (word === clips ? data : word));
    const { code, stderr } = await dagan(root, given);
    assert.ok(code === 1 || code === 2, stderr);
    assert.match(stderr, message);
    assert.ok(!existsSync(run), `${more.join(' ')} left a folder behind`);
  };
  await Promise.all([
    refuse(
      ['--evaluate-every', '0'],
      /left out: .*anna.*stands still.*none of its 2 training clips.*--spacing/s,
      still,
    ),
    refuse(['--size', '100'], /the size must be a multiple of 32 from 64 on, not 100/),
    refuse(['--spacing', 'wide'], /It must be auto or a positive whole number/),
    refuse(['--recipe', 'mine'], /Allowed choices are published, scratch, paper/),
    refuse(['--init', join(root, 'none.pth')], /none\.pth: no such file/),
    refuse(['--data', join(root, 'nowhere')], /nowhere: no such file or folder/),
    refuse(['--batch-size', '20', '--nproc', '8'], /a batch of 20 cannot be shared among 8 ranks: take 16 or 24/),
  ]);
  const text = join(root, 'text.pth');
  writeFileSync(text, 'no weights');
  await refuse(['--init', text], /text\.pth/);
});

describe('earlier weights', () => {
  const place = { device: 'cpu', group: null };
  const widths = { layers: 18, width: 1 / 8 } as const;

  /** Published files of depth and pose network, each part in one of its own. */
  function publishedFiles(): { files: [string, string, string, string]; depth: DepthNetwork; pose: PoseNetwork } {
    const [depth, pose] = [new DepthNetwork(widths), new PoseNetwork(widths)];
    const part = (file: string, prefix: string, state: Iterable<readonly [string, Tensor]>): string => {
      const own = [...state].filter(([name]) => name.startsWith(prefix));
      const path = join(root, file);
      saveStateDict(path, new Map(own.map(([name, value]) => [name.slice(prefix.length), value])));
      return path;
    };
    const published = [...depth.stateDict()].map(
      ([name, value]) => [publishedName(`depth_network.${name}`), value] as const,
    );
    const files: [string, string, string, string] = [
      part('pose.safetensors', 'pose.', pose.stateDict()),
      part('depth.safetensors', 'depth_decoder.', published),
      part('pose_encoder.safetensors', 'pose_encoder.', pose.stateDict()),
      part('encoder.safetensors', 'depth_encoder.', published),
    ];
    return { files, depth, pose };
  }

  const same = (found: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, Tensor>, but = /^$/): void => {
    for (const [name, value] of expected) {
      const wide = (tensor: Tensor) => tensor.to({ dtype: 'float32' });
      if (!but.test(name)) assert.equal(largestDifference(wide(found.get(name)!), wide(value)), 0, name);
    }
  };

  test('of published files, in any order, with or without the pose network, are what training begins with', () => {
    const { files, depth, pose } = publishedFiles();
    const start = depthStart(files);
    assert.deepEqual([start.depth, start.pose], [widths, widths]);
    const config = { ...depthTraining('published'), depth: widths, pose: widths, size: SIZE };
    const state = new DepthTrainee(config, place);
    start.load(state);
    same(state.depthNetwork.stateDict(), depth.stateDict());
    const principal = 'pose.net.5.';
    same(state.poseNetwork.stateDict(), pose.stateDict(), /^pose\.net\.5\./);
    for (const [name, value] of state.poseNetwork.stateDict()) {
      if (name.startsWith(principal))
        assert.equal(
          tidy(() => value.abs().sum().item()),
          0,
          name,
        );
    }
    const alone = depthStart([files[3], files[1]]);
    assert.deepEqual([alone.depth, alone.pose], [widths, null]);
    assert.throws(() => depthStart([files[0]]), /holds no face-depth network/);
  });

  test('of a file bring their architecture to the command, and training changes them little at first', async () => {
    const { files, depth } = publishedFiles();
    const quick = ['--steps', '1', '--evaluate-every', '0', '--learning-rate', '1e-9'];
    const given = words('begun', ...quick).filter((word, i, all) => word !== '--width' && all[i - 1] !== '--width');
    const { code, stderr } = await dagan(root, [...given, '--init', ...files]);
    assert.equal(code, 0, stderr);
    const { network, config } = loadDepthFile(join(root, 'begun', 'depth.safetensors'));
    assert.deepEqual(config, widths);
    const before = depth.stateDict();
    for (const [name, value] of network.stateDict()) {
      if (!name.endsWith('.weight')) continue;
      assert.ok(largestDifference(value.to({ dtype: 'float32' }), before.get(name)!.detach()) < 1e-6, name);
    }
    assert.equal(JSON.parse(readFileSync(join(root, 'begun', 'config.json'), 'utf8')).name, 'published');
    const refused = await dagan(root, words('not-begun', '--init', ...files));
    assert.match(refused.stderr, /--init brings a ResNet-18 of width 0\.125: leave --layers and --width out/);
  });
});

describe('the loop', () => {
  /** The same picture thrice: nothing to learn from. `broken` makes the batch at that position one of no numbers. */
  const stillFrames = (broken = -1): BatchProvider<FrameTriple> => ({
    training: async ({ size, batchSize }, state) => {
      let position = typeof state === 'number' ? state : 0;
      return {
        next: async () => {
          const target = rand([batchSize, 3, size, size]);
          if (position === broken) target.fill_(Number.NaN);
          position += 1;
          return { previous: target.clone(), target, next: target.clone() };
        },
        state: () => position,
      };
    },
    heldOut: () => null,
  });
  const run = (name: string, steps: number, data: BatchProvider<FrameTriple>, resume = false) =>
    trainDepth({
      config: {
        ...depthTraining('published'),
        ...{
          depth: { layers: 18, width: 1 / 16 },
          pose: { layers: 18, width: 1 / 16 },
          size: SIZE,
          batchSize: 1,
          steps,
        },
      },
      folder: join(root, name),
      data,
      place: { device: 'cpu', group: null },
      resume,
      every: { checkpoint: 0, evaluation: 0, pictures: 0 },
      keep: 1,
      observers: (step) => [runLog(join(root, name, 'log.jsonl'), step)],
      patience: 3,
    });

  test('says once what collapses and what to do, also when a run goes on', async () => {
    await run('collapsed', 4, stillFrames());
    await run('collapsed', 6, stillFrames(), true);
    const warnings = logOf('collapsed').filter(({ kind }) => kind === 'warning');
    assert.deepEqual(
      warnings.map(({ step }) => step),
      [3],
    );
    assert.match(warnings[0]!.text!, /neighbouring frames differ by 0\.0 % only.*`spacing`/);
  });

  test('stops at a loss that is no number, names it, and keeps the state before', async () => {
    await assert.rejects(run('broken', 6, stillFrames(3)), (error: Error) => {
      assert.ok(error instanceof NonFiniteLossError);
      assert.equal(error.term, 'photometric');
      return true;
    });
    assert.ok(logOf('broken').some(({ step, text }) => step === 4 && /the loss 'photometric' is not/.test(text ?? '')));
    assert.equal(new CheckpointFolder(join(root, 'broken', 'checkpoints'), 1).newest()!.step, 3);
    const outcome = await run('broken', 6, stillFrames(), true);
    assert.deepEqual([outcome.step, outcome.interrupted], [6, false]);
  });
});
