// Makes the motion templates that come with dagan: heads that nod, faces that smile, drawn by hand as curves and carried out
// on the canonical face. Every template begins and ends at rest, so it can be repeated.
// Usage: npm run build && node scripts/make-motions.mjs
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadFaceSurface } from '../packages/dagan/dist/src/data/portraits/face-surface.js';
import { MadeUpExpressions } from '../packages/dagan/dist/src/data/portraits/made-up-expressions.js';
import { rotationOf } from '../packages/dagan/dist/src/data/portraits/moving-portrait.js';
import { TRAINING_FRAME } from '../packages/dagan/dist/src/faces/framing.js';
import { FACE_LANDMARK_NAMES, FACE_LANDMARKS } from '../packages/dagan/dist/src/faces/landmarks.js';
import { writeMotion } from '../packages/dagan/dist/src/pipelines/motion-file.js';
import { MOTION_ENDING } from '../packages/dagan/dist/src/pipelines/motion-format.js';

const RATE = 25;

/** A smooth hill from `start` to `end` seconds, 1 at `top`; it stays up until `until`. */
const hill = (t, start, top, end, until = top) => {
  const ease = (x) => (x <= 0 ? 0 : x >= 1 ? 1 : x * x * (3 - 2 * x));
  return t < until ? ease((t - start) / (top - start)) : 1 - ease((t - until) / (end - until));
};

/** Lids that close and open at a time. */
const blinkAt = (t, at) => hill(t, at, at + 0.1, at + 0.3, at + 0.13);

/** Syllables: when the jaw is down furthest, by how much of its way, and how far lips are rounded (or drawn apart). */
const SYLLABLES = [
  ...[
    [0.3, 0.5, 0.2],
    [0.52, 0.8, -0.3],
    [0.76, 0.35, 0.7],
    [0.98, 0.65, 0],
    [1.25, 0.9, -0.2],
    [1.46, 0.3, 0.5],
  ],
  ...[
    [1.95, 0.7, -0.4],
    [2.16, 0.45, 0.3],
    [2.38, 0.95, 0],
    [2.62, 0.4, 0.8],
    [2.84, 0.6, -0.3],
    [3.1, 0.25, 0.2],
  ],
];

/** What head and face do at a time: degrees, and `FacialAction`. */
const MOTIONS = {
  nod: {
    seconds: 2,
    at: (t) => ({
      pitch: -3 * hill(t, 0.05, 0.25, 0.5) + 13 * hill(t, 0.2, 0.6, 1) + 9 * hill(t, 0.9, 1.25, 1.8),
      blink: blinkAt(t, 0.45),
    }),
  },
  shake: {
    seconds: 2.2,
    at: (t) => ({ yaw: 15 * Math.sin((2 * Math.PI * t) / 0.9) * hill(t, 0, 0.5, 2.1, 1.4), blink: blinkAt(t, 0.6) }),
  },
  tilt: {
    seconds: 2.4,
    at: (t) => ({
      roll: 13 * hill(t, 0.1, 0.7, 2.2, 1.5),
      yaw: 5 * hill(t, 0.1, 0.8, 2.2, 1.5),
      brows: 0.03 * hill(t, 0.3, 0.8, 2, 1.4),
      blink: blinkAt(t, 1),
    }),
  },
  smile: {
    seconds: 2.6,
    at: (t) => ({
      smile: 0.1 * hill(t, 0.1, 0.7, 2.4, 1.7),
      jaw: 0.012 * hill(t, 0.3, 0.8, 2.3, 1.6),
      blink: 0.15 * hill(t, 0.2, 0.8, 2.3, 1.7) + 0.85 * blinkAt(t, 1.15),
      brows: 0.015 * hill(t, 0.2, 0.7, 2.2, 1.6),
      pitch: -2 * hill(t, 0.1, 0.8, 2.4, 1.7),
      roll: 3 * hill(t, 0.2, 0.9, 2.4, 1.7),
    }),
  },
  blink: { seconds: 1.2, at: (t) => ({ blink: blinkAt(t, 0.4) }) },
  surprise: {
    seconds: 2.2,
    at: (t) => ({
      brows: 0.08 * hill(t, 0.1, 0.35, 2, 1.2),
      jaw: 0.06 * hill(t, 0.15, 0.45, 1.9, 1),
      blink: -0.25 * hill(t, 0.1, 0.35, 1.9, 1.2),
      pitch: -4 * hill(t, 0.1, 0.4, 2, 1.2),
    }),
  },
  speak: {
    seconds: 3.6,
    at: (t) => {
      const said = SYLLABLES.map(([top, jaw, round]) => [hill(t, top - 0.15, top, top + 0.17), jaw, round]);
      const jaw = Math.max(...said.map(([now, way]) => now * way));
      const round = said.reduce((sum, [now, , way]) => sum + now * way, 0);
      const phrase = hill(t, 0.1, 0.6, 3.5, 2.9);
      return {
        ...{ jaw: 0.075 * jaw, pucker: 0.05 * Math.max(0, round), smile: 0.04 * Math.max(0, -round) },
        ...{ blink: blinkAt(t, 1.62) + blinkAt(t, 3), brows: 0.03 * (hill(t, 0.3, 0.5, 0.9) + hill(t, 1.9, 2.3, 2.7)) },
        ...{
          yaw: phrase * 4 * Math.sin(2.1 * t),
          pitch: phrase * (2 * Math.sin(3.7 * t) + 2 * jaw),
          roll: phrase * 2.5 * Math.sin(1.7 * t + 1),
        },
      };
    },
  },
  'look-around': {
    seconds: 4,
    at: (t) => ({
      yaw: 20 * hill(t, 0.2, 0.9, 1.9, 1.3) - 20 * hill(t, 1.9, 2.6, 3.8, 3),
      pitch: -4 * hill(t, 1.2, 1.9, 2.6),
      blink: blinkAt(t, 1.7) + blinkAt(t, 3.3),
    }),
  },
};

