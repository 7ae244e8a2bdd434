// The face of a clip, followed by any analyzer: which frames are looked at, the square, the frame like the portrait.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analysisSize, ClipFace, type FaceReader, framesAround, lookEvery, lookOf } from '../src/animation/index.js';
import { EXPRESSION_SIGNALS, type FaceMesh } from '../src/faces/index.js';
import { createPicture, type Picture } from '../src/media/pictures/picture.js';

/** A picture whose first pixel says where its faces are: nowhere, or one in the middle that looks by so many degrees. */
function frame(width: number, height: number, yaw?: number): Picture {
  const picture = createPicture(width, height);
  picture.data[0] = yaw === undefined ? 255 : yaw;
  return picture;
}

/** An analyzer that believes these pictures. */
const reader = {
  detect: async ({ data }: Picture) => (data[0] === 255 ? [] : [{}]),
  mesh: async ({ width, height, data }: Picture): Promise<FaceMesh> => ({
    points: Float64Array.of(data[0]!),
    score: data[0] === 255 ? 0 : 1,
    box: { left: width / 4, top: height / 4, width: height / 4, height: height / 4 },
    region: { centerX: 0, centerY: 0, side: 0, angle: 0 },
  }),
  pose: ({ points }: Pick<FaceMesh, 'points'>) => ({ yaw: points[0], pitch: 0, roll: 0 }),
  expression: () => Object.fromEntries(EXPRESSION_SIGNALS.map((name) => [name, 0])),
} as unknown as FaceReader;

test('clips are looked at small, in about forty frames, but at least twice a second', () => {
  assert.deepEqual(analysisSize(1920, 1080), [640, 360]);
  assert.deepEqual(analysisSize(1080, 1920), [360, 640]);
  assert.deepEqual(analysisSize(320, 200), [320, 200]);
  assert.equal(lookEvery({ frameCount: 30, frameRate: 25 }), 1);
  assert.equal(lookEvery({ frameCount: 200, frameRate: 25 }), 5);
  assert.equal(lookEvery({ frameCount: 100_000, frameRate: 25 }), 12);
  assert.equal(lookEvery({ frameRate: 30 }), 15);
  assert.equal(lookEvery({ frameRate: 1 }), 1);
});

test('the frames around one reach to the next that were looked at, within the range', () => {
  assert.deepEqual(framesAround(20, 5), { start: 16, end: 25 });
  assert.deepEqual(framesAround(2, 5), { start: 0, end: 7 });
  assert.deepEqual(framesAround(20, 5, { start: 18, end: 22 }), { start: 18, end: 22 });
});

test('the square is in pixels of the clip, however small the frames are that are looked at', async () => {
  const squares = [];
  for (const scale of [1, 2, 4]) {
    const face = new ClipFace(reader, { width: 1600, height: 800 });
    assert.equal(face.framing(), undefined);
    for (const yaw of [10, undefined, 12]) await face.see(frame(1600 / scale, 800 / scale, yaw));
    const { square, ...seen } = face.framing()!;
    assert.deepEqual(seen, { kind: 'face', seen: 2, of: 3, face: 1, faces: 1 });
    assert.deepEqual(face.boxes[0], { left: 400, top: 200, width: 200, height: 200 });
    assert.deepEqual(face.choice, [face.boxes[0]]);
    squares.push(square);
  }
  assert.deepEqual(squares[1], squares[0]);
  assert.deepEqual(squares[2], squares[0]);
});

test('the nearest frame is the one that looks like the portrait; a known face stands in where it is lost again', async () => {
  const look = lookOf(reader, await reader.mesh(frame(64, 64, 30), {} as FaceMesh));
  const face = new ClipFace(reader, { width: 64, height: 64 });
  assert.equal(face.nearest(look), undefined);
  for (const [i, yaw] of [5, 20, undefined, 60].entries()) await face.see(frame(64, 64, yaw), 100 + 10 * i);
  const best = face.nearest(look)!;
  assert.equal(best.frame, 110);
  const closer = new ClipFace(reader, { width: 64, height: 64 }, { known: best });
  for (const [at, yaw] of [
    [109, 50],
    [110, undefined],
    [111, 60],
  ] as const)
    await closer.see(frame(64, 64, yaw), at);
  assert.equal(closer.nearest(look)!.frame, 110);
  await closer.see(frame(64, 64, 31), 112);
  assert.equal(closer.nearest(look)!.frame, 112);
});
