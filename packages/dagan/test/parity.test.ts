// The networks against numbers of the published implementation, computed with the same weights.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noGrad, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { LibtorchEngine } from '../src/animation/engines/index.js';
import { animate } from '../src/animation/index.js';
import type { Picture } from '../src/media/pictures/picture.js';
import { DaGAN, MODEL_PRESETS, type ModelConfig, publishedName } from '../src/models/index.js';
import type { KeypointSet } from '../src/tensors/keypoint-set.js';
import { largestDifference } from './compare.js';
import { publishedShapes, referenceTensors, sharedMissing, sharedPath } from './shared.js';
import { formulaModel } from './small-models.js';
import { everythingSeen } from './whole-pass.js';

const dagan = MODEL_PRESETS.dagan;
const spade50: ModelConfig = { ...MODEL_PRESETS['dagan-spade'], depth: { layers: 50 } };

/** The tiny configuration of the reference data's training step and checkpoints. */
const few = { blockExpansion: 16, maxFeatures: 64 };
const tiny: ModelConfig = {
  ...dagan,
  numKeypoints: 5,
  keypointDetector: { ...dagan.keypointDetector, ...few, numBlocks: 3 },
  generator: {
    ...dagan.generator,
    ...few,
    numBottleneckBlocks: 2,
    denseMotion: { ...dagan.generator.denseMotion, ...few, numBlocks: 3 },
  },
};

const exact = { dtype: 'float64' } as const;

/** Coordinates, disparity and occlusion: absolute. */
const EXACT = 1e-5;
/** Features and colours: of their range. */
const OF_RANGE = 1e-4;

/**
 * Compares every tensor of a file of reference data but the inputs, in float64: some processors' float32 convolutions are
 * further from the exact numbers than the reference is.
 */
function assertParity(config: ModelConfig, name: string): void {
  const reference = referenceTensors(name, exact.dtype);
  using file = openCheckpoint(sharedPath(`fixtures/${name}`));
  using model = formulaModel(config).to(exact);
  noGrad(() =>
    tidy(() => {
      for (const [own, value] of model.stateDict()) {
        if (/weight_[uv]$/.test(own)) value.copy_(reference(publishedName(own)));
      }
      const seen = everythingSeen(model, reference('source'), reference('driving'));
      for (const each of file.tensors.keys()) {
        if (each === 'source' || each === 'driving' || /weight_[uv]$/.test(each)) continue;
        const found = seen.get(each);
        assert.ok(found, `${name} holds ${each}, which is compared with nothing`);
        const expected = reference(each);
        const range = found.relative ? expected.amax().item() - expected.amin().item() : 1;
        const difference = largestDifference(found.actual, expected) / range;
        assert.ok(difference <= (found.relative ? OF_RANGE : EXACT), `${name}: ${each} is off by ${difference}`);
      }
    }),
  );
}

test('the plain model sees and paints what the published one does', { skip: sharedMissing }, () => {
  assertParity(dagan, 'networks.safetensors');
});

test('the SPADE model with ResNet-50 depth sees and paints what the published one does', {
  skip: sharedMissing,
}, () => {
  assertParity(spade50, 'networks-spade-resnet50.safetensors');
});

/** Names and shapes of a model's tensors, under the published names. */
const shapesOf = (config: ModelConfig): Record<string, number[]> => {
  using model = new DaGAN(config);
  return Object.fromEntries([...model.stateDict()].map(([name, value]) => [publishedName(name), [...value.shape]]));
};

test('names and shapes of all tensors are those of the published files', { skip: sharedMissing }, () => {
  const resnet18 = { ...publishedShapes('depth_encoder_resnet18'), ...publishedShapes('depth_decoder_resnet18') };
  const resnet50 = { ...publishedShapes('depth_encoder_resnet50'), ...publishedShapes('depth_decoder_resnet50') };
  const [generator, spade, detector] = ['generator', 'generator_spade', 'kp_detector'].map((part) =>
    publishedShapes(part),
  );
  assert.deepEqual(shapesOf(dagan), { ...generator, ...detector, ...resnet18 });
  assert.deepEqual(shapesOf(MODEL_PRESETS['dagan-resnet50']), { ...generator, ...detector, ...resnet50 });
  assert.deepEqual(shapesOf(spade50), { ...spade, ...detector, ...resnet50 });
  assert.deepEqual(shapesOf(tiny), {
    ...publishedShapes('tiny_generator'),
    ...publishedShapes('tiny_kp_detector'),
    ...resnet18,
  });
});

test('six frames are animated as by the published program, relative and absolute', {
  skip: sharedMissing,
}, async () => {
  using file = openCheckpoint(sharedPath('fixtures/animation.safetensors'));
  const size = 256;
  const bytes = 3 * size ** 2;
  const read = (name: string): Uint8Array<ArrayBuffer> => file.tensors.get(name)!.read();
  const floats = (name: string): Float32Array => new Float32Array(read(name).buffer);
  const picture = (data: Uint8Array): Picture => ({ width: size, height: size, data });
  const clip = read('driving');
  const frames = async function* () {
    for (let i = 0; i < 6; i++) yield { picture: picture(clip.subarray(i * bytes, (i + 1) * bytes)) };
  };
  const furthest = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
    assert.equal(actual.length, expected.length);
    return Array.from(actual).reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  };

  const engine = new LibtorchEngine(formulaModel(dagan));
  try {
    const source = await engine.setSource(picture(read('source')));
    for (const motion of ['relative', 'absolute'] as const) {
      const pixels = read(`${motion}.prediction`);
      const values = floats(`${motion}.kp_value`);
      const jacobians = floats(`${motion}.kp_jacobian`);
      let i = 0;
      for await (const frame of animate(engine, source, frames(), { motion, adaptScale: true })) {
        const { value, jacobian }: KeypointSet = frame.keypoints;
        assert.ok(furthest(value, values.subarray(30 * i, 30 * (i + 1))) <= EXACT, `${motion} keypoints of frame ${i}`);
        assert.ok(
          furthest(jacobian!, jacobians.subarray(60 * i, 60 * (i + 1))) <= EXACT,
          `${motion} jacobians of ${i}`,
        );
        const off = furthest(frame.picture.data, pixels.subarray(i * bytes, (i + 1) * bytes));
        assert.ok(off <= 1, `${motion} frame ${i} is off by ${off} of 255`);
        i += 1;
      }
      assert.equal(i, 6);
    }
  } finally {
    engine.dispose();
  }
});
