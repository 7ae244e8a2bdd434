// Faces as a caller sees them: found or not found, their points and pose under known changes of the picture.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { faceModelPath } from '../src/face-models.js';
import { readFaceModel } from '../src/faces/defaults.js';
import { FACE_MODELS, readCanonicalFace } from '../src/faces/face-models.js';
import {
  FaceAnalyzer,
  type FaceMesh,
  fitSquare,
  MESH_POINTS,
  squareForFaces,
  squareOfFace,
} from '../src/faces/index.js';
import { headPose } from '../src/faces/pose.js';
import { createPicture, type Picture, readPicture, resizePicture, rotatePicture } from '../src/media/index.js';
import { collage } from './media-fixtures.js';

const portrait = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));
const analyzer = await FaceAnalyzer.load();
const refined = await FaceAnalyzer.load({ mesh: 'refined' });
after(async () => {
  await analyzer.close();
  await refined.close();
});

/** The picture turned clockwise about its middle, bilinearly. */
function turned(picture: Picture, degrees: number): Picture {
  const { width, height, data } = picture;
  const result = createPicture(width, height);
  result.data.fill(120);
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [dx, dy] = [x - (width - 1) / 2, y - (height - 1) / 2];
      const [fromX, fromY] = [(width - 1) / 2 + cos * dx + sin * dy, (height - 1) / 2 - sin * dx + cos * dy];
      const [left, top] = [Math.floor(fromX), Math.floor(fromY)];
      if (left < 0 || top < 0 || left >= width - 1 || top >= height - 1) continue;
      for (let channel = 0; channel < 3; channel++) {
        const at = (column: number, row: number): number => data[(row * width + column) * 3 + channel]!;
        const [right, down] = [fromX - left, fromY - top];
        const upper = at(left, top) * (1 - right) + at(left + 1, top) * right;
        const lower = at(left, top + 1) * (1 - right) + at(left + 1, top + 1) * right;
        result.data[(y * width + x) * 3 + channel] = Math.round(upper * (1 - down) + lower * down);
      }
    }
  }
  return result;
}

async function meshOf(picture: Picture, by = analyzer): Promise<FaceMesh> {
  const mesh = await by.track(picture);
  assert.ok(mesh, 'a face is found');
  return mesh;
}

const pointOf = ({ points }: FaceMesh, index: number): [number, number] => [points[index * 3]!, points[index * 3 + 1]!];

/** Distance between the outer corners of the eyes. */
function eyeDistance(mesh: FaceMesh): number {
  const [[ax, ay], [bx, by]] = [pointOf(mesh, 33), pointOf(mesh, 263)];
  return Math.hypot(ax - bx, ay - by);
}

/** Mean distance of two meshes' points, in eye distances of the second; the first is changed by `change`. */
function difference(a: FaceMesh, b: FaceMesh, change: (x: number, y: number) => [number, number]): number {
  let sum = 0;
  for (let index = 0; index < MESH_POINTS; index++) {
    const [x, y] = change(...pointOf(a, index));
    const [toX, toY] = pointOf(b, index);
    sum += Math.hypot(x - toX, y - toY);
  }
  return sum / MESH_POINTS / eyeDistance(b);
}

test('the face of a portrait is found once, with its eyes, nose and mouth in their places', async () => {
  const faces = await analyzer.detect(portrait);
  assert.equal(faces.length, 1);
  const [{ box, score, keypoints }] = faces as [(typeof faces)[number]];
  assert.ok(score > 0.8, `score ${score}`);
  const [rightX, rightY, leftX, leftY, noseX, noseY, mouthX, mouthY] = [...keypoints] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  assert.ok(rightX < noseX && noseX < leftX, 'the nose is between the eyes');
  assert.ok(Math.max(rightY, leftY) < noseY && noseY < mouthY, 'eyes, nose, mouth from top to bottom');
  for (let k = 0; k < 8; k += 2) {
    assert.ok(keypoints[k]! > box.left && keypoints[k]! < box.left + box.width);
    assert.ok(keypoints[k + 1]! > box.top && keypoints[k + 1]! < box.top + box.height);
  }
  const mesh = await analyzer.mesh(portrait, faces[0]!);
  assert.ok(mesh.score > 0.95);
  assert.equal(mesh.points.length, MESH_POINTS * 3);
  // The detector's points and the mesh's are about the same places: eyes, nose tip, mouth.
  const distance = (index: number, x: number, y: number): number => {
    const [meshX, meshY] = pointOf(mesh, index);
    return Math.hypot(meshX - x, meshY - y) / eyeDistance(mesh);
  };
  assert.ok(distance(1, noseX, noseY) < 0.2, 'nose tip');
  assert.ok(distance(13, mouthX, mouthY) < 0.2, 'mouth');
});

