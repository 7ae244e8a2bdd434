// One target in a process of its own, which may crash or hang. Tells the program that started it of every case before it begins.
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { randomOf } from './mutate.mjs';
import { TARGETS } from './targets.mjs';

/** Errors that users are meant to see. */
const MEANT = ['MediaError', 'CheckpointError', 'ExportedModelError', 'DaganError', 'ConfigError', 'ArchitectureError'];

const [target, firstSeed, lastSeed] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const findings = process.argv[5];
const folder = await mkdtemp(join(tmpdir(), 'dagan-fuzz-'));
process.on('disconnect', () => process.exit());

/** What is wrong with how a case ended; undefined if nothing. */
function faultOf(error) {
  if (error === undefined) return undefined;
  const { name, message = String(error), stack = message } = error;
  if (!MEANT.includes(name)) return stack;
  if (message.includes('\n')) return `a message of several lines: ${message}`;
  return message.length > 2000 ? `a message of ${message.length} characters: ${message.slice(0, 200)}` : undefined;
}

async function ending(work) {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error;
  }
}

process.send({ type: 'case', seed: firstSeed }); // preparing takes time, too
const run = await TARGETS[target](folder);
for (let seed = firstSeed; seed <= lastSeed; seed++) {
  process.send({ type: 'case', seed });
  let input;
  const keep = async (name, bytes) => {
    input = join(folder, name);
    await writeFile(input, bytes);
    process.send({ type: 'input', path: input });
    return input;
  };
  let stray;
  const onStray = (error) => {
    stray ??= error;
  };
  process.once('uncaughtException', onStray).once('unhandledRejection', onStray);
  const error = await ending(() => run(randomOf(seed), keep));
  const fault = faultOf(stray && { name: 'stray', stack: `nobody caught: ${stray.stack ?? stray}` }) ?? faultOf(error);
  process.removeAllListeners('uncaughtException').removeAllListeners('unhandledRejection');
  if (fault === undefined) continue;
  await mkdir(findings, { recursive: true });
  await copyFile(input, join(findings, `${target}-${seed}-${basename(input)}`));
  process.send({ type: 'fault', seed, fault });
}
await rm(folder, { recursive: true, force: true });
process.exit(0);
