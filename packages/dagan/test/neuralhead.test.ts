// NeuralHead-FF: drawn landmarks, sizes of the paper, several portraits, training, files, and the face mesh that drives it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cat, manualSeed, noGrad, setThreads, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { MeshGuidedEngine } from '../src/animation/mesh-keypoints.js';
import { MotionTransfer } from '../src/animation/motion.js';
import { exportModel } from '../src/export/export-model.js';
import { FaceAnalyzer } from '../src/faces/analyzer.js';
import { MIRRORED_POINTS, TRAVELLING_POINTS } from '../src/faces/landmarks.js';
import { createPicture, readPicture } from '../src/media/index.js';
import { drawLandmarks, LANDMARK_POINTS } from '../src/models/drawn-landmarks.js';
import { loadModel, saveModel } from '../src/models/files/model-file.js';
import { NEURALHEAD_PAPER, type NeuralHeadConfig } from '../src/models/neuralhead/config.js';
import { NeuralHead } from '../src/models/neuralhead/neuralhead.js';
import { ProjectionDiscriminator } from '../src/models/projection-discriminator.js';
import { landmarksOf } from '../src/training/animation/landmark-objective.js';
import type { SystemTrainingConfig } from '../src/training/animation/system-config.js';
import { SYSTEM_PRESETS } from '../src/training/animation/system-presets.js';
import { SystemTrainee } from '../src/training/animation/system-trainee.js';
import { learnByHeart } from './by-heart.js';
import { dagan } from './cli-run.js';
import { assertClose } from './compare.js';
import { faceClip, facePairs, landmarksOfFrame } from './face-clip.js';
import { assertExported } from './landmark-export.js';
import { temporaryFolder } from './media-fixtures.js';
import { noise } from './small-models.js';

setThreads(1); // the networks are so small that two wait for each other

const PLACE = { device: 'cpu', group: null } as const;
const SIDE = 32;

const SMALL: NeuralHeadConfig = {
  system: 'neuralhead-ff',
  ...{ blockExpansion: 16, maxFeatures: 32, numEmbedderBlocks: 3, numDownBlocks: 2, numBottleneckBlocks: 1 },
};

const TRAINING: SystemTrainingConfig = {
  ...SYSTEM_PRESETS['neuralhead-ff-small'],
  model: SMALL,
  phases: [{ size: SIDE, share: 1 }],
  weights: { ...SYSTEM_PRESETS['neuralhead-ff-small'].weights, perceptual: 0 },
};

/** The 68 landmarks of frames of the clip, [N, 68, 2]. */
const landmarks = (...frames: number[]): Tensor => {
  const found = tensor(frames.map((frame) => [landmarksOfFrame(frame), landmarksOfFrame(frame)]));
  return landmarksOf(found, 0);
};

/** A model whose spectral norms have settled, as after training. */
function settled(): NeuralHead {
  const model = new NeuralHead(SMALL).train();
  noGrad(() =>
    tidy(() => {
      for (let i = 0; i < 3; i++) {
        const source = model.source(noise(SIDE), [], [landmarks(0)]);
        model.generate(source, { value: landmarks(1), jacobian: null });
      }
    }),
  );
  return model;
}

test('the 68 points travel with pictures, and a mirrored face has them where its other side was', () => {
  assert.equal(new Set(LANDMARK_POINTS).size, 68);
  for (const point of LANDMARK_POINTS) {
    const place = TRAVELLING_POINTS.indexOf(point);
    assert.ok(place >= 0, `point ${point} does not travel`);
    assert.ok(LANDMARK_POINTS.includes(MIRRORED_POINTS[place]!), `point ${point} has no counterpart`);
  }
});

