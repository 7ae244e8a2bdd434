// Renders clips of textured heads under a moving camera, as folders of frames, for `dagan train depth`. Mixed with clips of
// real faces, they teach which way round a head is: a static camera and a talking face alone leave that open.
// Usage: node scripts/render-heads.mjs FOLDER [--clips 16] [--frames 60] [--size 128] [--seed 0]

import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { renderHeadClip } from '../packages/dagan/dist/src/data/synthetic-head.js';
import { writePicture } from '../packages/dagan/dist/src/media/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    clips: { type: 'string', default: '16' },
    frames: { type: 'string', default: '60' },
    size: { type: 'string', default: '128' },
    seed: { type: 'string', default: '0' },
  },
});
const [folder] = positionals;
const wholeNumber = (name) => {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= 0) return value;
  console.error(`--${name} must be a whole number, not ${values[name]}`);
  process.exit(2);
};
const [clips, frames, size, seed] = ['clips', 'frames', 'size', 'seed'].map(wholeNumber);
if (folder === undefined) {
  console.error('name the folder to write clips to: node scripts/render-heads.mjs clips/train');
  process.exit(2);
}

/** So slow that frames as far apart as those of real clips, some ten, differ by what depth can be learned from. */
const MOTION = 0.1;

await mkdir(folder, { recursive: true });
for (let clip = 0; clip < clips; clip++) {
  const name = join(folder, `rendered${String(seed + clip).padStart(4, '0')}`);
  const unfinished = `${name}.part`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished);
  const rendered = renderHeadClip({ size, frames, seed: seed + clip, motion: MOTION });
  for (const [i, frame] of rendered.frames.entries()) {
    await writePicture(join(unfinished, `${String(i).padStart(4, '0')}.png`), frame);
  }
  await rm(name, { recursive: true, force: true });
  await rename(unfinished, name);
  console.log(`${name}: ${frames} frames`);
}
