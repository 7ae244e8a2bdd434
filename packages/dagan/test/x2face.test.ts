// X2Face: against numbers of the published networks, and what the paper promises of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cat, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { ownName, publishedName } from '../src/models/files/names.js';
import { X2Face, type X2FaceConfig } from '../src/models/x2face/x2face.js';
import { thinned } from '../src/tensors/thinned.js';
import { assertClose, assertOfRange, shapesOf } from './compare.js';
import { publishedShapes, referenceTensors, sharedMissing, sharedPath } from './shared.js';
import { noise } from './small-models.js';

const FILE = 'x2face.safetensors';
const reference = referenceTensors(FILE);

/** The published configuration with the reference's weights. */
function published(): X2Face {
  const model = fillByFormula(new X2Face(), { rename: publishedName }).requiresGrad_(false);
  model.embeddingNetwork.up.at(0).conv.weight.mul_(0.4);
  return model;
}

/** Few levels and channels, for pictures of 32 x 32. */
const SMALL: X2FaceConfig = { system: 'x2face', numLevels: 5, blockExpansion: 8, maxFeatures: 16, codeChannels: 6 };

test('one and three portraits give what the published X2Face gives', { skip: sharedMissing }, () => {
  using file = openCheckpoint(sharedPath(`fixtures/${FILE}`));
  using model = published().eval();
  const left = new Set([...file.tensors.keys()].filter((name) => !/^(source|driving|train\..*)$/.test(name)));
  noGrad(() =>
    tidy(() => {
      const [source, picture] = [reference('source'), reference('driving')];
      const driving = model.driving(picture);
      for (const portraits of [[source], [source, source.flip(3), picture.flip(3)]]) {
        const person = model.source(portraits[0]!, portraits.slice(1));
        const frame = model.generate(person, driving.keypoints);
        for (const [name, actual] of model.seen(person, driving, frame)) {
          if (!left.delete(name)) continue;
          if (/grid|raw/.test(name)) assertClose(actual, reference(name), 1e-4, name);
          else if (name.includes('l1')) assertClose(actual, reference(name), 1e-5, name);
          else assertOfRange(actual, reference(name), 1e-3, name);
        }
      }
    }),
  );
  assert.deepEqual([...left], [], 'compared with nothing');
});

test('a pass in training mode gives, and leaves in the running statistics, what the published code does', {
  skip: sharedMissing,
}, () => {
  using file = openCheckpoint(sharedPath(`fixtures/${FILE}`));
  using model = published().train();
  noGrad(() =>
    tidy(() => {
      const withMirrored = (name: string): Tensor => cat([reference(name), reference(name).flip(3)], 0);
      const [portraits, frames] = [withMirrored('source'), withMirrored('driving')];
      const { raw, unwrapped } = model.unwrap(portraits);
      const { keypoints } = model.driving(frames);
      const { prediction } = model.look(unwrapped, keypoints);
      for (const [name, actual] of [
        ['train.embedding.raw_every4px', raw],
        ['train.result_every4px', prediction],
      ] as const) {
        // Where the flow is steep, float32 decides which pixel is seen: single pixels may differ, their mean may not.
        const difference = thinned(name, actual).sub(reference(name)).abs();
        assert.ok(difference.mean().item() < 1e-4, `${name}: ${difference.mean().item()} in the mean`);
        assert.ok(difference.amax().item() < 2e-2, `${name}: ${difference.amax().item()} at most`);
      }
      assertClose(prediction.sub(frames).abs().mean(), reference('train.l1'), 1e-5, 'L1');
      const state = model.stateDict();
      for (const name of file.tensors.keys()) {
        const key = /^train\.after_every8\.(.*)$/.exec(name)?.[1];
        if (key) assertOfRange(state.get(ownName(key))!.slice(0, 0, undefined, 8), reference(name), 1e-4, name);
      }
    }),
  );
});

test('names and shapes of all tensors are those of the published file', { skip: sharedMissing }, () => {
  using model = new X2Face();
  const shapes = shapesOf(model);
  const list = 'x2face-state-dict-shapes.json';
  assert.deepEqual(Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [publishedName(name), shape])), {
    ...publishedShapes('pix2pixUnwrapped', list),
    ...publishedShapes('pix2pixSampler', list),
  });
  for (const name of Object.keys(shapes)) assert.equal(ownName(publishedName(name)), name);
});

test('the embedded face lies between what its portraits show, whatever their order', () => {
  using model = new X2Face(SMALL).eval();
  noGrad(() =>
    tidy(() => {
      const portraits = [1, 2, 3].map((seed) => noise(32, { seed }));
      const shown = portraits.map((portrait) => model.unwrap(portrait).unwrapped);
      const merged = model.embed(portraits);
      const [low, high] = [shown.reduce((a, b) => a.minimum(b)), shown.reduce((a, b) => a.maximum(b))];
      assert.ok(merged.ge(low.sub(1e-6)).all().item());
      assert.ok(merged.le(high.add(1e-6)).all().item());
      assertClose(model.embed(portraits.toReversed()), merged, 1e-6);
      assertClose(model.embed([portraits[0]!, portraits[0]!]), shown[0]!, 1e-6, 'the same portrait twice');
    }),
  );
});

test('one embedded face serves a batch of driving frames, and gradients reach every parameter', () => {
  using model = new X2Face(SMALL).train();
  const frames = noise(32, { seed: 5, count: 3 });
  const person = model.source(noise(32), [noise(32, { seed: 2 })]);
  const driving = model.driving(frames);
  assert.deepEqual(driving.keypoints.value.shape, [3, 6, 1]);
  const { prediction, deformation } = model.generate(person, driving.keypoints);
  assert.deepEqual(
    [prediction.shape, deformation.shape],
    [
      [3, 3, 32, 32],
      [3, 32, 32, 2],
    ],
  );
  prediction.sub(frames).abs().mean().backward();
  for (const [name, parameter] of model.namedParameters()) {
    assert.ok(parameter.grad!.abs().amax().item() > 0, `${name} learns nothing`);
  }
});