test('landmarks are drawn as lines in the colour of their part, and lines to what was not seen are left out', () => {
  tidy(() => {
    const places = landmarks(0);
    const drawing = drawLandmarks(places, [64, 64]); // [1, 3, 64, 64]
    assert.ok(drawing.ge(0).all().item() && drawing.le(1).all().item());
    const colourAt = (point: number): Float32Array => {
      const [x, y] = places.select(1, LANDMARK_POINTS.indexOf(point)).flatten().toFloat32Array();
      const [column, row] = [x!, y!].map((at) => Math.round(((at + 1) / 2) * 63)) as [number, number];
      return drawing.select(3, column).select(2, row).flatten().toFloat32Array();
    };
    const [red, green, blue] = colourAt(152); // the chin, on the green line of the jaw
    assert.ok(green! > 0.4 && red! < 0.3 * green! && blue! < 0.3 * green!, `${[red, green, blue]}`);
    const [brow] = colourAt(334);
    assert.ok(brow! > 0.4, `${brow}`);
    assert.equal(drawLandmarks(places.mul(Number.NaN), [64, 64]).sum().item(), 0);
    const half = cat([places.narrow(1, 0, 17).mul(Number.NaN), places.narrow(1, 17, 51)], 1);
    const rest = drawLandmarks(half, [64, 64]);
    assert.ok(rest.sum().item() > 0 && rest.sum().item() < drawing.sum().item());
    assertClose(drawLandmarks(cat([places, half], 0), [64, 64]), cat([drawing, rest], 0), 1e-6, 'one by one');
    const shifted = drawLandmarks(places.add(tensor([8 / 63, 0])), [64, 64]);
    assertClose(shifted.narrow(3, 20, 30), drawing.narrow(3, 16, 30), 1e-4, 'four pixels to the right');
  });
});

test('sizes are those of the paper', () => {
  using model = new NeuralHead();
  const millions = (module: { parameters(): Iterable<Tensor> }): number =>
    [...module.parameters()].reduce((sum, { numel }) => sum + numel, 0) / 1e6;
  assert.equal(model.landmarkGenerator.styleLength, 13_056);
  assert.ok(Math.abs(millions(model.embedder) - 14.8) < 0.05);
  assert.ok(Math.abs(millions(model.landmarkGenerator) - (31.2 + 6.7)) < 0.1);
  const { numEmbedderBlocks: numBlocks, blockExpansion, maxFeatures } = NEURALHEAD_PAPER;
  using judge = new ProjectionDiscriminator({ numBlocks, blockExpansion, maxFeatures, people: 3 });
  assert.ok(Math.abs(millions(judge) - 19.5) < 0.1);
});

test('the embedding is the mean of the portraits’, one source serves many drivers, and every parameter learns', () => {
  using model = settled();
  const portraits = [1, 2, 3].map((seed) => noise(SIDE, { seed }));
  const places = [0, 1, 2].map((frame) => landmarks(frame));
  tidy(() => {
    model.eval();
    const alone = portraits.map((portrait, i) => model.source(portrait, [], [places[i]!]).embedding);
    const together = model.source(portraits[0]!, portraits.slice(1), places);
    assertClose(together.embedding, alone[0]!.add(alone[1]!).add(alone[2]!).div(3), 1e-4);
    assert.throws(() => model.source(portraits[0]!, portraits.slice(1), places.slice(1)), /landmarks of 2/);
    assert.throws(() => model.driving(), /face mesh/);
    const value = landmarks(0, 1, 3);
    const { prediction } = model.generate(together, { value, jacobian: null });
    assert.deepEqual(prediction.shape, [3, 3, SIDE, SIDE]);
    const single = model.generate(together, { value: value.narrow(0, 1, 1), jacobian: null });
    assertClose(prediction.narrow(0, 1, 1), single.prediction, 1e-4, 'in a batch and alone');
  });
  model.train();
  const source = model.source(portraits[0]!, portraits.slice(1), places);
  const { prediction } = model.generate(source, { value: landmarks(0, 1, 2), jacobian: null });
  prediction
    .sub(noise(SIDE, { count: 3 }))
    .abs()
    .mean()
    .backward();
  for (const [name, parameter] of model.namedParameters()) {
    assert.ok(parameter.grad!.abs().amax().item() > 0, `${name} learns nothing`);
  }
});

