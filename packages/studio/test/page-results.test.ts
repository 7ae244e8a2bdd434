// The studio in Chromium: motion templates, the choice of model, and what can be done with results. All tests but the last share one
// page, as somebody uses it who makes one result after the other.
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { openClip, type Picture, readMetadata } from 'dagan';
import { DIGITAL_SOURCE_TYPES } from 'dagan/media';
import { driverFile } from 'dagan/pipelines';
import type { Page } from 'playwright-core';
import {
  dagan,
  differences,
  example,
  exportTinyModel,
  framesIn,
  makeTalkingClip,
  openStudio,
  picturesOf,
  SHORT,
  saveResult,
  startChromium,
  startStudio,
  violations,
} from './page-fixtures.js';

const folder = await mkdtemp(join(tmpdir(), 'dagan-studio-results-'));
after(() => rm(folder, { recursive: true, force: true }));
const path = (name: string): string => join(folder, name);
await copyFile(example('portrait.png'), path('portrait.png'));
await makeTalkingClip(path('short.mp4'), await picturesOf(example('driving.mp4'), { end: SHORT }));
await exportTinyModel(path('named'), true);
await exportTinyModel(path('model'));
const { url } = await startStudio(folder, '--checkpoint', 'named', '--checkpoint', 'model');
const browser = await startChromium();

// For somebody who wants no motion: without the example that moves at once, and results do not play by themselves.
const { page, faults } = await openStudio(browser, url, { reducedMotion: 'reduce' });
await page.getByText('What the network sees').click();
await page.getByText('Options', { exact: true }).click();

const chooseDriver = (name: string) => page.locator('.panel:nth-child(2) input[type=file]').setInputFiles(path(name));
const facts = (panel: number) => page.locator(`.panel:nth-child(${panel}) > footer > .facts`);
const animate = () => page.getByRole('button', { name: 'Animate' }).click();
const compareBy = (view: string) => page.locator('.chooser select').selectOption(view);

/** Decibels between two pictures. */
const psnr = (a: Picture, b: Picture): number => 10 * Math.log10(255 ** 2 / differences(a, b).error);

test('a motion template moves the portrait as in Node, and the result can be compared with the portrait by keyboard', async () => {
  await page.locator('.panel:nth-child(1) input[type=file]').setInputFiles(path('portrait.png'));
  const blink = page.getByRole('button', { name: 'blink' });
  await blink.click();
  await facts(2).getByText('Motion template, 30 frames, 1.2 s').waitFor();
  assert.equal(await blink.getAttribute('aria-pressed'), 'true');
  await page.getByLabel('Direction').selectOption('forward and back');
  await facts(2).getByText('Motion template, 60 frames, 2.4 s').waitFor();
  await page.getByLabel('Direction').selectOption('backward');
  await page.getByLabel('Speed').selectOption('double');
  await facts(2).getByText('Motion template, 15 frames, 0.6 s').waitFor();
  await animate();
  await page.getByText('Done: 15 frames').waitFor();
  const saved = await saveResult(page, folder);
  assert.match(basename(saved), /^portrait-blink\.(mp4|webm)$/);

  const words = ['animate', 'portrait.png', 'blink', '-o', 'blinking/', '--checkpoint', 'named', '--threads', '1'];
  const { code, stderr } = await dagan(folder, ...words, '--direction', 'reverse', '--speed', '2');
  assert.equal(code, 0, stderr);
  const actual = await picturesOf(saved);
  assert.equal(actual.length, 15);
  for (const [i, expected] of (await framesIn(path('blinking'), 15)).entries()) {
    assert.ok(psnr(actual[i]!, expected) > 35, `frame ${i}: ${psnr(actual[i]!, expected).toFixed(1)} dB`);
  }

  await compareBy('portrait | result');
  const divider = page.getByRole('slider', { name: 'How far the portrait is shown' });
  const shown = () => page.locator('.other').evaluate(({ style }: HTMLElement) => style.clipPath);
  assert.equal(await shown(), 'inset(0px 50% 0px 0px)');
  await divider.press('ArrowLeft');
  assert.equal(await shown(), 'inset(0px 51% 0px 0px)');
  await divider.press('Home');
  assert.equal(await shown(), 'inset(0px 100% 0px 0px)');
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    assert.deepEqual(await violations(page), [], colorScheme);
  }
  await page.setViewportSize({ width: 320, height: 700 });
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(beyond <= 0, 'nothing stands beyond a narrow screen');
  await page.setViewportSize({ width: 1280, height: 900 });
});

