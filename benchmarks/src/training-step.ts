// How fast a training step of the animation model is, in float32 and in bfloat16 autocast, from one run.
//
//   node benchmarks/dist/training-step.js [--preset starter-256] [--size 128] [--batch-size 4] [--rounds 3] [--threads N]
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildInfo, setThreads } from '@dagan/libtorch';
import { median } from './statistics.js';
import { animationStepper } from './stepper.js';

const { values } = parseArgs({
  options: {
    preset: { type: 'string', default: 'starter-256' },
    size: { type: 'string', default: '128' },
    'batch-size': { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: `${availableParallelism()}` },
  },
});
const [size, batchSize, rounds, threads] = [
  Number(values.size),
  Number(values['batch-size']),
  Number(values.rounds),
  Number(values.threads),
];

setThreads(threads);
console.log(
  `LibTorch ${buildInfo().version}, ${cpus()[0]!.model}, ${threads} threads; ${values.preset} at ${size} x ${size}, batch ${batchSize}`,
);

const precisions = ['float32', 'bfloat16'] as const;
const steppers = new Map(
  precisions.map((precision) => [precision, animationStepper({ preset: values.preset, precision, size, batchSize })]),
);
const times = new Map(precisions.map((name) => [name, [] as number[]]));
for (const run of steppers.values()) run(); // warm up
for (let round = 0; round < rounds; round++) for (const [name, run] of steppers) times.get(name)!.push(run());

const reference = median(times.get('float32')!);
for (const [name, measured] of times) {
  const middle = median(measured);
  console.log(
    `${name.padEnd(10)}${middle.toFixed(0).padStart(8)} ms/step${((batchSize * 1000) / middle).toFixed(2).padStart(8)} images/s` +
      `${(reference / middle).toFixed(2).padStart(8)} times float32`,
  );
}
console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB (two models loaded)`);
