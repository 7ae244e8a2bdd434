// The studio in Chromium, from the command that serves it to the files that it saves. All tests share one browser and server.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { test } from 'node:test';
import { openClip, readMetadata } from 'dagan';
import { DIGITAL_SOURCE_TYPES } from 'dagan/media';
import type { Page } from 'playwright-core';
import {
  becomes,
  dagan,
  differences,
  framesIn,
  makeFixtures,
  openStudio,
  patientContext,
  picturesOf,
  SHORT,
  saveResult,
  startChromium,
  startGate,
  startStudio,
  violations,
  writeGreyPicture,
} from './page-fixtures.js';

const { folder, path } = await makeFixtures();
const { url, child: server } = await startStudio(folder, '--checkpoint', 'model');
const browser = await startChromium(path('camera.y4m'));

const choosePortrait = (page: Page, name: string) =>
  page.locator('.panel:nth-child(1) input[type=file]').setInputFiles(path(name));
const chooseClip = (page: Page, name: string) =>
  page.locator('.panel:nth-child(2) input[type=file]').setInputFiles(path(name));
const facts = (page: Page, panel: number) => page.locator(`.panel:nth-child(${panel}) .facts`);
const problem = (page: Page) => page.getByRole('alert');
const animate = (page: Page) => page.getByRole('button', { name: 'Animate' });
const closeInsight = (page: Page) => page.getByText('What the network sees').click();

test('a portrait and a clip become a video that plays, with the frames of Node’s engine, the sound and the origin', async () => {
  const { context, page, requests, faults } = await openStudio(browser, url);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  assert.match((await page.locator('.engine').textContent())!, /Runs on (wasm|WebGPU)/);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'short.mp4');
  await animate(page).click(); // waits until it can be pressed
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  await page.waitForFunction(() => (document.querySelector<HTMLVideoElement>('video[controls]')?.currentTime ?? 0) > 0);
  const saved = await saveResult(page, folder);
  assert.match(basename(saved), /^portrait-short\.(mp4|webm)$/);

  const words = ['animate', 'portrait.png', 'short.mp4', '-o', 'frames/', '--checkpoint', 'model', '--threads', '1'];
  const reference = await dagan(folder, ...words);
  assert.equal(reference.code, 0, reference.stderr);
  const [actual, expected] = [await picturesOf(saved), await framesIn(path('frames'), SHORT)];
  assert.equal(actual.length, SHORT);
  for (const [i, picture] of expected.entries()) {
    const { error, spread } = differences(actual[i]!, picture);
    assert.ok(spread > 200, `frame ${i} shows something`);
    const psnr = 10 * Math.log10(255 ** 2 / error);
    assert.ok(psnr > 35, `frame ${i}: ${psnr.toFixed(1)} dB`);
  }
  const { title, origin } = await readMetadata(saved);
  assert.equal(title, 'Synthetic media');
  assert.equal(origin?.digitalSourceType, DIGITAL_SOURCE_TYPES.trained);
  assert.match(origin?.creatorTool ?? '', /^dagan studio \d/);
  assert.equal(origin?.system, 'tiny');
  await using clip = await openClip(saved);
  assert.equal(clip.hasAudio, true);

  await becomes(() => emptyCanvases(page), []);
  const attention = page.getByLabel('Attention over the portrait');
  const before = await attention.evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
  await attention.press('Shift+ArrowLeft'); // moves the place that is asked about
  await page.waitForFunction(
    (drawn) => document.querySelector<HTMLCanvasElement>('[aria-label^=Attention]')?.toDataURL() !== drawn,
    before,
  );

  const origins = requests.map((request) => new URL(request)).filter(({ protocol }) => protocol !== 'blob:');
  assert.deepEqual([...new Set(origins.map(({ origin: place }) => place))], [new URL(url).origin]);
  assert.deepEqual(faults, []);
  await context.close();
});