test('every face of a picture is found, the largest first, and none where there is none', async () => {
  const [large, small] = [resizePicture(portrait, 220, 220), resizePicture(portrait, 160, 160)];
  const picture = collage(480, 440, [
    [small, 20, 20],
    [large, 230, 10],
    [rotatePicture(small, 0, true), 30, 250],
    [small, 260, 250],
  ]);
  const faces = await analyzer.detect(picture);
  assert.equal(faces.length, 4);
  assert.ok(faces[0]!.box.left > 230 && faces[0]!.box.top < 200, 'the large one is first');
  const areas = faces.map(({ box }) => box.width * box.height);
  assert.deepEqual(
    areas,
    [...areas].sort((a, b) => b - a),
  );

  const gradient = createPicture(320, 200);
  const noise = createPicture(256, 256);
  let state = 1;
  for (let at = 0; at < noise.data.length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    noise.data[at] = state >>> 24;
  }
  for (let at = 0; at < gradient.data.length; at++) gradient.data[at] = ((at / 3) % 320) & 255;
  for (const empty of [gradient, noise, createPicture(64, 300), createPicture(1, 1)]) {
    assert.deepEqual(await analyzer.detect(empty), []);
    assert.equal(await analyzer.track(empty), undefined);
  }
});

test('a face of a twelfth of the picture is found by a closer look alone', async () => {
  const picture = collage(720, 480, [[resizePicture(portrait, 120, 120), 430, 260]]);
  assert.deepEqual(await analyzer.detect(picture, { closer: false }), []);
  const faces = await analyzer.detect(picture);
  assert.equal(faces.length, 1);
  const { left, width } = faces[0]!.box;
  assert.ok(Math.abs(left + width / 2 - 490) < 15, `centre at ${left + width / 2}`);
});

/** A face as a few shapes: head, hair, eyes, brows, nose, lips. */
const DRAWN_FACE = `<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512" fill="none">
  <rect width="512" height="512" fill="#cde"/>
  <ellipse cx="256" cy="270" rx="130" ry="170" fill="#f3cfae" stroke="#333" stroke-width="4"/>
  <path d="M120 230Q256 40 392 230Q380 150 256 110Q140 150 120 230" fill="#5a3b22"/>
  <path d="M179 245a26 15 0 1 0 52 0a26 15 0 1 0-52 0M281 245a26 15 0 1 0 52 0a26 15 0 1 0-52 0" fill="#fff" stroke="#333"/>
  <circle cx="205" cy="245" r="10" fill="#352"/>
  <circle cx="307" cy="245" r="10" fill="#352"/>
  <path d="M175 215Q205 200 235 215M277 215Q307 200 337 215" stroke="#432" stroke-width="8"/>
  <path d="M256 250L240 315Q256 328 272 315" stroke="#a76" stroke-width="5"/>
  <path d="M205 365Q256 395 307 365Q256 355 205 365" fill="#b44" stroke="#822" stroke-width="3"/>
</svg>`;

