// What the tests of the engine in a browser share: the fixtures, engines that are disposed of in the end, and comparisons.
import { afterAll, expect } from 'vitest';
import {
  createStudioEngine,
  type EngineErrorCode,
  type GeneratedFrame,
  type Picture,
  type Provider,
  type StudioEngine,
  StudioEngineError,
} from '../../src/engine/index.js';
import { FIXTURES } from './fixtures.js';

const engines: StudioEngine[] = [];

export function start(threads?: number): StudioEngine {
  const engine = createStudioEngine({ threads });
  engines.push(engine);
  return engine;
}

afterAll(() => {
  for (const engine of engines) engine.dispose();
});

/** The address of a model, as the worker understands it; whole addresses as they are. */
export const modelAt = (name: string): string => new URL(name, new URL(FIXTURES, location.href)).href;

export const json = async (name: string) => (await fetch(`${FIXTURES}${name}`)).json();

export async function picture(name: string): Promise<Picture> {
  const { width, height } = await json(`pictures/${name}.json`);
  const data = new Uint8Array(await (await fetch(`${FIXTURES}pictures/${name}.rgb`)).arrayBuffer());
  return { width, height, data };
}

/** What was asked of the server since the last time, below a folder. */
export async function asked(folder: string): Promise<string[]> {
  const names: string[] = await json(':asked');
  return names.filter((name) => name.startsWith(`${folder}/`));
}

export async function bitmapOf({ width, height, data }: Picture): Promise<ImageBitmap> {
  const pixels = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) pixels.data.set([...data.subarray(3 * i, 3 * i + 3), 255], 4 * i);
  return createImageBitmap(pixels);
}

export function psnr(a: Picture, b: Picture): number {
  expect([a.width, a.height]).toEqual([b.width, b.height]);
  const squares = a.data.reduce((sum, value, i) => sum + (value - b.data[i]!) ** 2, 0);
  return 10 * Math.log10((255 ** 2 * a.data.length) / Math.max(squares, 1e-9));
}

export function furthest(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  return Array.from(actual).reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
}

export async function rejection(promise: Promise<unknown>): Promise<{ code: EngineErrorCode; message: string }> {
  const error = await promise.then(
    () => expect.unreachable('nothing was thrown'),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(StudioEngineError);
  return error as StudioEngineError;
}

export const faces = await json('expected-faces.json');
export const whole = await picture('whole');
export const clip = await Promise.all([0, 1, 2, 3].map((i) => picture(`frame${i}`)));

/** Loads a model, and animates as the fixtures do. */
export async function animated(engine: StudioEngine, model: string, provider: Provider): Promise<GeneratedFrame> {
  await engine.load({ url: modelAt(model), provider });
  await engine.setPortrait({ picture: whole, square: faces.square });
  await engine.setReference({ frame: clip[0]!, square: faces.clipSquare });
  return engine.animate({ frame: clip[2]!, square: faces.clipSquare, insight: true });
}
