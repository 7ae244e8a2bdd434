// Draws surfaces as a camera sees them: triangles with a colour per point, hidden ones found by a depth buffer.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import type { PinholeCamera, Pose } from './camera.js';
import type { Rgb } from './colors.js';
import type { Surface } from './surface.js';

/** From where, and onto how large a picture. */
export type View = {
  width: number;
  height: number;
  camera: PinholeCamera;
  /** From the surface's coordinates to the camera's. */
  pose: Pose;
  /** Colour of what no surface covers. */
  background: Rgb;
};

/** What can be drawn: a surface whose colours may be fractions. */
export type Drawable = Pick<Surface, 'positions' | 'triangles'> & { colors: Uint8Array | Float32Array };

/** Samples per pixel along each side: outlines are smooth, and fine texture does not flicker. */
export const SAMPLES = 2;

/** What is seen at each sample, `SAMPLES` times as wide and high as the picture. */
export type Samples = {
  width: number;
  height: number;
  /** 0 where nothing is. */
  inverseDepth: Float32Array;
  colors: Float32Array; // [height, width, 3]
  /** Which surface is seen, counted from 1; 0 where none is. */
  seen: Uint8Array;
};

/** A picture of the surface. Only its front is seen; what is behind it was in no picture. */
export function drawSurface(surface: Drawable, view: View): Picture {
  const { width, colors } = sampleSurfaces([surface], view);
  const picture = createPicture(view.width, view.height);
  for (let y = 0, to = 0; y < view.height; y++) {
    for (let x = 0; x < view.width; x++) {
      for (let c = 0; c < 3; c++, to++) {
        let sum = 0;
        for (let sample = 0; sample < SAMPLES ** 2; sample++) {
          const row = SAMPLES * y + Math.floor(sample / SAMPLES);
          sum += colors[3 * (row * width + SAMPLES * x + (sample % SAMPLES)) + c]!;
        }
        picture.data[to] = Math.round(sum / SAMPLES ** 2);
      }
    }
  }
  return picture;
}

/** What a camera sees of several surfaces, sample by sample. */
export function sampleSurfaces(surfaces: readonly Drawable[], view: View): Samples {
  const [width, height] = [view.width * SAMPLES, view.height * SAMPLES];
  const samples: Samples = {
    width,
    height,
    inverseDepth: new Float32Array(width * height),
    colors: new Float32Array(3 * width * height),
    seen: new Uint8Array(width * height),
  };
  if (view.background.some((value) => value > 0)) {
    for (let i = 0; i < samples.colors.length; i += 3) samples.colors.set(view.background, i);
  }
  for (const [i, surface] of surfaces.entries()) rasterize(surface, view, samples, i + 1);
  return samples;
}

/** The points as the camera has them: samples from the left and top, and the inverse of their depth. */
function projectPoints({ positions }: Drawable, { camera, pose }: View) {
  const count = positions.length / 3;
  const [screenX, screenY, inverse] = [new Float32Array(count), new Float32Array(count), new Float32Array(count)];
  const edge = SAMPLES / 2 - 0.5; // the first sample's centre lies that far before the pixel's
  for (let i = 0; i < count; i++) {
    const [x, y, z] = [positions[3 * i]!, positions[3 * i + 1]!, positions[3 * i + 2]!];
    const depth = pose[8]! * x + pose[9]! * y + pose[10]! * z + pose[11]!;
    const across = pose[0]! * x + pose[1]! * y + pose[2]! * z + pose[3]!;
    const down = pose[4]! * x + pose[5]! * y + pose[6]! * z + pose[7]!;
    inverse[i] = 1 / depth;
    screenX[i] = SAMPLES * ((camera.focalX * across) / depth + camera.centerX) + edge;
    screenY[i] = SAMPLES * ((camera.focalY * down) / depth + camera.centerY) + edge;
  }
  return { screenX, screenY, inverse };
}

function rasterize(surface: Drawable, view: View, samples: Samples, number: number): void {
  const { colors, triangles } = surface;
  const { width, height, inverseDepth } = samples;
  const { screenX, screenY, inverse } = projectPoints(surface, view);
  for (let t = 0; t < triangles.length; t += 3) {
    const [a, b, c] = [triangles[t]!, triangles[t + 1]!, triangles[t + 2]!];
    const [ia, ib, ic] = [inverse[a]!, inverse[b]!, inverse[c]!];
    if (!(ia > 0 && ib > 0 && ic > 0)) continue; // behind the camera
    const [ax, ay, bx, by, cx, cy] = [screenX[a]!, screenY[a]!, screenX[b]!, screenY[b]!, screenX[c]!, screenY[c]!];
    const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
    if (area <= 0) continue; // seen from behind
    const left = Math.max(0, Math.ceil(Math.min(ax, bx, cx)));
    const right = Math.min(width - 1, Math.floor(Math.max(ax, bx, cx)));
    const top = Math.max(0, Math.ceil(Math.min(ay, by, cy)));
    const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by, cy)));
    for (let y = top; y <= bottom; y++) {
      for (let x = left; x <= right; x++) {
        const wa = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area;
        const wb = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area;
        const wc = 1 - wa - wb;
        if (wa < 0 || wb < 0 || wc < 0) continue;
        const near = wa * ia + wb * ib + wc * ic; // inverse depth is linear on the screen
        const at = y * width + x;
        if (near <= inverseDepth[at]!) continue;
        inverseDepth[at] = near;
        samples.seen[at] = number;
        const [ua, ub, uc] = [(wa * ia) / near, (wb * ib) / near, (wc * ic) / near];
        for (let i = 0; i < 3; i++) {
          samples.colors[3 * at + i] = ua * colors[3 * a + i]! + ub * colors[3 * b + i]! + uc * colors[3 * c + i]!;
        }
      }
    }
  }
}