test('a drawn face is found like a photographed one', async () => {
  const { data, info } = await sharp(Buffer.from(DRAWN_FACE)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const mesh = await meshOf({ width: info.width, height: info.height, data: new Uint8Array(data) });
  const [noseX, noseY] = pointOf(mesh, 1);
  assert.ok(Math.abs(noseX - 256) < 25 && Math.abs(noseY - 300) < 40, `the nose's tip at ${noseX}, ${noseY}`);
});

test('points move, grow and turn with the picture', async () => {
  for (const by of [analyzer, refined]) {
    const mesh = await meshOf(portrait, by);
    const shifted = await meshOf(collage(400, 380, [[portrait, 87, 61]]), by);
    const byShift = difference(mesh, shifted, (x, y) => [x + 87, y + 61]);
    assert.ok(byShift < 0.006, `moved: off by ${byShift} eye distances`);
    const doubled = await meshOf(resizePicture(portrait, 512, 512), by);
    const byScale = difference(mesh, doubled, (x, y) => [2 * x, 2 * y]);
    assert.ok(byScale < 0.01, `twice as large: off by ${byScale} eye distances`);
    const [cos, sin] = [Math.cos(Math.PI / 15), Math.sin(Math.PI / 15)];
    const byTurn = difference(mesh, await meshOf(turned(portrait, 12), by), (x, y) => [
      128 + cos * (x - 128) - sin * (y - 128),
      128 + sin * (x - 128) + cos * (y - 128),
    ]);
    assert.ok(byTurn < 0.015, `turned by 12 degrees: off by ${byTurn} eye distances`);
  }
});

test('the pose reads 12 degrees more roll after turning by 12, and mirrors with the picture', async () => {
  for (const by of [analyzer, refined]) {
    const pose = by.pose(await meshOf(portrait, by));
    const after12 = by.pose(await meshOf(turned(portrait, 12), by));
    assert.ok(Math.abs(after12.roll - pose.roll - 12) < 0.7, `roll changed by ${after12.roll - pose.roll}`);
    assert.ok(Math.abs(after12.yaw - pose.yaw) < 2 && Math.abs(after12.pitch - pose.pitch) < 2);
    const mirrored = by.pose(await meshOf(rotatePicture(portrait, 0, true), by));
    assert.ok(Math.abs(mirrored.yaw + pose.yaw) < 2.5, `yaw ${pose.yaw} and ${mirrored.yaw}`);
    assert.ok(Math.abs(mirrored.roll + pose.roll) < 2.5, `roll ${pose.roll} and ${mirrored.roll}`);
    assert.ok(Math.abs(mirrored.pitch - pose.pitch) < 2.5, `pitch ${pose.pitch} and ${mirrored.pitch}`);
  }
});

test('the pose of the canonical face, turned by known angles, is those angles', async () => {
  const canonicalFace = readCanonicalFace(await readFaceModel(FACE_MODELS.canonicalFace));
  assert.equal(canonicalFace.points.length, MESH_POINTS * 3);
  const radians = Math.PI / 180;
  for (const [yaw, pitch, roll] of [
    [0, 0, 0],
    [35, 0, 0],
    [0, -20, 0],
    [0, 0, 50],
    [-60, 25, -15],
  ] as const) {
    const [cy, sy, cp, sp] = [
      Math.cos(yaw * radians),
      Math.sin(yaw * radians),
      Math.cos(pitch * radians),
      Math.sin(pitch * radians),
    ];
    const [cr, sr] = [Math.cos(roll * radians), Math.sin(roll * radians)];
    const points = new Float64Array(canonicalFace.points.length);
    for (let at = 0; at < points.length; at += 3) {
      const [x, y, z] = canonicalFace.points.subarray(at, at + 3) as unknown as [number, number, number];
      // Down by pitch about x, to the right by yaw about y, clockwise by roll in the picture; then 7 pixels per
      // centimetre.
      const [py, pz] = [cp * y - sp * z, sp * y + cp * z];
      const [wx, wz] = [cy * x + sy * pz, -sy * x + cy * pz];
      points.set([100 + 7 * (cr * wx + sr * py), 80 - 7 * (-sr * wx + cr * py), -7 * wz], at);
    }
    const pose = headPose(points, canonicalFace);
    for (const [name, value] of Object.entries({ yaw, pitch, roll, scale: 7 })) {
      assert.ok(Math.abs(pose[name as 'yaw'] - value) < 1e-6, `${name} is ${pose[name as 'yaw']}, not ${value}`);
    }
  }
});

test('the refined mesh has two irises inside the eyes, and agrees with the plain one', async () => {
  const plain = await meshOf(portrait);
  const mesh = await meshOf(portrait, refined);
  assert.equal(mesh.points.length, (MESH_POINTS + 10) * 3);
  const apart = difference(mesh, plain, (x, y) => [x, y]);
  assert.ok(apart < 0.04, `${apart} eye distances apart`);
  for (const [iris, outer, inner, upper, lower] of [
    [468, 33, 133, 159, 145],
    [473, 263, 362, 386, 374],
  ] as const) {
    const [x, y] = pointOf(mesh, iris);
    const corners = [pointOf(mesh, outer)[0], pointOf(mesh, inner)[0]];
    assert.ok(x > Math.min(...corners) && x < Math.max(...corners), 'between the corners of the eye');
    const opening = pointOf(mesh, lower)[1] - pointOf(mesh, upper)[1];
    assert.ok(opening > 0 && Math.abs(y - pointOf(mesh, lower)[1]) < 1.5 * opening, 'between the lids');
    for (let k = 1; k < 5; k++) {
      const [rimX, rimY] = pointOf(mesh, iris + k);
      const radius = Math.hypot(rimX - x, rimY - y) / eyeDistance(mesh);
      assert.ok(radius > 0.04 && radius < 0.12, `radius of ${radius} eye distances`);
    }
  }
});

test('a face is followed while it moves, and let go when it has gone', async () => {
  let mesh: FaceMesh | undefined;
  for (let step = 0; step < 6; step++) {
    const picture = collage(420, 300, [[portrait, 20 + 12 * step, 20]]);
    mesh = await analyzer.track(picture, mesh);
    assert.ok(mesh);
    const away = difference(await meshOf(portrait), mesh, (x, y) => [x + 20 + 12 * step, y + 20]);
    assert.ok(away < 0.015, `step ${step}: off by ${away} eye distances`);
  }
  assert.equal(await analyzer.track(collage(420, 300, []), mesh), undefined);
});

test('a still face gets the square of the training clips, a moving one room, and both stay in the picture', () => {
  const box = { left: 100, top: 120, width: 90, height: 111 };
  const square = squareOfFace(box);
  assert.ok(Math.abs(square.side - 200) < 1e-9);
  assert.ok(Math.abs(square.left + square.side / 2 - 145) < 1e-9);
  assert.ok(Math.abs(square.top + 0.554 * square.side - 175.5) < 1e-9);
  const same = squareForFaces([box, box]);
  for (const key of ['left', 'top', 'side'] as const) assert.ok(Math.abs(same[key] - square[key]) < 1e-9);
  const moving = squareForFaces([box, { ...box, left: 140 }]);
  assert.ok(Math.abs(moving.side - 240) < 1e-9);
  assert.deepEqual(fitSquare(square, box, 640, 480), { left: 45, top: 65, width: 200, height: 200 });
  assert.deepEqual(fitSquare({ ...square, left: -20 }, box, 640, 480), { left: 0, top: 65, width: 200, height: 200 });
  assert.deepEqual(fitSquare(square, box, 640, 260)?.height, 200);
  assert.equal(fitSquare(square, { ...box, left: -5 }, 640, 480), undefined);
  assert.equal(fitSquare(square, box, 640, 100), undefined);
});

test('files that are not what they should be are refused by name', async () => {
  const with_ = (damaged: string, bytes: Uint8Array) =>
    FaceAnalyzer.load({ models: async (file) => (file === damaged ? bytes : readFaceModel(file)) });
  const text = (words: string) => new TextEncoder().encode(words);
  await assert.rejects(with_(FACE_MODELS.canonicalFace, new Uint8Array(10)), /canonical-face\.json: is not JSON/);
  await assert.rejects(with_(FACE_MODELS.canonicalFace, text('{"points": []}')), /lacks points, weights, triangles/);
  await assert.rejects(with_(FACE_MODELS.detector, new Uint8Array(64)), /protobuf|model/i);
  assert.throws(() => faceModelPath('none.onnx'), /none\.onnx of the npm package @dagan\/faces is not there; install/);
});
