// Motion templates: what they keep of a clip, how they are played, which models they drive, and what is wrong with damaged ones.
import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { CheckpointError } from '@dagan/libtorch/checkpoint';
import { type MotionTemplate, partOf, played, templateFor } from '../src/animation/motion-template.js';
import { FACE_LANDMARK_NAMES } from '../src/faces/landmarks.js';
import { readPicture, saveModel, writePicture } from '../src/index.js';
import { type AnimateClipOptions, animateClip, type DaganError, recordMotion } from '../src/pipelines/index.js';
import { driverFile, motionNames, readMotion, writeMotion } from '../src/pipelines/motion-file.js';
import { motionInBytes } from '../src/pipelines/motion-format.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { makeMp4, names, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
const numbers = Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint]));
const named = {
  ...SMALL_WITHOUT_DEPTH,
  numKeypoints: FACE_LANDMARK_NAMES.length,
  estimateJacobian: false,
  semanticKeypoints: numbers,
};
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
saveModel(path('named.safetensors'), formulaModel(named), { name: 'named' });
await writePicture(path('face.png'), scene(90, 70, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 8, sound: 'aac' });

const model = (name: string) =>
  ({ checkpoint: path(name), device: 'cpu', precision: 'float32', threads: 1, engine: 'libtorch' }) as const;
const order = (driving: string, output: string, more: Partial<AnimateClipOptions> = {}): AnimateClipOptions => ({
  ...{ portrait: path('face.png'), driving, output: path(output), ...model('quick.safetensors') },
  ...{ crop: { kind: 'none' }, size: 64, ...more },
});
const framesOf = async (output: string): Promise<Buffer[]> =>
  Promise.all(
    (await names(path(output))).map(async (name) => Buffer.from((await readPicture(path(output, name))).data)),
  );

/** A template of points that walk to the right, a step of 0.1 a frame. */
const walk = (frames: number, more: Partial<MotionTemplate> = {}): MotionTemplate => {
  const at = (k: number) => ({ value: Float32Array.of(k / 10, 0), jacobian: null });
  return {
    frames: Array.from({ length: frames }, (_, k) => ({ keypoints: at(k), timestamp: k / 10, hasFace: true })),
    ...{ duration: frames / 10, frameRate: 10, reference: at(0), names: { noseTip: 0 }, model: undefined, ...more },
  };
};
const steps = (template: MotionTemplate, playback = {}): number[] =>
  [...played(template, playback)].map(({ keypoints }) => Math.round(1000 * keypoints.value[0]!) / 100);

test('a template moves a portrait exactly as its clip does, without a network that looks at frames', async () => {
  const { driving, ...recording } = { driving: path('talk.mp4'), ...model('quick.safetensors') };
  const crop = { kind: 'none' } as const;
  const output = path('talk.motion.safetensors');
  await recordMotion({ ...recording, driving, output, crop, referenceFrame: 'first' });
  assert.ok(statSync(output).size < 10_000, `${statSync(output).size} bytes`);
  await animateClip(order(driving, 'by-clip/', { referenceFrame: 'first' }));
  const result = await animateClip(order(output, 'by-template/'));
  assert.deepEqual([result.frames, result.stages.drive], [8, 0]);
  assert.deepEqual(await framesOf('by-template'), await framesOf('by-clip'));
  await animateClip(order(output, 'backwards/', { direction: 'reverse' }));
  assert.deepEqual(await framesOf('backwards'), (await framesOf('by-clip')).reverse());
  const info = await dagan(folder, ['info', 'talk.motion.safetensors']);
  assert.match(info.stdout, /motion template, \d\.\d kB[\s\S]*8 frames, 0\.32 s, 25 a second; 8 show the face/);
});

test('what a portrait is to do may be told beforehand: taken over as it is, it gives the frames of the template', async () => {
  const recording = { ...model('quick.safetensors'), crop: { kind: 'none' } } as const;
  const [own, moved] = [path('own.motion.safetensors'), path('moved.motion.safetensors')];
  await recordMotion({ ...recording, driving: path('face.png'), output: own });
  const told = { driving: path('talk.mp4'), output: moved, portrait: own, referenceFrame: 'first' } as const;
  const template = await recordMotion({ ...recording, ...told });
  assert.deepEqual(template.reference, readMotion(own).reference);
  await animateClip(order(moved, 'as-told/', { motion: 'absolute' }));
  await animateClip(order(path('talk.mp4'), 'driven/', { referenceFrame: 'first' }));
  assert.deepEqual(await framesOf('as-told'), await framesOf('driven'));
  saveModel(path('other.safetensors'), formulaModel({ ...SMALL_WITHOUT_DEPTH, numKeypoints: 7 }), { name: 'other' });
  const other = { ...recording, ...told, ...model('other.safetensors') };
  await assert.rejects(recordMotion(other), (error: DaganError) => error.code === 'other-model');
});

