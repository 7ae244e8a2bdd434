// The studio in Chromium: portraits at hand, the camera while it runs, and the result in windows of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { becomes, makeFixtures, openStudio, SHORT, startChromium, startStudio, violations } from './page-fixtures.js';

const { folder, path } = await makeFixtures();
const { url } = await startStudio(folder, '--checkpoint', 'model');
const browser = await startChromium(path('camera.y4m'));

const choosePortrait = (page: Page, name: string) =>
  page.locator('.panel:nth-child(1) input[type=file]').setInputFiles(path(name));
const portraits = (page: Page) => page.getByRole('radiogroup', { name: 'Portraits at hand' });
const useCamera = (page: Page) => page.getByRole('button', { name: 'Use the camera' }).click();
const pace = (page: Page) => page.getByText(/(frames a second|s a frame), latency \d+ ms/);
const facts = (page: Page, panel: number) => page.locator(`.panel:nth-child(${panel}) .facts`);

/** A page with its views of the networks closed, which cost time. */
async function openClosed(options: Parameters<typeof openStudio>[2] = {}) {
  const opened = await openStudio(browser, url, options);
  await opened.page.getByText('What the network sees').click();
  return opened;
}

/** What is painted on a canvas. */
const painted = (page: Page, name = 'Result'): Promise<string> =>
  page.locator(`canvas[aria-label="${name}"]`).evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());

/** What a page's player shows. */
const played = (page: Page): Promise<string> =>
  page.locator('video[controls]').evaluate((video: HTMLVideoElement) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 256, height: 256 });
    canvas.getContext('2d')!.drawImage(video, 0, 0);
    return canvas.toDataURL();
  });

/** Whether a button of a page is pressed. */
const pressed = (page: Page, name: string) => page.getByRole('button', { name, pressed: true });

/** Waits until a page's result is another one. */
async function otherThan(page: Page, drawn: string): Promise<string> {
  await page.waitForFunction(
    (before) => document.querySelector<HTMLCanvasElement>('canvas[aria-label=Result]')?.toDataURL() !== before,
    drawn,
  );
  return painted(page);
}

/** Puts somebody who does not move before cameras of several names; says which of them are on. */
async function standBefore(page: Page, ...cameras: string[]) {
  await page.evaluate((names) => {
    const face = document.querySelector<HTMLCanvasElement>('.panel:nth-child(1) canvas')!;
    const still = new OffscreenCanvas(256, 256);
    still.getContext('2d')!.drawImage(face, 0, 0);
    const on = new Map<string, MediaStreamTrack>();
    const getUserMedia = async ({ video }: MediaStreamConstraints) => {
      const wanted = ((video as MediaTrackConstraints).deviceId as ConstrainDOMStringParameters | undefined)?.exact;
      const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 256 });
      const context = canvas.getContext('2d')!;
      setInterval(() => context.drawImage(still, 32, 0), 40);
      const stream = canvas.captureStream();
      on.set(String(wanted ?? names[0]), stream.getVideoTracks()[0]!);
      return stream;
    };
    const enumerateDevices = async () => names.map((label) => ({ kind: 'videoinput', deviceId: label, label }));
    Object.defineProperties(navigator.mediaDevices, {
      getUserMedia: { value: getUserMedia },
      enumerateDevices: { value: enumerateDevices },
    });
    Object.assign(globalThis, {
      camerasOn: () => [...on].filter(([, { readyState }]) => readyState === 'live').map(([name]) => name),
    });
  }, cameras);
}

const camerasOn = (page: Page): Promise<string[]> =>
  page.evaluate(() => (globalThis as unknown as { camerasOn(): string[] }).camerasOn());

