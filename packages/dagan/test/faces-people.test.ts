// What faces do and whose they are: signals under known changes of a mesh, and likeness of the same and other people.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodeOnnx, type OnnxNode } from '@dagan/libtorch/onnx';
import {
  cosineSimilarity,
  EXPRESSION_SIGNALS,
  EXPRESSION_UNITS,
  type ExpressionSignal,
  type ExpressionSignals,
  expressionUnits,
  FaceAnalyzer,
  type FaceMesh,
  loadIdentityNetwork,
  neutralExpression,
} from '../src/faces/index.js';
import { sampleRegion } from '../src/faces/sampling.js';
import { createPicture, openClip, type Picture, readPicture, rotatePicture } from '../src/media/index.js';

const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const portrait = await readPicture(example('portrait.png'));
const analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
const identity = await loadIdentityNetwork();
const folder = await mkdtemp(join(tmpdir(), 'dagan-faces-'));
after(async () => {
  await analyzer.close();
  await identity.close();
  await rm(folder, { recursive: true });
});

async function meshOf(picture: Picture): Promise<FaceMesh> {
  const mesh = await analyzer.track(picture);
  assert.ok(mesh, 'a face is found');
  return mesh;
}

/** Three frames of the example clip, a second apart. */
async function framesOfClip(): Promise<Picture[]> {
  await using clip = await openClip(example('driving.mp4'));
  const frames: Picture[] = [];
  let index = 0;
  for await (const { picture } of clip.frames()) if (index++ % 25 === 0 && frames.length < 3) frames.push(picture);
  return frames;
}

/** The picture turned clockwise by so many degrees, and so much smaller or larger, about its middle. */
function changed({ width, height, data }: Picture, degrees: number, scale: number): Picture {
  const angle = (-degrees * Math.PI) / 180;
  const region = { centerX: width / 2, centerY: height / 2, side: width / scale, angle };
  const planes = sampleRegion({ width, height, data }, region, width, { scale: 1, offset: 0, border: 'edge' });
  const result = createPicture(width, width);
  for (let at = 0; at < result.data.length; at++) {
    result.data[at] = Math.round(planes[(at % 3) * width * width + Math.floor(at / 3)]!);
  }
  return result;
}

/** The names of the units that turn on when the portrait's mesh changes so, with the mesh as it is at rest. */
function unitsAfter(mesh: FaceMesh, change: (points: Float64Array) => void): string[] {
  const points = mesh.points.slice();
  change(points);
  const [units] = expressionUnits([analyzer.expression({ points })], analyzer.expression(mesh));
  return EXPRESSION_UNITS.filter((_, index) => units![index]).map(({ name }) => name);
}

test('signals do not change with the size of the picture, its turn, or the pose of the head', async () => {
  const mesh = await meshOf(portrait);
  const signals = analyzer.expression(mesh);
  const near = (other: ExpressionSignals, tolerance: number, what: string): void => {
    for (const name of EXPRESSION_SIGNALS) {
      const change = Math.abs(other[name] - signals[name]);
      assert.ok(change < tolerance, `${what}: ${name} changed by ${change} from ${signals[name]}`);
    }
  };
  // The mesh itself, moved in space: exactly the same.
  const [cos, sin] = [Math.cos(0.5), Math.sin(0.5)];
  const moved = mesh.points.slice();
  for (let at = 0; at < moved.length; at += 3) {
    const [x, y, z] = mesh.points.subarray(at, at + 3) as unknown as [number, number, number];
    const [turnedX, turnedZ] = [cos * x + sin * z, cos * z - sin * x]; // to the side
    moved.set([3 * (cos * turnedX - sin * y) + 40, 3 * (sin * turnedX + cos * y) - 7, 3 * turnedZ], at);
  }
  near(analyzer.expression({ points: moved }), 1e-6, 'moved in space');
  // The picture: as exactly as the mesh is found again.
  for (const [degrees, scale] of [
    [12, 1],
    [0, 0.8],
    [-8, 0.9],
  ] as const) {
    const again = analyzer.expression(await meshOf(changed(portrait, degrees, scale)));
    near(again, 0.05, `turned by ${degrees} degrees, scaled by ${scale}`);
    const units = expressionUnits([again], signals)[0]!.filter((on) => on).length;
    assert.ok(units <= 1, `${units} units are on`);
  }
  // Mirrored, the sides change places.
  const mirrored = analyzer.expression(await meshOf(rotatePicture(portrait, 0, true)));
  const otherSide = (name: string): ExpressionSignal =>
    name.replace(/Right|Left/, (side) => (side === 'Right' ? 'Left' : 'Right')) as ExpressionSignal;
  const back = EXPRESSION_SIGNALS.map((name) => [name, mirrored[otherSide(name)] * (name === 'gazeSide' ? -1 : 1)]);
  near(Object.fromEntries(back) as ExpressionSignals, 0.05, 'mirrored');
});