test('the discriminator knows people apart, and begins anew with those it does not know', () => {
  using judge = new ProjectionDiscriminator({ numBlocks: 3, blockExpansion: 8, maxFeatures: 16, people: 2 }).eval();
  tidy(() => {
    const frame = noise(SIDE).expand(3, 3, SIDE, SIDE);
    const drawing = drawLandmarks(landmarks(0, 0, 0), [SIDE, SIDE]);
    const { prediction, features } = judge.forward(frame, drawing, tensor([0, 1, 2]));
    const [first, second, third] = prediction.flatten().toArray() as number[];
    assert.notEqual(first, second);
    assert.ok(Math.abs(first! - third!) < 1e-4 * Math.abs(first!) + 1e-5);
    assert.equal(features.length, 4);
  });
});

test('a clip is learned by heart', async () => {
  manualSeed(1);
  using trainee = new SystemTrainee({ ...TRAINING, averageDecay: 0.9 }, null, PLACE);
  const batch = facePairs(faceClip(SIDE), { landmarks: true });
  const { result } = await learnByHeart(trainee, batch);
  assert.equal(result.meshDistance, undefined, 'no motion field, no figures of one');
});

test('the paper’s losses: a discriminator that knows whom it sees, its features, and a network that knows faces', () => {
  manualSeed(1);
  const weights = { ...SYSTEM_PRESETS['neuralhead-ff'].weights, perceptual: 0 };
  const config = { ...TRAINING, weights };
  using trainee = new SystemTrainee(config, null, PLACE, 4);
  assert.equal(trainee.stateDict().get('discriminator.identities')!.size(0), 4);
  const pair = facePairs(faceClip(SIDE), { landmarks: true });
  const batch = { ...pair, person: tensor([0, 1, 2, 3]) };
  const { losses, gradientNorms, sheet } = trainee.learn(batch, { step: 0, learningRate: 1e-4, drawing: true });
  assert.deepEqual(Object.keys(losses).sort(), [
    ...['discriminator', 'featureMatching', 'generatorAdversarial', 'identity', 'total'],
  ]);
  assert.ok(gradientNorms.generator! > 0 && gradientNorms.discriminator! > 0 && sheet);
  using other = new SystemTrainee(config, null, PLACE, 4);
  tidy(() => other.loadStateDict(trainee.stateDict()));
  const again = [trainee, other].map((each) => each.learn(batch, { step: 1, learningRate: 1e-4, drawing: false }));
  assert.deepEqual(again[1]!.losses, again[0]!.losses, 'a checkpoint goes on as if nothing had happened');
  const { landmarks: _, ...blind } = pair;
  assert.throws(() => trainee.learn(blind, { step: 2, learningRate: 1e-4, drawing: false }), /where they are/);
});

const portraitPath = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));

test('the face mesh drives it: landmarks of the portrait and the driver, relative motion, and frames without a face', async () => {
  await using faces = await FaceAnalyzer.load({ mesh: 'refined' });
  const portrait = await readPicture(portraitPath);
  const bare = new LibtorchEngine(settled(), { size: 256 });
  await assert.rejects(bare.setSource(portrait), /landmarks of 0/);
  await assert.rejects(bare.drive([portrait]), /face mesh/);
  const engine = new MeshGuidedEngine(bare, faces);
  try {
    const { keypoints } = await engine.setSource(portrait, { others: [portrait] });
    assert.equal(keypoints.value.length, 2 * 68);
    const chin = LANDMARK_POINTS.indexOf(152);
    const brow = LANDMARK_POINTS.indexOf(105);
    assert.ok(keypoints.value[2 * chin + 1]! > keypoints.value[2 * brow + 1]! + 0.3, 'the chin is below the brow');
    const nothing = createPicture(256, 256);
    const [first, lost] = await engine.drive([portrait, nothing]);
    assert.deepEqual(lost!.keypoints.value, first!.keypoints.value, 'stays as it was');
    const motion = new MotionTransfer(keypoints, { space: engine.motion, controls: { strength: 0.5 } });
    motion.next(first!.keypoints);
    const driven = { value: first!.keypoints.value.map((value, i) => (i % 2 ? value : value + 0.2)), jacobian: null };
    const moved = motion.next(driven);
    for (const [i, value] of moved.value.entries()) {
      assert.ok(Math.abs(value - keypoints.value[i]! - (i % 2 ? 0 : 0.1)) < 0.01, `${value}`);
    }
    const seen = await engine.inspect(moved, { withTensors: true, driving: portrait });
    assert.equal(seen.deformation, null);
    assert.deepEqual(seen.tensors!.get('driving_drawing')!.shape, [1, 3, 256, 256]);
    await assert.rejects(engine.setSource(nothing), /no face in a portrait/);
  } finally {
    engine.dispose();
  }
});

