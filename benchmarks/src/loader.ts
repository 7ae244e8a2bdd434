// How fast training data is delivered, against what training steps consume: both alone, one after the other.
//
//   node benchmarks/dist/loader.js [DATASET] [--size 128] [--batch 8] [--batches 100] [--workers 1] [--cache FOLDER]
//       [--preset starter-256] [--precision bfloat16] [--steps 3] [--threads N]
//
// Without a data set it is the example clip. The first run with a size decodes the videos into the cache, which is timed too.
// A step of the animation model consumes two frames per image it learns from; so does a sample here, with the augmentation of
// training. The last line is the ratio: a loader at 3 or more never keeps training waiting.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setThreads } from '@dagan/libtorch';
import { openDataset, openPairLoader, prepareFrames } from 'dagan/data';
import { median } from './statistics.js';
import { animationStepper } from './stepper.js';

const EXAMPLE_CLIP = fileURLToPath(new URL('../../examples/driving.mp4', import.meta.url));

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '128' },
    batch: { type: 'string', default: '8' },
    batches: { type: 'string', default: '100' },
    workers: { type: 'string', default: '1' },
    cache: { type: 'string' },
    preset: { type: 'string', default: 'starter-256' },
    precision: { type: 'string', default: 'bfloat16' },
    steps: { type: 'string', default: '3' },
    threads: { type: 'string', default: `${availableParallelism()}` },
  },
});
const [size, batchSize, batches, workers, steps, threads] = [
  Number(values.size),
  Number(values.batch),
  Number(values.batches),
  Number(values.workers),
  Number(values.steps),
  Number(values.threads),
];
if (values.precision !== 'float32' && values.precision !== 'bfloat16') {
  throw new Error(`the precision must be float32 or bfloat16, not ${values.precision}`);
}

/** Seconds on the clock, and of the processors in this process with its threads. */
function clock(): { wall: number; processor: number } {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now() / 1000, processor: (user + system) / 1e6 };
}

/** Images per second that the loader delivers. */
async function loading(root: string): Promise<number> {
  const begun = clock();
  const prepared = await prepareFrames(await openDataset(root), {
    ...{ size, cacheFolder: values.cache, onWarning: console.warn },
  });
  const frames = prepared.clips.reduce((sum, clip) => sum + clip.frames, 0);
  console.log(`${prepared.clips.length} clips, ${frames} frames of ${size} x ${size}`);
  console.log(`prepared in ${(clock().wall - begun.wall).toFixed(1)} s`);
  await using loader = openPairLoader(prepared, { batchSize, seed: 0, workers });
  (await loader.next())[Symbol.dispose]();
  const start = clock();
  for (let i = 0; i < batches; i++) {
    using _batch = await loader.next();
  }
  const end = clock();
  const images = batches * batchSize;
  const rate = images / (end.wall - start.wall);
  console.log(`loader, batch ${batchSize}, ${workers} worker(s): ${rate.toFixed(1)} images/s`);
  console.log(`${((1000 * (end.processor - start.processor)) / images).toFixed(2)} ms of processor time per image`);
  console.log(`resident memory ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`);
  return rate;
}

/** Images per second that training consumes. */
function training(precision: 'float32' | 'bfloat16'): number {
  setThreads(threads);
  const step = animationStepper({ preset: values.preset, lesson: 'paper', precision, size, batchSize });
  step(); // warm up
  const milliseconds = median(Array.from({ length: steps }, step));
  const rate = (1000 * batchSize) / milliseconds;
  console.log(`training step, ${values.preset}, ${precision}, ${threads} threads: ${rate.toFixed(2)} images/s`);
  return rate;
}

const scratch = mkdtempSync(join(tmpdir(), 'dagan-loader-'));
try {
  mkdirSync(join(scratch, 'train'));
  symlinkSync(EXAMPLE_CLIP, join(scratch, 'train', 'example.mp4'));
  const delivered = await loading(positionals[0] ?? scratch);
  const consumed = training(values.precision);
  console.log(`the loader delivers ${(delivered / consumed).toFixed(1)} times what training consumes`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
