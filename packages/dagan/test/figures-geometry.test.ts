// Surfaces made of pictures with depth: where their points lie, what a camera sees of them, and the files they go into.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderHeadClip } from '../src/data/synthetic-head.js';
import { createPicture, cropPicture, type Picture } from '../src/media/index.js';
import type { ScalarMap } from '../src/tensors/index.js';
import {
  cameraOfMatrix,
  cameraOfView,
  centerSurface,
  depthSurface,
  drawSurface,
  encodePly,
  faceCenter,
  orbit,
  plasterSurface,
  scaleCamera,
  swingAt,
} from '../src/visualization/index.js';
import { psnr, scene } from './media-fixtures.js';
import { readPly } from './ply.js';

const NOWHERE = orbit([0, 0, 1], 0, 0);

const mapOf = (width: number, height: number, at: (u: number, v: number) => number): ScalarMap => ({
  width,
  height,
  data: Float32Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width))),
});

test('a flat picture becomes a plane that looks like the picture from where it was taken', () => {
  const [width, height] = [96, 64];
  const picture = scene(width, height, 5);
  const camera = cameraOfView(width, height, 40);
  const surface = depthSurface(
    picture,
    mapOf(width, height, () => 2),
    camera,
  );
  assert.equal(surface.positions.length, 3 * width * height);
  assert.equal(surface.triangles.length / 3, 2 * (width - 1) * (height - 1));
  const xs = surface.positions.filter((_, i) => i % 3 === 0);
  const half = 2 * Math.tan((20 * Math.PI) / 180) * ((width - 1) / width);
  assert.ok(Math.abs(Math.min(...xs) + half) < 1e-5 && Math.abs(Math.max(...xs) - half) < 1e-5);
  const seen = drawSurface(surface, { width, height, camera, pose: NOWHERE, background: [90, 110, 120] });
  // The outermost pixels are half covered: the surface ends in their centres.
  const inner = { left: 1, top: 1, width: width - 2, height: height - 2 };
  const likeness = psnr(cropPicture(seen, inner), cropPicture(picture, inner));
  assert.ok(likeness > 45, `${likeness} dB`);
  const double = { width: 2 * width, height: 2 * height, camera: scaleCamera(camera, 2) };
  const large = drawSurface(surface, { ...double, pose: NOWHERE, background: [0, 0, 0] });
  assert.ok(Math.abs(large.data[3 * (64 * 192 + 96)]! - picture.data[3 * (32 * 96 + 48)]!) <= 2);
});

test('the surface of a rendered head, seen by its other cameras, is what they saw', () => {
  const size = 64;
  const clip = renderHeadClip({ size, frames: 6, seed: 4 });
  const camera = cameraOfMatrix(clip.intrinsics);
  const surface = depthSurface(clip.frames[0]!, { width: size, height: size, data: clip.depths[0]! }, camera);
  const [from, to] = [clip.poses[0]!, clip.poses[5]!];
  // x_5 = P_5 P_0^-1 x_0, with [R t]^-1 = [R' -R't]
  const rotation = (i: number, j: number): number =>
    [0, 1, 2].reduce((sum, k) => sum + to[4 * i + k]! * from[4 * j + k]!, 0);
  const rows = [0, 1, 2].flatMap((i) => {
    const row = [0, 1, 2].map((j) => rotation(i, j));
    return [...row, to[4 * i + 3]! - row.reduce((sum, value, j) => sum + value * from[4 * j + 3]!, 0)];
  });
  const pose = Float64Array.from([...rows, 0, 0, 0, 1]);
  const nothing = [255, 0, 255] as const;
  const seen = drawSurface(surface, { width: size, height: size, camera, pose, background: nothing });
  let [compared, squares, unmoved] = [0, 0, 0];
  for (let i = 0; i < seen.data.length; i += 3) {
    if (seen.data[i]! > 200 && seen.data[i + 1]! < 60 && seen.data[i + 2]! > 200) continue;
    for (let c = i; c < i + 3; c++, compared++) {
      squares += (seen.data[c]! - clip.frames[5]!.data[c]!) ** 2;
      unmoved += (clip.frames[0]!.data[c]! - clip.frames[5]!.data[c]!) ** 2;
    }
  }
  assert.ok(compared > 0.6 * seen.data.length, 'most of the picture is covered');
  assert.ok(squares < 0.25 * unmoved, `${squares / compared} against ${unmoved / compared} without moving`);
});