test('the command tells, animates at the size of the training with several portraits, inspects, exports, and says what cannot be', async () => {
  const folder = await temporaryFolder();
  using model = settled();
  saveModel(join(folder, 'model.safetensors'), model, { name: 'small', training_size: '64' });
  const { model: back } = loadModel({ checkpoint: join(folder, 'model.safetensors') });
  assert.deepEqual(back.config, SMALL);
  back.dispose();
  const run = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await dagan(folder, words);
    assert.equal(code, 0, stderr);
    return stdout + stderr;
  };
  assert.match(
    await run('info', 'model.safetensors'),
    /NeuralHead-FF: 68 landmarks.*drawn; an embedding of 32 numbers/,
  );
  const checkpoint = ['--checkpoint', 'model.safetensors', '--precision', 'float32'];
  const animate = ['animate', portraitPath, portraitPath.replace('portrait.png', 'driving.mp4'), ...checkpoint];
  const told = await run(...animate, '--portraits', portraitPath, '--end', '2', '-o', 'out.mp4');
  assert.match(told, /networks for 64 x 64 pixels, keypoints of the face mesh/);
  assert.match(told, /2 frames of 256 x 256/);
  await run('inspect', portraitPath, portraitPath, ...checkpoint, '-o', 'seen.safetensors');
  const refused = async (expected: RegExp, ...words: string[]): Promise<void> => {
    const { code, stderr } = await dagan(folder, words);
    assert.notEqual(code, 0);
    assert.match(stderr, expected);
  };
  await refused(/face mesh.*leave --keypoints out/, ...animate, '--keypoints', 'network', '-o', 'no.mp4');
  await refused(/have no names/, ...animate, '--mouth', '0.5', '-o', 'no.mp4');
  await run('export', '--checkpoint', 'model.safetensors', '-o', 'exported');
  assert.match(
    await run('info', 'exported'),
    /source\.onnx.*\n.*image \[1, 3, 64, 64\], source_keypoints \[1, 68, 2\].*\n.*style/,
  );
  const shown = [...animate.slice(0, 3), '--checkpoint', 'exported'];
  assert.match(await run(...shown, '--end', '2', '-o', 'exported.mp4'), /ONNX.*64 x 64 pixels/);
  await refused(/one portrait/, ...shown, '--portraits', portraitPath, '-o', 'no.mp4');
});

test('graphs give the same frames, and a system without them says so', async () => {
  const folder = await temporaryFolder();
  manualSeed(3);
  using model = settled();
  const load = (): NeuralHead => {
    const copy = new NeuralHead(SMALL);
    tidy(() => copy.loadStateDict(model.stateDict()));
    return copy;
  };
  await assertExported(load, join(folder, 'exported'), SIDE);
  const unfinished = Object.defineProperty(load(), 'sourceTensors', { value: undefined });
  await assert.rejects(exportModel(unfinished, join(folder, 'no')), /neuralhead-ff cannot be exported/);
  unfinished.dispose();
});
