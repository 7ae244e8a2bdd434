// OSFV (face-vid2vid) against numbers of the published implementation, computed with the same weights; its files; its motion.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { noGrad, saveStateDict, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { transferKeypoints } from '../src/animation/transfer.js';
import type { Picture } from '../src/media/pictures/picture.js';
import { loadModel, saveModel, weightsHash } from '../src/models/files/model-file.js';
import { OSFV_PRESETS, OSFV_VOX_256, type OsfvConfig } from '../src/models/osfv/config.js';
import { keypointsOfHead, rotationOf } from '../src/models/osfv/head-estimator.js';
import { Osfv } from '../src/models/osfv/osfv.js';
import { namedFrame } from '../src/models/osfv/seen.js';
import { describeFile } from '../src/pipelines/describe-file.js';
import { tensorToPictures } from '../src/tensors/pictures.js';
import { largestDifference } from './compare.js';
import { psnr, temporaryFolder } from './media-fixtures.js';
import { fillOsfv, osfvPublishedName, smallOsfv } from './osfv-model.js';
import { referenceTensors, sharedMissing, sharedPath } from './shared.js';
import { noise } from './small-models.js';

/** Keypoints, poses, flows, masks: absolute. */
const EXACT = 1e-4;
/** Features and colours: of their range. */
const OF_RANGE = 1e-3;

const RELATIVE = /feature|warped|decoder|prediction|logits|reshaped|kp_down|motion_input|\.(yaw|pitch|roll)$/;

/** How far a tensor is from the reference, in the unit that it is judged in, over what is allowed. */
function off(name: string, actual: Tensor, expected: Tensor): number {
  const relative = RELATIVE.test(name);
  const range = relative ? expected.amax().item() - expected.amin().item() : 1;
  return largestDifference(actual.to({ dtype: 'float32' }), expected) / range / (relative ? OF_RANGE : EXACT);
}

/** Copies the vectors of spectral normalisation, which the formula leaves out, from a file of reference data. */
function copySpectralVectors(model: Osfv, reference: (name: string) => Tensor): void {
  for (const [own, value] of model.stateDict()) {
    if (/weight_[uv]$/.test(own)) value.copy_(reference(osfvPublishedName(own)));
  }
}

