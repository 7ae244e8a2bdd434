// The system like MeshG: its mesh, the motion field between two meshes, landmarks that lead the mesh, and its files in commands.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { manualSeed, noGrad, setThreads, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { loadOnnxEngine } from '../src/animation/engines/onnx-runtime.js';
import { exportModel } from '../src/export/export-model.js';
import { MIRRORED_POINTS, SURFACE_POINTS } from '../src/faces/landmarks.js';
import { coarseEdges } from '../src/geometry/coarse-mesh.js';
import { openClip, writePicture } from '../src/media/index.js';
import { loadModel, saveModel, weightsHash } from '../src/models/files/model-file.js';
import { MeshGLike, type MeshGLikeConfig } from '../src/models/meshg-like/meshg-like.js';
import { coordinateGrid } from '../src/tensors/grid.js';
import type { SystemTrainingConfig } from '../src/training/animation/system-config.js';
import { SYSTEM_PRESETS } from '../src/training/animation/system-presets.js';
import { SystemTrainee } from '../src/training/animation/system-trainee.js';
import { dagan } from './cli-run.js';
import { makeMp4, scene, temporaryFolder } from './media-fixtures.js';
import { noise } from './small-models.js';

setThreads(1);

const PRESET = SYSTEM_PRESETS['meshg-like-small'];
const VERTICES = SURFACE_POINTS.length;

const CONFIG: MeshGLikeConfig = {
  system: 'meshg-like',
  numVertices: VERTICES,
  fitter: { blockExpansion: 8, maxFeatures: 32, numBlocks: 3, scaleFactor: 1, numIdentities: 6, numExpressions: 5 },
  motion: { graphChannels: 8, latent: 16, blockExpansion: 4 },
  generator: { blockExpansion: 8, maxFeatures: 16, numDownBlocks: 2, numBottleneckBlocks: 1 },
};

const TRAINING: SystemTrainingConfig = {
  ...PRESET,
  model: CONFIG,
  phases: [{ size: 64, share: 1 }],
  weights: { ...PRESET.weights, perceptual: 0 },
};

/** A model whose mesh is that of a face, as training makes it, with random weights. */
function freshModel(): MeshGLike {
  manualSeed(4);
  using trainee = new SystemTrainee(TRAINING, null, { device: 'cpu', group: null });
  const model = new MeshGLike(CONFIG);
  tidy(() => model.loadStateDict(trainee.model.stateDict()));
  return model.eval().requiresGrad_(false) as MeshGLike;
}

const furthest = (a: Tensor, b: Tensor): number => a.sub(b).abs().amax().item();

test('a coarse mesh joins points over the surface between them', () => {
  // Two rows of points, 0 1 2 3 4 above 5 6 7 8 9, with two triangles in every square.
  const triangles = [0, 1, 2, 3].flatMap((i) => [i, i + 1, i + 5, i + 1, i + 6, i + 5]);
  assert.deepEqual(coarseEdges(triangles, [0, 2, 4]), [
    [0, 1],
    [1, 2],
  ]);
  assert.deepEqual(coarseEdges(triangles, [4, 0]), [[0, 1]]);
  const all = coarseEdges(triangles, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(all.length, 4 + 4 + 5 + 4, 'all edges of the mesh itself');
});

test('the mesh is the face: every vertex has neighbours, left as right, and begins about where faces are', () => {
  using model = freshModel();
  tidy(() => {
    const { points, adjacency } = model.mesh;
    const rows = adjacency.toFloat32Array();
    const joined = (a: number, b: number): boolean => rows[a * VERTICES + b]! > 0;
    for (let a = 0; a < VERTICES; a++) {
      const row = rows.subarray(a * VERTICES, (a + 1) * VERTICES);
      const neighbours = row.filter((weight) => weight > 0).length - 1;
      assert.ok(neighbours >= 2 && neighbours < 24, `vertex ${a} has ${neighbours} neighbours`);
      assert.ok(Math.abs(row.reduce((sum, weight) => sum + weight, 0) - 1) < 1e-5);
    }
    const place = (point: number): number => SURFACE_POINTS.indexOf(point);
    assert.ok(joined(place(13), place(312)) && joined(place(13), place(82)), 'along the lip');
    assert.ok(!joined(place(33), place(263)), 'no edge from eye to eye');
    const xs = points.select(1, 0).toFloat32Array();
    const mirrored = MIRRORED_POINTS.map((point) => xs[place(point)]!);
    assert.ok(Array.from(xs).every((x, i) => Math.abs(x + mirrored[i]!) < 0.02));
    const { value } = model.source(noise(64)).keypoints;
    const ys = value.select(2, 1);
    const height = ys.amax().item() - ys.amin().item();
    assert.ok(height > 0.8 && height < 1.5, `a face of ${height} in a picture of 2`);
  });
});

test('shapes, and a portrait of one face for drivers of others', () => {
  using model = freshModel();
  tidy(() => {
    const source = model.source(noise(64));
    const driving = model.driving(noise(64, { seed: 2, count: 3 }), source);
    assert.deepEqual(driving.keypoints.value.shape, [3, VERTICES, 3]);
    assert.ok(furthest(driving.keypoints.head!.canonical, source.neutral) < 1e-6, "the portrait's own shape");
    const frame = model.generate(source, driving.keypoints);
    assert.deepEqual(frame.prediction.shape, [3, 3, 64, 64]);
    assert.deepEqual(frame.deformation.shape, [3, 64, 64, 2]);
    assert.deepEqual(frame.occlusionMap!.shape, [3, 1, 64, 64]);
    assert.ok(frame.prediction.amin().item() >= 0 && frame.prediction.amax().item() <= 1);
  });
});

test('before anything is learned the field is half the affine map from the driven mesh to the source', () => {
  using model = freshModel();
  tidy(() => {
    const { value } = model.source(noise(64)).keypoints;
    const shift = tensor(Float32Array.of(0.2, -0.1, 0), { shape: [1, 1, 3] });
    const { deformation } = model.motionNetwork.forward(model.mesh, value, value.add(shift));
    const expected = coordinateGrid(64, 64, { dtype: 'float32', device: 'cpu' }).sub(
      tensor(Float32Array.of(0.1, -0.05), { shape: [1, 1, 2] }),
    );
    assert.ok(furthest(deformation, expected.unsqueeze(0)) < 1e-4);
  });
});

test('landmarks lead the vertices, those that are not seen nowhere', () => {
  manualSeed(5);
  const weights = { ...TRAINING.weights, pixel: 0, warp: 0 };
  using trainee = new SystemTrainee({ ...TRAINING, weights }, null, { device: 'cpu', group: null });
  const pair = { source: noise(64, { seed: 1, count: 2 }), driving: noise(64, { seed: 2, count: 2 }) };
  const learn = (landmarks: Tensor): number =>
    trainee.learn({ ...pair, landmarks }, { step: 0, learningRate: 1e-3, drawing: false }).losses.landmark!;
  assert.throws(() => trainee.learn(pair, { step: 0, learningRate: 1e-3, drawing: false }), /where landmarks are/);
  // The face of each picture elsewhere, a third smaller than usual.
  const places = tidy(() => {
    const face = (trainee.model as MeshGLike).mesh.points.toFloat32Array();
    return Float32Array.from({ length: 4 * VERTICES * 3 }, (_, i) => {
      const [which, vertex, axis] = [Math.floor(i / (3 * VERTICES)), Math.floor(i / 3) % VERTICES, i % 3];
      return axis === 2 ? 1 : 0.8 * face[3 * vertex + axis]! + [0.2, -0.1, 0.05, -0.2][which]!;
    });
  });
  const landmarks = tensor(places, { shape: [2, 2, VERTICES, 3] });
  const first = learn(landmarks);
  let last = first;
  for (let step = 0; step < 40; step++) last = learn(landmarks);
  assert.ok(last < 0.4 * first, `from ${first} to ${last}`);
  assert.equal(learn(landmarks.mul(0)), 0);
});

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);

