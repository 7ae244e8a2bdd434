// The log of a run as JSON lines: one object per step, evaluation, checkpoint, notice and warning.
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { liveTensors } from '@dagan/libtorch';
import { writeWholeSync, writing } from '../../media/files.js';
import type { TrainingObserver } from './observers.js';

/**
 * Goes on with a log, or begins one. Lines of steps after `step`, which will be taken again, and a last line that a crash
 * cut off are removed first.
 */
export function runLog(path: string, step: number): TrainingObserver {
  if (existsSync(path)) forgetAfter(path, step);
  const descriptor = writing(path, () => openSync(path, 'a'));
  const add = (entry: Readonly<Record<string, unknown>>) =>
    writing(path, () => writeSync(descriptor, `${JSON.stringify(entry)}\n`));
  return {
    step: ({ step, learningRate, size, images, seconds, losses, gradientNorms, statistics }) =>
      add({ kind: 'step', step, losses, gradientNorms, statistics, learningRate, size, images, seconds }),
    evaluation: (step, result) => add({ kind: 'evaluation', step, ...result }),
    saved: (step, file) =>
      add({ kind: 'checkpoint', step, file, residentMegabytes: residentMegabytes(), liveTensors: liveTensors() }),
    notice: (text) => add({ kind: 'notice', text }),
    warning: (step, text) => add({ kind: 'warning', step, text }),
    close: () => closeSync(descriptor),
  };
}

/** Memory of this process; in a long run it must not grow, and neither must the number of tensors. */
const residentMegabytes = (): number => Math.round(process.memoryUsage.rss() / 2 ** 20);

function forgetAfter(path: string, step: number): void {
  const kept = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => stepOf(line) <= step);
  writeWholeSync(path, kept.map((line) => `${line}\n`).join(''));
}

/** The step that a line tells of; infinity for a line that is none. */
function stepOf(line: string): number {
  try {
    return (JSON.parse(line) as { step?: number }).step ?? 0;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
