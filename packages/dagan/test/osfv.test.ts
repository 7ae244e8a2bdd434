// OSFV (face-vid2vid) against numbers of the published implementation, computed with the same weights; its files; its motion.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cat, noGrad, saveStateDict, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { convexHullVolume } from '../src/animation/convex-hull.js';
import { LibtorchEngine } from '../src/animation/engines/libtorch.js';
import { MotionTransfer } from '../src/animation/motion.js';
import { transferKeypoints } from '../src/animation/transfer.js';
import { readFaceModel } from '../src/faces/defaults.js';
import { FACE_MODELS, readCanonicalFace } from '../src/faces/face-models.js';
import { LandmarkPose } from '../src/faces/landmark-pose.js';
import { TRAVELLING_POINTS } from '../src/faces/landmarks.js';
import { headRotation } from '../src/geometry/head-rotation.js';
import { ThinPlateSpline } from '../src/geometry/thin-plate-spline.js';
import { discriminatorHingeLoss, generatorHingeLoss } from '../src/losses/adversarial.js';
import { equivarianceJacobianLoss, equivarianceValueLoss } from '../src/losses/equivariance.js';
import { featureMatchingLoss } from '../src/losses/feature-matching.js';
import { expressionLoss, headPoseLoss, keypointPriorLoss } from '../src/losses/head.js';
import { readPicture, writePicture } from '../src/media/pictures/images.js';
import type { Picture } from '../src/media/pictures/picture.js';
import { MultiScaleDiscriminator } from '../src/models/discriminator.js';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { loadModel, saveModel, weightsHash } from '../src/models/files/model-file.js';
import { OSFV_PRESETS, OSFV_VOX_256, type OsfvConfig } from '../src/models/osfv/config.js';
import { degreesOf, keypointsOfHead, rotationOf } from '../src/models/osfv/head-estimator.js';
import { Osfv } from '../src/models/osfv/osfv.js';
import { namedFrame } from '../src/models/osfv/seen.js';
import { describeFile } from '../src/pipelines/describe-file.js';
import { type KeypointSet, type Keypoints, tensorsToKeypoints } from '../src/tensors/keypoint-set.js';
import { tensorToPictures } from '../src/tensors/pictures.js';
import { dagan } from './cli-run.js';
import { largestDifference } from './compare.js';
import { makeMp4, psnr, temporaryFolder } from './media-fixtures.js';
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

/** What a model finds in noise, in plain memory: a portrait and two drivers, seen with the portrait and each by itself. */
function found(): Record<'portrait' | 'driver' | 'first' | 'stranger', KeypointSet> & { expected: KeypointSet } {
  using model = fillOsfv(new Osfv(smallOsfv()));
  return noGrad(() =>
    tidy(() => {
      const [image, other, third] = [1, 2, 3].map((seed) => noise(128, { seed })) as [Tensor, Tensor, Tensor];
      const source = model.source(image);
      const set = (keypoints: Keypoints): KeypointSet => tensorsToKeypoints(keypoints)[0]!;
      const driving = model.driving(other, source);
      const angles = tensor([20, -10, 15], { shape: [1, 3] });
      const { value, jacobian } = keypointsOfHead(source.canonical, { ...driving.head, angles });
      return {
        portrait: set(source.keypoints),
        driver: set(driving.keypoints),
        stranger: set(model.driving(other, null).keypoints),
        first: set(model.driving(third, source).keypoints),
        expected: set({ value, jacobian }),
      };
    }),
  );
}

const furthest = (actual: ArrayLike<number>, expected: ArrayLike<number>): number =>
  Array.from(actual).reduce((most, x, i) => Math.max(most, Math.abs(x - expected[i]!)), 0);

const SPACE = { dimensions: 3, matrices: 'jacobians' } as const;

