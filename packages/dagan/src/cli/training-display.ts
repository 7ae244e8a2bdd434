// How a training shows itself on a terminal: one line that rewrites itself, plain lines elsewhere.
import type { StepReport, TrainingObserver } from '../training/observers.js';
import { duration } from './report.js';

/** Milliseconds between two states of the line, on a terminal and elsewhere. */
const INTERVAL = { terminal: 200, plain: 30_000 };

/** Steps over which the speed is averaged. */
const WINDOW = 20;

export type DisplayOptions = {
  /** Warnings alone. */
  quiet?: boolean;
  output?: { write(text: string): unknown; isTTY?: boolean; columns?: number };
};

/** Shows images per second, losses and the time that is left. */
export function trainingDisplay({ quiet = false, output = process.stderr }: DisplayOptions = {}): TrainingObserver {
  const terminal = output.isTTY === true;
  const recent: StepReport[] = [];
  let shown = Number.NEGATIVE_INFINITY;
  let line = '';
  const rewrite = (text: string) => {
    line = text;
    output.write(`\r\x1b[2K${text.slice(0, (output.columns ?? 80) - 1)}`);
  };
  const print = (text: string) => {
    output.write(line === '' ? `${text}\n` : `\r\x1b[2K${text}\n`);
    if (line !== '') rewrite(line);
  };
  return {
    step: (report) => {
      recent.push(report);
      if (recent.length > WINDOW) recent.shift();
      const now = performance.now();
      const last = report.step === report.steps;
      if (quiet || (!last && now - shown < (terminal ? INTERVAL.terminal : INTERVAL.plain))) return;
      shown = now;
      if (terminal) rewrite(progressLine(recent));
      else print(progressLine(recent));
    },
    evaluation: (step, { l1, psnr, pairs }) => {
      if (!quiet) print(`step ${step}: held-out pairs (${pairs}): L1 ${l1.toFixed(4)}, PSNR ${psnr.toFixed(2)} dB`);
    },
    saved: (step, path) => {
      if (!quiet) print(`step ${step}: saved ${path}`);
    },
    notice: (text) => print(text),
    close: () => {
      if (line !== '') output.write('\n');
      line = '';
    },
  };
}

/** "step 120/1000  5.3 images/s  total 42.1 (perceptual 3.2, ...)  discriminator 0.41  lr 2.0e-4  8 min 20 s left" */
function progressLine(recent: readonly StepReport[]): string {
  const { step, steps, losses, learningRate } = recent.at(-1)!;
  const seconds = recent.reduce((sum, report) => sum + report.seconds, 0);
  const pairs = recent.reduce((sum, report) => sum + report.pairs, 0);
  const { total, discriminator, ...terms } = losses;
  const parts = Object.entries(terms).map(([name, value]) => `${name} ${value.toPrecision(3)}`);
  const left = duration(((steps - step) * seconds) / recent.length);
  return [
    `step ${step}/${steps}`,
    `${(pairs / seconds).toPrecision(3)} images/s`,
    `${left} left`,
    `total ${total.toPrecision(4)} (${parts.join(', ')})`,
    `discriminator ${discriminator.toPrecision(3)}`,
    `lr ${learningRate.toExponential(1)}`,
  ].join('  ');
}
