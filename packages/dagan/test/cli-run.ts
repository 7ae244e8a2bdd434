// Runs the compiled command line as a user would, and makes small models for it.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DaGAN, fillByFormula, MODEL_PRESETS, type ModelConfig, publishedName } from '../src/models/index.js';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

export type CliResult = { code: number | null; stdout: string; stderr: string };

type Running = { child: ChildProcess; result: Promise<CliResult> };

/** Starts `dagan` with these words in a folder. @param variables of the environment beside those of this process */
export const startDagan = (
  folder: string,
  words: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Running => start([process.execPath, MAIN, ...words], folder, variables);

function start(
  [program, ...words]: readonly [string, ...string[]],
  folder: string,
  variables: Readonly<Record<string, string>>,
): Running {
  // One thread per process: the tests run beside each other.
  const env = { ...process.env, OMP_NUM_THREADS: '1', NO_COLOR: '1', ...variables };
  const child = spawn(program, words, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const result = new Promise<CliResult>((resolve) => {
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, result };
}

/** Runs `dagan` to its end. */
export function dagan(
  folder: string,
  words: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  return startDagan(folder, words, variables).result;
}

/**
 * Starts `dagan` where files may have few bytes, as if the disk were full: both cut a write short.
 *
 * @param blocks of 512 bytes
 * @param printed where what it prints goes, as a shell writes it
 */
export function startOnFullDisk(folder: string, words: readonly string[], blocks: number, printed = ''): Running {
  const script = `ulimit -f ${blocks}; exec "$0" "$@" ${printed}`;
  return start(['sh', '-c', script, process.execPath, MAIN, ...words], folder, {});
}

/** The same, to its end. */
export const daganOnFullDisk = (folder: string, words: readonly string[], blocks: number): Promise<CliResult> =>
  startOnFullDisk(folder, words, blocks).result;

const full = MODEL_PRESETS.dagan;
const narrow = { blockExpansion: 8, maxFeatures: 32 };

/** The published model with few channels: all its parts, quick to compute. */
export const SMALL: ModelConfig = {
  ...full,
  keypointDetector: { ...full.keypointDetector, ...narrow },
  generator: {
    ...full.generator,
    ...narrow,
    numBottleneckBlocks: 1,
    denseMotion: { ...full.generator.denseMotion, ...narrow },
  },
};

/** The same without face depth: the quickest there is. */
export const SMALL_WITHOUT_DEPTH: ModelConfig = {
  ...SMALL,
  depthGuidedKeypoints: false,
  depth: null,
  generator: { ...SMALL.generator, attention: 'none' },
};

/** A model with reproducible weights. */
export function formulaModel(config: ModelConfig): DaGAN {
  return fillByFormula(new DaGAN(config), { rename: publishedName }).eval().requiresGrad_(false);
}