test('files say what they are and animate, heads turn by angles, and graphs give the same frames', async () => {
  using model = freshModel();
  saveModel(path('mesh.safetensors'), model, { name: 'small' });
  const load = () => loadModel({ checkpoint: path('mesh.safetensors') }).model;
  using back = load();
  assert.equal(weightsHash(back.stateDict()), weightsHash(model.stateDict()));
  assert.deepEqual(back.config, CONFIG);
  const info = await dagan(folder, ['info', 'mesh.safetensors']);
  assert.match(info.stdout, /like MeshG \(ours\): a mesh of 148 vertices/);
  await writePicture(path('face.png'), scene(64, 64, 3));
  await makeMp4(path('talk.mp4'), { width: 64, height: 64, frames: 3 });
  const words = ['animate', 'face.png', 'talk.mp4', '--checkpoint', 'mesh.safetensors', '--precision', 'float32'];
  const run = await dagan(folder, [...words, '--crop', 'none', '--yaw', '15', '-o', 'out.mp4']);
  assert.equal(run.code, 0, run.stderr);
  const clip = await openClip(path('out.mp4'));
  let frames = 0;
  for await (const _ of clip.frames()) frames += 1;
  assert.equal(frames, 3);

  await exportModel(load(), path('exported'), { size: 64 });
  const engines = [
    new LibtorchEngine(load(), { size: 64 }),
    await loadOnnxEngine(path('exported'), { threads: 1 }),
  ] as const;
  const [expected, actual] = await Promise.all(
    engines.map(async (engine) => {
      await engine.setSource(scene(64, 64, 3));
      const { keypoints } = (await engine.drive([scene(64, 64, 9)]))[0]!;
      return { keypoints, frame: (await engine.generate([keypoints]))[0]!.data };
    }),
  );
  const [own, theirs] = [expected!.keypoints, actual!.keypoints];
  assert.ok(
    own.value.every((x, i) => Math.abs(x - theirs.value[i]!) < 1e-4),
    'the driven mesh',
  );
  assert.ok(
    own.head!.canonical.every((x, i) => Math.abs(x - theirs.head!.canonical[i]!) < 1e-4),
    'in whose shape',
  );
  assert.ok(
    own.head!.angles.every((x, i) => Math.abs(x - theirs.head!.angles[i]!) < 1e-2),
    'its angles',
  );
  assert.ok(expected!.frame.every((byte, i) => Math.abs(byte - actual!.frame[i]!) <= 1));
  for (const engine of engines) engine.dispose();
});

test('the numbers of the mesh must be those of its vertices', () => {
  using model = freshModel();
  noGrad(() => assert.throws(() => model.mesh.fill([0, 0, 0], []), /has 148 vertices, not 1/));
});
