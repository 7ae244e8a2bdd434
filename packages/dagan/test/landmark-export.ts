// Exported graphs of models that landmarks of the face mesh move: the same frames as LibTorch's.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tensor } from '@dagan/libtorch';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { loadOnnxEngine } from '../src/animation/engines/onnx-runtime.js';
import { exportModel } from '../src/export/export-model.js';
import { readManifest } from '../src/export/exported-folder.js';
import type { AnimationModel } from '../src/models/animation-model.js';
import { LANDMARK_POINTS } from '../src/models/drawn-landmarks.js';
import type { KeypointSet } from '../src/tensors/keypoint-set.js';
import { landmarksOf } from '../src/training/animation/landmark-objective.js';
import { faceClip, landmarksOfFrame } from './face-clip.js';

/** The 68 landmarks of a frame of the clip. */
function keypointsOfFrame(frame: number): KeypointSet {
  using places = tensor([[landmarksOfFrame(frame), landmarksOfFrame(frame)]]);
  using found = landmarksOf(places, 0); // [1, 68, 2]
  return { value: found.toFloat32Array(), jacobian: null };
}

/**
 * Exports a model for pictures of `side` x `side` into the folder, which holds graphs of another one already, and compares frames, also
 * of a driver whose jaw is not known.
 *
 * @param load makes the model anew, since exporting changes it
 */
export async function assertExported(load: () => AnimationModel, folder: string, side: number): Promise<void> {
  const model = load();
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'drive.onnx'), 'of another model');
  await exportModel(model, folder, { size: side });
  model.dispose();
  assert.ok(!existsSync(join(folder, 'drive.onnx')), 'there is no step that finds landmarks');
  assert.deepEqual(Object.keys(readManifest(folder).graphs), ['source', 'generate']);
  const [portrait] = faceClip(side);
  const unknown = keypointsOfFrame(2);
  unknown.value.fill(Number.NaN, 0, 2 * 17);
  const drivers = [keypointsOfFrame(1), keypointsOfFrame(3), unknown];
  const exported = await loadOnnxEngine(folder, { threads: 1 });
  const engines = [new LibtorchEngine(load(), { size: side }), exported] as const;
  try {
    assert.deepEqual(exported.motion.meshPoints, LANDMARK_POINTS);
    await assert.rejects(exported.setSource(portrait!), /face mesh/);
    await assert.rejects(exported.drive([portrait!]), /face mesh/);
    const [expected, actual] = await Promise.all(
      engines.map(async (engine) => {
        await engine.setSource(portrait!, { keypoints: keypointsOfFrame(0) });
        return engine.generate(drivers);
      }),
    );
    for (const [i, { data }] of expected!.entries()) {
      const furthest = Math.max(...data.map((byte, at) => Math.abs(byte - actual![i]!.data[at]!)));
      assert.ok(furthest <= 1, `frame ${i} differs by ${furthest}`);
    }
    assert.notDeepEqual(expected![0]!.data, expected![1]!.data, 'drivers count');
    const seen = await exported.inspect(drivers[0]!);
    assert.deepEqual([seen.deformation, seen.occlusion], [null, null]);
  } finally {
    for (const engine of engines) engine.dispose();
  }
}