test('a template is played backwards, there and back, again, slowly and in part', () => {
  assert.deepEqual(steps(walk(4)), [0, 1, 2, 3]);
  assert.deepEqual(steps(walk(4), { direction: 'reverse' }), [3, 2, 1, 0]);
  assert.deepEqual(steps(walk(3), { direction: 'both' }), [0, 1, 2, 2, 1, 0]);
  assert.deepEqual(steps(walk(2), { loops: 3 }), [0, 1, 0, 1, 0, 1]);
  assert.deepEqual(steps(walk(3), { speed: 0.5 }), [0, 0.5, 1, 1.5, 2, 2]);
  assert.deepEqual(steps(walk(4), { speed: 2 }), [0, 2]);
  assert.deepEqual(steps(walk(4), { frameRate: 5 }), [0, 2]);
  assert.deepEqual(steps(partOf(walk(6), 2, 5)!), [2, 3, 4]);
  assert.equal(partOf(walk(6), 6), undefined);
  for (const [k, { timestamp }] of [...played(walk(40), { speed: 0.7 })].entries()) {
    assert.ok(Math.abs(timestamp - k / 10) < 1e-9);
  }
});

test('between frames that do not show the face nothing is made up', () => {
  const frames = walk(3).frames.map((frame, k) => ({ ...frame, hasFace: k !== 1 }));
  const seen = [...played({ ...walk(3), frames }, { speed: 0.25 })].map(({ hasFace }) => hasFace);
  assert.deepEqual(seen.slice(0, 6), [true, true, false, false, false, false]);
  assert.equal(seen[7], true);
});

test('keypoints find their places in another model by their names, or the template is refused', async () => {
  const names = { noseTip: 0, rightTemple: 1, leftTemple: 2, forehead: 3, chin: 4 };
  const numbers = Float32Array.from({ length: 10 }, (_, i) => i);
  const template = walk(2, { names, reference: { value: numbers, jacobian: null } });
  const frames = template.frames.map((frame) => ({ ...frame, keypoints: template.reference }));
  const other = { noseTip: 4, rightTemple: 1, leftTemple: 2, forehead: 3, chin: 0 };
  const user = { count: 5, hasJacobians: false, names: other, model: 'other' };
  const fitting = templateFor({ ...template, frames }, user)!;
  assert.deepEqual([...fitting.reference.value], [8, 9, 2, 3, 4, 5, 6, 7, 0, 1]);
  assert.deepEqual([...fitting.frames[1]!.keypoints.value], [8, 9, 2, 3, 4, 5, 6, 7, 0, 1]);
  const larger = templateFor({ ...template, frames }, { ...user, count: 6, hasJacobians: true })!.reference;
  assert.deepEqual(
    [...larger.value.subarray(8)],
    [0, 1, Number.NaN, Number.NaN],
    'of a keypoint without a name nothing',
  );
  assert.deepEqual([...larger.jacobian!.subarray(20)], [1, 0, 0, 1]);
  const { chin: _, ...withoutChin } = other;
  assert.equal(templateFor({ ...template, frames }, { ...user, names: withoutChin }), undefined);
  const made = { ...template, frames, names: {}, model: 'this' };
  assert.equal(templateFor(made, { ...user, names: {}, model: 'this' }), made);
  assert.equal(templateFor(made, { ...user, names: {} }), undefined, 'another model without names');
  await assert.rejects(animateClip(order('nod', 'refused.mp4')), (error: DaganError) => error.code === 'other-model');
});

