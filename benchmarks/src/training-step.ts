// How fast a training step of the animation model is, in float32 and in bfloat16 autocast, from one run; or which operators
// it spends its time on.
//
//   node benchmarks/dist/training-step.js [--preset starter-256] [--size 128] [--batch-size 4] [--rounds 3] [--threads N]
//       [--lesson paper|motion|painting|frozen] [--precision float32|bfloat16 ...] [--profile]
//
// It learns with all of the paper's losses, or with the preset's own, the motion alone or painting as well, the latter also with a
// frozen keypoint detector.
// Beside the time by the clock stands what all threads computed, which other programs on the machine hardly change. A profile
// is best taken with one thread, whose computing is then all there is.
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildInfo, type OperatorTime, profile, setThreads } from '@dagan/libtorch';
import { median } from './statistics.js';
import { animationStepper, LESSONS } from './stepper.js';

const PRECISIONS = ['float32', 'bfloat16'] as const;

const { values } = parseArgs({
  options: {
    preset: { type: 'string', default: 'starter-256' },
    size: { type: 'string', default: '128' },
    'batch-size': { type: 'string', default: '4' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: `${availableParallelism()}` },
    precision: { type: 'string', multiple: true, default: [...PRECISIONS] },
    lesson: { type: 'string', default: 'paper' },
    profile: { type: 'boolean', default: false },
  },
});
const [size, batchSize, rounds, threads] = [
  Number(values.size),
  Number(values['batch-size']),
  Number(values.rounds),
  Number(values.threads),
];
const lesson = LESSONS.find((name) => name === values.lesson);
if (!lesson) throw new Error(`the lesson must be one of ${LESSONS.join(', ')}, not ${values.lesson}`);
const precisions = PRECISIONS.filter((precision) => values.precision.includes(precision));

setThreads(threads);
console.log(
  `LibTorch ${buildInfo().version}, ${cpus()[0]!.model}, ${threads} threads; ${values.preset}, ${lesson}, at ${size} x ${size}, batch ${batchSize}`,
);

const steppers = new Map(
  precisions.map((precision) => [
    precision,
    animationStepper({ preset: values.preset, lesson, precision, size, batchSize }),
  ]),
);
for (const run of steppers.values()) run(); // warm up
if (values.profile) for (const [name, run] of steppers) printProfile(name, profile(run).operators);
else compare();

function compare(): void {
  const times = new Map(precisions.map((name) => [name, { clock: [] as number[], computed: [] as number[] }]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of steppers) {
      const before = process.cpuUsage();
      times.get(name)!.clock.push(run());
      const { user, system } = process.cpuUsage(before);
      times.get(name)!.computed.push((user + system) / 1000);
    }
  }
  const reference = median(times.get(precisions[0]!)!.clock);
  for (const [name, { clock, computed }] of times) {
    const middle = median(clock);
    console.log(
      `${name.padEnd(10)}${middle.toFixed(0).padStart(8)} ms/step${((batchSize * 1000) / middle).toFixed(2).padStart(8)} images/s` +
        `${median(computed).toFixed(0).padStart(8)} ms computed${(reference / middle).toFixed(2).padStart(8)} times ${precisions[0]}`,
    );
  }
  const models = steppers.size === 1 ? 'one model' : 'two models';
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB (${models} loaded)`);
}

/** What operators computed: first by name, then the dearest by their inputs. */
function printProfile(name: string, operators: readonly OperatorTime[]): void {
  const total = operators.reduce((sum, { computed }) => sum + computed, 0);
  const byName = new Map<string, { calls: number; computed: number }>();
  for (const { name: operator, calls, computed } of operators) {
    const sum = byName.get(operator) ?? { calls: 0, computed: 0 };
    byName.set(operator, { calls: sum.calls + calls, computed: sum.computed + computed });
  }
  const line = (computed: number, calls: number, text: string) =>
    console.log(
      `${computed.toFixed(0).padStart(8)} ms${((100 * computed) / total).toFixed(1).padStart(6)} %${`${calls}`.padStart(7)} x  ${text}`,
    );
  console.log(`\n${name}: ${total.toFixed(0)} ms computed in one step`);
  const dearest = [...byName].sort(([, a], [, b]) => b.computed - a.computed).slice(0, 25);
  for (const [operator, { calls, computed }] of dearest) line(computed, calls, operator);
  console.log('\nby inputs');
  const single = [...operators].sort((a, b) => b.computed - a.computed).slice(0, 40);
  for (const { name: operator, inputs, calls, computed } of single) line(computed, calls, `${operator} ${inputs}`);
}