test('the way from portrait to animation can be gone by keyboard alone, and stopped', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await tabTo(page, 'Example: Astronaut');
  await page.keyboard.press('Space');
  const square = page.getByRole('group', { name: /Square of the portrait/ });
  await square.waitFor();
  await square.focus();
  await page.keyboard.press('Shift+-');
  await page.keyboard.press('Shift+ArrowRight');
  assert.match((await square.textContent())!, /230 pixels wide, 26 from the left, 13 from the top/);
  await page.getByText('square of 230').waitFor();
  await tabTo(page, 'Use the example clip');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector<HTMLButtonElement>('.actions .primary')?.disabled === false);
  await tabTo(page, 'Animate');
  await page.keyboard.press('Enter');
  await page.getByText(/Frame [1-9]\d* of 246/).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Cancel');
  await page.keyboard.press('Enter');
  await page.getByText('Stopped.').waitFor();
  assert.equal(await animate(page).isEnabled(), true);
  assert.equal(await page.getByRole('link', { name: 'Save' }).isVisible(), false);
  await page.keyboard.press('Enter'); // on Animate again
  await page.getByText(/Frame ([3-9]|\d\d+) of 246, .* left/).waitFor();
  await page.getByRole('button', { name: 'Stop and keep' }).press('Enter');
  const done = page.getByText(/Done: \d+ frames/);
  await done.waitFor();
  const kept = (await picturesOf(await saveResult(page, folder))).length;
  assert.ok(kept >= 3 && kept < 246, `${kept} frames were made`);
  assert.match((await done.textContent())!, new RegExp(`^Done: ${kept} frames in`));
  assert.deepEqual(faults, []);
  await context.close();
});

test('files that are no pictures, show no face, or are damaged clips are named, with what to do', async () => {
  const { context, page } = await openStudio(browser, url);
  await closeInsight(page);
  await writeFile(path('letter.png'), 'Dear reader');
  await choosePortrait(page, 'letter.png');
  await page.getByText(/letter\.png: is no picture that this browser can read\. Choose a JPEG/).waitFor();
  await choosePortrait(page, 'short.mp4');
  await page.getByText(/short\.mp4: is a clip, not a picture/).waitFor();

  await writeGreyPicture(path('grey.png'));
  await choosePortrait(page, 'grey.png');
  await page.getByText(/No face was found in the portrait\. Move the square over the face by hand/).waitFor();
  await page.getByText('300 × 200, square of 200').waitFor();

  await chooseClip(page, 'letter.png');
  await page.getByText(/letter\.png: is not a video/i).waitFor();
  const whole = await readFile(path('short.mp4'));
  await writeFile(path('cut.mp4'), whole.subarray(0, Math.floor(0.6 * whole.length)));
  await chooseClip(page, 'cut.mp4');
  await page.getByText(/cut\.mp4: .*damaged/i).waitFor();
  assert.equal(await animate(page).isDisabled(), true);

  await choosePortrait(page, 'portrait.png');
  await page.getByText('256 × 256, square of 256').waitFor();
  const [portraits, clips] = [1, 2].map((panel) => page.locator(`.panel:nth-child(${panel})`).getByRole('alert'));
  assert.equal(await portraits!.isHidden(), true, 'what is mended is no longer complained about');
  assert.equal(await clips!.isVisible(), true, 'what is not, is');
  await context.close();
});

test('a GIF drives like a clip, and a single picture lends its pose', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'short.gif');
  await facts(page, 2).getByText(`256 × 256, ${SHORT} frames, 0.6 s, 10 a second, no sound`).waitFor();
  await animate(page).click();
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  assert.equal((await picturesOf(await saveResult(page, folder))).length, SHORT);
  await chooseClip(page, 'pair.png');
  await facts(page, 2).getByText('560 × 320, 1 frame,').waitFor();
  await animate(page).click();
  await page.getByText('Done: 1 frame in').waitFor();
  await facts(page, 3).getByText('one picture shows no motion, so its pose is taken over as it is').waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a part of a clip drives, with the sound of that part, and frames may be left out', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'middle.mp4');
  await facts(page, 2).getByText('24 frames').waitFor();
  await page.getByText('Use a part').click();
  await page.getByLabel('From second').fill('0.4');
  await page.getByLabel('To second').fill('0.7');
  await page.locator('.part select').selectOption('every second frame');
  await animate(page).click();
  await page.getByText('Done: 4 frames').waitFor();
  await using clip = await openClip(await saveResult(page, folder));
  assert.equal(clip.frameCount, 4);
  assert.ok(Math.abs(clip.frameRate - 12.5) < 0.01, `${clip.frameRate} frames a second`);
  assert.ok(Math.abs(clip.duration! - 0.32) < 0.05, `${clip.duration} s`);
  assert.equal(clip.hasAudio, true);
  assert.deepEqual(faults, []);
  await context.close();
});

