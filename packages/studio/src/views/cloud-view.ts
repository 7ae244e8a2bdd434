// The portrait as points in space, turned by pointer or keys: a depth buffer and small squares, drawn here without a GPU.
import type { Picture } from 'dagan/media/portable';
import { cameraOfView, depthSurface, faceCenter, orbit, type Pose } from 'dagan/visualization';
import { element } from '../dom.js';
import type { ScalarMap } from '../engine/api.js';
import { figure, type Seen, type View, wipe } from './view.js';

/** Side of the drawing, in pixels. */
const SIDE = 384;

/** Degrees across the square: nothing in a picture tells it, so it is assumed, as `dagan depth` does. */
const FIELD_OF_VIEW = 40;

/** Degrees that the camera may go to each side, and that a key takes it. */
const MOST = { yaw: 60, pitch: 40 } as const;
const STEP = 5;

/** The largest a point is drawn, in pixels. */
const MOST_DOT = 12;

/** Depth of a disparity: 1 is at 0.1, 0 at 100 (see docs/figures.md). */
const depthOf = ({ width, height, data }: ScalarMap): ScalarMap => ({
  width,
  height,
  data: data.map((disparity) => 1 / (0.01 + 9.99 * disparity)),
});

/** The points that a picture and its disparity are of, with the place around which to turn them. */
export function cloudOf(picture: Picture, disparity: ScalarMap) {
  const camera = cameraOfView(disparity.width, disparity.height, FIELD_OF_VIEW);
  const depth = depthOf(disparity);
  return { surface: depthSurface(picture, depth, camera), center: faceCenter(depth, camera), focal: camera.focalX };
}

type Cloud = ReturnType<typeof cloudOf>;

/** Part of the points that may lie outside of the drawing at each border: far ones fly off first when the camera turns. */
const BEYOND = 0.02;

/** Part of the drawing that the others fill. */
const FILLED = 0.94;

/**
 * Draws the points as a camera sees them that has gone around the face by `yaw` and `pitch` degrees, and steps back so far that
 * all are in the middle: as squares, as large as the points are apart at their depth, so that a surface has no holes.
 */
export function drawCloud(cloud: Cloud, yaw: number, pitch: number, zoom: number, side = SIDE): ImageData {
  const image = new ImageData(side, side);
  const pixels = new Uint32Array(image.data.buffer);
  const nearest = new Float32Array(side * side).fill(Number.POSITIVE_INFINITY);
  const { positions, colors } = cloud.surface;
  const seen = project(positions, orbit(cloud.center, yaw, pitch)); // x, y, z of each point
  const [left, right] = span(seen, 0);
  const [top, bottom] = span(seen, 1);
  const focal = (zoom * FILLED * side) / Math.max(right - left, bottom - top, 1e-6);
  for (let i = 0; i < seen.length; i += 3) {
    const z = seen[i + 2]!;
    if (z <= 0) continue;
    const x = focal * (seen[i]! - (left + right) / 2) + side / 2;
    const y = focal * (seen[i + 1]! - (top + bottom) / 2) + side / 2;
    const dot = Math.min(MOST_DOT, Math.ceil((1.3 * focal * positions[i + 2]!) / (cloud.focal * z)));
    const [fromX, fromY] = [Math.round(x - dot / 2), Math.round(y - dot / 2)];
    const [toX, toY] = [Math.min(side, fromX + dot), Math.min(side, fromY + dot)];
    const color = (0xff000000 | (colors[i + 2]! << 16) | (colors[i + 1]! << 8) | colors[i]!) >>> 0;
    for (let row = Math.max(0, fromY); row < toY; row++) {
      for (let at = row * side + Math.max(0, fromX); at < row * side + toX; at++) {
        if (z >= nearest[at]!) continue;
        nearest[at] = z;
        pixels[at] = color;
      }
    }
  }
  return image;
}

/** Points (x, y, z) as a camera of focal length 1 at a pose sees them: (x / z, y / z, z). */
function project(points: ArrayLike<number>, pose: Pose): Float32Array {
  const seen = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const [px, py, pz] = [points[i]!, points[i + 1]!, points[i + 2]!];
    const z = pose[8]! * px + pose[9]! * py + pose[10]! * pz + pose[11]!;
    seen[i] = (pose[0]! * px + pose[1]! * py + pose[2]! * pz + pose[3]!) / z;
    seen[i + 1] = (pose[4]! * px + pose[5]! * py + pose[6]! * pz + pose[7]!) / z;
    seen[i + 2] = z;
  }
  return seen;
}