test('the templates of the package are small, begin and end at rest, and move any model with named keypoints', async () => {
  assert.ok(motionNames().length >= 5);
  for (const name of motionNames()) {
    const file = driverFile(name);
    assert.ok(statSync(file).size < 80_000, name);
    const { frames, reference, duration } = readMotion(file);
    const far = (k: number): number =>
      Math.max(...frames.at(k)!.keypoints.value.map((x, i) => Math.abs(x - reference.value[i]!)));
    assert.ok(far(0) < 0.01 && far(-1) < 0.02, `${name} begins ${far(0)} and ends ${far(-1)} away from rest`);
    assert.ok(Math.max(...frames.map((_, k) => far(k))) > 0.02, `${name} moves`);
    assert.ok(duration < 5);
  }
  const words = ['animate', 'face.png', 'blink', '-o', 'blink.mp4', '--loop', '2', '--fps', '5', '--crop', 'none'];
  const run = await dagan(folder, [...words, '--checkpoint', 'named.safetensors', '--size', '64']);
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /^blink\.mp4: 12 frames of 64 x 64/);
});

test('a picture drives too: the portrait takes over its pose, and the result may be a picture', async () => {
  const made = await animateClip(order(path('face.png'), 'posed.png'));
  assert.equal(made.frames, 1);
  assert.equal((await readPicture(path('posed.png'))).width, 64);
  await assert.rejects(animateClip(order(path('face.png'), 'x.png', { motion: 'relative' })), { code: 'still-driver' });
  await assert.rejects(animateClip(order(path('talk.mp4'), 'x.png')), /clips are written as/);
  await assert.rejects(animateClip(order(path('talk.mp4'), 'x.mp4', { loops: 2 })), { code: 'not-a-template' });
});

test('files that are no templates, or damaged ones, are named with what is wrong', () => {
  const file = path('walk.motion.safetensors');
  writeMotion(file, walk(3));
  assert.deepEqual(readMotion(file), walk(3));
  const bytes = readFileSync(file);
  const changed = (name: string, change: (copy: Buffer) => Buffer): string => {
    writeFileSync(path(name), change(Buffer.from(bytes)));
    return path(name);
  };
  const refused = (name: string, said: RegExp): void =>
    assert.throws(
      () => readMotion(name),
      (error: Error) => error instanceof CheckpointError && error.message.includes(name) && said.test(error.message),
    );
  refused(path('quick.safetensors'), /is no motion template/);
  refused(
    changed('short.safetensors', (copy) => copy.subarray(0, -8)),
    /./,
  );
  refused(
    changed('duration.safetensors', (copy) => Buffer.from(copy.toString('latin1').replace('"0.3"', '"0.1"'), 'latin1')),
    /its duration ends before its last frame/,
  );
  for (const [name, template, said] of [
    [
      'nan',
      {
        frames: walk(2).frames.map((frame) => ({
          ...frame,
          keypoints: { value: Float32Array.of(NaN, 0), jacobian: null },
        })),
      },
      /keypoints of frame 0 are not numbers/,
    ],
    ['times', { frames: walk(2).frames.map((frame) => ({ ...frame, timestamp: 0 })) }, /the time of frame 1/],
    ['names', { names: { noseTip: 7 } }, /the names of its keypoints/],
    ['rate', { frameRate: -1 }, /its frame rate/],
  ] as const) {
    writeMotion(path(`${name}.safetensors`), walk(2, template));
    refused(path(`${name}.safetensors`), said);
  }
});

test('the motion of a clip of a face moves another portrait', async () => {
  const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
  const output = path('example.motion.safetensors');
  const events: string[] = [];
  const template = await recordMotion({
    ...{ driving: example('driving.mp4'), output, ...model('named.safetensors'), end: 40 },
    onEvent: (event) => event.type === 'notice' && events.push(event.code),
  });
  assert.ok(events.includes('reference-frame'));
  assert.deepEqual([template.frames.length, template.frames.every(({ hasFace }) => hasFace)], [40, true]);
  const { noseTip, chin, forehead } = template.names as Record<string, number>;
  const heightAt = (point: number | undefined): number => template.reference.value[2 * point! + 1]!;
  assert.ok(heightAt(forehead) < heightAt(noseTip) && heightAt(noseTip) < heightAt(chin), 'the face is upright');
});

test('a file in memory is read as one on disk, and what is wrong with it is said under its name', () => {
  const bytes = readFileSync(driverFile('nod'));
  assert.deepEqual(motionInBytes('nod', bytes), readMotion(driverFile('nod')));
  for (const [wrong, words] of [
    [bytes.subarray(0, 5000), /^nod: ends too early/],
    [Buffer.from('Dear reader'), /^nod: claims a header of/],
    [Buffer.alloc(4), /^nod: ends too early/],
  ] as const) {
    assert.throws(
      () => motionInBytes('nod', wrong),
      (error) => error instanceof CheckpointError && words.test(error.message),
    );
  }
});
