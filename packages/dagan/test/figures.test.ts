// `dagan depth`, `attention` and `keypoints` as a user meets them, with networks whose answers are known.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { noGrad, saveStateDict, type Tensor, tensor, zeros } from '@dagan/libtorch';
import sharp from 'sharp';
import { LibtorchEngine } from '../src/animation/engines/index.js';
import { FACE_LANDMARKS, FaceAnalyzer } from '../src/faces/index.js';
import {
  createPicture,
  cropPicture,
  type Picture,
  readPicture,
  resizePicture,
  writePicture,
} from '../src/media/index.js';
import { CrossModalAttention, type DaGAN, DepthNetwork, PoseNetwork, saveModel } from '../src/models/index.js';
import { AttentionRows, cellOf } from '../src/pipelines/attention-rows.js';
import { pictureToTensor } from '../src/tensors/index.js';
import { distinctColor, LABEL_HEIGHT, paste } from '../src/visualization/index.js';
import { type CliResult, dagan, formulaModel, SMALL, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { makeMp4, names, psnr, readAll, scene, temporaryFolder } from './media-fixtures.js';
import { readPly } from './ply.js';

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);
const SIZE = 256;

/** A portrait that belongs to the repository, seen from packages/dagan/dist/test. */
const EXAMPLE = fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url));

/** A small model whose attention is strong enough to prefer some places. */
function attentiveModel(): DaGAN {
  const model = formulaModel({ ...SMALL, depth: { layers: 18, width: 1 / 8 } });
  const { queryConv, keyConv } = model.generator.attention!;
  noGrad(() => {
    queryConv.bias!.fill_(8);
    for (const conv of [queryConv, keyConv]) conv.weight.mul_(20);
  });
  return model;
}

