// What commands do as library calls: an animation from files to a file, told as events, stopped by a signal; errors with codes.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { readPicture, rotatePicture, writePicture } from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { Teller } from '../src/pipelines/events.js';
import { FaceFinder } from '../src/pipelines/find-faces.js';
import {
  type AnimateClipOptions,
  animateClip,
  animateClips,
  DaganError,
  type Notice,
  type PairOutcome,
  type PipelineEvent,
  planPairs,
} from '../src/pipelines/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { inspect, makeMp4, names, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
await writePicture(path('face.png'), scene(90, 70, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 20, sound: 'aac' });

/** An animation of pictures that show no face, by the quick model. */
const order = (output: string, more: Partial<AnimateClipOptions> = {}): AnimateClipOptions => ({
  ...{ portrait: path('face.png'), driving: path('talk.mp4'), output: path(output) },
  ...{ checkpoint: path('quick.safetensors'), device: 'cpu', precision: 'float32', threads: 1 },
  ...{ crop: { kind: 'none' }, referenceFrame: 'first' },
  ...more,
});

const notices = (events: readonly PipelineEvent[]): Notice[] =>
  events.filter((event): event is Notice => event.type !== 'progress');

test('a clip is animated by a call: the frames, the sound, what is told, and what came out', async () => {
  const events: PipelineEvent[] = [];
  const result = await animateClip(order('out.mp4', { end: 6, size: 64, onEvent: (event) => events.push(event) }));
  assert.deepEqual([result.frames, result.width, result.height], [6, 64, 64]);
  assert.ok(result.stages.drive > 0 && result.stages.generate > 0 && result.seconds >= result.stages.generate);
  const made = await inspect(path('out.mp4'));
  assert.deepEqual([made.times.length, made.audioCodec, made.tags.title], [6, 'aac', 'Synthetic media']);
  const told = notices(events);
  assert.deepEqual(
    told.map(({ type, code }) => `${type} ${code}`),
    ['notice engine', 'notice centre-square', 'notice centre-square'],
  );
  assert.deepEqual(told[1]!.values, {
    ...{ path: path('face.png'), role: 'portrait', width: 90, height: 70 },
    square: { left: 10, top: 0, side: 70 },
  });
  for (const { message } of told) assert.doesNotMatch(message, /--/);
  const progress = events.filter((event) => event.type === 'progress');
  assert.deepEqual(progress.at(0), { type: 'progress', label: path('out.mp4'), done: 0, total: 6, ended: false });
  assert.deepEqual(progress.at(-1), { type: 'progress', label: path('out.mp4'), done: 6, total: 6, ended: true });
});

test('an animation that is stopped half way ends with the reason, and leaves nothing half-written', async () => {
  const before = await names(folder);
  const reason = new Error('enough');
  for (const output of ['stopped.mp4', 'stopped.gif', 'stopped/']) {
    const controller = new AbortController();
    let done = 0;
    const onEvent = (event: PipelineEvent): void => {
      if (event.type !== 'progress') return;
      done = event.done;
      if (done === 5) controller.abort(reason);
    };
    await assert.rejects(animateClip(order(output, { signal: controller.signal, onEvent })), reason);
    assert.ok(done >= 5 && done < 20, `${done} frames were made`);
  }
  const late = animateClip(order('late.mp4', { signal: AbortSignal.abort(reason) }));
  await assert.rejects(late, reason);
  assert.deepEqual(await names(folder), before);
});

test('several animations share an engine; one that fails is told with its code and does not stop the rest', async () => {
  await mkdir(path('clips'));
  await makeMp4(path('clips', 'a.mp4'), { width: 64, height: 64, frames: 3 });
  await writeFile(path('clips', 'b.mp4'), 'no video');
  await makeMp4(path('clips', 'c.mp4'), { width: 64, height: 64, frames: 2 });
  const { pairs, batch } = await planPairs([path('face.png'), path('clips')], path('made'), 'gif');
  assert.deepEqual([batch, pairs.length], [true, 3]);
  const told: PairOutcome[] = [];
  const events: PipelineEvent[] = [];
  const { portrait, driving, output, ...settings } = order('', { size: 32 });
  const outcomes = await animateClips(pairs, {
    ...settings,
    onOutcome: (outcome) => told.push(outcome),
    onEvent: (event) => events.push(event),
  });
  assert.deepEqual(told, outcomes);
  assert.deepEqual(
    outcomes.map((outcome) => ('result' in outcome ? outcome.result.frames : (outcome.error as Error).name)),
    [3, 'MediaError', 2],
  );
  assert.deepEqual(await names(path('made')), ['face-a.gif', 'face-c.gif']);
  assert.equal(notices(events).filter(({ code }) => code === 'engine').length, 1, 'one engine for all');
  await assert.rejects(
    animateClips(pairs, { ...settings, device: 'toaster' }),
    (error: DaganError) => error.code === 'no-device',
  );
});

