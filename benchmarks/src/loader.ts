// How fast training data is delivered, against what training steps consume: the loader alone, on any data set.
//
//   node benchmarks/dist/loader.js DATASET [--size 128] [--batch 8] [--batches 100] [--workers 1] [--cache FOLDER]
//
// The first run with a size decodes the videos into the cache, which is timed too. A step of the animation model consumes
// two frames per image it learns from; so does a sample here, with the augmentation of training.
import { parseArgs } from 'node:util';
import { openDataset, openPairLoader, prepareFrames } from 'dagan';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '128' },
    batch: { type: 'string', default: '8' },
    batches: { type: 'string', default: '100' },
    workers: { type: 'string', default: '1' },
    cache: { type: 'string' },
  },
});
const [root] = positionals;
if (root === undefined) throw new Error('name the folder of a data set, as: node benchmarks/dist/loader.js DATASET');
const [size, batchSize, batches, workers] = [values.size, values.batch, values.batches, values.workers].map(Number);

/** Seconds on the clock, and of the processors in this process with its threads. */
function clock(): { wall: number; processor: number } {
  const { user, system } = process.cpuUsage();
  return { wall: performance.now() / 1000, processor: (user + system) / 1e6 };
}

const dataset = await openDataset(root);
const begun = clock();
const prepared = await prepareFrames(dataset, { size: size!, cacheFolder: values.cache, onWarning: console.warn });
const frames = prepared.clips.reduce((sum, clip) => sum + clip.frames, 0);
console.log(`${prepared.clips.length} clips, ${frames} frames of ${size} x ${size}`);
console.log(`prepared in ${(clock().wall - begun.wall).toFixed(1)} s`);

await using loader = openPairLoader(prepared, { batchSize: batchSize!, seed: 0, workers });
(await loader.next())[Symbol.dispose]();
const start = clock();
for (let i = 0; i < batches!; i++) {
  using _batch = await loader.next();
}
const end = clock();
const images = batches! * batchSize!;
const wall = end.wall - start.wall;
const processor = end.processor - start.processor;
console.log(`batch ${batchSize}, ${workers} worker(s): ${(images / wall).toFixed(1)} images/s`);
console.log(`${((1000 * processor) / images).toFixed(2)} ms of processor time per image`);
console.log(`resident memory ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`);