test('triangles do not bridge a step in depth, and lone points are dropped', () => {
  const picture = scene(20, 10, 0);
  const camera = cameraOfView(20, 10, 60);
  const step = mapOf(20, 10, (u) => (u < 10 ? 1 : 3));
  const { positions, triangles } = depthSurface(picture, step, camera);
  assert.equal(positions.length / 3, 200);
  assert.equal(triangles.length / 3, 2 * 9 * 9 * 2);
  for (let t = 0; t < triangles.length; t += 3) {
    const depths = [0, 1, 2].map((corner) => positions[3 * triangles[t + corner]! + 2]!);
    assert.equal(new Set(depths).size, 1);
  }
  // An edge that a network has blurred: no single step is too steep, but a row of them is.
  const blurred = mapOf(40, 10, (u) => 1.25 ** Math.min(10, Math.max(0, u - 15)));
  const parted = depthSurface(scene(40, 10, 0), blurred, cameraOfView(40, 10, 60));
  const between = parted.positions.filter((z, i) => i % 3 === 2 && z > 1.25 ** 3.5 && z < 1.25 ** 6.5);
  assert.equal(between.length, 0);
  assert.ok(parted.positions.length / 3 >= 2 * 14 * 10, 'what is before and behind stays');
  const speck = mapOf(20, 10, (u, v) => (u === 5 && v === 5 ? 0.2 : 1));
  assert.equal(depthSurface(picture, speck, camera).positions.length / 3, 199);
  const holes = mapOf(20, 10, (u) => [Number.POSITIVE_INFINITY, Number.NaN, 0, 1][u % 20] ?? 1);
  assert.ok(depthSurface(picture, holes, camera).positions.every(Number.isFinite));
  assert.equal(depthSurface(picture, holes, camera).positions.length / 3, 170);
  assert.throws(() => depthSurface(scene(10, 10, 0), step, camera), /10 x 10 and its depth 20 x 10/);
});

test('a camera that goes around the face keeps it in the middle and comes back to where it began', () => {
  const pivot = [0.1, -0.2, 3] as const;
  for (const [yaw, pitch] of [
    [30, 0],
    [-20, 12],
    [0, 40],
  ] as const) {
    const m = orbit(pivot, yaw, pitch);
    const moved = [0, 4, 8].map((row) => m[row]! * 0.1 + m[row + 1]! * -0.2 + m[row + 2]! * 3 + m[row + 3]!);
    for (const [i, value] of moved.entries()) assert.ok(Math.abs(value - pivot[i]!) < 1e-12);
    for (const a of [0, 4, 8]) {
      for (const b of [0, 4, 8]) {
        const product = m[a]! * m[b]! + m[a + 1]! * m[b + 1]! + m[a + 2]! * m[b + 2]!;
        assert.ok(Math.abs(product - (a === b ? 1 : 0)) < 1e-12, 'lengths and angles stay');
      }
    }
  }
  // Of a nose before the pivot, a camera on the right sees the tip further left, one above sees it further down.
  const xOf = (m: Float64Array, row: number): number =>
    m[row]! * 0.1 + m[row + 1]! * -0.2 + m[row + 2]! * 2 + m[row + 3]!;
  assert.ok(xOf(orbit(pivot, 30, 0), 0) < 0.1);
  assert.ok(xOf(orbit(pivot, 0, 30), 4) > -0.2);
  assert.deepEqual(swingAt(0, { yaw: 30, pitch: 9 }), { yaw: 0, pitch: 0 });
  assert.ok(Math.abs(swingAt(1, { yaw: 30, pitch: 9 }).yaw) < 1e-9);
  assert.ok(Math.abs(swingAt(0.25, { yaw: 30, pitch: 9 }).yaw - 30) < 1e-9);
  assert.throws(() => cameraOfView(10, 10, 180), /between 0 and 180/);
});

