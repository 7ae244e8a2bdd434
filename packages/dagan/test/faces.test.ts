// Faces as a caller sees them: found or not found, their points and pose under known changes of the picture, and the
// conversion of networks.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Builder } from 'flatbuffers';
import sharp from 'sharp';
import { FACE_ASSETS, splitFaceAssets } from '../src/faces/assets.js';
import { tfliteToOnnx } from '../src/faces/conversion/tflite-to-onnx.js';
import {
  FaceAnalyzer,
  type FaceMesh,
  fitSquare,
  MESH_POINTS,
  squareForFaces,
  squareOfFace,
} from '../src/faces/index.js';
import { readInstalled } from '../src/faces/installed.js';
import { onnxRuntime } from '../src/faces/onnx-runtime.js';
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
  const { canonicalFace } = splitFaceAssets(await readInstalled(FACE_ASSETS.package, FACE_ASSETS.file));
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

test('models of another package version and bytes that are no model are refused by name', async () => {
  const bytes = await readInstalled(FACE_ASSETS.package, FACE_ASSETS.file);
  assert.throws(
    () => splitFaceAssets(bytes.subarray(0, -1)),
    /3986255 bytes, not the 3986256 of version 0\.4\.1657299874/,
  );
  await assert.rejects(FaceAnalyzer.load({ assets: new Uint8Array(10) }), TypeError);
  assert.throws(() => tfliteToOnnx(new Uint8Array(64), 'zeros'), /not a TensorFlow Lite model/);
});

/** Makes a TensorFlow Lite file of one graph from plain descriptions. */
function buildTflite(model: {
  tensors: { name: string; shape: number[]; type: number; data?: Uint8Array }[];
  operators: {
    kind: number;
    inputs: number[];
    outputs: number[];
    options?: [field: number, value: number, byte?: boolean][];
  }[];
  inputs: number[];
  outputs: number[];
}): Uint8Array {
  const builder = new Builder(1024);
  const vector = (size: number, values: readonly number[], add: (value: number) => void): number => {
    builder.startVector(size, values.length, size);
    for (const value of [...values].reverse()) add(value);
    return builder.endVector();
  };
  const ints = (values: readonly number[]): number => vector(4, values, (value) => builder.addInt32(value));
  const offsets = (values: readonly number[]): number => vector(4, values, (value) => builder.addOffset(value));
  const table = (fields: number, fill: () => void): number => {
    builder.startObject(fields);
    fill();
    return builder.endObject();
  };
  const buffers = model.tensors.map(({ data }) => {
    const bytes = data && vector(1, [...data], (value) => builder.addInt8(value));
    return table(1, () => bytes !== undefined && builder.addFieldOffset(0, bytes, 0));
  });
  const tensors = model.tensors.map(({ name, shape, type }, index) => {
    const [text, sizes] = [builder.createString(name), ints(shape)];
    return table(4, () => {
      builder.addFieldOffset(0, sizes, 0);
      builder.addFieldInt8(1, type, 0);
      builder.addFieldInt32(2, index, 0);
      builder.addFieldOffset(3, text, 0);
    });
  });
  const kinds = [...new Set(model.operators.map(({ kind }) => kind))];
  const codes = kinds.map((kind) => table(4, () => builder.addFieldInt8(0, kind, 0)));
  const operators = model.operators.map(({ kind, inputs, outputs, options }) => {
    const [from, to] = [ints(inputs), ints(outputs)];
    const chosen =
      options &&
      table(8, () => {
        for (const [field, value, byte] of options) {
          if (byte) builder.addFieldInt8(field, value, 0);
          else builder.addFieldInt32(field, value, 0);
        }
      });
    return table(5, () => {
      builder.addFieldInt32(0, kinds.indexOf(kind), 0);
      builder.addFieldOffset(1, from, 0);
      builder.addFieldOffset(2, to, 0);
      if (chosen !== undefined) builder.addFieldOffset(4, chosen, 0);
    });
  });
  const parts = [offsets(tensors), ints(model.inputs), ints(model.outputs), offsets(operators)];
  const graph = table(4, () => {
    for (const [field, part] of parts.entries()) builder.addFieldOffset(field, part, 0);
  });
  const [allCodes, graphs, allBuffers] = [offsets(codes), offsets([graph]), offsets(buffers)];
  const root = table(5, () => {
    builder.addFieldInt32(0, 3, 0);
    builder.addFieldOffset(1, allCodes, 0);
    builder.addFieldOffset(2, graphs, 0);
    builder.addFieldOffset(4, allBuffers, 0);
  });
  builder.finish(root, 'TFL3');
  return builder.asUint8Array();
}

