// Driving frames without the face: noticed, and the portrait rests in them.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../src/animation/engine.js';
import { animate, FaceWatch, tellAbsences } from '../src/animation/index.js';
import { FaceAnalyzer } from '../src/faces/index.js';
import { createPicture, openClip, type Picture, readPicture, resizePicture } from '../src/media/index.js';
import { collage } from './media-fixtures.js';

const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
after(() => analyzer.close());

const black = createPicture(256, 256);
const frames: Picture[] = [];
{
  await using clip = await openClip(example('driving.mp4'), { end: 4 });
  for await (const { picture } of clip.frames()) frames.push(picture);
}
/** Somebody else, smaller and elsewhere, as after a cut. */
const another = collage(256, 256, [[resizePicture(await readPicture(example('portrait.png')), 110, 110), 140, 140]]);

test('a face is seen where it is; black frames, and somebody else at another place, are not it', async () => {
  const watch = new FaceWatch(analyzer);
  const seen: string[] = [];
  for (const picture of [black, black, ...frames, black, another, another, frames[3]!])
    seen.push(await watch.see(picture));
  const [face, nobody] = ['face', 'nobody'];
  assert.deepEqual(seen.slice(0, 7), [nobody, nobody, face, face, face, face, nobody]);
  assert.ok(
    seen.slice(7, 9).every((sight) => sight !== face),
    `${seen}`,
  );
  assert.equal(seen[9], face, 'who comes back drives again');
  assert.deepEqual(
    watch.absences.map(({ first, end }) => [first, end]),
    [
      [0, 2],
      [6, 9],
    ],
  );
});

test('frames that are left out between others count as they do', async () => {
  const watch = new FaceWatch(analyzer);
  for (const [number, picture] of [
    [10, frames[0]!],
    [13, black],
    [16, black],
    [19, frames[1]!],
  ] as const)
    await watch.see(picture, number);
  assert.deepEqual(watch.absences, [{ first: 13, end: 17, sight: 'nobody' }]);
});

test('what is missing is told in one line: how many frames, which ones, and where somebody else comes in', () => {
  assert.equal(tellAbsences([]), undefined);
  assert.equal(
    tellAbsences([{ first: 0, end: 8, sight: 'nobody' }]),
    '8 frames do not show the face (0 to 7), so the portrait rests there',
  );
  assert.equal(
    tellAbsences([
      { first: 3, end: 4, sight: 'nobody' },
      { first: 20, end: 30, sight: 'another' },
    ]),
    '11 frames do not show the face (3, 20 to 29), so the portrait rests there; at frame 20 somebody else comes ' +
      'into the picture, or a cut',
  );
});

test('while a clip does not show the face the frames stay the same, and the first of them is the portrait itself', async () => {
  const own = { value: Float32Array.of(0.1, 0.2), jacobian: null };
  const drawn: number[] = [];
  const engine: Engine = {
    description: 'finds the brightness of a frame as its only keypoint',
    size: 256,
    batchSize: 3,
    setSource: async () => ({ keypoints: own, disparity: null }),
    drive: async (pictures) =>
      pictures.map(({ data }) => ({
        keypoints: { value: Float32Array.of(data[0]! / 255, 0), jacobian: null },
        disparity: null,
      })),
    generate: async (keypoints) => {
      drawn.push(...keypoints.map(({ value }) => Math.round(100 * value[0]!) / 100));
      return keypoints.map(() => black);
    },
    inspect: () => Promise.reject(new Error('nobody asks for it')),
    twin: () => assert.fail('nobody asks'),
    dispose: () => {},
  };
  const lit = (level: number): { picture: Picture } => {
    const picture = createPicture(256, 256);
    picture.data.fill(level);
    return { picture };
  };
  async function* clip() {
    yield* [lit(255), lit(51), lit(102), lit(255), lit(255), lit(153)];
  }
  const faces = new Set([51, 102, 153]);
  const mesh = (await analyzer.track(frames[0]!))!;
  let level = 0;
  const watch = {
    async see({ data }: Picture) {
      level = data[0]!;
      return this.face ? ('face' as const) : ('nobody' as const);
    },
    get face() {
      return faces.has(level) ? mesh : undefined;
    },
  };
  const source = await engine.setSource(black);
  for await (const _ of animate(engine, source, clip(), { watch }));
  // The second frame is the reference, the third 0.2 further; held twice; then a third of the way to 0.4 further.
  assert.deepEqual(drawn, [0.1, 0.1, 0.3, 0.3, 0.3, 0.37]);
});