test('every movement turns on the units of its place and side, and no others', async () => {
  const mesh = await meshOf(portrait);
  const unit = Math.hypot(
    mesh.points[263 * 3]! - mesh.points[33 * 3]!,
    mesh.points[263 * 3 + 1]! - mesh.points[33 * 3 + 1]!,
  );
  const shift = (indices: readonly number[], right: number, down: number) => (points: Float64Array) => {
    for (const index of indices) {
      points[index * 3] = points[index * 3]! + right * unit;
      points[index * 3 + 1] = points[index * 3 + 1]! + down * unit;
    }
  };
  const rightUpperLid = [160, 159, 158];
  const leftUpperLid = [387, 386, 385];
  const irises = Array.from({ length: 10 }, (_, index) => 468 + index);
  const lowerLip = [14, 87, 317, 17, 84, 314];
  const both =
    (...changes: ((points: Float64Array) => void)[]) =>
    (points: Float64Array): void => {
      for (const change of changes) change(points);
    };
  assert.deepEqual(
    unitsAfter(mesh, () => undefined),
    [],
  );
  assert.deepEqual(unitsAfter(mesh, shift(rightUpperLid, 0, 0.06)), ['rightEyeClosed']);
  assert.deepEqual(unitsAfter(mesh, shift(leftUpperLid, 0, 0.06)), ['leftEyeClosed']);
  assert.deepEqual(unitsAfter(mesh, shift([...rightUpperLid, ...leftUpperLid], 0, -0.05)), [
    'rightEyeWide',
    'leftEyeWide',
  ]);
  assert.deepEqual(unitsAfter(mesh, shift([55, 107], 0, -0.05)), ['rightInnerBrowRaised']);
  assert.deepEqual(unitsAfter(mesh, shift([276, 300, 283, 293], 0, -0.05)), ['leftOuterBrowRaised']);
  assert.deepEqual(unitsAfter(mesh, both(shift([55, 107], 0.01, 0.04), shift([285, 336], -0.01, 0.04))), [
    'rightBrowLowered',
    'leftBrowLowered',
    'browsDrawnTogether',
  ]);
  assert.deepEqual(unitsAfter(mesh, shift(irises, -0.06, 0)), ['gazeRight']);
  assert.deepEqual(unitsAfter(mesh, shift(irises, 0.06, 0)), ['gazeLeft']);
  assert.deepEqual(unitsAfter(mesh, shift(irises, 0, -0.03)), ['gazeUp']);
  assert.deepEqual(unitsAfter(mesh, shift(irises, 0, 0.03)), ['gazeDown']);
  assert.deepEqual(
    unitsAfter(mesh, both(shift(lowerLip, 0, 0.1), shift([61, 291], 0, 0.05), shift([152, 148, 377], 0, 0.1))),
    ['lipsParted', 'jawDropped'],
  );
  assert.deepEqual(unitsAfter(mesh, both(shift([61], -0.05, -0.04), shift([291], 0.05, -0.04))), [
    'mouthStretched',
    'cornersRaised',
  ]);
  assert.deepEqual(unitsAfter(mesh, both(shift([61], 0.05, 0.04), shift([291], -0.05, 0.04))), [
    'mouthNarrowed',
    'cornersLowered',
  ]);
});