test('what is nearer hides what is behind it, and nothing behind the camera is drawn', () => {
  const triangle = (z: number, shade: number) => ({
    positions: Float32Array.of(-1, -1, z, 1, -1, z, 0, 1, z),
    colors: new Uint8Array(9).fill(shade),
    triangles: Uint32Array.of(0, 1, 2),
  });
  const both = (first: ReturnType<typeof triangle>, second: ReturnType<typeof triangle>) => ({
    positions: Float32Array.of(...first.positions, ...second.positions),
    colors: Uint8Array.of(...first.colors, ...second.colors),
    triangles: Uint32Array.of(0, 1, 2, 3, 4, 5),
  });
  const view = {
    width: 9,
    height: 9,
    camera: cameraOfView(9, 9, 60),
    pose: NOWHERE,
    background: [7, 8, 9] as const,
  };
  const middle = (picture: Picture): number[] => [...picture.data.subarray(3 * 40, 3 * 41)];
  const [near, far] = [triangle(2, 200), triangle(3, 50)];
  assert.deepEqual(middle(drawSurface(both(near, far), view)), [200, 200, 200]);
  assert.deepEqual(middle(drawSurface(both(far, near), view)), [200, 200, 200]);
  assert.deepEqual(middle(drawSurface(both(far, triangle(-2, 99)), view)), [50, 50, 50]);
  assert.deepEqual(middle(drawSurface(triangle(-2, 99), view)), [7, 8, 9]);
});

test('plaster is grey, and lighter where it faces the lamp at the upper left', () => {
  const size = 24;
  const camera = cameraOfView(size, size, 40);
  const shade = (at: (u: number, v: number) => number): number => {
    const { colors } = plasterSurface(depthSurface(createPicture(size, size), mapOf(size, size, at), camera));
    const middle = 3 * (12 * size + 12);
    assert.ok(colors[middle] === colors[middle + 1] && colors[middle] === colors[middle + 2]);
    return colors[middle]!;
  };
  const [facing, left, right, up, down] = [
    shade(() => 2),
    shade((u) => 2 - 0.02 * u), // grows towards the camera on the right, so it faces left
    shade((u) => 2 + 0.02 * u),
    shade((_, v) => 2 - 0.02 * v),
    shade((_, v) => 2 + 0.02 * v),
  ] as const;
  assert.ok(left > facing && facing > right, `${left} ${facing} ${right}`);
  assert.ok(up > facing && facing > down, `${up} ${facing} ${down}`);
});

test('a PLY file holds every point and triangle: the face at the origin, y up, its distance as the unit', () => {
  const [width, height] = [30, 30];
  const picture = scene(width, height, 2);
  const camera = cameraOfView(width, height, 50);
  // A hill towards the camera in the middle.
  const depth = mapOf(width, height, (u, v) => 4 - Math.exp(-((u - 14.5) ** 2 + (v - 14.5) ** 2) / 60));
  const surface = depthSurface(picture, depth, camera);
  const center = faceCenter(depth, camera);
  const centered = centerSurface(surface, center);
  const points = readPly(encodePly(centered, { comments: ['two\nlines'] }));
  assert.equal(points.vertices.length, surface.positions.length / 3);
  assert.equal(points.faces.length, 0);
  assert.ok(points.header.includes('comment two lines\n'));
  const top = points.vertices.reduce((best, vertex) => (vertex.z > best.z ? vertex : best));
  assert.ok(Math.hypot(top.x, top.y) < 0.03 && top.z > 0 && top.z < 0.2, 'the hill is before the origin');
  // The lower right corner of the picture is at positive x, negative y.
  const corner = points.vertices.find(({ x, y }) => x > 0.4 && y < -0.4)!;
  const at = 3 * (width * height - 1);
  assert.ok(points.vertices.some(({ color }) => color.join() === [...picture.data.subarray(at, at + 3)].join()));
  const expected = (depth.data.at(-1)! * 14.5) / camera.focalX / center[2];
  assert.ok(corner && Math.abs(Math.max(...points.vertices.map(({ x }) => x)) - expected) < 1e-5);
  const mesh = readPly(encodePly(centered, { withTriangles: true }));
  assert.equal(mesh.faces.length, surface.triangles.length / 3);
  assert.deepEqual(mesh.faces[7], [...surface.triangles.subarray(21, 24)]);
  assert.throws(
    () =>
      faceCenter(
        mapOf(30, 30, () => Number.NaN),
        camera,
      ),
    /no depth in the middle/,
  );
});
