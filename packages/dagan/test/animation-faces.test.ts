// `dagan animate` on photographs and clips of people: the squares that are found, which face, the reference frame, and
// the animated square back in the whole portrait.
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chooseFace, cutSquare, FaceFollower, FRAMED, facesFromLeft, frameFace } from '../src/animation/index.js';
import { FaceAnalyzer, type FaceMesh } from '../src/faces/index.js';
import { frameName } from '../src/media/files.js';
import {
  createClipWriter,
  createPicture,
  openClip,
  type Picture,
  readPicture,
  resizePicture,
  writePicture,
} from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { collage, names, scene, temporaryFolder } from './media-fixtures.js';
import { sharedMissing, sharedPath } from './shared.js';

const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const portrait = await readPicture(example('portrait.png'));
const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
const analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
after(() => analyzer.close());

/** Every so many frames of the example clip. */
async function drivingFrames(every: number): Promise<Picture[]> {
  await using clip = await openClip(example('driving.mp4'), { every });
  const frames: Picture[] = [];
  for await (const { picture } of clip.frames()) frames.push(picture);
  return frames;
}

async function onlyFace(picture: Picture): Promise<FaceMesh> {
  const face = chooseFace(await facesFromLeft(analyzer, picture));
  assert.ok(face, 'a face is found');
  return face;
}

/** Runs `dagan animate` with the quick model. */
const animate = (...words: string[]): ReturnType<typeof dagan> =>
  dagan(folder, ['animate', ...words, '--checkpoint', 'quick.safetensors', '--precision', 'float32']);

test('portraits of any framing are cut as training clips are, and what is cut so already stays as it is', {
  skip: sharedMissing,
}, async () => {
  const raw = (name: string): Promise<Picture> => readPicture(sharedPath(`dataset/raw/${name}`));
  for (const [name, kind] of [
    ['astronaut.png', 'face'],
    ['lp_s9.jpg', 'face'],
    ['lp_s8.jpg', 'face'],
    ['sen_angus-king.jpg', 'whole'],
    ['sen_cory-booker.jpg', 'whole'],
  ] as const) {
    const picture = await raw(name);
    const framing = frameFace([(await onlyFace(picture)).box], picture.width, picture.height);
    assert.equal(framing.kind, kind, name);
    const square = cutSquare(picture, framing.square, 256);
    const { box } = await onlyFace(square);
    const [share, middle] = [box.height / 256, (box.top + box.height / 2) / 256];
    if (kind === 'face') {
      assert.ok(Math.abs(share - 0.555) < 0.04 && Math.abs(middle - 0.554) < 0.06, `${name}: ${share}, ${middle}`);
    }
    assert.ok(share > FRAMED.height[0] && share < FRAMED.height[1], `${name}: ${share}`);
    assert.deepEqual(frameFace([box], 256, 256), { square: { left: 0, top: 0, side: 256 }, kind: 'whole' }, name);
  }
  for (const name of ['lp_s5', 'sen_jack-reed', 'sen_patty-murray', 'lp_s3']) {
    const picture = await readPicture(sharedPath(`dataset/portraits/${name}.png`));
    assert.equal(frameFace([(await onlyFace(picture)).box], picture.width, picture.height).kind, 'whole', name);
  }
});

test('faces are counted from the left, and the largest is taken unless another is asked for', async () => {
  const picture = collage(700, 300, [
    [resizePicture(portrait, 280, 280), 210, 10],
    [resizePicture(portrait, 170, 170), 20, 60],
    [resizePicture(portrait, 190, 190), 500, 40],
  ]);
  const faces = await facesFromLeft(analyzer, picture);
  assert.equal(faces.length, 3);
  const left = faces.map(({ box }) => box.left);
  assert.ok(left[0]! < left[1]! && left[1]! < left[2]!);
  assert.equal(chooseFace(faces), faces[1]);
  assert.deepEqual(
    [1, 2, 3, 4].map((number) => chooseFace(faces, number)),
    [...faces, undefined],
  );
  assert.deepEqual(await facesFromLeft(analyzer, createPicture(200, 200)), []);
});