test('a preview shows the portrait and five frames, and says how long all will take', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'middle.mp4');
  await page.getByRole('button', { name: 'Preview', exact: true }).click();
  await page
    .getByText(/The portrait and 5 frames of the animation\. The whole animation takes about \d+ (s|min)/)
    .waitFor();
  const size = await page
    .locator('.panel:nth-child(3) .picture canvas')
    .evaluate((canvas: HTMLCanvasElement) => [canvas.width, canvas.height]);
  assert.deepEqual(size, [3 * 256, 2 * 256]);
  assert.equal(await page.getByRole('link', { name: 'Save' }).isVisible(), false);
  assert.equal(await animate(page).isEnabled(), true);
  assert.deepEqual(faults, []);
  await context.close();
});

test('what is wrong is said where it was chosen, within view on a phone; a clip that is cut off is so before it is animated', async () => {
  const { context, page } = await openStudio(browser, url, { viewport: { width: 390, height: 700 } });
  await closeInsight(page);
  await writeFile(path('letter.png'), 'Dear reader');
  const choose = page.getByLabel('Choose a clip of a face');
  await choose.scrollIntoViewIfNeeded();
  await chooseClip(page, 'letter.png');
  const said = page.getByText(/letter\.png: /);
  await said.waitFor();
  const { y, height } = (await said.boundingBox())!;
  assert.ok(y >= 0 && y + height <= 700, `it stands from ${y} to ${y + height} of 700`);

  await choose.focus();
  await chooseClip(page, 'begun.mp4');
  await page.getByText(/begun\.mp4: the file is damaged or cut off: \d+ of 246 frames could be read/).waitFor();
  assert.equal(await facts(page, 2).getByText('246').isVisible(), false, 'the frames that it has not are not promised');
  assert.equal(await said.isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement?.ariaLabel), 'Change the driving clip');
  await context.close();
});

test('a very large picture is used smaller; the square can be held by its corners also where it leaves the picture', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await writeGreyPicture(path('large.png'), 4500, 1500);
  await choosePortrait(page, 'large.png');
  await facts(page, 1).getByText('4500 × 1500, used at 4096 × 1365, square of 1365').waitFor();
  const square = page.getByRole('group', { name: /Square of the portrait/ });
  for (let i = 0; i < 5; i++) await square.press('Shift+ArrowUp');
  const picture = (await page.locator('.panel:nth-child(1) .picture').boundingBox())!;
  for (const corner of await square.locator('.crop-corner').all()) {
    const box = (await corner.boundingBox())!;
    assert.ok(box.y >= picture.y - 1 && box.y + box.height <= picture.y + picture.height + 1);
  }
  assert.deepEqual(faults, []);
  await context.close();
});

test('the browser asks before a result is lost, and options are remembered', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'short.mp4');
  await page.getByText('Options', { exact: true }).click();
  await page.getByLabel('Smoothing').selectOption('a lot');
  await page.getByLabel('Sound').uncheck();
  await animate(page).click();
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  const asked = page.waitForEvent('dialog');
  const left = page.reload();
  const dialog = await asked;
  assert.equal(dialog.type(), 'beforeunload');
  await dialog.accept();
  await left;
  await page.locator('.engine[data-provider]').waitFor();
  assert.equal(await page.getByLabel('Smoothing').inputValue(), '0.75');
  assert.equal(await page.getByLabel('Sound').isChecked(), false);
  assert.deepEqual(faults, []);
  await context.close();
});

