// Programs that end while threads of theirs are in native code.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { EngineSetup } from '../src/animation/engines/engine-threads.js';
import { exportModel } from '../src/export/index.js';
import { saveModel } from '../src/models/index.js';
import { formulaModel, SMALL } from './cli-run.js';
import { temporaryFolder } from './media-fixtures.js';

const WORKER = fileURLToPath(new URL('./exit-worker.js', import.meta.url));

test('a program may exit at any moment while its engines are at work: twenty times, both kinds', async () => {
  const folder = await temporaryFolder();
  const model = formulaModel(SMALL);
  saveModel(join(folder, 'model.safetensors'), model);
  await exportModel(model, join(folder, 'exported'), {});
  const setups: EngineSetup[] = [
    { runtime: 'onnx', folder: join(folder, 'exported'), options: { threads: 1 } },
    { runtime: 'libtorch', files: { checkpoint: join(folder, 'model.safetensors') }, options: {}, threads: 1 },
  ];
  for (const setup of setups) {
    for (let time = 0; time < 10; time++) {
      const { status, signal, stderr } = spawnSync(process.execPath, [WORKER, JSON.stringify(setup), `${7 * time}`], {
        encoding: 'utf8',
        env: { ...process.env, OMP_NUM_THREADS: '1' },
      });
      assert.deepEqual({ status, signal }, { status: 7, signal: null }, `${setup.runtime}, time ${time}: ${stderr}`);
    }
  }
});