test('portraits stay at hand: arrow keys change between them, each with its square, also while the camera drives; any can go', async () => {
  const { context, page, faults } = await openClosed();
  const names = () => portraits(page).locator('label').allTextContents();
  const examples = ['Example: Astronaut', 'Example: Mona Lisa', 'Example: Lady Agnew'];
  assert.deepEqual(await names(), examples);
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await page.getByRole('group', { name: /Square of the portrait/ }).press('Shift+-');
  await facts(page, 1).getByText('square of 230').waitFor();
  await choosePortrait(page, 'pair.png');
  await page.getByText('Face 2 of 2').waitFor();
  const radio = (name: string) => page.getByRole('radio', { name, exact: true });
  const earlier = await radio('pair.png').elementHandle();
  await choosePortrait(page, 'pair.png'); // once is enough
  await page.waitForFunction((input) => !input!.isConnected, earlier); // the row is made anew once it is read
  await page.getByText('Face 2 of 2').waitFor();
  assert.deepEqual(await names(), ['pair.png', 'portrait.png', ...examples]);
  assert.equal(await radio('pair.png').isChecked(), true);
  await radio('pair.png').press('ArrowRight');
  await facts(page, 1).getByText('square of 230').waitFor();
  assert.equal(await page.getByText('Face 2 of 2').isVisible(), false);

  await standBefore(page, 'desk');
  await useCamera(page);
  await pace(page).waitFor();
  const first = await painted(page);
  await radio('portrait.png').press('ArrowRight');
  const example = await otherThan(page, first);
  await radio('Example: Astronaut').press('ArrowLeft');
  await page.waitForFunction(
    (before) => document.querySelector<HTMLCanvasElement>('canvas[aria-label=Result]')?.toDataURL() === before,
    first, // who drives has not moved, and motion is still measured from the same frame
  );
  assert.notEqual(example, first);
  assert.deepEqual(await camerasOn(page), ['desk']);

  const remove = page.getByRole('button', { name: 'Remove this portrait' });
  await remove.press('Enter');
  assert.deepEqual(await names(), ['pair.png', ...examples]);
  assert.equal(await radio('Example: Astronaut').isChecked(), true, 'the next one takes its place');
  assert.equal(await remove.isVisible(), false, 'examples stay');
  assert.equal(await page.evaluate(() => document.activeElement === document.querySelector(':checked')), true);
  assert.deepEqual(await camerasOn(page), ['desk'], 'the camera goes on');
  assert.deepEqual(faults, []);
  await context.close();
});