test("a driver who was seen without the portrait moves the portrait's own canonical keypoints", () => {
  const { portrait, driver, stranger, first } = found();
  assert.ok(furthest(stranger.value, driver.value) > 1e-4, 'the driver has another face');
  for (const motion of ['absolute', 'relative'] as const) {
    const options = { motion, adaptScale: false, space: SPACE };
    const known = transferKeypoints(portrait, driver, first, options);
    assert.ok(furthest(transferKeypoints(portrait, stranger, first, options).value, known.value) < 1e-5, motion);
  }
});

test("chosen angles take the place of the driver's, absolute and relative, and also without a driver", () => {
  const { portrait, driver, first, expected } = found();
  const angles = { yaw: 20, pitch: -10, roll: 15 };
  const options = { motion: 'absolute', space: SPACE, controls: { angles } } as const;
  const absolute = transferKeypoints(portrait, driver, first, { ...options, adaptScale: false });
  assert.ok(furthest(absolute.value, expected.value) < 1e-5);
  // Relative motion from the driver's own frame is no motion: what is left is the portrait, turned.
  const still = new MotionTransfer(portrait, { ...options, motion: 'relative', reference: driver });
  const turned = still.next(driver);
  assert.ok(furthest(turned.value, still.still.value) < 1e-5);
  assert.deepEqual([...turned.head!.angles], [20, -10, 15]);
  // The portrait's own angles change nothing, and one that is left out stays.
  const [yaw, pitch, roll] = portrait.head!.angles;
  const same = new MotionTransfer(portrait, { space: SPACE, controls: { angles: { yaw, pitch } } });
  assert.ok(furthest(same.still.value, portrait.value) < 1e-5);
  assert.ok(Math.abs(same.still.head!.angles[2]! - roll!) < 1e-5);
});

test('a model in the plane has no head to turn', () => {
  const flat = { value: Float32Array.of(0, 0), jacobian: null };
  assert.throws(() => new MotionTransfer(flat, { controls: { angles: { yaw: 10 } } }), /stand in the plane/);
});

test('the hull of points in space has the volume of the solid, whatever lies inside', () => {
  const cube = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((i) => [i & 1, (i >> 1) & 1, i >> 2]);
  assert.ok(Math.abs(convexHullVolume(cube) - 1) < 1e-12);
  assert.ok(Math.abs(convexHullVolume([...cube, 0.5, 0.5, 0.5, 0.2, 0.9, 0.1]) - 1) < 1e-12);
  assert.ok(Math.abs(convexHullVolume([...cube.map((x) => 3 * x - 7), -6.5, -6, -4.5]) - 27) < 1e-9);
  assert.ok(Math.abs(convexHullVolume([0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]) - 1 / 6) < 1e-12);
  assert.equal(convexHullVolume([0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0, 2, 3, 0]), 0, 'flat');
});

test('dagan animate moves a portrait by OSFV, and turns it where it is told', async () => {
  await makeMp4(join(folder, 'talk.mp4'), { width: 128, height: 128, frames: 3 });
  await writePicture(join(folder, 'face.png'), tensorToPictures(noise(128))[0]!);
  using made = fillOsfv(new Osfv(smallOsfv()));
  saveModel(join(folder, 'model.safetensors'), made);
  const words = ['animate', 'face.png', 'talk.mp4', '--crop', 'none', '--checkpoint', 'model.safetensors'];
  const frames: Picture[] = [];
  for (const [i, more] of [[], ['--absolute'], ['--yaw', '30', '--pitch', '-10']].entries()) {
    const run = await dagan(folder, [...words, '--precision', 'float32', '-o', `out${i}/`, ...more]);
    assert.equal(run.code, 0, run.stderr);
    frames.push(await readPicture(join(folder, `out${i}/000000.png`)));
  }
  const [relative, absolute, turned] = frames as [Picture, Picture, Picture];
  const alike = [psnr(absolute, relative), psnr(turned, relative)];
  assert.ok(Math.max(...alike) < 60, `three animations, alike to ${alike} dB`);
});

