// `dagan live`: the newest picture of a camera drives, and nothing queues up. A clip stands in for the camera and for what is
// written; for devices a program of the test stands in for FFmpeg.
import assert from 'node:assert/strict';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { frameName } from '../src/media/files.js';
import { createPicture, type Picture, readPicture, resizePicture, writePicture } from '../src/media/index.js';
import { NewestFrames } from '../src/media/live/camera.js';
import { ppmPictures } from '../src/media/live/ppm.js';
import { saveModel } from '../src/models/index.js';
import { animateLive, LiveRemote, type LiveStatus } from '../src/pipelines/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { collage, inspect, names, psnr, scene, temporaryFolder } from './media-fixtures.js';

const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
const model = { checkpoint: path('quick.safetensors'), engine: 'libtorch', device: 'cpu', threads: 1 } as const;

const numbered = (value: number): Picture => ({ width: 1, height: 1, data: Uint8Array.of(value, 0, 0) });

test('who takes pictures of a camera gets the newest, those that came meanwhile are dropped, and the last is not lost', async () => {
  let closed = 0;
  let goOn = (): void => {};
  const wait = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  async function* pictures(): AsyncGenerator<Picture> {
    for (let i = 0; i < 4; i++) yield numbered(i);
    await wait;
    yield numbered(9);
  }
  const camera = new NewestFrames(pictures(), async () => void closed++);
  await setImmediate();
  assert.equal((await camera.newest())!.picture.data[0], 3);
  assert.equal(camera.dropped, 3);
  const before = performance.now();
  const waiting = camera.newest();
  goOn();
  const waited = await waiting;
  assert.equal(waited!.picture.data[0], 9);
  assert.ok(waited!.taken >= before && waited!.taken <= performance.now(), 'when it came is known');
  assert.equal(await camera.newest(), undefined);
  await camera[Symbol.asyncDispose]();
  assert.equal(closed, 1);
  const failing = new NewestFrames(failingPictures(), async () => {});
  assert.equal((await failing.newest())!.picture.data[0], 1);
  await assert.rejects(failing.newest(), /unplugged/);
});

async function* failingPictures(): AsyncGenerator<Picture> {
  yield numbered(1);
  await setImmediate();
  throw new Error('unplugged');
}

test('a stream of PPM gives its pictures, however it is cut', async () => {
  const [a, b] = [scene(5, 3, 1), scene(4, 4, 2)];
  const ppm = ({ width, height, data }: Picture): Buffer =>
    Buffer.concat([Buffer.from(`P6\n${width} ${height}\n255\n`), data]);
  const bytes = Buffer.concat([ppm(a), ppm(b), ppm(a)]);
  for (const step of [1, 7, 50, 1000]) {
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
    }
    const found: Picture[] = [];
    for await (const picture of ppmPictures(chunks())) found.push(picture);
    assert.deepEqual(found, [a, b, a]);
  }
  const read = async (text: string): Promise<void> => {
    for await (const _ of ppmPictures(
      (async function* () {
        yield Buffer.from(text);
      })(),
    ));
  };
  await assert.rejects(read('P5\n4 4\n255\n'.padEnd(80, ' ')), /no stream of PPM/);
  await assert.rejects(read('P6\n40000 40000\n255\n'), /40000 x 40000/);
});

test('a clip in the place of the camera drives in its own time, and the frames become a clip', async () => {
  const face = resizePicture(await readPicture(example('portrait.png')), 200, 200);
  await mkdir(path('moving'));
  for (let i = 0; i < 40; i++) {
    await writePicture(path('moving', frameName(i)), collage(300, 260, [[face, 30 + i, 20 + (i % 20)]]));
  }
  const states: LiveStatus[] = [];
  const remote = new LiveRemote({ mirror: true });
  const result = await animateLive({
    ...{ ...model, portrait: example('portrait.png'), camera: path('moving'), to: path('live.mp4') },
    ...{ size: 64, mostFrames: 10, remote },
    onFrame: (status) => {
      states.push(status);
      if (states.length === 2) remote.resetReference();
      if (states.length === 4) remote.stop();
    },
  });
  const frames = states.length + 1; // the portrait at rest, and what the camera drove
  assert.deepEqual([result.width, result.height, result.frames], [64, 64, frames]);
  assert.ok(states.length >= 1 && states.length <= 4);
  assert.ok(states.every(({ hasFace, latency }) => hasFace && latency > 0));
  assert.ok(result.dropped > 0, 'pictures that came faster than asked for were left out');
  const { times, tags } = await inspect(path('live.mp4'));
  assert.deepEqual([times.length, tags.title], [frames, 'Synthetic media']);
  assert.ok(times.every((time, i) => i === 0 || time > times[i - 1]!));
});