saveModel(path('model.safetensors'), attentiveModel());
saveModel(path('flat-model.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH));
await writePicture(path('face.png'), scene(SIZE, SIZE, 3));
await writePicture(path('wide.png'), scene(400, 200, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 8 });

/** Sets all weights and biases of a module's tensors whose names match to one number. */
function setAll(state: ReadonlyMap<string, Tensor>, names: RegExp, value: number): void {
  for (const [name, each] of state) if (names.test(name)) noGrad(() => each.fill_(value));
}

// A depth network that says 0.5 everywhere: a wall at one distance.
const wall = new DepthNetwork({ layers: 18, width: 1 / 8 });
setAll(wall.stateDict(), /disparity_heads\.0/, 0);
saveStateDict(path('wall.safetensors'), wall.stateDict());
// The same with a pose network that says: focal length 1.5 times the picture's width, principal point in the middle.
const pose = new PoseNetwork({ layers: 18, width: 1 / 8 });
setAll(pose.stateDict(), /pose\.net\.[45]\.weight/, 0);
setAll(pose.stateDict(), /pose\.net\.4\.bias/, Math.log(Math.exp(1.5) - 1));
setAll(pose.stateDict(), /pose\.net\.5\.bias/, 0);
const together = new Map([
  ...[...wall.stateDict()].map(([name, value]) => [`depth_network.${name}`, value] as const),
  ...[...pose.stateDict()].map(([name, value]) => [`pose_network.${name}`, value] as const),
]);
saveStateDict(path('stage1.safetensors'), together);

const PRECISE = ['--precision', 'float32'];

/** Runs a command on pictures that show no face. */
const figure = (words: readonly string[]): Promise<CliResult> => dagan(folder, [...words, '--crop', 'none']);

const pixel = ({ width, data }: Picture, x: number, y: number): number[] => [
  ...data.subarray(3 * (y * width + x), 3 * (y * width + x) + 3),
];

test('the point cloud of a wall is a plane as wide as the field of view, with the colours of the picture', async () => {
  const run = await figure(['depth', 'face.png', '--depth', 'wall.safetensors', '-o', 'wall.ply']);
  assert.equal(run.code, 0, run.stderr);
  assert.equal(run.stdout, 'wall.ply: 65536 points; camera: a field of view of 40 degrees\n');
  const { vertices, faces } = readPly(readFileSync(path('wall.ply')));
  assert.deepEqual([vertices.length, faces.length], [SIZE * SIZE, 0]);
  const edge = Math.tan((20 * Math.PI) / 180) * (255 / 256);
  for (const axis of ['x', 'y'] as const) {
    const values = vertices.map((vertex) => vertex[axis]);
    const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
    assert.ok(Math.abs(low + edge) < 1e-4 && Math.abs(high - edge) < 1e-4, `${low} to ${high}`);
  }
  assert.ok(vertices.every(({ z }) => Math.abs(z) < 1e-5));
  const picture = await readPicture(path('face.png'));
  const corner = vertices.find(({ x, y }) => x < 1e-3 - edge && y > edge - 1e-3)!;
  assert.deepEqual(corner.color, pixel(picture, 0, 0), 'the upper left one');
  const narrow = await figure([
    ...['depth', 'talk.mp4', '--depth', 'wall.safetensors', '--frame', '3', '-o', 'mesh.ply'],
    ...['--mesh', '--size', '64', '--field-of-view', '20'],
  ]);
  assert.equal(narrow.stdout, 'mesh.ply: 4096 points and 7938 triangles; camera: a field of view of 20 degrees\n');
  assert.equal(readPly(readFileSync(path('mesh.ply'))).faces.length, 2 * 63 * 63);
});

test('a pose network in the file tells the camera', async () => {
  const run = await figure(['depth', 'face.png', '--depth', 'stage1.safetensors', '-o', 'posed.ply']);
  assert.equal(run.code, 0, run.stderr);
  assert.match(run.stdout, /camera: the file's pose network/);
  const xs = readPly(readFileSync(path('posed.ply'))).vertices.map(({ x }) => x);
  const span = xs.reduce((a, b) => Math.max(a, b)) - xs.reduce((a, b) => Math.min(a, b));
  assert.ok(Math.abs(span - 255 / 256 / 1.5) < 1e-4, `${span}`);
});

test('a turning picture begins as the picture, moves, and comes back', async () => {
  const words = ['depth', 'face.png', '--depth', 'wall.safetensors', '--fps', '10', '--seconds', '0.8'];
  const run = await figure([...words, '-o', 'turn/']);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual((await names(path('turn'))).length, 8);
  const frame = async (index: number) => readPicture(path(`turn/00000${index}.png`));
  const inner = { left: 1, top: 1, width: SIZE - 2, height: SIZE - 2 };
  const picture = cropPicture(scene(SIZE, SIZE, 3), inner);
  const likeness = async (index: number) => psnr(cropPicture(await frame(index), inner), picture);
  assert.ok((await likeness(0)) > 45 && (await likeness(4)) > 45, 'from where it was taken');
  assert.ok((await likeness(2)) < 25, 'from the side');
  const [side, back] = [await frame(2), await frame(6)];
  const background = pixel(side, 0, 2); // seen from the right, the left side is further away
  assert.ok(new Set(background).size === 1, 'what the wall leaves free is grey');
  assert.deepEqual(pixel(back, 255, 2), background);
});

test('disparity comes as colours, as exact 16-bit numbers, and as a clip in one range of colours', async () => {
  const raw = await figure(['depth', 'face.png', '--depth', 'wall.safetensors', '--raw', '-o', 'raw.png']);
  assert.equal(raw.code, 0, raw.stderr);
  const grey = sharp(path('raw.png')).toColourspace('grey16').raw({ depth: 'ushort' });
  const { data, info } = await grey.toBuffer({ resolveWithObject: true });
  const values = new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
  assert.deepEqual([info.width, info.height, info.channels], [SIZE, SIZE, 1]);
  assert.ok(values.every((value) => Math.abs(value - 32768) <= 1));
  const shown = await figure(['depth', 'wide.png', ...PRECISE, '--checkpoint', 'model.safetensors', '-o', 'd.png']);
  assert.equal(shown.code, 0, shown.stderr);
  assert.equal(shown.stdout, 'd.png: 256 x 256\n');
  const clip = ['depth', 'talk.mp4', ...PRECISE, '--checkpoint', 'model.safetensors', '--end', '4'];
  const ran = await figure([...clip, '-o', 'depth.mp4', '--side-by-side', '--size', '64']);
  assert.equal(ran.code, 0, ran.stderr);
  const { frames } = await readAll(path('depth.mp4'));
  assert.deepEqual([frames.length, frames[0]!.picture.width, frames[0]!.picture.height], [4, 192, 64]);
  // Two frames alone have the colours that they have between others, if the range is said.
  const ranged = ['--range', '0.2,0.8', '--size', '64', '--checkpoint', 'model.safetensors', ...PRECISE];
  await figure(['depth', 'talk.mp4', ...ranged, '-o', 'all/']);
  await figure(['depth', 'talk.mp4', ...ranged, '--start', '5', '--end', '7', '-o', 'part/']);
  assert.equal((await names(path('all'))).length, 8);
  assert.deepEqual(readFileSync(path('part/000001.png')), readFileSync(path('all/000006.png')));
});

test('several pictures make one figure with a row for each', async () => {
  const words = ['face.png', 'wide.png', 'talk.mp4', '--depth', 'wall.safetensors', '--size', '80', '-q'];
  const run = await figure(['depth', ...words, '-o', 'figure.png']);
  assert.deepEqual(run, { code: 0, stdout: '', stderr: '' });
  const sheet = await readPicture(path('figure.png'));
  assert.equal(sheet.height, LABEL_HEIGHT + 3 * 80 + 2 * 4);
  const left = sheet.width - (5 * 80 + 4 * 4);
  assert.ok(left >= 'wide'.length * 8);
  const first = cropPicture(sheet, { left, top: LABEL_HEIGHT, width: 80, height: 80 });
  assert.ok(psnr(first, scene(80, 80, 3)) > 25);
});

test('attention finds the one place in the features that answers a query', () => {
  const channels = 8;
  const attention = new CrossModalAttention(channels, 'residual');
  noGrad(() => {
    for (const value of attention.stateDict().values()) value.fill_(0);
    for (const conv of [attention.queryConv, attention.keyConv]) {
      conv.weight.copy_(tensor(Float32Array.of(1, ...Array(7).fill(0)), { shape: [1, channels, 1, 1] }));
    }
    const [height, width] = [8, 12];
    const depth = zeros([1, channels, height, width]);
    const features = zeros([1, channels, height, width]);
    const asking = cellOf([0.3, 0.8], width, height);
    assert.equal(asking, 6 * width + 3);
    const place = (of: Tensor, cell: number, value: number) =>
      of.reshape(1, channels, -1).narrow(2, cell, 1).fill_(value);
    place(depth, asking, 5);
    place(features, 2 * width + 10, 4);
    const query = attention.query(depth);
    const row = attention.weights(query.narrow(1, asking, 1), features).toFloat32Array();
    assert.equal(row.length, width * height);
    assert.equal(row.indexOf(Math.max(...row)), 2 * width + 10);
    assert.ok(Math.abs(row.reduce((sum, value) => sum + value, 0) - 1) < 1e-5);
    const silent = attention.weights(query.narrow(1, 0, 1), features).toFloat32Array();
    assert.ok(
      silent.every((value) => Math.abs(value - 1 / 96) < 1e-6),
      'a query of zeros looks everywhere alike',
    );
  });
});

test('rows of a whole model sum to 1 and are the rows of its matrix', async () => {
  const rows = await AttentionRows.of(new LibtorchEngine(attentiveModel()), scene(SIZE, SIZE, 3));
  const places = [
    [0.1, 0.9],
    [0.5, 0.5],
  ] as const;
  const { rows: found, deformed } = await rows.look(scene(SIZE, SIZE, 9), places);
  assert.deepEqual([deformed.width, deformed.height, rows.disparity.width], [SIZE, SIZE, SIZE]);
  const sum = (data: Float32Array): number => data.reduce((total, value) => total + value, 0);
  for (const { warped, source } of found) {
    assert.deepEqual([warped.width, warped.height], [64, 64]);
    assert.ok(Math.abs(sum(warped.data) - 1) < 1e-4);
    assert.ok(sum(source.data) <= 1.0001 && source.data.every((value) => value >= 0));
  }
  const model = attentiveModel();
  const matrix = noGrad(() => {
    const source = model.source(pictureToTensor(scene(SIZE, SIZE, 3)));
    const { keypoints } = model.driving(pictureToTensor(scene(SIZE, SIZE, 9)));
    const { warpedFeatures } = model.generate(source, keypoints);
    return model.generator.attention!.weights(source.query!, warpedFeatures);
  });
  assert.deepEqual(matrix.shape, [1, 4096, 4096]);
  for (const [i, place] of places.entries()) {
    const row = matrix.narrow(1, cellOf(place, 64, 64), 1).toFloat32Array();
    const { data } = found[i]!.warped;
    assert.ok(Math.max(...row) > 10 / 4096, 'the row has a preference');
    assert.ok(row.every((value, j) => Math.abs(value - data[j]!) < 1e-3 * Math.max(...row)));
  }
  assert.deepEqual(
    [cellOf([0, 0], 64, 64), cellOf([1, 1], 64, 64), cellOf([0.999, 0], 64, 64), cellOf([0, 0.51], 64, 64)],
    [0, 4095, 63, 32 * 64],
  );
});

test('attention is drawn for several places, over a picture or a clip', async () => {
  const common = ['--checkpoint', 'model.safetensors', ...PRECISE, '--size', '96'];
  const places = ['--at', '120,40', '--at', '299,199'];
  const run = await figure(['attention', 'wide.png', 'face.png', ...places, ...common, '-o', 'a.png']);
  assert.equal(run.code, 0, run.stderr);
  const sheet = await readPicture(path('a.png'));
  assert.deepEqual([sheet.width, sheet.height], [5 * 96 + 4 * 4, 96 + LABEL_HEIGHT]);
  // The rings: (120, 40) of a 400 x 200 picture is (20, 40) of its middle square of 200.
  const [x, y] = [Math.round((20.5 / 200) * 96 - 0.5), LABEL_HEIGHT + Math.round((40.5 / 200) * 96 - 0.5)];
  for (const left of [0, 100, 300])
    assert.deepEqual(pixel(sheet, left + x + 2, y), [...distinctColor(0)], `at ${left}`);
  const clip = await figure(['attention', 'wide.png', 'talk.mp4', '--at', '200,100', ...common, '--end', '3']);
  assert.equal(clip.code, 0, clip.stderr);
  assert.equal(clip.stdout, 'attention.mp4: 3 frames\n');
  const { frames } = await readAll(path('attention.mp4'));
  assert.deepEqual([frames.length, frames[0]!.picture.width], [3, 4 * 96 + 3 * 4]);
  const warped = ['--over', 'warped', '--frame', '2', '-o', 'warped.png'];
  const other = await figure(['attention', 'wide.png', 'talk.mp4', '--at', '200,100', ...common, ...warped]);
  assert.equal(other.code, 0, other.stderr);
});

test('keypoints are drawn where the networks find them, in the same colours in every picture', async () => {
  const words = ['face.png', 'talk.mp4', '--frame', '4', '--checkpoint', 'model.safetensors', ...PRECISE];
  const run = await figure(['keypoints', ...words, '--size', '256', '--no-axes', '-o', 'k.png']);
  assert.equal(run.code, 0, run.stderr);
  const sheet = await readPicture(path('k.png'));
  assert.equal(sheet.height, 256 + LABEL_HEIGHT);
  const engine = new LibtorchEngine(attentiveModel());
  const keypoints = (await engine.drive([scene(256, 256, 3)]))[0]!.keypoints;
  engine.dispose();
  // The last is drawn over the others.
  const last = keypoints.value.length / 2 - 1;
  const [x, y] = [0, 1].map((i) => Math.round(((keypoints.value[2 * last + i]! + 1) / 2) * 255)) as [number, number];
  assert.deepEqual(pixel(sheet, x, y + LABEL_HEIGHT), [...distinctColor(last)]);
  const hasColor = (part: Picture, color: readonly number[]): boolean => {
    for (let i = 0; i < part.data.length; i += 3)
      if (color.every((value, c) => part.data[i + c] === value)) return true;
    return false;
  };
  const legend = cropPicture(sheet, { left: 516, top: 0, width: sheet.width - 516, height: sheet.height });
  for (let k = 0; k <= last; k++) assert.ok(hasColor(legend, distinctColor(k)), `keypoint ${k}`);
  const second = cropPicture(sheet, { left: 260, top: LABEL_HEIGHT, width: 256, height: 256 });
  assert.ok(hasColor(second, distinctColor(last)));

  const moving = ['keypoints', 'face.png', 'talk.mp4', '--end', '3', '--no-legend', '--size', '64', ...PRECISE];
  const clip = await figure([...moving, '--checkpoint', 'model.safetensors']);
  assert.equal(clip.stdout, 'keypoints.mp4: 3 frames\n', clip.stderr);
  const { frames } = await readAll(path('keypoints.mp4'));
  assert.deepEqual([frames[0]!.picture.width, frames[0]!.picture.height], [132, 64 + LABEL_HEIGHT]);
});

test('named keypoints are drawn on the face mesh', async () => {
  const { numKeypoints } = SMALL_WITHOUT_DEPTH;
  const last = numKeypoints - 1; // drawn over the others
  saveModel(path('named.safetensors'), formulaModel({ ...SMALL_WITHOUT_DEPTH, semanticKeypoints: { noseTip: last } }));
  const words = ['--crop', 'none', '--size', '256', '--checkpoint', 'named.safetensors', ...PRECISE, '-o', 'nose.png'];
  const run = await figure(['keypoints', EXAMPLE, ...words]);
  assert.equal(run.code, 0, run.stderr);
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const { points } = (await analyzer.track(await readPicture(EXAMPLE)))!;
  const [x, y] = [0, 1].map((axis) => Math.round(points[3 * FACE_LANDMARKS.noseTip + axis]! - 0.5)) as [number, number];
  assert.deepEqual(pixel(await readPicture(path('nose.png')), x, y), [...distinctColor(last)]);
});

test('the face is what is shown of a larger picture, unless another square is asked for', async () => {
  const portrait = await readPicture(EXAMPLE);
  const large = createPicture(640, 420);
  large.data.fill(190);
  paste(large, portrait, 340, 100);
  await writePicture(path('large.png'), large);
  const words = ['depth', 'large.png', '--depth', 'wall.safetensors', '--side-by-side', '--size', '64'];
  const shown = async (...more: string[]): Promise<Picture> => {
    const run = await dagan(folder, [...words, ...more, '-o', 'framed.png']);
    assert.equal(run.code, 0, run.stderr);
    return cropPicture(await readPicture(path('framed.png')), { left: 0, top: LABEL_HEIGHT, width: 64, height: 64 });
  };
  const face = resizePicture(portrait, 64, 64);
  assert.ok(psnr(await shown('--crop', '340,100,256'), face) > 35);
  const found = psnr(await shown(), face);
  assert.ok(found > 15, `${found} dB`);
  assert.ok(psnr(await shown('--crop', 'none'), face) < found - 3);
  const places = ['attention', 'large.png', 'large.png', '--at', '60,200', '--checkpoint', 'model.safetensors'];
  const outside = await dagan(folder, places);
  assert.equal(outside.code, 2);
  assert.match(
    outside.stderr,
    /--at 60,200 is outside of what the networks see of large\.png \(640 x 420\): x \d{3} to \d{3}/,
  );
  const faceless = await dagan(folder, ['keypoints', 'face.png', '--checkpoint', 'model.safetensors']);
  assert.equal(faceless.code, 1);
  assert.match(
    faceless.stderr,
    /face\.png: no face is found in it; name the square with --crop x,y,side, or .* --crop none/,
  );
});

test('what cannot be done is said in one line, and nothing is written', async () => {
  await writeFile(path('broken.png'), readFileSync(path('face.png')).subarray(0, 900));
  await writeFile(path('broken.safetensors'), readFileSync(path('wall.safetensors')).subarray(0, 5000));
  const before = await names(folder);
  const wall = ['--depth', 'wall.safetensors'];
  const model = ['--checkpoint', 'model.safetensors'];
  const cases: [words: string[], code: number, message: RegExp][] = [
    [['depth', 'face.png', '-o', 'x.pdf', ...wall], 2, /x\.pdf: a figure is a picture \(\.png .*\) or a clip/],
    [['depth', 'face.png', 'wide.png', '-o', 'x.ply', ...wall], 2, /several inputs make one picture/],
    [['depth', 'face.png', '-o', 'x.png', '--mesh', ...wall], 2, /--mesh is for point clouds/],
    [['depth', 'face.png', '-o', 'x.png', '--frame', '3', ...wall], 1, /face\.png: is a picture and has no frame 3/],
    [['depth', 'talk.mp4', '-o', 'x.ply', '--frame', '99', ...wall], 1, /talk\.mp4: .*frame/],
    [['depth', 'face.png', '-o', 'x.jpg', '--raw', ...wall], 2, /--raw makes a \.png/],
    [['depth', 'face.png', '-o', 'x.png', '--range', '0.5,0.1', ...wall], 2, /two disparities from 0 to 1/],
    [['depth', 'broken.png', '-o', 'x.png', ...wall], 1, /broken\.png: cannot be read as a picture/],
    [['depth', 'face.png', '-o', 'x.png', '--depth', 'broken.safetensors'], 1, /broken\.safetensors: /],
    [['depth', 'face.png', '-o', 'x.png', '--depth', 'flat-model.safetensors'], 1, /holds no face-depth network/],
    [['depth', 'face.png', '-o', 'x.png', '--checkpoint', 'flat-model.safetensors'], 1, /has no face-depth network/],
    [['depth', 'face.png', '-o', 'x.png', ...wall, ...model], 2, /leave --checkpoint and the other files out/],
    [['depth', 'face.png', '-o', 'face.png', ...wall], 1, /face\.png: would replace the input/],
    [['attention', 'wide.png', 'face.png', ...model], 2, /required option '--at <x,y>'/],
    [['attention', 'wide.png', 'face.png', '--at', '12', ...model], 2, /two numbers of pixels, as 120,80/],
    [
      ['attention', 'wide.png', 'face.png', '--at', '99,10', ...model],
      2,
      /--at 99,10 is outside of .*wide\.png \(400 x 200\): x 100 to 299, y 0 to 199/,
    ],
    [
      ['attention', 'face.png', 'face.png', '--at', '9,9', '-o', 'x.mp4', ...model],
      2,
      /one driving picture makes a picture/,
    ],
    [['attention', 'face.png', 'face.png', '--at', '9,9', '--checkpoint', 'flat-model.safetensors'], 1, /no attention/],
    [['attention', 'face.png', 'face.png', '--at', '9,9', '--checkpoint', 'none.pth'], 1, /none\.pth: no such file/],
    [['keypoints', 'face.png', '--crop', '1,2', ...model], 2, /auto, none, or x,y,side/],
    [['keypoints', 'face.png', '-o', 'x.mp4', ...model], 2, /pictures alone make a picture/],
    [['keypoints', 'broken.png', ...model], 1, /broken\.png: cannot be read as a picture/],
  ];
  for (const [words, code, message] of cases) {
    const run = await figure([...words, '-q']);
    assert.equal(run.code, code, `${words.join(' ')}: ${run.stderr}`);
    assert.match(run.stderr, message);
    assert.equal(run.stderr.trim().split('\n').length, run.stderr.includes('(see dagan') ? 2 : 1, run.stderr);
  }
  assert.deepEqual(await names(folder), before);
});
