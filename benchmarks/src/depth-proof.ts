// Whether stage 1 learns depth, put to proof: trained on rendered heads alone, tried on others whose geometry is known.
//
//   node benchmarks/dist/depth-proof.js [--steps N] [--size 64] [--seed 0] [--threads N] [--output FOLDER]
//
// Prints losses and held-out errors; with --output also writes sheets of what the networks see. Ends with an error unless
// depth is within 15 % and correlates above 0.9 with the truth, and the focal length came within 20 % from 40 % off.
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setThreads } from '@dagan/libtorch';
import { type Picture, writePicture } from 'dagan';
import { DEPTH_PROOF, type DepthProofResult, isDepthProven, proveDepth } from 'dagan/training';

const { values } = parseArgs({
  options: {
    steps: { type: 'string', default: `${DEPTH_PROOF.steps}` },
    size: { type: 'string', default: `${DEPTH_PROOF.size}` },
    seed: { type: 'string', default: `${DEPTH_PROOF.seed}` },
    threads: { type: 'string', default: `${availableParallelism()}` },
    output: { type: 'string' },
  },
});
setThreads(Number(values.threads));
if (values.output) await mkdir(values.output, { recursive: true });

const written: Promise<void>[] = [];
const write = (name: string, step: number, sheet: Picture): void => {
  if (values.output)
    written.push(writePicture(join(values.output, `${name}-${`${step}`.padStart(5, '0')}.png`), sheet));
};

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
const describe = ({ picture, head, focal }: DepthProofResult): string =>
  [
    `picture: error ${percent(picture.absRel)}, correlation ${picture.correlation.toFixed(3)}`,
    `head: error ${percent(head.absRel)}, correlation ${head.correlation.toFixed(3)}`,
    `focal length: ${focal.map(percent).join(' and ')} of the true one`,
  ].join('; ');

const options = { ...DEPTH_PROOF, steps: Number(values.steps), size: Number(values.size), seed: Number(values.seed) };
const began = performance.now();
const result = proveDepth(options, {
  observer: {
    step: (step, { losses, statistics }) => {
      if (step % 100 !== 0) return;
      const seconds = ((performance.now() - began) / 1000).toFixed(0);
      const { motion, relief, focalX } = statistics;
      console.log(
        `step ${step}, ${seconds} s: loss ${losses.total.toFixed(4)}, motion ${motion.toFixed(2)} px, ` +
          `relief ${relief.toFixed(3)}, focal length ${focalX.toFixed(3)} widths`,
      );
    },
    training: (step, sheet) => write('training', step, sheet),
    evaluation: (step, tried, sheet) => {
      console.log(`held out, step ${step}: ${describe(tried)}`);
      write('held-out', step, sheet);
    },
    warning: (step, message) => console.log(`warning, step ${step}: ${message}`),
  },
});
await Promise.all(written);
console.log(
  `${isDepthProven(result) ? 'proven' : 'NOT proven'} after ${((performance.now() - began) / 60_000).toFixed(1)} minutes`,
);
if (!isDepthProven(result)) process.exitCode = 1;
