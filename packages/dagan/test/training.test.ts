// Training runs as people have them: they end, are killed, go on, run out of disk, diverge, and leave a model to use.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { getThreads, liveTensors, manualSeed, setThreads, tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { loadModel } from '../src/models/index.js';
import {
  type AnimationLosses,
  AnimationState,
  CheckpointFolder,
  crc32c,
  encodeRecord,
  finalSize,
  learningRateFactor,
  modelForSize,
  phaseOf,
  type StepReport,
  TRAINING_PRESETS,
  trainAnimation,
  trainingPreset,
} from '../src/training/index.js';
import { DaGAN } from '../src/models/dagan.js';
import { largestDifference } from './compare.js';
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
  logOf(folder).flatMap(({ kind, step, losses, gradientNorms }) => (kind === 'step' ? [{ step, losses, gradientNorms }] : []));

type Ended = { code: number | null; signal: NodeJS.Signals | null; errors: string };

/** Runs the worker; `watch` is called now and then and may kill it. */
function startWorker(
  folder: string,
  scenario: Scenario,
  { prefix = [], watch }: { prefix?: string[]; watch?: (kill: (signal: NodeJS.Signals) => void) => void } = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const [command, ...rest] = [...prefix, process.execPath, worker, folder, JSON.stringify(scenario)] as [string, ...string[]];
    const child = spawn(command, rest, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, OMP_NUM_THREADS: '1' } });
    let errors = '';
    child.stderr.on('data', (data) => (errors += data));
    const timer = watch && setInterval(() => watch((signal) => child.kill(signal)), 5);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(timer);
      resolve({ code, signal, errors });
    });
  });
}

/** Lines in a run's log, of which an unfinished last one counts too. */
const progressOf = (folder: string): number => {
  const path = join(folder, 'log.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length : 0;
};

describe('a run', () => {
  test('that is killed again and again has the same losses as one that is not, to the last bit', async () => {
    const [whole, killed] = [freshFolder(), freshFolder()];
    const scenario: Scenario = { config: { steps: 12 }, every: { checkpoint: 2, evaluation: 5, pictures: 0 }, resume: true };
    await startWorker(whole, scenario);
    assert.equal(stepsOf(whole).length, 12);
    let kills = 0;
    for (const lines of [3, 7, 11]) {
      const delay = Math.random() * 60;
      let since = 0;
      const { signal } = await startWorker(killed, scenario, {
        watch: (kill) => {
          if (progressOf(killed) < lines) return;
          since ||= performance.now();
          if (performance.now() - since >= delay) kill('SIGKILL');
        },
      });
      if (signal === 'SIGKILL') kills += 1;
    }
    assert.ok(kills >= 2, `killed ${kills} times`);
    const { code, errors } = await startWorker(killed, scenario);
    assert.equal(code, 0, errors);
    assert.deepEqual(stepsOf(killed), stepsOf(whole));
    using [a, b] = ['model', 'model'].map((name, i) => openCheckpoint(join(i ? killed : whole, `${name}.safetensors`))) as never;
  });
});