test('the driving clip plays in step beside the result, and a result can be shared where the browser can', async () => {
  assert.equal(await page.getByRole('button', { name: 'Share' }).isVisible(), false);
  await page.evaluate(() => {
    const shared: File[] = [];
    Object.assign(globalThis, { shared });
    const share = async ({ files }: ShareData): Promise<void> => void shared.push(...files!);
    Object.defineProperty(navigator, 'canShare', { value: ({ files }: ShareData) => files!.length > 0 });
    Object.defineProperty(navigator, 'share', { value: share });
  });
  await chooseDriver('short.mp4');
  await facts(2).getByText(`${SHORT} frames`).waitFor();
  await animate();
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  await saveResult(page, folder);
  await compareBy('driving clip beside it');
  const [result, clip] = [page.locator('.player > video'), page.locator('.cut video')];
  const time = (video: typeof result) => video.evaluate((element: HTMLVideoElement) => element.currentTime);
  await result.evaluate((element: HTMLVideoElement) => {
    element.currentTime = 0.12;
  });
  await page.waitForFunction(
    () => Math.abs((document.querySelector<HTMLVideoElement>('.cut video')?.currentTime ?? 0) - 0.12) < 0.01,
  );
  await result.evaluate((element: HTMLVideoElement) => element.play());
  await page.waitForFunction(() => document.querySelector<HTMLVideoElement>('.player > video')!.ended);
  await page.waitForFunction(() => document.querySelector<HTMLVideoElement>('.cut video')!.paused);
  assert.ok(Math.abs((await time(result)) - (await time(clip))) < 0.1, 'they end together');
  const [right, left] = [(await result.boundingBox())!, (await page.locator('.cut').boundingBox())!];
  assert.ok(Math.abs(right.y - left.y) < 2 && left.x + left.width <= right.x + 1, 'they stand beside each other');
  await compareBy('driving clip | result');
  await page.getByRole('slider', { name: 'How far the driving clip is shown' }).waitFor();

  await page.getByRole('button', { name: 'Share' }).click();
  await page.waitForFunction(() => (globalThis as unknown as { shared: File[] }).shared.length === 1);
  const name = await page.evaluate(() => (globalThis as unknown as { shared: File[] }).shared[0]!.name);
  assert.match(name, /^portrait-short\.(mp4|webm)$/);
});

test('GIF and animated WebP are written with their origin, shown, and read by others', async () => {
  const video = path((await page.getByRole('link', { name: 'Save' }).getAttribute('download'))!);
  const reference = await picturesOf(video);
  for (const [option, ending] of [
    ['GIF', 'gif'],
    ['WebP (animated)', 'webp'],
  ] as const) {
    await page.getByLabel('File').selectOption(option);
    await animate();
    await page.locator(`.button[download="portrait-short.${ending}"]`).waitFor();
    await page.waitForFunction(() => document.querySelector<HTMLImageElement>('.player img')?.naturalWidth === 256);
    await facts(3).getByText(`written without sound: ${ending} holds none`).waitFor();
    const saved = await saveResult(page, folder);
    await using clip = await openClip(saved);
    assert.deepEqual([clip.frameCount, clip.width, clip.height], [SHORT, 256, 256]);
    assert.ok(Math.abs(clip.duration! - SHORT / 25) < 0.01, `${clip.duration} s`);
    for (const [i, picture] of (await picturesOf(saved)).entries()) {
      assert.ok(
        psnr(picture, reference[i]!) > 28,
        `${ending}, frame ${i}: ${psnr(picture, reference[i]!).toFixed(1)} dB`,
      );
    }
    const { title, origin } = await readMetadata(saved);
    assert.deepEqual([title, origin?.digitalSourceType], ['Synthetic media', DIGITAL_SOURCE_TYPES.composite]);
    assert.equal(origin?.system, 'tiny named');
  }
});

