// How a training shows itself on a terminal: one line that rewrites itself, plain lines elsewhere.
import type { StepReport, TrainingObserver } from '../training/run/observers.js';
import type { EvaluationReport } from '../training/run/training-stage.js';
import { optionsIn } from './remedies.js';
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
    evaluation: (step, result) => {
      if (!quiet) print(`step ${step}: held out: ${resultLine(result)}`);
    },
    saved: (step, path) => {
      if (!quiet) print(`step ${step}: saved ${path}`);
    },
    notice: (text) => print(text),
    warning: (step, text) => print(`dagan: warning: step ${step}: ${optionsIn(text)}`),
    close: () => {
      if (line !== '') output.write('\n');
      line = '';
    },
  };
}

/** How results on held-out samples are called. */
const RESULTS: Readonly<Record<string, (value: number) => string>> = {
  l1: (value) => `L1 ${value.toFixed(4)}`,
  copied: (value) => `copied ${value.toFixed(4)}`,
  psnr: (value) => `PSNR ${value.toFixed(2)} dB`,
  photometric: (value) => `photometric ${value.toFixed(4)}`,
  unmoved: (value) => `unmoved ${value.toFixed(4)}`,
  samples: (value) => `${value} samples`,
};

/** "L1 0.0512, PSNR 21.30 dB, 64 samples" */
function resultLine(result: EvaluationReport): string {
  const parts = Object.entries(result).map(
    ([name, value]) => RESULTS[name]?.(value) ?? `${name} ${value.toPrecision(3)}`,
  );
  return parts.join(', ');
}

/** "step 120/1000  5.3 images/s  8 min 20 s left  total 42.1 (perceptual 3.2, ...)  discriminator 0.41  lr 2.0e-4" */
function progressLine(recent: readonly StepReport[]): string {
  const { step, steps, losses, statistics, learningRate } = recent.at(-1)!;
  const seconds = recent.reduce((sum, report) => sum + report.seconds, 0);
  const images = recent.reduce((sum, report) => sum + report.images, 0);
  const { total, discriminator, ...terms } = losses;
  const left = duration(((steps - step) * seconds) / recent.length);
  return [
    `step ${step}/${steps}`,
    `${(images / seconds).toPrecision(3)} images/s`,
    `${left} left`,
    `total ${total.toPrecision(4)} (${numbersLine(terms)})`,
    ...(discriminator === undefined ? [] : [`discriminator ${discriminator.toPrecision(3)}`]),
    ...(statistics ? [numbersLine(statistics)] : []),
    `lr ${learningRate.toExponential(1)}`,
  ].join('  ');
}

const numbersLine = (values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value.toPrecision(3)}`)
    .join(', ');
