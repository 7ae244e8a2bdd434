// The example of docs/export.md, which animates in Python with nothing but ONNX Runtime: the same frames as here.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { exportModel } from '../src/export/index.js';
import { readPicture } from '../src/media/index.js';
import { animateClip, recordMotion } from '../src/pipelines/index.js';
import { formulaModel, SMALL } from './cli-run.js';
import { temporaryFolder } from './media-fixtures.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const [, program = ''] = /```python\n(""".*?)```/s.exec(readFileSync(join(root, 'docs', 'export.md'), 'utf8')) ?? [];

/** A Python that has what the example needs; nothing else here needs one. */
const python = process.env.DAGAN_ONNX_PYTHON ?? 'python3';
const absent = spawnSync(python, ['-c', 'import onnxruntime, numpy, PIL']).status !== 0;
const missing =
  absent && 'not run: there is no Python with onnxruntime, numpy and pillow (DAGAN_ONNX_PYTHON names one)';

const folder = await temporaryFolder();
const path = (...names: string[]): string => join(folder, ...names);

test('the example in Python has at most 40 lines, and imports three packages', () => {
  const lines = program.trimEnd().split('\n');
  assert.ok(lines.length > 20 && lines.length <= 40, `${lines.length} lines`);
  const imports = lines.filter((line) => /^(import|from) /.test(line)).join(' ');
  assert.deepEqual(
    imports.match(/\w+/g)?.filter((word) => !['import', 'from', 'as', 'np', 'ort'].includes(word)),
    [...['json', 'os', 'sys', 'numpy', 'onnxruntime', 'PIL', 'Image']],
  );
});

/** Frames of the example and of `animateClip` with one model. */
async function bothOf(model: string, name: string): Promise<void> {
  const choice = { checkpoint: model, engine: 'onnx', threads: 1 } as const;
  const portrait = join(root, 'examples', 'portrait.png');
  const crop = { kind: 'none' } as const;
  const [own, driving] = [path(`${name}-own.motion.safetensors`), path(`${name}.motion.safetensors`)];
  await recordMotion({ ...choice, driving: portrait, output: own, crop });
  const clip = { driving: join(root, 'examples', 'driving.mp4'), crop, end: 3 };
  await recordMotion({ ...choice, ...clip, output: driving });
  const moved = path(`${name}-moved.motion.safetensors`);
  await recordMotion({ ...choice, ...clip, output: moved, portrait: own });
  const here = await animateClip({ ...choice, portrait, driving, output: path(`${name}-here/`), crop });
  assert.equal(here.frames, 3);
  writeFileSync(path('animate.py'), program);
  const words = [path('animate.py'), model, portrait, own, moved, path(`${name}-there`)];
  await promisify(execFile)(python, words, { env: { ...process.env, OMP_NUM_THREADS: '1' } });
  const frames = readdirSync(path(`${name}-here`)).sort();
  assert.deepEqual(readdirSync(path(`${name}-there`)).sort(), frames);
  for (const frame of frames) {
    const [ours, theirs] = [
      await readPicture(path(`${name}-here`, frame)),
      await readPicture(path(`${name}-there`, frame)),
    ];
    const worst = ours.data.reduce((most, byte, i) => Math.max(most, Math.abs(byte - theirs.data[i]!)), 0);
    assert.ok(worst <= 1, `${name} ${frame}: off by ${worst} of 255`);
  }
}

test('its frames are those of animateClip, with keypoints of the face mesh', { skip: missing }, async () => {
  await bothOf(join(root, 'weights', 'starter'), 'starter');
});

test('its frames are those of animateClip, with keypoints and jacobians of the network', {
  skip: missing,
}, async () => {
  await exportModel(formulaModel(SMALL), path('small'));
  await bothOf(path('small'), 'small');
});