test('the face of a clip is followed, found again where it was lost, and not mistaken for another', async () => {
  const frames = await drivingFrames(40);
  const own = frames.map((frame) => collage(640, 300, [[frame, 20, 20]]));
  const other = resizePicture(portrait, 256, 256);
  const both = frames.map((frame) =>
    collage(640, 300, [
      [frame, 20, 20],
      [other, 360, 20],
    ]),
  );
  const nobody = collage(640, 300, []);
  const stranger = collage(640, 300, [[other, 360, 20]]);
  const follower = new FaceFollower(analyzer, 1);
  const seen: (FaceMesh | undefined)[] = [];
  for (const picture of [nobody, both[0]!, own[1]!, nobody, stranger, both[2]!, own[3]!]) {
    seen.push(await follower.see(picture));
  }
  assert.deepEqual(
    seen.map((mesh) => mesh !== undefined),
    [false, true, true, false, false, true, true],
  );
  assert.deepEqual([follower.looked, follower.boxes.length, follower.choice.length], [7, 4, 2]);
  for (const { left, width } of follower.boxes) assert.ok(left + width < 300, 'all are of the left face');
});

test('a clip is cut by one square, the frame like the portrait is the reference, and no motion follows there', async () => {
  await using clip = await openClip(example('driving.mp4'), { start: 165, end: 166 });
  for await (const { picture } of clip.frames()) {
    const wide = collage(500, 380, [[resizePicture(picture, 240, 240), 190, 70]]);
    await writePicture(path('same.png'), wide);
  }
  const run = await animate('same.png', example('driving.mp4'), '-o', 'same/', '--start', '120', '--end', '200');
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stderr, /same\.png is 500 x 380: the face's square, \d+ x \d+ at \d+,\d+, is used\n/);
  assert.doesNotMatch(run.stderr, /driving\.mp4 is/);
  const [, frame] = /driving\.mp4: frame (\d+) is most like the portrait/.exec(run.stderr) ?? [];
  assert.ok(Math.abs(Number(frame) - 165) <= 1, `frame ${frame} is the reference`);
  // Measured from this frame, the portrait is there as it is: as from any other frame that is its own reference.
  const still = await animate(
    ...['same.png', example('driving.mp4'), '-o', 'still/', '--start', frame!, '--end', String(Number(frame) + 1)],
    ...['--reference-frame', 'first'],
  );
  assert.equal(still.code, 0, still.stderr);
  const [expected] = await names(path('still'));
  const made = await readPicture(path('same', frameName(Number(frame) - 120)));
  const wanted = await readPicture(path('still', expected!));
  const difference = made.data.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted.data[i]!)), 0);
  assert.ok(difference <= 2, `off by ${difference}`);
});

test('paste-back gives the whole portrait, unchanged outside the square; size bounds its longer side', async () => {
  const whole = collage(501, 380, [[resizePicture(portrait, 220, 220), 200, 90]]);
  await writePicture(path('whole.png'), whole);
  const words = ['whole.png', example('driving.mp4'), '--end', '2', '--paste-back', '--reference-frame', 'first'];
  const run = await animate(...words, '-o', 'whole/');
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /2 frames of 501 x 380/);
  const [, side, left, top] = (/square, (\d+) x \d+ at (\d+),(\d+)/.exec(run.stderr) ?? []).map(Number);
  const frame = await readPicture(path('whole', frameName(1)));
  let [outside, inside] = [0, 0];
  for (let y = 0; y < 380; y++) {
    for (let x = 0; x < 501; x++) {
      const at = (y * 501 + x) * 3;
      const changed = Math.abs(frame.data[at]! - whole.data[at]!);
      if (x >= left! && x < left! + side! && y >= top! && y < top! + side!) inside = Math.max(inside, changed);
      else outside = Math.max(outside, changed);
    }
  }
  assert.equal(outside, 0);
  assert.ok(inside > 20, 'the square itself is animated');
  const clip = await animate(...words, '--size', '250', '-o', 'whole.mp4');
  assert.match(clip.stdout, /2 frames of 250 x 190/, clip.stderr);
});

