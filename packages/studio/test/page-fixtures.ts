// What the tests of the page work with: a small model, clips of a face, the server, and Chromium.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { registerMediabunnyServer } from '@mediabunny/server';
import axe from 'axe-core';
import {
  createClipWriter,
  DaGAN,
  exportModel,
  openClip,
  type Picture,
  readPicture,
  trainingPreset,
  writePicture,
} from 'dagan';
import { FACE_LANDMARK_NAMES } from 'dagan/faces';
import type { ClipOptions } from 'dagan/media';
import { pictureToI420 } from 'dagan/media/portable';
import { fillByFormula, type ModelConfig, publishedName } from 'dagan/models';
import {
  AudioSample,
  AudioSampleSource,
  BufferTarget,
  Mp4OutputFormat,
  Output,
  Quality,
  VideoSample,
  VideoSampleSource,
} from 'mediabunny';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { CHROMIUM_ARGUMENTS, findChromium } from './chromium.js';
import { onGrey, pairOf } from './pictures.js';

/** Seen from the compiled file in dist/test. */
const ROOT = new URL('../../../../', import.meta.url);
const MAIN = fileURLToPath(new URL('packages/dagan/dist/src/cli/main.js', ROOT));
/** A file of the repository's examples. */
export const example = (name: string): string => fileURLToPath(new URL(`examples/${name}`, ROOT));

/** Frames of the short clip. */
export const SHORT = 6;

/** Makes everything in a folder of its own, which is removed when the tests are over. */
export async function makeFixtures() {
  const folder = await mkdtemp(join(tmpdir(), 'dagan-studio-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, name);
  await exportTinyModel(path('model'));
  await copyFile(example('portrait.png'), path('portrait.png'));
  await copyFile(example('driving.mp4'), path('long.mp4'));
  const frames = await picturesOf(path('long.mp4'), { every: 15 });
  await makeTalkingClip(path('short.mp4'), frames.slice(0, SHORT));
  await makeTalkingClip(path('middle.mp4'), await picturesOf(path('long.mp4'), { end: 24 }));
  await writeAnimation(path('short.gif'), frames.slice(0, SHORT));
  const long = await readFile(path('long.mp4'));
  await writeFile(path('begun.mp4'), long.subarray(0, Math.floor(0.1 * long.length)));
  await writePicture(path('pair.png'), pairOf(await readPicture(path('portrait.png'))));
  await makeTalkingClip(path('pair.mp4'), frames.slice(0, 2).map(pairOf));
  await writeFile(path('camera.y4m'), y4m(frames));
  return { folder, path };
}

/** What makes the keypoints of a model have names. */
const NAMED: Partial<ModelConfig> = {
  numKeypoints: FACE_LANDMARK_NAMES.length,
  estimateJacobian: false,
  semanticKeypoints: Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint])),
};

/**
 * The smallest preset with reproducible weights. Its last layer is made louder, as untrained ones paint but grey.
 *
 * @param named whether its keypoints have names, so that motion templates drive it
 */
export async function exportTinyModel(folder: string, named = false): Promise<void> {
  const config = { ...trainingPreset('debug').model, ...(named && NAMED) };
  using model = fillByFormula(new DaGAN(config), { rename: publishedName, seed: 'open' });
  model.eval().requiresGrad_(false);
  model.stateDict().get('generator.decoder.final.weight')!.mul_(18);
  await exportModel(model, folder, { metadata: { name: named ? 'tiny named' : 'tiny', license: 'CC0-1.0' } });
}

/** Frames of the example clip, with a tone. */
export async function makeTalkingClip(path: string, frames: readonly Picture[]): Promise<void> {
  registerMediabunnyServer({ hardwareContext: null });
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: false }), target });
  const video = new VideoSampleSource({ codec: 'avc', quality: new Quality('very-high') });
  const audio = new AudioSampleSource({ codec: 'aac', quality: new Quality('medium') });
  output.addVideoTrack(video, { frameRate: 25 });
  output.addAudioTrack(audio);
  await output.start();
  for (const [i, picture] of frames.entries()) {
    const { width, height, data } = pictureToI420(picture, YUV);
    const layout = {
      format: 'I420',
      codedWidth: width,
      codedHeight: height,
      timestamp: i / 25,
      duration: 1 / 25,
    } as const;
    using sample = new VideoSample(data, layout);
    await video.add(sample);
  }
  for (let block = 0; block < 2 * frames.length; block++) {
    const wave = (i: number): number => 0.3 * Math.sin((440 * 2 * Math.PI * (960 * block + i)) / 48_000);
    const data = Float32Array.from({ length: 960 }, (_, i) => wave(i));
    const layout = { format: 'f32', numberOfChannels: 1, sampleRate: 48_000, timestamp: block / 50 } as const;
    using sample = new AudioSample({ data, ...layout });
    await audio.add(sample);
  }
  await output.finalize();
  await writeFile(path, new Uint8Array(target.buffer!));
}

/** Frames as an animated picture. */
async function writeAnimation(path: string, frames: readonly Picture[]): Promise<void> {
  const { width, height } = frames[0]!;
  await using writer = await createClipWriter(path, { width, height, frameRate: 10 });
  for (const picture of frames) await writer.add(picture);
  await writer.finish();
}

/** Frames as the uncompressed film that Chromium takes for a camera's. */
function y4m(frames: readonly Picture[]): Uint8Array {
  const { width, height } = frames[0]!;
  const head = Buffer.from(`YUV4MPEG2 W${width} H${height} F25:1 Ip A1:1 C420jpeg\n`);
  const parts = frames.flatMap((picture) => [Buffer.from('FRAME\n'), pictureToI420(picture, YUV).data]);
  return Buffer.concat([head, ...parts]);
}

