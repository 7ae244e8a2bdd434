// What the whole command `dagan animate` costs beside the networks: video in and out, and memory, on the example.
//
//   node benchmarks/dist/command.js [--frames 120]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { EXAMPLE_CLIP, EXAMPLE_PORTRAIT } from './example.js';

const { values } = parseArgs({ options: { frames: { type: 'string', default: '120' } } });

const program = fileURLToPath(new URL('../../packages/dagan/dist/src/cli/main.js', import.meta.url));
/** Makes the command say at its end how much memory it held at most, in KiB. */
const REPORT_PEAK = 'data:text/javascript,process.on("exit",()=>console.error("peak "+process.resourceUsage().maxRSS))';

const folder = mkdtempSync(join(tmpdir(), 'dagan-benchmark-'));
try {
  const output = join(folder, 'out.mp4');
  const words = ['animate', EXAMPLE_PORTRAIT, EXAMPLE_CLIP, '--end', values.frames, '-o', output];
  const begin = performance.now();
  const run = spawnSync(process.execPath, ['--import', REPORT_PEAK, program, ...words], { encoding: 'utf8' });
  const seconds = (performance.now() - begin) / 1000;
  const text = `${run.stdout}\n${run.stderr}`;
  if (run.status !== 0) throw new Error(`dagan animate failed:\n${text}`);
  const stages = /keypoints ([\d.]+) ms, picture ([\d.]+) ms, rest ([\d.]+) ms/.exec(text);
  const peak = /^peak (\d+)$/m.exec(text);
  if (!stages || !peak) throw new Error(`dagan animate reported no times:\n${text}`);
  const [keypoints, picture, rest] = stages.slice(1).map(Number) as [number, number, number];
  const total = keypoints + picture + rest;
  console.log(
    `whole command, ${values.frames} frames: ${seconds.toFixed(1)} s with start; a frame: networks ${(keypoints + picture).toFixed(0)} ms, ` +
      `video in and out ${rest.toFixed(0)} ms (${((100 * rest) / total).toFixed(1)} %); peak memory ${(Number(peak[1]) / 1024).toFixed(0)} MB`,
  );
} finally {
  rmSync(folder, { recursive: true });
}
