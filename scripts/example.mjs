// Animates the example portrait by the first seconds of the example clip.
// Usage: node scripts/example.mjs [OPTIONS of dagan animate]

import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const output = join('out', 'example.mp4');
const frames = 60;

mkdirSync(join(root, 'out'), { recursive: true });
console.log(`[example] animating examples/portrait.png by ${frames} frames of examples/driving.mp4`);
const words = ['animate', 'examples/portrait.png', 'examples/driving.mp4', '-o', output, '--end', `${frames}`];
const run = spawnSync(
  process.execPath,
  [join('packages', 'dagan', 'dist', 'src', 'cli', 'main.js'), ...words, '--side-by-side', ...process.argv.slice(2)],
  { cwd: root, stdio: 'inherit' },
);
if (run.status !== 0) {
  console.error('[example] no animation was made; `npm run dagan doctor` tells what may be missing');
  process.exit(run.status ?? 1);
}
console.log(`[example] ready: open ${output}. From left: portrait, driving frame, depth, keypoints, result`);