const surface = await loadFaceSurface();
const expressions = new MadeUpExpressions(surface);
const canonical = surface.canonical.points; // centimetres; y up, z towards the viewer
const point = (index, axis) => canonical[index * 3 + axis] * (axis === 0 ? 1 : -1);
const count = canonical.length / 3;
const unit = Math.abs(point(33, 0) - point(263, 0)); // outer corners of the eyes
const heights = Array.from({ length: count }, (_, index) => point(index, 1));
const [top, bottom] = [Math.min(...heights), Math.max(...heights)];
/** The head turns about the neck: below the chin, at the depth of the ears. */
const neck = [0, bottom, point(127, 2)];
/** Centimetres to keypoint coordinates, framed as the clips that models learn from. */
const scale = (2 * TRAINING_FRAME.faceHeight) / (bottom - top);
const middle = 2 * TRAINING_FRAME.faceCenterY - 1;

/** Keypoints [K, 2], and their depths [K], of what head and face do. */
function keypointsOf({ yaw = 0, pitch = 0, roll = 0, ...action }) {
  const changes = expressions.of(action);
  const rotation = rotationOf({ yaw, pitch, roll });
  const places = FACE_LANDMARK_NAMES.map((name) => {
    const index = FACE_LANDMARKS[name];
    // The canonical face has no irises: they are in the middle of their eyes.
    const ends = { rightIris: [33, 133], leftIris: [263, 362] }[name];
    const place = [0, 1, 2].map((axis) =>
      ends
        ? (point(ends[0], axis) + point(ends[1], axis)) / 2 - neck[axis]
        : point(index, axis) + unit * changes[index * 3 + axis] - neck[axis],
    );
    const turned = [0, 1, 2].map((row) => neck[row] + place.reduce((sum, x, i) => sum + rotation[3 * row + i] * x, 0));
    return [scale * turned[0], scale * (turned[1] - (top + bottom) / 2) + middle, scale * turned[2]];
  });
  const value = Float32Array.from(places.flatMap(([x, y]) => [x, y]));
  return { value, jacobian: null, depth: Float32Array.from(places, ([, , z]) => z) };
}

const folder = fileURLToPath(new URL('../packages/dagan/motions/', import.meta.url));
mkdirSync(folder, { recursive: true });
const names = Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint]));
for (const [name, { seconds, at }] of Object.entries(MOTIONS)) {
  const frames = Array.from({ length: Math.round(seconds * RATE) }, (_, k) => ({
    ...{ keypoints: keypointsOf(at(k / RATE)), timestamp: k / RATE, hasFace: true },
  }));
  writeMotion(join(folder, `${name}${MOTION_ENDING}`), {
    ...{ frames, duration: frames.length / RATE, frameRate: RATE, reference: keypointsOf({}) },
    ...{ names, model: undefined },
  });
  console.log(`${name}: ${frames.length} frames`);
}
