// A motion template as a drawn face that moves: on a canvas, still or played.
import { type MotionTemplate, type Playback, played, type TemplateFrame } from 'dagan/animation';

/** Closed lines of a face through landmarks by name; those whose landmarks a template lacks are left out. */
const LINES: readonly (readonly string[])[] = [
  ['forehead', 'leftTemple', 'leftJaw', 'chin', 'rightJaw', 'rightTemple'],
  ['rightOuterEyeCorner', 'rightUpperLid', 'rightInnerEyeCorner', 'rightLowerLid'],
  ['leftOuterEyeCorner', 'leftUpperLid', 'leftInnerEyeCorner', 'leftLowerLid'],
  [
    ...['rightMouthCorner', 'rightUpperLipRim', 'upperLipRim', 'leftUpperLipRim'],
    ...['leftMouthCorner', 'leftLowerLipRim', 'lowerLipRim', 'rightLowerLipRim'],
  ],
  [
    ...['rightMouthCorner', 'rightUpperLip', 'upperLip', 'leftUpperLip'],
    ...['leftMouthCorner', 'leftLowerLip', 'lowerLip', 'rightLowerLip'],
  ],
];

/** Brows by their inner end and their middle; the outer end, which templates do not have, is drawn as the inner one mirrored. */
const BROWS = [
  ['rightInnerBrow', 'rightBrow'],
  ['leftInnerBrow', 'leftBrow'],
] as const;

/** Bright on dark in both of the page's colour schemes, as a film is. */
const GROUND = '#1b1730';
const INK = '#cbbfff';

/** Seconds for which the last frame stays. */
const REST = 0.2;

/** Part of the canvas around the face. */
const MARGIN = 0.14;

export class TemplateView {
  readonly #canvas: HTMLCanvasElement;
  #playing = 0;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  /** Shows the frame that moves most. */
  still(template: MotionTemplate): void {
    this.stop();
    const { reference, frames } = template;
    const way = ({ keypoints: { value } }: TemplateFrame): number =>
      value.reduce((sum, x, i) => sum + Math.abs(x - reference.value[i]!), 0);
    const furthest = frames.reduce((best, frame) => (frame.hasFace && way(frame) > way(best) ? frame : best));
    this.#draw(template, furthest);
  }

  /** Plays it, then rests at the still; for those who want no motion it rests at once. */
  play(template: MotionTemplate, playback: Playback = {}): void {
    this.still(template);
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    const frames = [...played(template, playback)];
    const begin = performance.now();
    const step = (now: number): void => {
      const seconds = (now - begin) / 1000;
      const frame = frames.findLast(({ timestamp }) => timestamp <= Math.max(0, seconds))!;
      const { timestamp } = frames.at(-1)!;
      if (seconds > timestamp + REST) {
        this.still(template);
      } else {
        this.#draw(template, frame);
        this.#playing = requestAnimationFrame(step);
      }
    };
    this.#playing = requestAnimationFrame(step);
  }

  stop(): void {
    cancelAnimationFrame(this.#playing);
  }

  #draw({ reference, names }: MotionTemplate, { keypoints: { value } }: TemplateFrame): void {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext('2d')!;
    const place = placing(reference.value, width, height);
    const at = (keypoint: number): Point => place(value[2 * keypoint]!, value[2 * keypoint + 1]!);
    context.fillStyle = GROUND;
    context.fillRect(0, 0, width, height);
    context.strokeStyle = INK;
    context.fillStyle = INK;
    context.lineWidth = width / 70;
    context.lineJoin = 'round';
    context.lineCap = 'round';
    const known = LINES.filter((line) => line.every((name) => names[name] !== undefined));
    for (const line of known)
      strokeClosed(
        context,
        line.map((name) => at(names[name]!)),
      );
    for (const brow of BROWS) {
      const [inner, middle] = brow.map((name) => names[name]);
      if (inner !== undefined && middle !== undefined) strokeBrow(context, at(inner), at(middle));
    }
    const dots =
      known.length > 0 ? [names.noseTip] : Array.from({ length: value.length / 2 }, (_, keypoint) => keypoint);
    for (const keypoint of dots) {
      if (keypoint === undefined) continue;
      context.beginPath();
      context.arc(...at(keypoint), width / 60, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

type Point = [x: number, y: number];

/** How places of keypoints become those of the canvas, with the face of the reference in its middle. */
function placing(reference: Float32Array, width: number, height: number): (x: number, y: number) => Point {
  const along = (axis: number): [middle: number, length: number] => {
    const values = reference.filter((_, i) => i % 2 === axis);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    return [(least + most) / 2, most - least];
  };
  const [[x0, wide], [y0, tall]] = [along(0), along(1)];
  const scale = (Math.min(width, height) * (1 - 2 * MARGIN)) / (Math.max(wide, tall) || 1);
  return (x, y) => [width / 2 + scale * (x - x0), height / 2 + scale * (y - y0)];
}

/** A smooth closed line through points (Catmull and Rom, 1974). */
function strokeClosed(context: CanvasRenderingContext2D, points: readonly Point[]): void {
  const point = (i: number): Point => points[(i + points.length) % points.length]!;
  const beside = ([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): Point => [x + (bx - ax) / 6, y + (by - ay) / 6];
  context.beginPath();
  context.moveTo(...point(0));
  for (let i = 0; i < points.length; i++) {
    const [before, from, to, after] = [point(i - 1), point(i), point(i + 1), point(i + 2)];
    context.bezierCurveTo(...beside(from, before, to), ...beside(to, after, from), ...to);
  }
  context.stroke();
}

function strokeBrow(context: CanvasRenderingContext2D, inner: Point, middle: Point): void {
  const outer: Point = [2 * middle[0] - inner[0], inner[1]];
  context.beginPath();
  context.moveTo(...inner);
  context.quadraticCurveTo(middle[0], 2 * middle[1] - inner[1], ...outer); // passes through the middle
  context.stroke();
}
