// Landmarks that a turned head hides: which they are, and what becomes of the motion field and the occlusion map there.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { F, noGrad, tensor, tidy } from '@dagan/libtorch';
import { faceModelPath } from '../src/face-models.js';
import { FACE_MODELS, readCanonicalFace } from '../src/faces/face-models.js';
import { landmarkSkin } from '../src/faces/landmark-skin.js';
import { FACE_LANDMARK_NAMES, FACE_LANDMARKS } from '../src/faces/landmarks.js';
import { seenOf } from '../src/models/facing.js';
import type { ModelConfig } from '../src/models/index.js';
import { trainingPreset } from '../src/training/index.js';
import { formulaModel, narrow, noise } from './small-models.js';

const { skin = [] } = trainingPreset('starter-256').model.generator.denseMotion;
const numberOf = (name: string): number => FACE_LANDMARK_NAMES.indexOf(name as (typeof FACE_LANDMARK_NAMES)[number]);

/** Landmarks of a head that is turned about a vertical axis by some degrees, the nose to the picture's right, in a picture. */
function turned(degrees: number, { at = [0.1, -0.05], size = 0.05 } = {}): number[][] {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return skin.map(({ place: [x, y, z] }) => [at[0]! + size * (cos * x - sin * z), at[1]! + size * y]);
}

test('the skin of landmarks is that of the canonical face', () => {
  const { points, triangles } = readCanonicalFace(readFileSync(faceModelPath(FACE_MODELS.canonicalFace)));
  const corner = (point: number) => [0, 1, 2].map((axis) => points[3 * point + axis]!) as [number, number, number];
  for (const name of FACE_LANDMARK_NAMES) {
    const point = FACE_LANDMARKS[name];
    const { place, normal } = landmarkSkin(name);
    assert.ok(Math.abs(Math.hypot(...normal) - 1) < 0.01, name);
    if (point >= 468) continue; // irises, which the canonical face does not have
    const [x, y, z] = corner(point);
    assert.ok(Math.hypot(place[0] - x, place[1] + y, place[2] + z) < 0.02, name);
    // The triangles around it look where it looks to, each to some degree.
    const around = [];
    for (let i = 0; i < triangles.length; i += 3) {
      const corners = [...triangles.subarray(i, i + 3)];
      if (!corners.includes(point)) continue;
      const [a, b, c] = [corner(corners[0]!), corner(corners[1]!), corner(corners[2]!)];
      const [u, v] = [b.map((value, axis) => value - a[axis]!), c.map((value, axis) => value - a[axis]!)];
      const cross = [0, 1, 2].map((axis) => {
        const [j, k] = [(axis + 1) % 3, (axis + 2) % 3];
        return u[j]! * v[k]! - u[k]! * v[j]!;
      });
      around.push(cross[0]! * normal[0] - cross[1]! * normal[1] - cross[2]! * normal[2]);
    }
    const total = around.reduce((sum, value) => sum + value, 0);
    assert.ok(Math.abs(total) > 0.9 * around.reduce((sum, value) => sum + Math.abs(value), 0), `${name}: ${around}`);
  }
});

test('a face that looks at the camera is seen whole; one that is turned hides its far side, wherever it is and however large', () => {
  tidy(() => {
    const poses = [turned(0), turned(50), turned(-50), turned(50, { at: [-0.4, 0.2], size: 0.02 })];
    const seen = seenOf(tensor(poses), skin).toArray() as number[][];
    const of = (pose: number, name: string): number => seen[pose]![numberOf(name)]!;
    assert.ok(Math.min(...seen[0]!) > 0.9, `${seen[0]}`);
    const [right, left] = [
      ['rightTemple', 'rightCheekSide', 'rightJawAngle'],
      ['leftTemple', 'leftCheekSide', 'leftJawAngle'],
    ];
    for (const pose of [1, 3]) {
      for (const name of left) assert.ok(of(pose, name) < 0.01, `${name} ${of(pose, name)}`);
      for (const name of [...right, 'noseTip', 'rightBrow']) assert.ok(of(pose, name) > 0.99, name);
    }
    for (const name of right) assert.ok(of(2, name) < 0.01, name);
    for (const name of left) assert.ok(of(2, name) > 0.99, name);
    // A mouth that opens turns no head.
    const speaking = turned(0).map(([x, y], i) => [x!, skin[i]!.rigid ? y! : y! + 0.1]);
    assert.ok(Math.min(...(seenOf(tensor([speaking]), skin).toArray() as number[][])[0]!) > 0.9);
  });
});

test('what the source hides is painted, and what the driving frame hides moves nothing', () => {
  const preset = trainingPreset('starter-256').model;
  const config = (skinned: boolean): ModelConfig => {
    const small = narrow({ ...preset, depth: null, depthGuidedKeypoints: false });
    const { skin: known, stretchPenalty: _, ...denseMotion } = small.generator.denseMotion;
    const generator = { ...small.generator, attention: 'none' as const };
    return { ...small, generator: { ...generator, denseMotion: { ...denseMotion, ...(skinned && { skin: known }) } } };
  };
  const free = Array.from({ length: preset.numKeypoints - skin.length }, (_, i) => [0.9, -0.9 + 0.1 * i]);
  const keypoints = (degrees: number) => ({
    value: tensor([[...turned(degrees), ...free]]),
    jacobian: tensor([1, 0, 0, 1]).view(1, 1, 2, 2).expand(1, preset.numKeypoints, 2, 2),
  });
  const side = numberOf('leftCheekSide');
  const animated = (skinned: boolean, from: number, to: number) =>
    tidy(() =>
      noGrad(() => {
        using model = formulaModel(config(skinned));
        const { generator } = model;
        generator.denseMotionNetwork.occlusion!.bias!.fill_(50); // all is seen
        const encoded = generator.encodeSource(noise(256, { seed: 3 }), null);
        const { occlusionMap, mask } = generator.forward(encoded, keypoints(to), keypoints(from));
        const [x, y] = turned(to)[side]!;
        const at = F.gridSample(occlusionMap!, tensor([[[[x!, y!]]]]), { alignCorners: true }).item();
        return {
          seenAtSide: at,
          shareOfSide: mask
            .select(1, side + 1)
            .mean()
            .item(),
        };
      }),
    );
  const towards = animated(true, 50, 0);
  assert.ok(towards.seenAtSide < 0.2, `${towards.seenAtSide}`);
  assert.ok(animated(false, 50, 0).seenAtSide > 0.9);
  assert.ok(animated(true, -50, 0).seenAtSide > 0.9);
  const [away, plain] = [animated(true, 0, 50), animated(false, 0, 50)];
  assert.ok(away.shareOfSide < 0.2 * plain.shareOfSide, `${away.shareOfSide}, ${plain.shareOfSide}`);
});