test('losses and discriminator are those of the published code', { skip: sharedMissing }, () => {
  const reference = referenceTensors('osfv.safetensors');
  noGrad(() =>
    tidy(() => {
      const near = (name: string, actual: Tensor): void => {
        const expected = reference(`loss.${name}`).item();
        const found = actual.to({ dtype: 'float32' }).item();
        assert.ok(
          Math.abs(found - expected) <= 1e-4 * Math.max(1, Math.abs(expected)),
          `${name}: ${found}, ${expected}`,
        );
      };
      near('keypoint', keypointPriorLoss(reference('kp_driving.value')).mul(10));
      near('expression', expressionLoss(reference('he_driving.exp').reshape(1, 15, 3)).mul(5));
      const degrees = (of: string): Tensor =>
        cat(
          ['yaw', 'pitch', 'roll'].map((angle) => degreesOf(reference(`${of}.${angle}`)).reshape(1, 1)),
          1,
        );
      near('headpose', headPoseLoss(degrees('he_driving'), degrees('teacher'), tensor([1])).mul(20));
      for (const prefix of ['', 'half.']) {
        const spline = new ThinPlateSpline(reference(`${prefix}tps.theta`), reference(`${prefix}tps.control_params`));
        const set = (name: string): Keypoints => ({
          value: reference(`${prefix}${name}.value`).narrow(2, 0, 2),
          jacobian: prefix ? reference(`${prefix}${name}.jacobian`).narrow(2, 0, 2).narrow(3, 0, 2) : null,
        });
        const [seen, bent] = [set('kp_driving'), set('kp_transformed')];
        const value = equivarianceValueLoss(seen, bent, spline).mul(10).item();
        assert.ok(Math.abs(value - reference(`${prefix}loss.equivariance_value`).item()) < 1e-4);
        if (!prefix) continue;
        const jacobian = equivarianceJacobianLoss(seen, bent, spline).mul(10).item();
        const expected = reference('half.loss.equivariance_jacobian').item();
        assert.ok(Math.abs(jacobian - expected) < 1e-3, `${jacobian}, ${expected}`);
      }
      using judge = new MultiScaleDiscriminator({ keypoints: 0, spectralNorm: true });
      fillByFormula(judge, { prefix: 'discriminator' });
      for (const [name, value] of judge.stateDict('discriminator')) {
        if (/weight_[uv]$/.test(name)) value.copy_(reference(name));
      }
      judge.eval();
      const [fake, real] = ['prediction', 'driving'].map((name) => judge.forward(new Map([[1, reference(name)]])));
      near('gen_gan', generatorHingeLoss(fake!));
      near('feature_matching', featureMatchingLoss(real!, fake!).mul(10));
      near('disc_gan', discriminatorHingeLoss(real!, fake!));
    }),
  );
});

test('the pose of a head is found from where landmarks are seen, also of a part of them', async () => {
  const canonicalFace = readCanonicalFace(await readFaceModel(FACE_MODELS.canonicalFace));
  const pose = new LandmarkPose(canonicalFace, TRAVELLING_POINTS);
  for (const angles of [
    [0, 0, 0],
    [25, -10, 15],
    [-40, 20, -30],
  ] as const) {
    const rotation = headRotation(angles);
    const places = new Float32Array(3 * TRAVELLING_POINTS.length);
    for (const [i, point] of TRAVELLING_POINTS.entries()) {
      if (point >= 468 || i % 3 === 2) continue; // irises, and what is hidden
      const [x, y, z] = [0, 1, 2].map((axis) => canonicalFace.points[3 * point + axis]! * (axis === 0 ? 1 : -1));
      const along = (row: number): number => rotation[row]! * x! + rotation[row + 1]! * y! + rotation[row + 2]! * z!;
      places.set([0.04 * along(0) + 0.1, 0.04 * along(3) - 0.2, 1], 3 * i);
    }
    const found = pose.of(places)!;
    for (const [i, angle] of angles.entries()) assert.ok(Math.abs(found[i]! - angle) < 0.1, `${found} for ${angles}`);
  }
  assert.equal(pose.of(new Float32Array(3 * TRAVELLING_POINTS.length)), null, 'nothing is seen');
});
