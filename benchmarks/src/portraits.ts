// How fast portraits move: pairs per second of one core, and what a pair is made of.
//
//   node benchmarks/dist/portraits.js [FOLDER] [--size 128] [--stored 256] [--pairs 400] [--cache FOLDER]
//
// Without a folder it is the example portrait. Times are those of the processor, so that other programs count little. The last line is the
// ratio: reading and drawing a pair against decoding one frame of it as lossless WebP, as frame packs hold them.
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { drawPair, loadFaceSurface, MadeUpExpressions, preparePortraits, Random, readPortrait } from 'dagan/data';
import sharp from 'sharp';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '128' },
    stored: { type: 'string', default: '256' },
    pairs: { type: 'string', default: '400' },
    cache: { type: 'string' },
  },
});
const [size, stored, pairs] = [Number(values.size), Number(values.stored), Number(values.pairs)];
const WARM_UP = 50;

/** Milliseconds of processor time of one run of `work`. */
async function cost(name: string, work: (i: number) => unknown): Promise<number> {
  for (let i = 0; i < WARM_UP; i++) await work(i);
  const start = process.cpuUsage();
  for (let i = 0; i < pairs; i++) await work(i);
  const { user, system } = process.cpuUsage(start);
  const milliseconds = (user + system) / 1000 / pairs;
  console.log(`${name}: ${milliseconds.toFixed(2)} ms`);
  return milliseconds;
}

const scratch = mkdtempSync(join(tmpdir(), 'dagan-portraits-'));
try {
  const portrait = fileURLToPath(new URL('../../examples/portrait.png', import.meta.url));
  copyFileSync(portrait, join(scratch, 'portrait.png'));
  const prepared = await preparePortraits(positionals[0] ?? scratch, {
    ...{ size: stored, cacheFolder: values.cache, onWarning: console.warn },
  });
  console.log(`${prepared.portraits.length} portraits of ${stored} x ${stored}, pairs of ${size} x ${size}`);
  const surface = await loadFaceSurface();
  const expressions = new MadeUpExpressions(surface);
  const read = (i: number) => readPortrait(prepared, i % prepared.portraits.length, surface);
  const still = await read(0);
  await cost('read a portrait', read);
  await cost('draw a pair', (i) => drawPair(new Random('pair', i), still, expressions, size));
  const whole = await cost('read a portrait and draw a pair of it', async (i) =>
    drawPair(new Random('pair', i), await read(i), expressions, size),
  );
  const { width, height, data } = still.render({}, size).picture;
  const frame = await sharp(data, { raw: { width, height, channels: 3 } })
    .webp({ lossless: true, effort: 0 })
    .toBuffer();
  const decoding = await cost('decode a frame', () => sharp(frame).raw().toBuffer());
  console.log(`${(1000 / whole).toFixed(0)} pairs/s of one core`);
  console.log(`a pair costs ${(whole / decoding).toFixed(1)} times what decoding a frame costs`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
