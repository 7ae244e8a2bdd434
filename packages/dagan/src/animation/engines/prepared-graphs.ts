// Graphs as ONNX Runtime computes them: what follows from the weights computed, kernels laid out for the processor. It makes them
// whenever a graph is loaded, and each engine then holds weights of its own. Kept in files they are made once, and engines beside
// each other have the weights' pages in common: the system reads them into memory once, and may drop and read them again.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { checkExportedFile, digestOf } from '../../export/exported-folder.js';
import type { ExportedFile, Manifest } from '../../export/manifest.js';
import { userCache } from '../../user-cache.js';

/** What prepared graphs follow from. */
export type PreparedFrom = {
  manifest: Manifest;
  /** Side of the pictures, where it is told. */
  size: number | undefined;
  int8: boolean;
  /** Options of the sessions that decide what is prepared, such as providers and how much is optimised; threads do not. */
  session: Pick<InferenceSession.SessionOptions, 'executionProviders' | 'graphOptimizationLevel' | 'extra'>;
  /** Version of ONNX Runtime. */
  runtime: string;
};

/** Lists the files of a folder, which were all written if it is there. */
const LIST = 'files.json';

/** Models whose graphs are kept at most: those that were used last. */
const MOST_KEPT = 3;

/** Milliseconds after which a folder that was begun has been left behind. */
const LEFT_BEHIND = 24 * 3600 * 1000;

/** Smaller files of weights, in bytes, load as fast without. */
const WORTHWHILE = 8 * 2 ** 20;

/** Whether preparing a model's graphs saves something. */
export const worthPreparing = ({ weights }: Manifest): boolean => weights.bytes >= WORTHWHILE;

/**
 * The folder with the prepared graphs, under the names that the manifest gives the graphs.
 *
 * @param prepare writes them into a folder; without it they are taken if they are there, and not checked
 * @returns undefined where there are none and none can be kept
 */
export async function preparedGraphs(
  from: PreparedFrom,
  prepare?: (folder: string) => Promise<void>,
): Promise<string | undefined> {
  const processor = processorWords();
  if (processor === undefined) return undefined;
  const { manifest, size, int8, session, runtime } = from;
  const { executionProviders, graphOptimizationLevel, extra } = session;
  const options = [executionProviders, graphOptimizationLevel, extra];
  const identity = JSON.stringify([manifest, size, int8, options, runtime, processor]);
  const root = userCache('prepared');
  const folder = join(root, createHash('sha256').update(identity).digest('hex').slice(0, 32));
  if (!prepare) return existsSync(join(folder, LIST)) ? folder : undefined;
  try {
    if (!isWhole(folder)) await make(root, folder, prepare);
    const now = new Date();
    await utimes(folder, now, now);
    return folder;
  } catch {
    return undefined; // no room, no right to write, or a graph that cannot be loaded: loading it says what is wrong
  }
}

/** Whether a folder holds the files that were written into it. */
function isWhole(folder: string): boolean {
  try {
    const files: ExportedFile[] = JSON.parse(readFileSync(join(folder, LIST), 'utf8'));
    for (const file of files) checkExportedFile(folder, file);
    return true;
  } catch {
    return false;
  }
}

/** Makes the folder whole or not at all. */
async function make(root: string, folder: string, prepare: (folder: string) => Promise<void>): Promise<void> {
  await mkdir(root, { recursive: true });
  await removeOld(root);
  const part = await mkdtemp(`${folder}.part-`);
  try {
    await prepare(part);
    const files = (await readdir(part)).map((file): ExportedFile => ({ file, ...digestOf(join(part, file)) }));
    await writeFile(join(part, LIST), JSON.stringify(files));
    await rm(folder, { recursive: true, force: true });
    await rename(part, folder);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    if (!existsSync(join(folder, LIST))) throw error; // another program has made the same
  }
}

/** Makes room for one more. */
async function removeOld(root: string): Promise<void> {
  const names = await readdir(root);
  const dated = await Promise.all(names.map(async (name) => ({ name, time: (await stat(join(root, name))).mtimeMs })));
  const isPart = ({ name }: { name: string }): boolean => name.includes('.part-');
  const kept = dated.filter((each) => !isPart(each)).sort((a, b) => b.time - a.time);
  const left = dated.filter((each) => isPart(each) && each.time < Date.now() - LEFT_BEHIND);
  for (const { name } of [...kept.slice(MOST_KEPT - 1), ...left]) {
    await rm(join(root, name), { recursive: true, force: true });
  }
}

/**
 * The processor's name and instruction sets, which kernels are laid out for; undefined where the instruction sets are not known, so
 * that graphs made for others are never run.
 */
function processorWords(): string | undefined {
  if (platform() !== 'linux') return undefined;
  try {
    const [first = ''] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n');
    const lines = first
      .split('\n')
      .filter((line) => /^(model name|flags|Features|CPU (implementer|part))\s*:/.test(line));
    return lines.some((line) => /^(flags|Features)/.test(line)) ? [arch(), ...lines].join('\n') : undefined;
  } catch {
    return undefined;
  }
}
