// The metrics: cases computed by hand, values of other programs, and what must and what must not change them.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { rand, tensor, tidy } from '@dagan/libtorch';
import {
  averageEuclideanDistance,
  averageEuclideanDistancePublished,
  averageKeypointDistance,
  averageKeypointDistancePublished,
  combine,
  cosineSimilarity,
  featureDistances,
  Instruments,
  l1,
  l1Bytes,
  lostFace,
  poseError,
  psnr,
  regionErrors,
  SSIM_PUBLISHED,
  ssim,
  unitAgreement,
  unitFeatures,
  withoutMedianPitch,
} from '../src/evaluation/index.js';
import { FaceAnalyzer, regionRectangles } from '../src/faces/index.js';
import { createPicture, type Picture, readPicture, resizePicture } from '../src/media/index.js';
import { brightened, moved, PORTRAIT, turned } from './evaluation-fixtures.js';

const instruments = await Instruments.load();
after(() => instruments[Symbol.asyncDispose]());

const portrait = resizePicture(await readPicture(PORTRAIT), 256, 256);

const near = (actual: number, expected: number, tolerance: number, what = 'value'): void => {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual} instead of ${expected}`);
};

/** A picture whose bytes a function of x, y and channel gives. */
function picture(width: number, height: number, value: (x: number, y: number, c: number) => number): Picture {
  const result = createPicture(width, height);
  for (let i = 0; i < result.data.length; i++) {
    result.data[i] = value(Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3);
  }
  return result;
}

const clamped = (value: number): number => Math.floor(Math.min(255, Math.max(0, value)) + 0.5);

const face = async (of: Picture) => {
  const reading = await instruments.read(of);
  assert.ok(reading, 'there is a face');
  return reading;
};

describe('pictures', () => {
  const black = picture(16, 12, () => 0);
  const white = picture(16, 12, () => 255);
  const grey = picture(16, 12, (x) => (x < 8 ? 51 : 0));

  test('L1 and PSNR of hand-made pictures', () => {
    assert.equal(l1(black, black), 0);
    assert.equal(l1(black, white), 1);
    assert.equal(l1Bytes(black, white), 255);
    near(l1(black, grey), 0.1, 1e-12); // half of the picture by 0.2
    assert.equal(psnr(black, black), Number.POSITIVE_INFINITY);
    near(psnr(black, white), 0, 1e-12);
    near(psnr(black, grey), -10 * Math.log10(0.02), 1e-9); // half of it by 0.04
  });

  test('L1, PSNR and both kinds of SSIM are those of scikit-image 0.26', () => {
    const pairs = [
      {
        a: picture(48, 40, (x, y, c) => (x * 7 + y * 3 + c * 40) % 256),
        b: picture(48, 40, (x, y, c) => (x * 7 + y * 5 + c * 40 + ((x * y) % 23)) % 256),
        expected: {
          ssim: 0.40042238389333873,
          published: 0.4423529974009002,
          psnr: 8.53626271744592,
          l1: 0.2862397875816993,
        },
      },
      {
        a: picture(48, 40, (x, y, c) => clamped(128 + 60 * Math.sin(x / 5 + c) + 40 * Math.cos(y / 7))),
        b: picture(48, 40, (x, y, c) =>
          clamped(128 + 50 * Math.sin((x + 1) / 5 + c) + 40 * Math.cos(y / 7) + ((x * 31 + y * 17 + c * 7) % 13)),
        ),
        expected: {
          ssim: 0.9200831310988148,
          published: 0.9496614577288064,
          psnr: 26.833457241798563,
          l1: 0.03754901960784314,
        },
      },
    ];
    for (const { a, b, expected } of pairs) {
      near(ssim(a, b), expected.ssim, 1e-9);
      near(ssim(a, b, SSIM_PUBLISHED), expected.published, 1e-9, 'as the published scripts');
      near(psnr(a, b), expected.psnr, 1e-9);
      near(l1(a, b), expected.l1, 1e-12);
    }
  });

  test('SSIM is 1 for the same picture, alike both ways round, and lower for a stronger blur', () => {
    near(ssim(portrait, portrait), 1, 1e-12);
    const blurred = [2, 4, 8].map((factor) =>
      resizePicture(resizePicture(portrait, 256 / factor, 256 / factor), 256, 256),
    );
    const values = blurred.map((each) => ssim(portrait, each));
    assert.ok(values[0]! > values[1]! && values[1]! > values[2]!, String(values));
    near(ssim(portrait, blurred[1]!), ssim(blurred[1]!, portrait), 1e-12);
    assert.throws(
      () =>
        ssim(
          black,
          picture(8, 8, () => 0),
        ),
      /16 x 12 and 8 x 8 do not compare/,
    );
    assert.throws(
      () =>
        ssim(
          picture(8, 8, () => 0),
          picture(8, 8, () => 0),
        ),
      /11 x 11 pixels at least, not 8 x 8/,
    );
  });

  test('the perceptual distance counts directions of features, layer by layer', () => {
    tidy(() => {
      const layer = (...values: number[]) => tensor(values, { shape: [1, 2, 1, 2] }); // two channels, two positions
      const a = unitFeatures([layer(3, 1, 0, 0), layer(1, 1, 0, 0)]);
      const b = unitFeatures([layer(5, 0, 0, 2), layer(1, 1, 0, 0)]);
      // First layer: the same direction at one position, a right angle at the other; second: the same.
      near(featureDistances(a, b)[0]!, ((0 + 2) / 2 + 0) / 2, 1e-6);
      assert.deepEqual(featureDistances(a, a), [0]);
      const some = rand([3, 4, 5, 6]);
      const [ours, scaled] = [unitFeatures([some]), unitFeatures([some.mul(7)])];
      for (const distance of featureDistances(ours, scaled)) near(distance, 0, 1e-10, 'brighter features');
      assert.throws(() => featureDistances(a, [some]), /of 2 and of 1 layers/);
    });
  });

  test('the perceptual distance of pictures is 0 for the same one and grows with a blur', () => {
    const { perceptual } = instruments;
    assert.ok(perceptual, 'the default network is installed with the development packages');
    const blurred = [2, 4].map((factor) =>
      resizePicture(resizePicture(portrait, 256 / factor, 256 / factor), 256, 256),
    );
    tidy(() => {
      const sharp = perceptual.of([portrait, portrait, portrait]);
      const [same, weak, strong] = featureDistances(perceptual.of([portrait, ...blurred]), sharp);
      assert.ok(same! < 1e-9 && weak! > 0.01 && strong! > 1.3 * weak!, `${same} ${weak} ${strong}`);
    });
  });
});

describe('faces', () => {
  test('AKD is the length of a known shift; the published one half of it along one axis', () => {
    const points = Float64Array.from({ length: 30 }, (_, i) => (i * 37) % 101);
    const at = (dx: number, dy: number) => ({
      points: points.map((value, i) => value + (i % 3 === 0 ? dx : i % 3 === 1 ? dy : 99)),
      stride: 3,
      count: 10,
    });
    const still = { points, stride: 3, count: 10 };
    near(averageKeypointDistance(at(3, 4), still), 5, 1e-12);
    near(averageKeypointDistancePublished(at(3, 4), still), 3.5, 1e-12);
    assert.equal(averageKeypointDistance(still, still), 0);
    near(averageKeypointDistancePublished(at(6, 0), still), 3, 1e-12);
    assert.throws(() => averageKeypointDistance(still, { ...still, count: 9 }), /10 and 9 points/);
  });

  test('AKD of a picture that has moved by 5 pixels is 5', async () => {
    const [a, b] = [await face(portrait), await face(moved(portrait, 3, 4))];
    const points = ({ mesh }: typeof a) => ({ points: mesh.points, stride: 3, count: 468 });
    near(averageKeypointDistance(points(a), points(b)), 5, 0.25);
  });

  test('AED and CSIM of known embeddings', () => {
    const [a, b] = [Float32Array.of(1, 0, 0), Float32Array.of(0.6, 0.8, 0)];
    near(averageEuclideanDistancePublished(a, b), 0.16 + 0.64, 1e-6);
    near(averageEuclideanDistance(a, b), Math.sqrt(0.8), 1e-6);
    near(cosineSimilarity(a, b), 0.6, 1e-6);
    assert.equal(averageEuclideanDistance(a, a), 0);
    assert.throws(() => averageEuclideanDistance(a, Float32Array.of(1)), /of 3 and 1 numbers/);
  });

  test('a head that has turned by 10 degrees is 10 degrees off', async () => {
    const analyzer = await FaceAnalyzer.load();
    const { mesh } = await face(portrait);
    const before = analyzer.pose(mesh);
    const [cos, sin] = [Math.cos(Math.PI / 18), Math.sin(Math.PI / 18)];
    const points = mesh.points.slice();
    // About the vertical axis; depth is in pixels too.
    for (let at = 0; at < points.length; at += 3) {
      const [x, z] = [mesh.points[at]!, mesh.points[at + 2]!];
      points[at] = cos * x + sin * z;
      points[at + 2] = cos * z - sin * x;
    }
    const after = analyzer.pose({ points });
    near(Math.abs(after.yaw - before.yaw), 10, 0.5, 'yaw');
    near(poseError(before, after), 10 / Math.sqrt(3), 0.5);
    await analyzer.close();

    const [upright, tilted] = [await face(portrait), await face(turned(portrait, 10))];
    near(tilted.pose.roll - upright.pose.roll, 10, 0.6, 'roll');
    near(poseError(upright.pose, tilted.pose), 10 / Math.sqrt(3), 0.5);
  });

  test('PRMSE is the root mean square over angles and frames', () => {
    const pose = (yaw: number, pitch: number, roll: number) => ({ yaw, pitch, roll });
    assert.equal(poseError(pose(1, 2, 3), pose(1, 2, 3)), 0);
    near(poseError(pose(3, 0, 0), pose(0, 4, 0)), Math.sqrt(25 / 3), 1e-12);
    near(poseError(pose(0, 0, 179), pose(0, 0, -179)), Math.sqrt(4 / 3), 1e-9, 'across half a turn');
    near(combine('prmse', [3, null, 4])!, Math.sqrt(12.5), 1e-12);
    near(combine('csim', [0.5, null, 1])!, 0.75, 1e-12);
    assert.equal(combine('csim', [null]), null);
  });

  test("a person's constant share of the pitch is taken off, and nothing else", () => {
    const clip = [0, 5, -5, 2].map((pitch) => ({ yaw: 1, pitch, roll: 2 }));
    const other = clip.map((pose) => ({ ...pose, pitch: pose.pitch + 8 }));
    const [a, b] = [withoutMedianPitch(clip), withoutMedianPitch(other)];
    for (const [i, pose] of a.entries()) near(poseError(pose, b[i]!), 0, 1e-12);
    near(poseError(clip[0]!, other[0]!), 8 / Math.sqrt(3), 1e-12);
    assert.deepEqual(
      a.map(({ pitch }) => pitch),
      [-1, 4, -6, 1],
    );
  });

  test('AUCON is the share of units that agree; lost faces are those that the real frame shows', () => {
    assert.equal(unitAgreement([true, false, true, false], [true, false, false, false]), 0.75);
    assert.equal(unitAgreement([true], [true]), 1);
    assert.throws(() => unitAgreement([], []), /0 and 0 expression units/);
    assert.deepEqual([lostFace(true, true), lostFace(true, false), lostFace(false, true)], [0, 1, null]);
  });

  test('pose and likeness do not react to brightness, likeness not to a shift', async () => {
    const original = await face(portrait);
    for (const changed of [brightened(portrait, 0.7, 0), brightened(portrait, 0.8, 40), moved(portrait, 6, -4)]) {
      const reading = await face(changed);
      assert.ok(poseError(reading.pose, original.pose) < 1.2, `pose: ${poseError(reading.pose, original.pose)}`);
      const likeness = cosineSimilarity(reading.embedding, original.embedding);
      assert.ok(likeness > 0.9, `likeness: ${likeness}`);
    }
  });

  test('regions lie on mouth and eyes, and only what happens there counts', async () => {
    const { mesh } = await face(portrait);
    const mouth = regionRectangles('mouth', mesh.points, portrait);
    const eyes = regionRectangles('eyes', mesh.points, portrait);
    assert.deepEqual([mouth.length, eyes.length], [1, 2]);
    const [lips] = mouth as [(typeof mouth)[number]];
    for (const eye of eyes) assert.ok(eye.top + eye.height <= lips.top, 'the eyes are above the mouth');
    const painted: Picture = { ...portrait, data: portrait.data.slice() };
    for (let y = lips.top; y < lips.top + lips.height; y++) {
      const start = (y * 256 + lips.left) * 3;
      for (let i = start; i < start + lips.width * 3; i++) painted.data[i] = portrait.data[i]! ^ 0x20; // by 32
    }
    near(regionErrors(painted, portrait, mouth)!.l1, 32 / 255, 1e-9);
    near(regionErrors(painted, portrait, mouth)!.psnr, -20 * Math.log10(32 / 255), 1e-9);
    assert.equal(regionErrors(painted, portrait, eyes)!.l1, 0);
    const outside = mesh.points.map((value, i) => (i % 3 === 0 ? value + 1000 : value));
    assert.equal(regionErrors(painted, portrait, regionRectangles('mouth', outside, portrait)), null);
  });
});
