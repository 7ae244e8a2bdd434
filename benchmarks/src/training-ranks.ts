// What a second process brings: images per second of two ranks with one thread each, against one rank with one thread.
//
//   node benchmarks/dist/training-ranks.js [--preset starter-256] [--size 128] [--batch-size 4] [--precision bfloat16]
//       [--lesson paper|motion|painting|frozen] [--steps 3] [--rounds 3]
//
// Each rank learns from a batch of its own, so two ranks learn from twice the images in a step. Both are measured in turns.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildInfo, distributed, setThreads } from '@dagan/libtorch';
import { launchRanks } from 'dagan/training';
import { median } from './statistics.js';
import { animationStepper, LESSONS, type StepperOptions } from './stepper.js';

const { values } = parseArgs({
  options: {
    preset: { type: 'string', default: 'starter-256' },
    size: { type: 'string', default: '128' },
    'batch-size': { type: 'string', default: '4' },
    precision: { type: 'string', default: 'bfloat16' },
    lesson: { type: 'string', default: 'paper' },
    steps: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    // In a rank: where it writes the milliseconds of its steps.
    report: { type: 'string' },
  },
});
const { preset, precision } = values;
const [size, batchSize, steps, rounds] = [
  Number(values.size),
  Number(values['batch-size']),
  Number(values.steps),
  Number(values.rounds),
];
if (precision !== 'float32' && precision !== 'bfloat16') {
  throw new Error(`the precision must be float32 or bfloat16, not ${precision}`);
}

const lesson = LESSONS.find((name) => name === values.lesson);
if (!lesson) throw new Error(`the lesson must be one of ${LESSONS.join(', ')}, not ${values.lesson}`);

/** One rank: takes steps with the others; rank 0 reports their milliseconds. */
function rank(report: string, { lesson, precision }: Pick<StepperOptions, 'lesson' | 'precision'>): void {
  setThreads(1);
  using group = distributed.initFromEnvironment();
  const step = animationStepper({ preset, lesson, precision, size, batchSize, group });
  step(); // warm up
  const times = Array.from({ length: steps }, step);
  if (group.rank === 0) writeFileSync(report, JSON.stringify(times));
}

/** Milliseconds of the steps of so many ranks. */
async function measure(count: number, report: string): Promise<number[]> {
  const words = process.argv.slice(2).concat('--report', report);
  await launchRanks({ count, script: fileURLToPath(import.meta.url), arguments: words, threads: 1 });
  return JSON.parse(readFileSync(report, 'utf8')) as number[];
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dagan-ranks-'));
  const times = new Map<number, number[]>([
    [1, []],
    [2, []],
  ]);
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [count, measured] of times) measured.push(...(await measure(count, join(folder, 'times.json'))));
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(
    `LibTorch ${buildInfo().version}, ${cpus()[0]!.model}; ${preset}, ${lesson}, at ${size} x ${size}, ${precision}, ` +
      `batch ${batchSize} per rank, one thread per rank`,
  );
  const rates = [...times].map(([count, measured]) => {
    const milliseconds = median(measured);
    const rate = (1000 * count * batchSize) / milliseconds;
    console.log(
      `${count} rank(s)${milliseconds.toFixed(0).padStart(8)} ms/step${rate.toFixed(2).padStart(8)} images/s`,
    );
    return rate;
  });
  console.log(`two ranks learn from ${(rates[1]! / rates[0]!).toFixed(2)} times the images per second of one`);
}

if (values.report !== undefined) rank(values.report, { lesson, precision });
else await compare();