test('of several faces the user chooses one, in the portrait and in the clip; a square that reaches outside is told', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  for (const [choose, name, panel] of [
    [choosePortrait, 'portrait', 1],
    [chooseClip, 'clip', 2],
  ] as const) {
    const faces = page.getByRole('group', { name: `Face of the ${name}` });
    const square = page.getByRole('group', { name: `Square of the ${name === 'clip' ? 'driving clip' : name}` });
    const left = async () => Number(/(-?\d+) from the left/.exec((await square.textContent())!)![1]);
    await choose(page, name === 'clip' ? 'pair.mp4' : 'pair.png');
    await faces.getByText('Face 2 of 2').waitFor();
    await page.getByText(`2 faces in the ${name}: the largest`).waitFor();
    await square.waitFor();
    assert.ok((await left()) > 200, `the largest face of the ${name} is on the right`);
    await page.getByRole('button', { name: `Next face of the ${name}` }).press('Enter');
    await faces.getByText('Face 1 of 2').waitFor();
    await facts(page, panel).getByText('560 × 320').waitFor();
    assert.ok((await left()) < 100, `the first face of the ${name} is on the left`);
    assert.equal(await facts(page, panel).getByText('lies outside').isVisible(), false);
    for (let i = 0; i < 10; i++) await square.press('Shift+ArrowLeft');
    await facts(page, panel)
      .getByText(/\d % of the square lies outside, where edges are repeated/)
      .waitFor();
    await choose(page, name === 'clip' ? 'short.mp4' : 'portrait.png');
    await facts(page, panel).getByText('256 × 256').waitFor();
    assert.equal(await faces.isVisible(), false);
  }
  assert.deepEqual(faults, []);
  await context.close();
});

test('what the browser keeps of models is told, and can be forgotten', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await page.getByText('Options', { exact: true }).click();
  await page.getByText(/This browser keeps \d[\d.]* MB of models/).waitFor();
  const forget = page.getByRole('button', { name: 'Forget downloaded models' });
  await forget.click();
  await page.getByText('This browser keeps no model').waitFor();
  assert.equal(await forget.isVisible(), false);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'short.mp4');
  await animate(page).click(); // the model that is loaded stays of use
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('the camera drives the portrait: its pace is shown, a key on its controls resets the pose, recordings stay to be saved', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await page.getByText('Choose a portrait first').waitFor();
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await page.getByText(/\d (frames a second|s a frame)/).waitFor();
  await page.keyboard.press('r'); // on no control of the camera it is but a letter
  assert.equal(await page.getByText('The reference pose was reset.').isVisible(), false);
  await page.getByRole('button', { name: 'Reset pose' }).press('r');
  await page.getByText('The reference pose was reset.').waitFor();
  await page.getByRole('button', { name: 'Record', exact: true }).click();
  await page.getByText(/, ([2-9]|\d\d+) recorded/).waitFor();
  await page.getByRole('button', { name: 'Finish recording' }).click();
  await page.getByText(/Recorded [1-9]\d* frames/).waitFor();
  const saved = await saveResult(page, folder);
  assert.match(basename(saved), /^portrait-camera\.(mp4|webm)$/);
  assert.ok((await picturesOf(saved)).length > 0);
  assert.equal((await readMetadata(saved)).origin?.digitalSourceType, DIGITAL_SOURCE_TYPES.trained);
  assert.equal(await page.evaluate(() => document.querySelector('video')?.srcObject), null, 'the camera is off');

  // The next session does not take the recording away, nor stands under its name.
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await page.getByText(/\d (frames a second|s a frame)/).waitFor();
  assert.equal(await page.getByRole('link', { name: 'Save' }).isVisible(), false);
  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await page.getByRole('button', { name: basename(saved), exact: true }).click();
  assert.equal(await page.getByRole('link', { name: 'Save' }).getAttribute('download'), basename(saved));
  await facts(page, 3)
    .getByText(/^\d+ frames, .*marked as synthetic/)
    .waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a face that leaves the camera’s picture is noticed: the portrait rests until it is back', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  const person = await page.evaluateHandle(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 256 });
    const context = canvas.getContext('2d')!;
    const face = document.querySelector<HTMLCanvasElement>('.panel:nth-child(1) canvas')!;
    const state = { there: true };
    setInterval(() => {
      context.fillStyle = '#445566';
      context.fillRect(0, 0, 320, 256);
      if (state.there) context.drawImage(face, 32, 0);
    }, 40);
    const getUserMedia = async () => canvas.captureStream();
    Object.defineProperty(navigator.mediaDevices, 'getUserMedia', { value: getUserMedia });
    return state;
  });
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await page.getByText(/\d (frames a second|s a frame)/).waitFor();
  const gone = page.getByText('No face is seen, so the portrait rests');
  assert.equal(await gone.isVisible(), false);
  const drawn = () =>
    page.locator('.panel:nth-child(3) .picture canvas').evaluate((canvas) => (canvas as HTMLCanvasElement).toDataURL());
  await person.evaluate((state) => Object.assign(state, { there: false }));
  await gone.waitFor();
  const resting = await drawn();
  await page.waitForTimeout(1000);
  assert.equal(await drawn(), resting);
  await person.evaluate((state) => Object.assign(state, { there: true }));
  await gone.waitFor({ state: 'hidden' });
  assert.deepEqual(faults, []);
  await context.close();
});