test('a converted network computes what its operations say, with "same" padding and half precision', async () => {
  const [height, width, channels, filters] = [5, 4, 2, 3];
  const value = (index: number): number => ((index * 37) % 19) / 8 - 1;
  const kernel = Float32Array.from({ length: filters * 9 * channels }, (_, index) => value(index + 3));
  const depthKernel = Float32Array.from({ length: 9 * filters }, (_, index) => value(index + 8));
  const bias = Float32Array.of(0.5, -0.25, 0.125);
  const slope = Float32Array.of(0.25, 0.5, -1);
  // These values are exact in half precision.
  const half = (values: Float32Array): Uint8Array => new Uint8Array(Uint16Array.from(values, toHalf).buffer);
  const raw = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);
  const bytes = buildTflite({
    tensors: [
      { name: 'input', shape: [1, height, width, channels], type: 0 },
      { name: 'kernel16', shape: [filters, 3, 3, channels], type: 1, data: half(kernel) },
      { name: 'kernel', shape: [filters, 3, 3, channels], type: 0 },
      { name: 'bias', shape: [filters], type: 0, data: raw(bias) },
      { name: 'conv', shape: [1, 3, 2, filters], type: 0 },
      { name: 'depthKernel', shape: [1, 3, 3, filters], type: 0, data: raw(depthKernel) },
      { name: 'depth', shape: [1, 3, 2, filters], type: 0 },
      { name: 'slope', shape: [1, 1, filters], type: 0, data: raw(slope) },
      { name: 'prelu', shape: [1, 3, 2, filters], type: 0 },
      { name: 'pool', shape: [1, 2, 1, filters], type: 0 },
    ],
    operators: [
      { kind: 6, inputs: [1], outputs: [2] },
      {
        kind: 3,
        inputs: [0, 2, 3],
        outputs: [4],
        options: [
          [1, 2],
          [2, 2],
          [3, 1, true],
        ],
      },
      {
        kind: 4,
        inputs: [4, 5, 3],
        outputs: [6],
        options: [
          [1, 1],
          [2, 1],
          [3, 1],
        ],
      },
      { kind: 54, inputs: [6, 7], outputs: [8] },
      {
        kind: 17,
        inputs: [8],
        outputs: [9],
        options: [
          [1, 2],
          [2, 2],
          [3, 2],
          [4, 2],
        ],
      },
    ],
    inputs: [0],
    outputs: [9, 8],
  });
  const input = Float32Array.from({ length: height * width * channels }, (_, index) => value(index)); // h, w, c

  // The same by hand, height by width by channels. "Same" puts the odd row or column behind.
  const convolve = (
    source: Float32Array,
    [h, w, c]: [number, number, number],
    stride: number,
    weight: (ky: number, kx: number, from: number, to: number) => number,
  ): Float32Array => {
    const [outH, outW] = [Math.ceil(h / stride), Math.ceil(w / stride)];
    const before = (size: number, out: number): number => Math.floor(Math.max(0, (out - 1) * stride + 3 - size) / 2);
    const result = new Float32Array(outH * outW * filters);
    for (let y = 0; y < outH; y++) {
      for (let x = 0; x < outW; x++) {
        for (let to = 0; to < filters; to++) {
          let sum = bias[to]!;
          for (let ky = 0; ky < 3; ky++) {
            for (let kx = 0; kx < 3; kx++) {
              const [sy, sx] = [y * stride + ky - before(h, outH), x * stride + kx - before(w, outW)];
              if (sy < 0 || sx < 0 || sy >= h || sx >= w) continue;
              for (let from = 0; from < c; from++) sum += source[(sy * w + sx) * c + from]! * weight(ky, kx, from, to);
            }
          }
          result[(y * outW + x) * filters + to] = sum;
        }
      }
    }
    return result;
  };
  const conv = convolve(
    input,
    [height, width, channels],
    2,
    (ky, kx, from, to) => kernel[((to * 3 + ky) * 3 + kx) * channels + from]!,
  ).map((sum) => Math.max(0, sum));
  const depth = convolve(conv, [3, 2, filters], 1, (ky, kx, from, to) =>
    from === to ? depthKernel[(ky * 3 + kx) * filters + to]! : 0,
  );
  const prelu = depth.map((sum, index) => (sum < 0 ? sum * slope[index % filters]! : sum));
  const pool = Float32Array.from({ length: 2 * filters }, (_, index) => {
    const [row, channel] = [Math.floor(index / filters), index % filters];
    const rows = [2 * row, 2 * row + 1].filter((y) => y < 3);
    return Math.max(...rows.flatMap((y) => [0, 1].map((x) => prelu[(y * 2 + x) * filters + channel]!)));
  });

  const network = await onnxRuntime().load(tfliteToOnnx(bytes, 'small'));
  const planes = Float32Array.from({ length: input.length }, (_, index) => {
    const [channel, place] = [Math.floor(index / (height * width)), index % (height * width)];
    return input[place * channels + channel]!;
  });
  const outputs = await network.run({ input: { shape: [1, channels, height, width], data: planes } });
  await network.release();
  assert.deepEqual(outputs.prelu!.shape, [1, 3, 2, filters]);
  assert.deepEqual(outputs.pool!.shape, [1, 2, 1, filters]);
  for (const [name, expected] of Object.entries({ prelu, pool })) {
    for (const [index, number] of expected.entries()) {
      assert.ok(Math.abs(outputs[name]!.data[index]! - number) < 1e-5, `${name}[${index}]`);
    }
  }
  const unknown = buildTflite({
    tensors: [
      { name: 'input', shape: [1, 2], type: 0 },
      { name: 'output', shape: [1, 2], type: 0 },
    ],
    operators: [{ kind: 25, inputs: [0], outputs: [1] }],
    inputs: [0],
    outputs: [1],
  });
  assert.throws(() => tfliteToOnnx(unknown, 'softmax'), /softmax: the operation 25 is not known/);
});

/** Bits of a number that half precision holds exactly, other than 0 and below 2^-14. */
function toHalf(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((Math.abs(value) / 2 ** exponent - 1) * 1024);
}