test('where the last portrait is taken out the camera goes off, and one can be chosen again', async () => {
  const { context, page, faults } = await openClosed();
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await standBefore(page, 'desk');
  await useCamera(page);
  await pace(page).waitFor();
  await page.getByRole('button', { name: 'Remove this portrait' }).click();
  await page.getByText('The camera is off.').waitFor();
  assert.deepEqual(await camerasOn(page), []);
  assert.equal(await page.getByLabel('Choose a portrait').isVisible(), true);
  await useCamera(page);
  await page.getByText('Choose a portrait first').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('while the camera drives another one can be chosen, its mirror turned, its frames limited; the latency is told', async () => {
  const { context, page, faults } = await openClosed();
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await standBefore(page, 'desk', 'ceiling');
  await useCamera(page);
  await pace(page).waitFor();
  await page.getByText('Options', { exact: true }).click();
  await page.getByRole('combobox', { name: 'Camera', exact: true }).selectOption('ceiling');
  await becomes(() => camerasOn(page), ['ceiling']);
  await pace(page).waitFor();
  const picture = page.locator('.panel:nth-child(2) video');
  assert.match((await picture.getAttribute('class'))!, /mirrored/);
  await page.getByLabel('Mirror').uncheck();
  assert.doesNotMatch((await picture.getAttribute('class'))!, /mirrored/);
  await page.getByRole('combobox', { name: 'frames a second' }).selectOption('5');
  await page.waitForFunction(() => {
    const [, number, unit] = /([\d.]+) (frames a second|s a frame)/.exec(
      document.querySelector('.actions')!.textContent!,
    )!;
    return unit === 's a frame' || Number(number) < 5.5;
  });
  assert.deepEqual(await camerasOn(page), ['ceiling']);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  assert.deepEqual(await camerasOn(page), []);
  await page.reload();
  assert.equal(await page.getByLabel('frames a second').inputValue(), '5', 'options are remembered');
  assert.deepEqual(faults, []);
  await context.close();
});

test('a window of its own shows the result and nothing else: frames, then the finished video; it scales, and closes with the page', async () => {
  const { context, page, faults } = await openClosed();
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await page.locator('.panel:nth-child(2) input[type=file]').setInputFiles(path('short.mp4'));
  const opener = page.getByRole('button', { name: 'Pop out' });
  const [output] = await Promise.all([context.waitForEvent('page'), opener.press('Enter')]);
  assert.equal(await output.title(), 'DaGAN studio: output');
  await pressed(page, 'Pop out').waitFor();
  await page.getByText('Options', { exact: true }).click();
  await page.getByLabel('Around the result').selectOption('green');
  await page.getByRole('button', { name: 'Animate' }).click();
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  // The player shows the video's last frame; the output the same.
  await page.waitForFunction(() => document.querySelector<HTMLVideoElement>('video[controls]')?.ended);
  await becomes(async () => (await painted(output)) === (await played(page)), true);
  const seen = await played(page);
  for (const [width, height] of [
    [300, 500],
    [700, 400],
  ] as const) {
    await output.setViewportSize({ width, height });
    await becomes(async () => {
      const box = (await output.getByRole('img', { name: 'Result' }).boundingBox())!;
      return [box.width, box.height];
    }, [width, height]);
  }
  const ground = await output.evaluate(
    () => getComputedStyle(document.querySelector<HTMLElement>('main div')!).backgroundColor,
  );
  assert.equal(ground, 'rgb(0, 255, 0)');
  assert.deepEqual(await violations(output), []);

  await Promise.all([output.waitForEvent('close'), opener.click()]);
  await pressed(page, 'Pop out').waitFor({ state: 'detached' });
  const [again] = await Promise.all([context.waitForEvent('page'), opener.click()]);
  assert.equal(await painted(again), seen, 'what is there is shown at once');
  await again.close();
  await pressed(page, 'Pop out').waitFor({ state: 'detached' });
  const [last] = await Promise.all([context.waitForEvent('page'), opener.click()]);
  assert.deepEqual(faults, []);
  await Promise.all([last.waitForEvent('close'), page.goto('about:blank')]);
  await context.close();
});

test('the live result goes above other windows and on the whole screen; Escape and the focus come back', async () => {
  const { context, page, faults } = await openClosed();
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await standBefore(page, 'desk');
  await useCamera(page);
  await pace(page).waitFor();
  const above = page.getByRole('button', { name: 'Picture in picture' });
  const [output] = await Promise.all([context.waitForEvent('page'), above.click()]);
  assert.equal(await painted(output), await painted(page));
  assert.deepEqual(await violations(output), []);
  await above.click();
  await pressed(page, 'Picture in picture').waitFor({ state: 'detached' });

  const screen = page.getByRole('button', { name: 'Full screen' });
  await screen.press('Enter');
  await page.waitForFunction(() => document.fullscreenElement?.contains(document.activeElement));
  assert.equal(await painted(page, 'Result on the whole screen'), await painted(page));
  assert.deepEqual(await violations(page), []);
  await page.evaluate(() => document.exitFullscreen()); // as Escape does, which belongs to the browser
  await page.waitForFunction(() => document.activeElement?.textContent === 'Full screen');
  assert.equal(await page.locator('[aria-label="Result on the whole screen"]').count(), 0);
  assert.deepEqual(faults, []);
  await context.close();
});

test('browsers that put nothing above others but videos get one; those without either are not offered it', async () => {
  for (const [lacks, offered] of [
    [['documentPictureInPicture'], true],
    [['documentPictureInPicture', 'pictureInPictureEnabled'], false],
  ] as const) {
    const { context, page, faults } = await openStudio(browser, url);
    await page.addInitScript((names: readonly string[]) => {
      for (const name of names) {
        if (name in document) Object.defineProperty(document, name, { value: false });
        else Reflect.deleteProperty(globalThis, name);
      }
    }, lacks);
    await page.reload();
    const above = page.getByRole('button', { name: 'Picture in picture' });
    await page.locator('.engine[data-provider]').waitFor();
    assert.equal(await above.isVisible(), offered);
    if (offered) {
      await above.click();
      await page.getByText('There is nothing to show yet').waitFor();
      await choosePortrait(page, 'portrait.png');
      await facts(page, 1).getByText('square of 256').waitFor();
      await useCamera(page);
      await pace(page).waitFor();
      await above.click();
      await page.waitForFunction(() => document.pictureInPictureElement !== null);
      await pressed(page, 'Picture in picture').waitFor();
      await above.click();
      await page.waitForFunction(() => document.pictureInPictureElement === null);
      await pressed(page, 'Picture in picture').waitFor({ state: 'detached' });
    }
    assert.deepEqual(faults, []);
    await context.close();
  }
});