test('another clip can be chosen while one drives: the animation goes on to its end, and the camera says that it waits', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'middle.mp4');
  // The page itself presses the button, at the first frame: from here it could come after the last one.
  const pressed = page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        const [told, buttons] = [document.querySelector('.actions')!, [...document.querySelectorAll('button')]];
        const watching = new MutationObserver(() => {
          if (!/Frame \d+ of 24/.test(told.textContent)) return;
          watching.disconnect();
          buttons.find(({ textContent }) => textContent === 'Use the camera')!.click();
          resolve();
        });
        watching.observe(told, { subtree: true, childList: true });
      }),
  );
  await animate(page).click();
  await pressed;
  await page.getByText('The clip is still being animated: wait for the end, or cancel it').waitFor();
  await chooseClip(page, 'short.mp4');
  await facts(page, 2).getByText(`${SHORT} frames`).waitFor();
  await page.getByText('Done: 24 frames').waitFor();
  await animate(page).click();
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  assert.deepEqual(faults, []);
  await context.close();
});

test('a camera that comes after it was given up is off at once', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await closeInsight(page);
  const camera = await page.evaluateHandle(() => {
    // A browser that asks, and a user who takes time to answer.
    const stream = document.createElement('canvas').captureStream();
    const asking = { stream, allow: () => {}, asked: false };
    const getUserMedia = () => {
      asking.asked = true;
      return new Promise<MediaStream>((resolve) => {
        asking.allow = () => resolve(stream);
      });
    };
    Object.defineProperty(navigator.mediaDevices, 'getUserMedia', { value: getUserMedia });
    return asking;
  });
  await choosePortrait(page, 'portrait.png');
  await chooseClip(page, 'short.mp4');
  await facts(page, 2).getByText(`${SHORT} frames`).waitFor();
  await facts(page, 1).getByText('square of 256').waitFor();
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await page.waitForFunction(({ asked }) => asked, camera);
  await page.getByRole('button', { name: 'Stop the camera' }).click();
  await page.getByText('The camera is off.').waitFor();
  await camera.evaluate(({ allow }) => allow());
  await page.waitForFunction(
    ({ stream }) => stream.getTracks().every(({ readyState }) => readyState === 'ended'),
    camera,
  );
  assert.equal(await page.getByRole('button', { name: 'Record', exact: true }).isVisible(), false);
  assert.equal(await page.getByRole('button', { name: 'Use the camera' }).isVisible(), true);
  assert.equal(await animate(page).isEnabled(), true, 'the clip drives again');
  assert.deepEqual(faults, []);
  await context.close();
});