/** From where to where nearly all of the points reach that lie before the camera, along axis 0 (x) or 1 (y). */
function span(seen: Float32Array, axis: 0 | 1): readonly [number, number] {
  const step = 3 * Math.max(1, Math.floor(seen.length / 3 / 4000)); // some of them tell
  const along: number[] = [];
  for (let i = 0; i < seen.length; i += step) if (seen[i + 2]! > 0) along.push(seen[i + axis]!);
  along.sort((a, b) => a - b);
  const last = along.length - 1;
  return last < 0 ? [-1, 1] : [along[Math.round(BEYOND * last)]!, along[Math.round((1 - BEYOND) * last)]!];
}

export class CloudView implements View {
  readonly element: HTMLElement;
  readonly #canvas = element('canvas', {
    width: SIDE,
    height: SIDE,
    tabIndex: 0,
    class: 'pointable turned',
    attributes: {
      role: 'application',
      'aria-label': 'Point cloud of the portrait: arrow keys turn it, plus and minus zoom, Home looks from the front',
    },
  });
  #cloud: Cloud | null = null;
  #of: Picture | null = null;
  #yaw = 18;
  #pitch = 6;
  #zoom = 1;
  #drag: { x: number; y: number; yaw: number; pitch: number } | null = null;
  #planned = false;

  constructor() {
    const words = 'The portrait in space. Drag or use the arrow keys to turn it; the wheel zooms once it was touched.';
    this.element = figure('Point cloud', words, this.#canvas);
    this.#canvas.addEventListener('pointerdown', (event) => {
      this.#drag = { x: event.clientX, y: event.clientY, yaw: this.#yaw, pitch: this.#pitch };
      this.#canvas.setPointerCapture(event.pointerId);
    });
    this.#canvas.addEventListener('pointermove', ({ clientX, clientY }) => {
      const drag = this.#drag;
      if (drag) this.#turn(drag.yaw - (clientX - drag.x) / 3, drag.pitch + (clientY - drag.y) / 3);
    });
    for (const end of ['pointerup', 'pointercancel'] as const) {
      this.#canvas.addEventListener(end, () => {
        this.#drag = null;
      });
    }
    this.#canvas.addEventListener('keydown', (event) => this.#key(event));
    // Whoever scrolls past it does not mean it; two fingers on a touchpad come with the control key.
    this.#canvas.addEventListener('wheel', (event) => {
      if (document.activeElement !== this.#canvas && !event.ctrlKey) return;
      event.preventDefault();
      this.#scale(1.1 ** (-Math.sign(event.deltaY) * Math.min(3, Math.abs(event.deltaY) / 40)));
    });
  }

  update({ portrait }: Seen): void {
    if (!portrait.disparity || this.#of === portrait.picture) return;
    this.#of = portrait.picture;
    try {
      this.#cloud = cloudOf(portrait.picture, portrait.disparity);
    } catch {
      this.#cloud = null; // no depth in the middle of the picture: there is nothing to turn
    }
    this.#plan();
  }

  clear(): void {
    this.#cloud = null;
    this.#of = null;
    wipe(this.#canvas);
  }

  #key(event: KeyboardEvent): void {
    const turns: Readonly<Record<string, () => void>> = {
      ArrowLeft: () => this.#turn(this.#yaw + STEP, this.#pitch),
      ArrowRight: () => this.#turn(this.#yaw - STEP, this.#pitch),
      ArrowUp: () => this.#turn(this.#yaw, this.#pitch - STEP),
      ArrowDown: () => this.#turn(this.#yaw, this.#pitch + STEP),
      '+': () => this.#scale(1.1),
      '=': () => this.#scale(1.1),
      '-': () => this.#scale(1 / 1.1),
      Home: () => this.#turn(0, 0),
    };
    const turn = turns[event.key];
    if (!turn) return;
    event.preventDefault();
    turn();
  }

  #turn(yaw: number, pitch: number): void {
    const within = (value: number, most: number): number => Math.min(Math.max(value, -most), most);
    this.#yaw = within(yaw, MOST.yaw);
    this.#pitch = within(pitch, MOST.pitch);
    this.#plan();
  }

  #scale(factor: number): void {
    this.#zoom = Math.min(Math.max(this.#zoom * factor, 0.5), 3);
    this.#plan();
  }

  /** Draws with the screen's next picture, once for any number of turns. */
  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    requestAnimationFrame(() => {
      this.#planned = false;
      if (!this.#cloud) return;
      this.#canvas.getContext('2d')!.putImageData(drawCloud(this.#cloud, this.#yaw, this.#pitch, this.#zoom), 0, 0);
    });
  }
}