test("a person's features are no expression: units count from the clip's own median", () => {
  const at = (values: Partial<ExpressionSignals>): ExpressionSignals =>
    Object.fromEntries(EXPRESSION_SIGNALS.map((name) => [name, values[name] ?? 0.3])) as ExpressionSignals;
  const narrow = [0.2, 0.2, 0.21, 0.05, 0.19].map((eyeOpenRight) => at({ eyeOpenRight }));
  const wide = [0.4, 0.4, 0.41, 0.25, 0.39].map((eyeOpenRight) => at({ eyeOpenRight }));
  assert.equal(neutralExpression(narrow).eyeOpenRight, 0.2);
  assert.ok(Math.abs(neutralExpression(wide.slice(0, 4)).eyeOpenRight - 0.4) < 1e-12, 'of an even number, the middle');
  const units = expressionUnits(narrow);
  assert.deepEqual(units, expressionUnits(wide));
  assert.deepEqual(
    units.map((on) => on[0]),
    [false, false, false, true, false],
  );
  assert.equal(units.flat().filter((on) => on).length, 1);
  assert.equal(expressionUnits(narrow.slice(3), at({ eyeOpenRight: 0.06 }))[0]![0], false);
  assert.throws(() => neutralExpression([]), RangeError);
});

test('signals of the plain mesh are refused with the way to the refined one', async () => {
  const { points } = await meshOf(portrait);
  assert.throws(
    () => analyzer.expression({ points: points.subarray(0, 468 * 3) }),
    /needs the 478 points of the refined mesh, not 468: load the analyzer with \{ mesh: 'refined' \}/,
  );
});

test('everything that measures has a name and a version', async () => {
  const { detector, mesh, pose, expression } = analyzer.measuredBy;
  for (const { name, version } of [detector, mesh, pose, expression]) {
    assert.ok(name.length > 5);
    assert.equal(version, '@mediapipe/face_mesh 0.4.1657299874');
  }
  assert.match(mesh.name, /attention mesh, 478 points/);
  await using plain = await FaceAnalyzer.load();
  assert.match(plain.measuredBy.mesh.name, /face mesh, 468 points/);
  assert.equal(identity.name, 'faceres');
  assert.equal(identity.version, '@vladmandic/human 3.3.6');
});

test('one person is like themselves in any frame, light, size and turn, and not like another', async () => {
  const frames = await framesOfClip();
  const embeddingOf = async (picture: Picture) => identity.embed(picture, await meshOf(picture));
  const [first, ...others] = await Promise.all(frames.map(embeddingOf));
  const woman = await embeddingOf(portrait);
  assert.equal(woman.length, identity.dimensions);
  assert.ok(Math.abs(Math.hypot(...woman) - 1) < 1e-5, 'of length 1');
  for (const other of others) {
    const same = cosineSimilarity(first!, other);
    assert.ok(same > 0.75, `the same person: ${same}`);
    const different = cosineSimilarity(woman, other);
    assert.ok(different < 0.5, `another person: ${different}`);
  }
  const brighter = { ...portrait, data: portrait.data.map((value) => Math.min(255, value * 1.15 + 5)) };
  const darker = { ...portrait, data: portrait.data.map((value) => value * 0.75) };
  for (const [name, picture] of Object.entries({
    brighter,
    darker,
    smaller: changed(portrait, 0, 0.7),
    turned: changed(portrait, 15, 0.9),
  })) {
    const same = cosineSimilarity(woman, await embeddingOf(picture));
    assert.ok(same > 0.93, `${name}: ${same}`);
  }
  assert.throws(() => cosineSimilarity(woman, woman.subarray(1)), /1024 and 1023/);
});

/** An ONNX file whose embedding is its picture at 7 x 7, after the operations given. */
async function arcFaceFile(
  name: string,
  { size = 112, before = [] }: { size?: number; before?: readonly { operator: string; value: number }[] } = {},
): Promise<string> {
  const nodes: OnnxNode[] = before.map(({ operator }, index) => ({
    operator,
    inputs: [index === 0 ? 'data' : `value${index - 1}`, `constant${index}`],
    outputs: [`value${index}`],
  }));
  const pooled = before.length === 0 ? 'data' : `value${before.length - 1}`;
  nodes.push(
    {
      operator: 'AveragePool',
      inputs: [pooled],
      outputs: ['pooled'],
      attributes: { kernel_shape: { ints: [16, 16] }, strides: { ints: [16, 16] } },
    },
    { operator: 'Flatten', inputs: ['pooled'], outputs: ['embedding'], attributes: { axis: { int: 1 } } },
  );
  const path = join(folder, name);
  const bytes = encodeOnnx({
    name,
    opset: 13,
    inputs: [{ name: 'data', shape: [1, 3, size, size] }],
    outputs: [{ name: 'embedding', shape: [1, 3 * (size / 16) ** 2] }],
    initializers: before.map(({ value }, index) => ({
      name: `constant${index}`,
      shape: [1],
      data: Float32Array.of(value),
    })),
    nodes,
  });
  await writeFile(path, bytes);
  return path;
}