test('a camera that is refused is said, with what to do', async () => {
  const { context, page } = await openStudio(browser, url, { permissions: [] });
  await closeInsight(page);
  await page.evaluate(() => {
    const refused = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'));
    Object.defineProperty(navigator.mediaDevices, 'getUserMedia', { value: refused });
  });
  await choosePortrait(page, 'portrait.png');
  await facts(page, 1).getByText('square of 256').waitFor();
  await page.getByRole('button', { name: 'Use the camera' }).click();
  await page.getByText(/The camera was refused\. Allow it/).waitFor();
  await context.close();
});

test('a runtime that does not arrive is said, with what to do', async () => {
  const context = await patientContext(browser, { serviceWorkers: 'block' });
  await context.route(/\.wasm$/, (route) => route.abort());
  const page = await context.newPage();
  await page.goto(url);
  await page.getByText(/A part of the page could not be loaded: check the connection, then load the page/).waitFor();
  await context.close();
});

test('every control has a name, and the page is told about in the order in which it is read', async () => {
  const { context, page } = await openStudio(browser, url);
  await page.getByText('Options', { exact: true }).click();
  await choosePortrait(page, 'portrait.png');
  await page.getByLabel('Point cloud of the portrait').waitFor();
  const session = await context.newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const asked = ['button', 'link', 'checkbox', 'combobox', 'textbox', 'slider', 'application', 'image', 'progressbar'];
  const controls = nodes.filter(({ ignored, role }) => !ignored && asked.includes(String(role?.value)));
  assert.ok(controls.length > 15, `${controls.length} controls`);
  for (const { role, name } of controls)
    assert.notEqual(String(name?.value ?? ''), '', `a ${role?.value} without a name`);
  const { url: manifest, errors } = await session.send('Page.getAppManifest');
  assert.deepEqual([manifest, errors], [`${url}manifest.webmanifest`, []], 'the page can be installed');
  const outline = await page.evaluate(() => ({
    language: document.documentElement.lang,
    title: document.title,
    headings: [...document.querySelectorAll('h1, h2')].map(({ tagName }) => tagName),
    landmarks: ['main', 'header', 'footer'].map((name) => document.querySelectorAll(`.studio > ${name}`).length),
    twice:
      [...document.querySelectorAll('[id]')].length -
      new Set([...document.querySelectorAll('[id]')].map(({ id }) => id)).size,
    inline: document.querySelectorAll('script:not([src]), style').length,
  }));
  assert.deepEqual(outline, {
    language: 'en',
    title: 'DaGAN studio',
    headings: ['H1', 'H2', 'H2', 'H2'],
    landmarks: [1, 1, 1],
    twice: 0,
    inline: 0,
  });
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(beyond <= 0, `at ${width} pixels the page does not scroll sideways`);
  }
  await context.close();
});

test('axe finds nothing to say of the page: light and dark, wide and on a phone, empty, with a problem and with a result', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { context, page } = await openStudio(browser, url);
    await page.emulateMedia({ colorScheme });
    await page.getByText('Options', { exact: true }).click();
    assert.deepEqual(await violations(page), [], `${colorScheme}, empty`);
    await choosePortrait(page, 'short.mp4');
    await problem(page).first().waitFor();
    assert.deepEqual(await violations(page), [], `${colorScheme}, with a problem`);
    await choosePortrait(page, 'portrait.png');
    await page.getByLabel('Point cloud of the portrait').waitFor();
    await chooseClip(page, 'short.mp4');
    await animate(page).click();
    await page.locator('.player > video').waitFor();
    assert.deepEqual(await violations(page), [], `${colorScheme}, with a result`);
    await page.setViewportSize({ width: 360, height: 720 });
    assert.deepEqual(await violations(page), [], `${colorScheme}, on a phone`);
    await context.close();
  }
});