const YUV = { matrix: 'bt601', fullRange: false } as const;

/** A grey picture. */
export async function writeGreyPicture(path: string, width = 300, height = 200): Promise<void> {
  await writePicture(path, onGrey(width, height));
}

/** Runs `dagan` to its end. */
export async function dagan(folder: string, ...words: string[]): Promise<{ code: number; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...words], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [code] = await once(child, 'close');
  return { code, stderr };
}

/** Starts `dagan studio` and waits for its address. */
export async function startStudio(folder: string, ...words: string[]): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [MAIN, 'studio', ...words], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  after(() => child.kill());
  for await (const text of child.stdout.setEncoding('utf8')) {
    const [url] = /http:\S+/.exec(String(text)) ?? [];
    if (url) return { url, child };
  }
  throw new Error('dagan studio ended before it said its address');
}

/**
 * Stands between the page and its server: passes everything on, until the server is to fall silent, which then takes what it
 * is asked and never answers.
 */
export async function startGate(server: string): Promise<{ url: string; silence(): void }> {
  let silent = false;
  const { hostname, port } = new URL(server);
  const gate = createServer((socket) => {
    socket.on('error', () => {});
    if (silent) return socket.resume();
    const beyond = connect(Number(port), hostname);
    beyond.on('error', () => socket.destroy());
    return socket.pipe(beyond).pipe(socket);
  });
  gate.listen(0, '127.0.0.1');
  await once(gate, 'listening');
  const open = new Set<Socket>();
  gate.on('connection', (socket) => open.add(socket));
  after(() => {
    gate.close();
    for (const socket of open) socket.destroy();
  });
  const silence = (): void => {
    silent = true;
    for (const socket of open) socket.destroy(); // the next request comes by a new one
  };
  return { url: `http://127.0.0.1:${(gate.address() as AddressInfo).port}/`, silence };
}

/** Milliseconds for which anything is waited for, at most: busy machines are slow. */
const PATIENCE = 300_000;

/** Waits until what is read is as it should be; says what it is instead if it does not become so. */
export async function becomes<Value>(read: () => Promise<Value>, expected: Value, message?: string): Promise<void> {
  const end = Date.now() + PATIENCE;
  let value = await read();
  while (!isDeepStrictEqual(value, expected) && Date.now() < end) {
    await sleep(50);
    value = await read();
  }
  assert.deepEqual(value, expected, message);
}

/** Chromium, with a film as its camera. */
export async function startChromium(camera?: string): Promise<Browser> {
  const film = camera === undefined ? [] : [`--use-file-for-fake-video-capture=${camera}`];
  const browser = await chromium.launch({
    executablePath: findChromium(),
    args: [
      ...CHROMIUM_ARGUMENTS,
      '--use-fake-device-for-media-stream',
      ...film,
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
  after(() => browser.close());
  return browser;
}

type ContextOptions = Parameters<Browser['newContext']>[0];

/** A context in which all pages are waited for as long as a busy machine takes. */
export async function patientContext(browser: Browser, options: ContextOptions = {}): Promise<BrowserContext> {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(PATIENCE);
  return context;
}

/** A page with the studio, its model loaded. Collects all requests, and what went wrong without being caught. */
export async function openStudio(
  browser: Browser,
  url: string,
  options: ContextOptions = {},
): Promise<{ context: BrowserContext; page: Page; requests: string[]; faults: string[] }> {
  const context = await patientContext(browser, { permissions: ['camera'], acceptDownloads: true, ...options });
  const requests: string[] = [];
  const faults: string[] = [];
  context.on('request', (request) => requests.push(request.url()));
  const page = await context.newPage();
  page.on('pageerror', (error) => faults.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(message.text());
  });
  await page.goto(url);
  await page.locator('.engine[data-provider]').waitFor();
  return { context, page, requests, faults };
}

/** What axe finds against accessibility (WCAG 2, and what it counts as good practice): the rule and the elements. */
export async function violations(page: Page): Promise<string[]> {
  await page.waitForFunction(() => document.getAnimations().length === 0); // colours on their way to others
  await page.evaluate(axe.source);
  const { violations: found, passes } = await page.evaluate(() =>
    (globalThis as unknown as { axe: typeof axe }).axe.run(),
  );
  if (passes.length === 0) throw new Error('axe has applied no rule');
  return found.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
}

/** A finished video, saved as a user saves it. */
export async function saveResult(page: Page, folder: string): Promise<string> {
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Save' }).click(),
  ]);
  const path = join(folder, download.suggestedFilename());
  await download.saveAs(path);
  return path;
}

/** The pictures of a clip. */
export async function picturesOf(path: string, options: ClipOptions = {}): Promise<Picture[]> {
  await using clip = await openClip(path, options);
  const pictures: Picture[] = [];
  for await (const { picture } of clip.frames()) pictures.push(picture);
  return pictures;
}

/** The frames that `dagan animate` wrote into a folder. */
export const framesIn = (folder: string, count: number): Promise<Picture[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => readPicture(join(folder, `${String(i).padStart(6, '0')}.png`))));

/** Mean squared difference of two pictures, and of the second from its mean. */
export function differences(a: Picture, b: Picture): { error: number; spread: number } {
  const mean = b.data.reduce((sum, value) => sum + value, 0) / b.data.length;
  let [error, spread] = [0, 0];
  for (const [i, value] of b.data.entries()) {
    error += (a.data[i]! - value) ** 2;
    spread += (value - mean) ** 2;
  }
  return { error: error / b.data.length, spread: spread / b.data.length };
}
