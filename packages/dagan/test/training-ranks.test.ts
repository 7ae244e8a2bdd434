// Training by several processes: the same as by one, and no rank waits for the dead.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { getThreads, readStateDict, setThreads, type Tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { CheckpointFolder } from '../src/training/index.js';
import { freePort } from '../src/training/ranks/free-port.js';
import { launchRanks } from '../src/training/ranks/launch-ranks.js';
import { largestDifference } from './compare.js';
import { gradients } from './training-ranks-worker.js';
import type { Scenario } from './training-worker.js';

const script = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url));
const threads = getThreads();
let root: string;

before(() => {
  root = mkdtempSync(join(tmpdir(), 'dagan-ranks-'));
  setThreads(1);
});
after(() => {
  setThreads(threads);
  rmSync(root, { recursive: true, force: true });
});

type Rank = {
  child: ChildProcess;
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null; errors: string }>;
};

/** Starts two ranks as a launcher of another make would. */
async function startRanks(name: string, argumentsOf: (rank: number) => string[]): Promise<[Rank, Rank]> {
  const port = await freePort();
  const start = (rank: number): Rank => {
    const place = {
      RANK: `${rank}`,
      LOCAL_RANK: `${rank}`,
      WORLD_SIZE: '2',
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: `${port}`,
    };
    const child = spawn(process.execPath, [script(name), ...argumentsOf(rank)], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, ...place, OMP_NUM_THREADS: '1' },
    });
    let errors = '';
    child.stderr!.on('data', (data) => (errors += data));
    const ended = new Promise<Awaited<Rank['ended']>>((resolve) =>
      child.on('close', (code, signal) => resolve({ code, signal, errors })),
    );
    return { child, ended };
  };
  return [start(0), start(1)];
}

function tensorsOf(path: string): Map<string, Tensor> {
  using file = openCheckpoint(path);
  return readStateDict(file.tensors);
}

describe('two ranks with half a batch each', () => {
  let whole: Map<string, Tensor>;
  let parts: Map<string, Tensor>[];

  before(async () => {
    const files = [0, 1].map((rank) => join(root, `rank-${rank}.safetensors`));
    const ranks = await startRanks('training-ranks-worker', (rank) => [files[rank]!]);
    whole = await gradients(null);
    for (const [rank, { ended }] of ranks.entries()) {
      const { code, errors } = await ended;
      assert.equal(code, 0, `rank ${rank}: ${errors}`);
    }
    parts = files.map(tensorsOf);
  });

  test('have the gradients and running statistics of one process with the whole batch', () => {
    const learned = [...whole.keys()].filter((name) => name.startsWith('gradient.'));
    assert.ok(learned.length > 100 && whole.size > learned.length + 50);
    for (const [rank, part] of parts.entries()) {
      for (const [name, value] of whole) {
        const expected = value.to({ dtype: 'float64' });
        const scale = Math.max(
          1e-3,
          tidy(() => expected.abs().amax().item()),
        );
        const difference = largestDifference(part.get(name)!.to({ dtype: 'float64' }), expected) / scale;
        assert.ok(difference <= 1e-4, `rank ${rank}, ${name}: off by ${difference}`);
      }
    }
  });

  test('have equal weights, optimisers and averages after every step', () => {
    assert.ok([...parts[0]!.keys()].filter((name) => name.startsWith('state.')).length > 500);
    for (const [name, value] of parts[0]!) {
      assert.equal(
        largestDifference(value.to({ dtype: 'float64' }), parts[1]!.get(name)!.to({ dtype: 'float64' })),
        0,
        name,
      );
    }
  });
});

describe('a run of two ranks', () => {
  const scenario: Scenario = {
    config: { steps: 6 },
    every: { checkpoint: 2, evaluation: 3, pictures: 0 },
    resume: true,
    timeoutSeconds: 180,
  };
  const stepsIn = (folder: string): { step: number; losses: object }[] => {
    const path = join(folder, 'log.jsonl');
    if (!existsSync(path)) return [];
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    const entries = lines.map((line) => JSON.parse(line) as { kind: string; step: number; losses: object });
    return entries.filter(({ kind }) => kind === 'step').map(({ step, losses }) => ({ step, losses }));
  };

  test('ends with a message when a rank is killed, and goes on from its checkpoint', async () => {
    const folder = join(root, 'killed');
    const ranks = await startRanks('training-worker', () => [
      folder,
      JSON.stringify({ ...scenario, config: { steps: 1000 } }),
    ]);
    const watching = setInterval(() => {
      if (stepsIn(folder).length >= 3) ranks[1].child.kill('SIGKILL');
    }, 20);
    const [survivor, killed] = await Promise.all(ranks.map(({ ended }) => ended));
    clearInterval(watching);
    assert.equal(killed!.signal, 'SIGKILL');
    assert.equal(survivor!.code, 1);
    assert.match(survivor!.errors, /rank 0: .* lost its connection to another rank; has that rank ended\?/);
    const saved = new CheckpointFolder(join(folder, 'checkpoints'), 2).steps()[0]!;
    assert.ok(saved >= 2);

    const longer: Scenario = { ...scenario, config: { steps: saved + 2 } };
    await launchRanks({
      count: 2,
      script: script('training-worker'),
      arguments: [folder, JSON.stringify(longer)],
      threads: 1,
    });
    assert.equal(new CheckpointFolder(join(folder, 'checkpoints'), 2).steps()[0], saved + 2);
    assert.deepEqual(
      stepsIn(folder).map(({ step }) => step),
      Array.from({ length: saved + 2 }, (_, i) => i + 1),
    );
  });

  test('that is launched fails with the error of the rank that failed first, and leaves no process behind', async () => {
    const folder = join(root, 'refused');
    const broken: Scenario = { ...scenario, config: { steps: 6, batchSize: 3 } };
    await assert.rejects(
      launchRanks({
        count: 2,
        script: script('training-worker'),
        arguments: [folder, JSON.stringify(broken)],
        threads: 1,
      }),
      /rank [01]: TrainingSetupError: a batch of 3 cannot be shared among 2 ranks: take 2 or 4/,
    );
  });

  test('whose launcher has nothing else to do says which rank was killed', async () => {
    const rank = join(root, 'rank.mjs');
    writeFileSync(
      rank,
      "if (process.env.RANK === '1') process.kill(process.pid, 'SIGKILL');\nsetInterval(() => {}, 1000);\n",
    );
    const launcher = join(root, 'launcher.mjs');
    const { href } = new URL('../src/training/ranks/launch-ranks.js', import.meta.url);
    writeFileSync(
      launcher,
      `import { launchRanks } from ${JSON.stringify(href)};
      await launchRanks({ count: 2, script: ${JSON.stringify(rank)}, arguments: [], threads: 1 });`,
    );
    const child = spawn(process.execPath, [launcher], { stdio: ['ignore', 'ignore', 'pipe'] });
    let errors = '';
    child.stderr!.on('data', (data) => (errors += data));
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 1, errors);
    assert.match(errors, /RankError: rank 1: ended by SIGKILL/);
  });
});