test("a user's ArcFace network sees the face where its training pictures have it, in its own scaling", async () => {
  const plain = await arcFaceFile('plain.onnx');
  await using network = await loadIdentityNetwork({ file: plain });
  assert.equal(network.name, 'plain.onnx');
  assert.match(network.version, /^sha256 [0-9a-f]{64}$/);
  assert.equal(network.dimensions, 147);

  // A mesh whose eyes, nose and mouth are already in those places: the picture is taken as it is.
  const picture = createPicture(112, 112);
  for (let at = 0; at < picture.data.length; at++) picture.data[at] = ((at % 3) * 90 + Math.floor(at / 336) * 2) & 255;
  const points = new Float64Array(478 * 3);
  for (const [x, y, ...indices] of [
    [38.2946, 51.6963, 33, 133],
    [73.5318, 51.5014, 263, 362],
    [56.0252, 71.7366, 1],
    [41.5493, 92.3655, 61],
    [70.7299, 92.2041, 291],
  ] as const) {
    for (const index of indices) points.set([x, y], index * 3);
  }
  const box = { left: 0, top: 0, width: 112, height: 112 };
  const embedding = await network.embed(picture, { points, box });
  const expected = Float32Array.from({ length: 147 }, (_, index) => {
    const [channel, row, column] = [Math.floor(index / 49), Math.floor((index % 49) / 7), index % 7];
    let sum = 0;
    for (let y = row * 16; y < row * 16 + 16; y++) {
      for (let x = column * 16; x < column * 16 + 16; x++) sum += picture.data[(y * 112 + x) * 3 + channel]!;
    }
    return sum / 256 / 127.5 - 1;
  });
  const length = Math.hypot(...expected);
  for (const [index, value] of expected.entries()) {
    assert.ok(Math.abs(embedding[index]! - value / length) < 1e-5, `${index}`);
  }

  // Real faces come out in the same place, whatever their size and turn.
  const upright = await network.embed(portrait, await meshOf(portrait));
  const other = changed(portrait, 20, 0.7);
  assert.ok(cosineSimilarity(upright, await network.embed(other, await meshOf(other))) > 0.99);

  // A network that scales bytes itself is given bytes.
  const own = await arcFaceFile('own.onnx', {
    before: [
      { operator: 'Sub', value: 127.5 },
      { operator: 'Mul', value: 1 / 127.5 },
    ],
  });
  await using scaling = await loadIdentityNetwork({ file: own });
  assert.ok(cosineSimilarity(embedding, await scaling.embed(picture, { points, box })) > 0.99999);
  assert.notEqual(scaling.version, network.version);
});

test('files that are no ArcFace network are refused by name, with what they are', async () => {
  const small = await arcFaceFile('small.onnx', { size: 64 });
  await assert.rejects(
    loadIdentityNetwork({ file: small }),
    /small\.onnx: takes data \[1, 3, 64, 64\]; an ArcFace network takes one input \[1, 3, 112, 112\]/,
  );
  const picture = join(folder, 'picture.onnx');
  await writeFile(
    picture,
    encodeOnnx({
      name: 'picture',
      opset: 13,
      inputs: [{ name: 'data', shape: [1, 3, 112, 112] }],
      outputs: [{ name: 'out', shape: [1, 3, 112, 112] }],
      initializers: [],
      nodes: [{ operator: 'Relu', inputs: ['data'], outputs: ['out'] }],
    }),
  );
  await assert.rejects(loadIdentityNetwork({ file: picture }), /picture\.onnx: gives out \[1, 3, 112, 112\];/);
  await assert.rejects(loadIdentityNetwork({ file: example('portrait.png') }), /portrait\.png: is not an ONNX model/);
  await assert.rejects(loadIdentityNetwork({ file: join(folder, 'none.onnx') }), /none\.onnx: cannot be read/);
});