test('what cannot be done has a code, values, and a message that names no option', async () => {
  const cases: [options: Partial<AnimateClipOptions>, code: string, values: object, message: RegExp][] = [
    [
      { crop: { kind: 'square', square: { left: 500, top: 0, side: 40 } } },
      'square-outside',
      { role: 'portrait', width: 90, height: 70 },
      /face\.png: the square 500,0,40 lies outside the picture, which is 90 x 70$/,
    ],
    [{ crop: { kind: 'auto' } }, 'no-face', { role: 'portrait' }, /face\.png: no face is found in it$/],
    [{ checkpoint: path('none.pth') }, 'no-file', {}, /none\.pth: no such file or folder$/],
    [{ output: path('face.png') }, 'bad-output', {}, /would replace the input/],
  ];
  const before = await names(folder);
  for (const [options, code, values, message] of cases) {
    await assert.rejects(animateClip(order('x.mp4', options)), (error: unknown) => {
      assert.ok(error instanceof DaganError);
      assert.equal(error.code, code);
      for (const [key, value] of Object.entries(values)) {
        assert.deepEqual((error.values as Record<string, unknown>)[key], value, key);
      }
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /--/);
      return true;
    });
  }
  assert.deepEqual(await names(folder), before);
});

test('figures of the default model need no LibTorch: inspect, attention, keypoints and depth', async () => {
  const without = { DAGAN_LIBTORCH_ADDON: path('no-such-addon.node') };
  const [portrait, driving] = ['portrait.png', 'driving.mp4'].map((name) =>
    fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url)),
  ) as [string, string];
  const cut = ['--crop', 'none'];
  const runs: [words: string[], said: RegExp][] = [
    [
      ['inspect', portrait, driving, '--frame', '9', '-o', 'seen.safetensors'],
      /15 tensors in float32, computed in float32/,
    ],
    [
      ['attention', portrait, driving, '--frame', '9', '--at', '90,90', '-o', 'a.png', '--over', 'warped', ...cut],
      /a\.png/,
    ],
    [['keypoints', portrait, '-o', 'k.png', ...cut], /k\.png/],
    [['depth', portrait, '-o', 'd.png', ...cut], /d\.png: 256 x 256/],
  ];
  for (const [words, said] of runs) {
    const run = await dagan(folder, words, without);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stdout, said);
  }
  using file = openCheckpoint(path('seen.safetensors'));
  assert.deepEqual(file.tensors.get('attention_rows_every256')!.shape, [1, 16, 4096]);
  assert.deepEqual(file.tensors.get('warped_feature_every8')!.shape, [1, 16, 64, 64]);
  for (const name of ['seen.png', 'a.png', 'k.png']) assert.ok((await readPicture(path(name))).width > 256, name);
  const other = await dagan(folder, ['keypoints', portrait, ...cut, '--checkpoint', 'quick.safetensors'], without);
  assert.match(other.stderr, /LibTorch has not been set up, and quick\.safetensors needs it: .*--checkpoint/);
});

test('the driving clip is looked through and read by one process', async () => {
  const started: ChildProcess[] = [];
  const count = (message: unknown): void => void started.push((message as { process: ChildProcess }).process);
  subscribe('child_process', count);
  try {
    const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
    const events: PipelineEvent[] = [];
    const found = { portrait: example('portrait.png'), driving: example('driving.mp4') };
    const seen = { crop: { kind: 'auto' }, referenceFrame: 'auto', start: 100, end: 190 } as const;
    const settings = order('seen.gif', { ...found, ...seen, size: 32, frameRate: 2 });
    await animateClip({ ...settings, onEvent: (event) => events.push(event) });
    const reference = notices(events).find(({ code }) => code === 'reference-frame')!;
    assert.equal((reference.values as { by: string }).by, 'face');
  } finally {
    unsubscribe('child_process', count);
  }
  const decoding = started.filter(({ spawnargs }) => spawnargs.some((word) => word.endsWith('decode-process.js')));
  assert.equal(decoding.length, 1);
});

test('the library names no option of the command line', () => {
  const root = fileURLToPath(new URL('../../src', import.meta.url));
  const lines = (name: string): string[] => readFileSync(join(root, name), 'utf8').split('\n');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const named = (line: string): string[] => line.match(/--[a-z][a-z-]+/g) ?? [];
  const options = new Set(files.filter((name) => name.startsWith('cli')).flatMap((name) => lines(name).flatMap(named)));
  assert.ok(options.has('--checkpoint') && options.has('--reference-frame'));
  const found: string[] = [];
  for (const name of files) {
    if (name.startsWith('cli')) continue;
    for (const line of lines(name)) {
      const code = line.replace(/^\s*(\/\/|\*|\/\*\*).*$/, ''); // comments may
      if (named(code).some((option) => options.has(option))) found.push(`${name}: ${code.trim()}`);
    }
  }
  assert.deepEqual(found, []);
});

test('a portrait that lies on its side or stands on its head is told of in words, one that is upright is not', async () => {
  const upright = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));
  for (const [turn, degrees] of [
    [0, undefined],
    [90, 90],
    [180, 180],
  ] as const) {
    const events: PipelineEvent[] = [];
    await using faces = new FaceFinder(new Teller((event) => events.push(event)));
    const picture = rotatePicture(upright, turn, false);
    await faces.portrait('portrait.png', picture, { crop: { kind: 'auto' }, withLook: false });
    const turned = events.filter((event) => 'code' in event && event.code === 'turned-face');
    assert.equal(turned.length, degrees === undefined ? 0 : 1);
    for (const event of turned) {
      const said = (event as Extract<PipelineEvent, { code: 'turned-face' }>).values.degrees;
      assert.ok(Math.abs(said - degrees!) < 10, `${said}`);
    }
  }
});