test('portrait, driving frame and result stand in one file, which says that it is composed', async () => {
  await page.getByLabel('Side by side').check();
  await animate();
  await page.locator('.button[download="portrait-short-2.webp"]').waitFor();
  const saved = await saveResult(page, folder);
  await using together = await openClip(saved);
  assert.deepEqual([together.width, together.height, together.frameCount], [3 * 256, 256, SHORT]);
  assert.equal((await readMetadata(saved)).origin?.digitalSourceType, DIGITAL_SOURCE_TYPES.composite);
  assert.equal(await page.locator('.chooser').isVisible(), false);
});

test('a template of the user’s drives, a damaged one is named; another model takes over, is remembered, and refuses it', async () => {
  const whole = await readFile(driverFile('nod'));
  await writeFile(path('mine.motion.safetensors'), whole);
  await writeFile(path('cut.motion.safetensors'), whole.subarray(0, 5000));
  await chooseDriver('cut.motion.safetensors');
  await page.getByText(/cut\.motion\.safetensors: ends too early/).waitFor();
  await chooseDriver('mine.motion.safetensors');
  await facts(2).getByText('Motion template, 25 frames, 1.0 s').waitFor(); // at double speed, as before

  await page
    .locator('.field', { hasText: /^Model/ })
    .locator('select')
    .selectOption('tiny');
  await page.locator('.engine[title=tiny]').waitFor();
  await animate(); // portrait and template are still there
  await page.getByText(/mine: was made with another model, and this one has no keypoints with names/).waitFor();
  await chooseDriver('short.mp4');
  await facts(2).getByText(`${SHORT} frames`).waitFor();
  await page.getByRole('button', { name: 'nod' }).click();
  await page.getByText(/nod: was made with another model/).waitFor();
  await facts(2).getByText(`${SHORT} frames`).waitFor(); // the clip stays
  await animate();
  await page.locator('.button[download="portrait-short-3.webp"]').waitFor();
  assert.equal((await readMetadata(await saveResult(page, folder))).origin?.system, 'tiny');
  await page.reload();
  await page.locator('.engine[title=tiny]').waitFor();
  assert.deepEqual(faults, []);
  await page.context().close();
});

test('before anything is chosen the example portrait nods, until it is stopped: then not at the next visit either', async () => {
  const visit = await openStudio(browser, url);
  await visit.page.getByText('What the network sees').click();
  const stop = visit.page.getByRole('button', { name: 'Stop the example' });
  await stop.waitFor();
  const canvas = visit.page.locator('canvas[aria-label=Result]');
  const drawn = await canvas.evaluate((element: HTMLCanvasElement) => element.toDataURL());
  await visit.page.waitForFunction(
    (earlier) => document.querySelector<HTMLCanvasElement>('canvas[aria-label=Result]')?.toDataURL() !== earlier,
    drawn,
  );
  await stop.click();
  assert.equal(await canvas.isVisible(), false);
  assert.equal(await stop.isVisible(), false);
  assert.equal(await visit.page.evaluate(() => localStorage.getItem('dagan-studio-demo')), 'ended');
  await visit.page.reload();
  await visit.page.locator('.engine[data-provider]').waitFor();
  await waitForNetworks(visit.page);
  assert.equal(await stop.isVisible(), false);
  assert.deepEqual(visit.faults, []);
});

/** Waits until whatever was asked of the networks before has been done. */
async function waitForNetworks(somewhere: Page): Promise<void> {
  await somewhere.locator('.panel:nth-child(1) input[type=file]').setInputFiles(path('portrait.png'));
  await somewhere.locator('.panel:nth-child(1)').getByText('square of 256').waitFor();
}