test('without the networks that find faces the square is placed by hand', async () => {
  const context = await patientContext(browser, { serviceWorkers: 'block' });
  await context.route(/face-detector.*\.onnx$/, (route) => route.abort());
  const page = await context.newPage();
  await page.goto(url);
  await page.locator('.engine[data-provider]').waitFor();
  await closeInsight(page);
  await choosePortrait(page, 'pair.png');
  await page
    .getByText('Faces cannot be looked for without the network. Move the square over the face by hand')
    .waitFor();
  await facts(page, 1).getByText('560 × 320, square of 320').waitFor();
  await context.close();
});

test('sliders change the expression of the portrait, at once and in what is animated', async () => {
  const starter = await startStudio(folder);
  const { context, page, faults } = await openStudio(browser, starter.url);
  await closeInsight(page);
  await page.getByRole('radio', { name: 'Example: Astronaut' }).check();
  await facts(page, 1).getByText('square of 256').waitFor();
  await page.getByText('Expression', { exact: true }).click();
  const result = page.getByRole('region', { name: 'Result' }).locator('canvas').first();
  const set = async (name: string, value: string): Promise<string> => {
    const before = await result.evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
    await page.getByRole('slider', { name }).fill(value);
    await page.waitForFunction(
      (drawn) => document.querySelector<HTMLCanvasElement>('canvas[aria-label=Result]')?.toDataURL() !== drawn,
      before,
    );
    return result.evaluate((canvas: HTMLCanvasElement) => canvas.toDataURL());
  };
  const open = await set('Open the mouth', '0.9');
  const smiling = await set('Smile', '1');
  assert.notEqual(open, smiling);
  await page.getByRole('slider', { name: 'All motion' }).fill('0');
  await chooseClip(page, 'short.mp4');
  await animate(page).click();
  await page.getByText(`Done: ${SHORT} frames`).waitFor();
  const frames = await picturesOf(await saveResult(page, folder));
  const { error } = differences(frames[0]!, frames.at(-1)!);
  assert.ok(error < 20, `without motion frames are alike: ${error}`);
  assert.deepEqual(faults, []);
  starter.child.kill();
  await context.close();
});

test('a page that was visited comes up although its server has fallen silent', async () => {
  const gate = await startGate(url);
  const { context, page } = await openStudio(browser, gate.url);
  gate.silence();
  await page.reload();
  await page.locator('.engine[data-provider]').waitFor();
  assert.equal(await problem(page).isHidden(), true);
  await context.close();
});

test('after the first visit the studio works without its server, also what was not used before', async () => {
  const { context, page, faults } = await openStudio(browser, url);
  await page.waitForFunction(async () => {
    const kept = await Promise.all((await caches.keys()).map(async (name) => (await caches.open(name)).keys()));
    return kept.flat().filter(({ url }) => /\/assets\/face-.*\.onnx$/.test(url)).length === 2;
  });
  const ended = once(server, 'exit');
  server.kill();
  await ended;
  await page.reload();
  await page.locator('.engine[data-provider]').waitFor();
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await page.getByRole('radio', { name: 'Example: Astronaut' }).check();
  await facts(page, 1).getByText('square of 256').waitFor();
  assert.equal(await problem(page).isHidden(), true);
  assert.deepEqual(
    faults.filter((text) => !text.includes('ERR_CONNECTION')),
    [],
  );
  await context.close();
});

/** Presses Tab until the control of that name has the focus. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => {
      const { activeElement } = document;
      return (activeElement as HTMLInputElement).labels?.[0]?.textContent || activeElement?.textContent;
    });
    if (focused === name) return;
  }
  assert.fail(`"${name}" cannot be reached with the Tab key`);
}

/** Names of the canvases on which there is nothing to be seen. */
function emptyCanvases(page: Page): Promise<(string | null)[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll<HTMLCanvasElement>('canvas[aria-label]')]
      .filter((canvas) => canvas.checkVisibility())
      .filter((canvas) => {
        const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
        return data.every((value, i) => i % 4 !== 3 || value === 0);
      })
      .map((canvas) => canvas.ariaLabel),
  );
}