/** Names that a file of reference data has below a prefix. */
function namesIn(file: string, prefix = ''): string[] {
  using opened = openCheckpoint(sharedPath(`fixtures/${file}`));
  return [...opened.tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
}

test('names and shapes of all tensors are those of the published files', { skip: sharedMissing }, () => {
  const sections: Record<string, Record<string, number[]>> = JSON.parse(
    fs.readFileSync(sharedPath('fixtures/osfv-state-dict-shapes.json'), 'utf8'),
  );
  const shapesOf = (config: OsfvConfig): Record<string, number[]> => {
    using model = new Osfv(config);
    return Object.fromEntries([...model.stateDict()].map(([name, { shape }]) => [osfvPublishedName(name), [...shape]]));
  };
  const { kp_detector, kp_detector_jacobian, he_estimator, generator, generator_spade } = sections;
  assert.deepEqual(shapesOf(OSFV_VOX_256), { ...kp_detector, ...he_estimator, ...generator });
  assert.deepEqual(shapesOf({ ...OSFV_PRESETS['osfv-spade'], estimateJacobian: true }), {
    ...{ ...kp_detector_jacobian, ...he_estimator, ...generator_spade },
  });
});

test('the residual model sees and paints what the published one does', { skip: sharedMissing }, () => {
  const reference = referenceTensors('osfv.safetensors');
  using model = fillOsfv(new Osfv(OSFV_VOX_256));
  noGrad(() =>
    tidy(() => {
      const source = model.source(reference('source'));
      const driving = model.driving(reference('driving'), source);
      const frame = model.generate(source, driving.keypoints);
      const seen = new Map<string, Tensor | null>([
        ...model.seen(source, driving, frame),
        ['kp_source.value', source.keypoints.value],
        ['kp_driving.value', driving.keypoints.value],
      ]);
      const compared = namesIn('osfv.safetensors').filter(
        (name) =>
          !/^(source|driving|half\..*|disc\..*|teacher\..*|loss\..*|tps\..*|free_view\..*|.*_transformed.*|discriminator\..*)$/.test(
            name,
          ),
      );
      for (const name of compared) {
        const found = seen.get(name);
        assert.ok(found, `the reference holds ${name}, which is compared with nothing`);
        const amount = off(name, found, reference(name));
        assert.ok(amount <= 1, `${name} is ${amount} times as far off as it may be`);
      }
      // Free view: angles put in place of the driver's.
      const angles = tensor([20, -10, 15], { shape: [1, 3] });
      assert.ok(largestDifference(rotationOf(angles), reference('free_view.rotation')) <= 1e-6);
      const free = keypointsOfHead(source.canonical, { ...driving.head, angles });
      assert.ok(largestDifference(free.value, reference('free_view.value')) <= EXACT);
    }),
  );
});

test('with jacobians motion is of first order, and relative motion goes by volumes and 3x3 matrices', {
  skip: sharedMissing,
}, () => {
  const reference = referenceTensors('osfv.safetensors');
  using model = fillOsfv(new Osfv({ ...OSFV_VOX_256, estimateJacobian: true }));
  noGrad(() =>
    tidy(() => {
      const half = (name: string): Tensor => reference(name).slice(2, 0, undefined, 2).slice(3, 0, undefined, 2);
      const source = model.source(half('source'));
      const driving = model.driving(half('driving'), source);
      const frame = model.generate(source, driving.keypoints);
      const found = new Map<string, Tensor | null>([
        ...model.seen(source, driving, frame),
        ['kp_source.value', source.keypoints.value],
        ['kp_source.jacobian', source.keypoints.jacobian],
        ['kp_driving.value', driving.keypoints.value],
        ['kp_driving.jacobian', driving.keypoints.jacobian],
        ['prediction_every2px', frame.prediction.slice(2, 0, undefined, 2).slice(3, 0, undefined, 2)],
      ]);
      const names = namesIn('osfv.safetensors', 'half.');
      for (const name of names.filter((each) => !/^(loss|tps|relative)\.|_transformed/.test(each))) {
        const seen = found.get(name);
        assert.ok(seen, `the reference holds half.${name}, which is compared with nothing`);
        const amount = off(name, seen, reference(`half.${name}`));
        assert.ok(amount <= 1, `half.${name} is ${amount} times as far off as it may be`);
      }
      const set = (name: string) => ({
        value: reference(`half.${name}.value`).toFloat32Array(),
        jacobian: reference(`half.${name}.jacobian`).toFloat32Array(),
      });
      const [portrait, driver, first] = [set('kp_source'), set('kp_driving'), set('kp_canonical')];
      const moved = transferKeypoints(portrait, driver, first, {
        motion: 'relative',
        adaptScale: true,
        space: model.motion,
      });
      const expected = set('relative');
      for (const part of ['value', 'jacobian'] as const) {
        const furthest = moved[part]!.reduce((most, x, i) => Math.max(most, Math.abs(x - expected[part][i]!)), 0);
        assert.ok(furthest <= EXACT, `${part}: off by ${furthest}`);
      }
    }),
  );
});

test('the SPADE model paints what the published one does', { skip: sharedMissing }, () => {
  const reference = referenceTensors('osfv-spade.safetensors');
  using model = fillOsfv(new Osfv(OSFV_PRESETS['osfv-spade']));
  noGrad(() =>
    tidy(() => {
      copySpectralVectors(model, reference);
      const image = reference('source');
      const [from, to] = ['kp_source', 'kp_driving'].map((name) => ({
        value: reference(`${name}.value`),
        jacobian: null,
      }));
      const encoded = model.generator.encodeSource(image);
      const seen = new Map(namedFrame(model.generator, encoded, model.generator.forward(encoded, to!, from!)));
      for (const name of namesIn('osfv-spade.safetensors').filter((each) => !/^source$|^kp_|weight_[uv]$/.test(each))) {
        const found = seen.get(name);
        assert.ok(found, `the reference holds ${name}, which is compared with nothing`);
        const amount = off(name, found, reference(name));
        assert.ok(amount <= 1, `${name} is ${amount} times as far off as it may be`);
      }
    }),
  );
});

const folder = await temporaryFolder();

/** A file of a model under other names. */
function write(file: string, model: Osfv, rename: (name: string) => string): string {
  const path = join(folder, file);
  saveStateDict(path, new Map([...model.stateDict()].map(([name, value]) => [rename(name), value])));
  return path;
}

test('published files are read under both of their names, and the architecture is read off the tensors', () => {
  for (const [decoder, jacobians] of [
    ['residual', true],
    ['spade', false],
  ] as const) {
    const config = smallOsfv(decoder, jacobians);
    using made = fillOsfv(new Osfv(config));
    const sadtalker = (name: string): string => osfvPublishedName(name).replace(/^kp_detector\./, 'kp_extractor.');
    for (const checkpoint of [
      write(`${decoder}.safetensors`, made, osfvPublishedName),
      write(`${decoder}-talker.safetensors`, made, sadtalker),
    ]) {
      const { model, unused } = loadModel({ checkpoint });
      assert.deepEqual(unused, []);
      assert.deepEqual(model.config, config);
      assert.equal(weightsHash(model.stateDict()), weightsHash(made.stateDict()));
      model.dispose();
    }
  }
});

test('a file of ours brings back the model, and says which system it is', async () => {
  using made = fillOsfv(new Osfv(smallOsfv()));
  const path = join(folder, 'own.safetensors');
  assert.equal(saveModel(path, made, { name: 'five' }).architecture, 'osfv');
  const { model, metadata } = loadModel({ checkpoint: path });
  assert.deepEqual([model.config, metadata.name], [made.config, 'five']);
  assert.equal(weightsHash(model.stateDict()), weightsHash(made.stateDict()));
  model.dispose();
  const lines = await describeFile(path);
  assert.ok(
    lines.some((line) => /^model +custom osfv .*5 keypoints in space without jacobians; .*residual decoder/.test(line)),
    lines.join('\n'),
  );
});

test('what is missing of a published file is named as published', () => {
  using made = fillOsfv(new Osfv(smallOsfv()));
  const state = new Map([...made.stateDict()].map(([name, value]) => [osfvPublishedName(name), value]));
  state.delete('he_estimator.fc_yaw.weight');
  const checkpoint = join(folder, 'headless.safetensors');
  saveStateDict(checkpoint, state);
  assert.throws(
    () => loadModel({ checkpoint }),
    /headless\.safetensors: no head pose estimator: .*he_estimator\.fc_yaw\.weight/,
  );
});

test('a model prepared for use computes the same, and in 16 bits nearly the same', async () => {
  const image = (seed: number) => tensorToPictures(noise(256, { seed }))[0]!;
  const frames = await Promise.all(
    [{ asTrained: true }, {}, { precision: 'bfloat16' as const }].map(async (options) => {
      const engine = new LibtorchEngine(fillOsfv(new Osfv(smallOsfv())), options);
      await engine.setSource(image(1));
      const [analysis] = await engine.drive([image(2)]);
      const [picture] = await engine.generate([analysis!.keypoints]);
      engine.dispose();
      return picture!;
    }),
  );
  const [trained, prepared, half] = frames as [Picture, Picture, Picture];
  assert.ok(psnr(prepared, trained) > 60, `${psnr(prepared, trained)} dB`);
  assert.ok(psnr(half, trained) > 35, `${psnr(half, trained)} dB`);
});