test('of two faces one can be chosen in portrait and clip; a face that is not there is an error that lists them', async () => {
  const [first] = await drivingFrames(1000);
  const pair = (right: Picture): Picture =>
    collage(620, 300, [
      [portrait, 20, 20],
      [right, 340, 20],
    ]);
  await writePicture(path('pair.png'), pair(first!));
  await mkdir(path('pair'));
  for (const [i, frame] of (await drivingFrames(80)).entries()) {
    await writePicture(path('pair', frameName(i)), pair(frame));
  }
  const run = await animate('pair.png', 'pair', '-o', 'pair.gif', '--driving-face', '2', '--face', '1');
  assert.equal(run.code, 0, run.stderr);
  const squares = [...run.stderr.matchAll(/^(\S+) is 620 x 300: the face's square, (\d+) x \d+ at (\d+),/gm)];
  assert.deepEqual(
    squares.map(([, name]) => name),
    ['pair.png', 'pair'],
  );
  const middles = squares.map(([, , side, left]) => Number(left) + Number(side) / 2);
  assert.ok(middles[0]! < 250 && middles[1]! > 370, `${middles}`);
  const largest = await animate('pair.png', 'pair', '-o', 'pair.gif', '--end', '1');
  assert.match(
    largest.stderr,
    /pair\.png shows 2 faces: the largest, number \d from the left, is used \(--face N takes/,
  );
  const third = await animate('pair.png', 'pair', '-o', 'third.gif', '--face', '3');
  assert.equal(third.code, 1);
  assert.match(
    third.stderr,
    /^dagan: pair\.png: there is no face 3, as it shows 2 faces, counted from the left: 1 around \(\d+, \d+\), \d+ pixels high; 2 around \(\d+, \d+\), \d+ pixels high$/m,
  );
  assert.ok(!(await names(folder)).includes('third.gif'));
  // A square of the user's own, partly outside.
  const own = await animate(
    'pair.png',
    'pair',
    '-o',
    'pair.gif',
    '--crop=-20,-10,300',
    '--end',
    '2',
    '--smooth',
    '0.5',
  );
  assert.equal(own.code, 0, own.stderr);
  assert.match(own.stderr, /pair\.png: \d+ % of --crop -20,-10,300 lies outside the 620 x 300 picture/);
});

test('pictures without faces are animated by the keypoints alone', async () => {
  await writePicture(path('disc.png'), scene(256, 256, 3));
  const run = await animate('disc.png', example('driving.mp4'), '-o', 'disc.gif', '--crop', 'none', '--end', '30');
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stderr, /no face to compare poses by: frame \d+ of .*driving\.mp4 has the keypoints most like/);
});

test('where a clip does not show the face the portrait rests, and the frames are named', async () => {
  const shown = await drivingFrames(60);
  const black = createPicture(256, 256);
  const [width, height] = [256, 256];
  const pictures = [black, black, ...shown.slice(0, 3), black, shown[3]!];
  {
    await using writer = await createClipWriter(path('gaps.mp4'), { width, height, frameRate: 25 });
    for (const picture of pictures) await writer.add(picture);
    await writer.finish();
  }
  await writePicture(path('own.png'), portrait);
  const { code, stderr } = await animate('own.png', 'gaps.mp4', '-o', 'gaps/');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /gaps\.mp4: 3 frames do not show the face \(0 to 1, 5\), so the portrait rests there/);
  const frames = await Promise.all(pictures.map((_, i) => readPicture(path('gaps', frameName(i)))));
  const same = (a: number, b: number): boolean => Buffer.from(frames[a]!.data).equals(frames[b]!.data);
  assert.ok(same(0, 1), 'at rest until the face is there');
  assert.ok(!same(1, 3), 'then it moves');
  assert.ok(same(4, 5), 'and rests as it was');
  assert.ok(!same(5, 6));
});