/** A program in FFmpeg's place: a camera of PPM pictures, or a device that keeps what it is sent. */
const STAND_IN = `#!${process.execPath}
const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
const words = process.argv.slice(2);
writeFileSync(process.env.KEPT + (words.at(-1) === '-' ? '.camera' : '.device'), words.join(' '));
if (words.at(-1) === '-') {
  if (process.env.BROKEN) { console.error('first line\\n/dev/null: Device or resource busy'); process.exit(1); }
  const picture = readFileSync(process.env.PICTURE);
  let count = 0;
  const timer = setInterval(() => { if (count++ === 60) { clearInterval(timer); return; } process.stdout.write(picture); }, 20);
} else process.stdin.on('data', (bytes) => appendFileSync(process.env.KEPT, bytes));
`;

test('a camera is read and a virtual camera is written by FFmpeg; what is missing or fails is said with a remedy', {
  skip: process.platform !== 'linux' && 'cameras are devices on Linux',
}, async () => {
  await mkdir(path('bin'));
  await writeFile(path('bin', 'ffmpeg'), STAND_IN);
  await chmod(path('bin', 'ffmpeg'), 0o755);
  const face = resizePicture(await readPicture(example('portrait.png')), 256, 256);
  const seen = collage(400, 300, [[face, 70, 20]]);
  await writeFile(path('seen.ppm'), Buffer.concat([Buffer.from('P6\n400 300\n255\n'), seen.data]));
  const variables = { PATH: path('bin'), KEPT: path('kept'), PICTURE: path('seen.ppm') };
  const words = [
    'live',
    example('portrait.png'),
    '--checkpoint',
    'quick.safetensors',
    '--size',
    '64',
    '--threads',
    '1',
  ];
  const run = await dagan(folder, [...words, '--camera', '/dev/null', '--to', '/dev/full', '--json'], variables);
  assert.equal(run.code, 0, run.stderr);
  const told = run.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const result = told.at(-1)!;
  assert.deepEqual([result.type, result.to, result.width], ['result', '/dev/full', 64]);
  assert.ok(told.some(({ type, latency, hasFace }) => type === 'status' && typeof latency === 'number' && hasFace));
  const kept = await readFile(path('kept'));
  const count = result.frames as number;
  assert.ok(count >= 2 && kept.length === count * 64 * 64 * 3, `${kept.length} bytes of ${count} frames`);
  assert.match(await readFile(path('kept.device'), 'utf8'), /-video_size 64x64 .*-f v4l2 .*\/dev\/full$/);
  assert.match(await readFile(path('kept.camera'), 'utf8'), /-f v4l2 -i \/dev\/null/);
  // Nothing moves in front of the camera, so the portrait is as it is at rest.
  const frame = (i: number): Picture => ({ width: 64, height: 64, data: kept.subarray(i * 12288, (i + 1) * 12288) });
  assert.ok(psnr(frame(0), frame(count - 1)) > 35);

  // What is missing is said before any work; what fails, in FFmpeg's own words.
  const before = { ...process.env };
  const order = { ...model, portrait: example('portrait.png') };
  const [from, to] = ['/dev/null', path('x.mp4')];
  await mkdir(path('empty'));
  try {
    for (const [devices, changed, said] of [
      [{ camera: '/dev/video99', to }, {}, /: \/dev\/video99: there is no such camera; .*list-devices/],
      [
        { camera: from, to: '/dev/video99' },
        {},
        /: \/dev\/video99: there is no such virtual camera; .*modprobe v4l2loopback/,
      ],
      [
        { camera: from, to },
        { PATH: path('empty') },
        /: \/dev\/null: FFmpeg, .*is not installed \(.*apt install ffmpeg\)/,
      ],
      [{ camera: from, to }, { BROKEN: '1' }, /: \/dev\/null: FFmpeg says: \/dev\/null: Device or resource busy/],
    ] as const) {
      Object.assign(process.env, variables, changed);
      await assert.rejects(animateLive({ ...order, ...devices }), said);
    }
  } finally {
    for (const name of ['KEPT', 'PICTURE', 'BROKEN']) delete process.env[name];
    process.env.PATH = before.PATH;
  }
  assert.ok(!(await names(folder)).includes('x.mp4'));
});

test('until a face is before the camera the portrait is shown at rest', async () => {
  await mkdir(path('dark'));
  for (const i of [0, 1, 2]) await writePicture(path('dark', `${i}.png`), createPicture(64, 64));
  const result = await animateLive({
    ...{ ...model, portrait: example('portrait.png'), camera: path('dark'), to: path('rest/'), size: 256 },
  });
  assert.equal(result.frames, 1);
  assert.deepEqual(await names(path('rest')), ['000000.png']);
  assert.equal((await readPicture(path('rest', '000000.png'))).width, 256);
});
