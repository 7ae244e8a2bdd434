// Eyes and mouth: what shows between two rims, which cover it and uncover it as they move, and do not bend it.
import type { Picture } from '../../media/pictures/picture.js';
import { type Canvas, colorAt } from './canvas.js';
import type { Opening } from './face-surface.js';

/** The portrait's rims are looked up at so many places from corner to corner. */
const STEPS = 32;
/** What is shown stays so far inside of the rims, in widths of the opening: on them are lashes and lips. */
const INSIDE = 0.03;

/** A place between the rims. */
export type OpenPlace = {
  /** In the portrait's pixels, before the head moves. */
  x: number;
  y: number;
  /** How far the lower rim has gone there. */
  lowerX: number;
  lowerY: number;
  /** 0 on the upper rim, 1 on the lower one. */
  part: number;
  /** Distance of the rims there. */
  height: number;
};

/** An eye; what it shows stands still on the head, but for the gaze. */
export class OpenPart {
  readonly #opening: Opening;
  readonly #corner: readonly [number, number];
  readonly #along: readonly [number, number];
  readonly #down: readonly [number, number];
  /** [STEPS + 1]: how far below the line through the corners the rims of the portrait are. */
  readonly #upper = new Float64Array(STEPS + 1);
  readonly #lower = new Float64Array(STEPS + 1);
  /** Distance of the corners. */
  protected readonly width: number;

  /**
   * @param mesh [478, 3]
   * @param down the direction from forehead to chin in the picture
   */
  constructor(
    protected readonly portrait: Picture,
    protected readonly mesh: Float64Array,
    opening: Opening,
    down: readonly [number, number],
  ) {
    this.#opening = opening;
    const { upper, lower } = opening;
    const place = (index: number) => [mesh[index * 3]!, mesh[index * 3 + 1]!] as const;
    const [start, end] = [place(upper[0]!), place(upper.at(-1)!)];
    this.width = Math.max(1e-3, Math.hypot(end[0] - start[0], end[1] - start[1]));
    this.#corner = start;
    this.#along = [(end[0] - start[0]) / this.width, (end[1] - start[1]) / this.width];
    const [ax, ay] = this.#along;
    const side = -ay * down[0] + ax * down[1] < 0 ? -1 : 1;
    this.#down = [-ay * side, ax * side];
    for (const [rim, table] of [
      [upper, this.#upper],
      [lower, this.#lower],
    ] as const) {
      const points = rim.map((index) => this.#local(...place(index)));
      for (let step = 0, k = 0; step <= STEPS; step++) {
        const u = (step / STEPS) * this.width;
        while (k < points.length - 2 && points[k + 1]![0] < u) k++;
        const [[u0, v0], [u1, v1]] = [points[k]!, points[k + 1]!];
        const share = u1 > u0 ? Math.min(1, Math.max(0, (u - u0) / (u1 - u0))) : 0;
        table[step] = v0 + share * (v1 - v0);
      }
    }
  }

  /** Moves points of rims that have crossed to the middle between them. */
  keepOpen(shape: Float64Array): void {
    const { upper, lower } = this.#opening;
    const [dx, dy] = this.#down;
    for (const [i, above] of upper.entries()) {
      const below = lower[i]!;
      const across =
        (shape[below * 3]! - shape[above * 3]!) * dx + (shape[below * 3 + 1]! - shape[above * 3 + 1]!) * dy;
      if (across >= 0) continue;
      for (const [axis, d] of [dx, dy].entries()) {
        shape[above * 3 + axis]! += (across / 2) * d;
        shape[below * 3 + axis]! -= (across / 2) * d;
      }
    }
  }

  /**
   * Paints what shows between the rims.
   *
   * @param rest [V, 3] the mesh as the portrait has it
   * @param shape [V, 3] before the head moves
   * @param places [V, 3] after, in samples
   * @param gaze how far the iris has gone, in the portrait's pixels
   */
  draw(canvas: Canvas, shape: Float64Array, places: Float64Array, gaze: readonly [number, number]): void {
    const { upper, lower } = this.#opening;
    const { rows } = canvas;
    const color = new Float64Array(3);
    const place: OpenPlace = { x: 0, y: 0, lowerX: 0, lowerY: 0, part: 0, height: 0 };
    /** x, y, depth, way of the lower rim, part, height at a corner of a triangle. */
    const corner = (column: number, below: boolean): number[] => {
      const [above, under] = [upper[column]! * 3, lower[column]! * 3];
      const at = below ? under : above;
      return [
        ...[shape[at]!, shape[at + 1]!, places[at + 2]!],
        ...[shape[under]! - this.mesh[under]!, shape[under + 1]! - this.mesh[under + 1]!],
        ...[below ? 1 : 0, Math.hypot(shape[under]! - shape[above]!, shape[under + 1]! - shape[above + 1]!)],
      ];
    };
    const triangle = (corners: readonly [number, boolean][]): void => {
      const [i, j, k] = corners.map(([column, below]) => (below ? lower : upper)[column]!) as [number, number, number];
      const [a, b, c] = corners.map(([column, below]) => corner(column, below)) as [number[], number[], number[]];
      const mixed = (value: number, shareB: number, shareC: number): number =>
        a[value]! + shareB * (b[value]! - a[value]!) + shareC * (c[value]! - a[value]!);
      rows.visit(places, i, j, k, (first, count, firstB, firstC) => {
        for (let n = 0; n < count; n++) {
          const [shareB, shareC] = [firstB + n * rows.stepB, firstC + n * rows.stepC];
          if (!canvas.isFree(first + n, mixed(2, shareB, shareC))) continue;
          place.x = mixed(0, shareB, shareC) - gaze[0];
          place.y = mixed(1, shareB, shareC) - gaze[1];
          place.lowerX = mixed(3, shareB, shareC);
          place.lowerY = mixed(4, shareB, shareC);
          place.part = mixed(5, shareB, shareC);
          place.height = mixed(6, shareB, shareC);
          this.show(place, color);
          canvas.paint(first + n, color);
        }
      });
    };
    for (let column = 0; column < upper.length - 1; column++) {
      triangle([
        [column, false],
        [column + 1, false],
        [column + 1, true],
      ]);
      triangle([
        [column, false],
        [column + 1, true],
        [column, true],
      ]);
    }
  }

  /** What shows at a place. */
  protected show({ x, y }: OpenPlace, color: Float64Array): void {
    this.colorInside(x, y, color);
  }

  /** The portrait's colour at the place nearest to (x, y) between its rims. */
  protected colorInside(x: number, y: number, color: Float64Array): void {
    const margin = INSIDE * this.width;
    const [u0, v0] = this.#local(x, y);
    const u = Math.min(this.width - margin, Math.max(margin, u0));
    const [top, bottom] = this.#rims(u);
    const [least, most] = [top + margin, bottom - margin];
    const v = least < most ? Math.min(most, Math.max(least, v0)) : (top + bottom) / 2;
    colorAt(
      this.portrait,
      this.#corner[0] + u * this.#along[0] + v * this.#down[0],
      this.#corner[1] + u * this.#along[1] + v * this.#down[1],
      color,
    );
  }

  /** How far (x, y) is below the portrait's upper rim, and how far the rims are apart there. */
  protected below(x: number, y: number): [below: number, height: number] {
    const [u, v] = this.#local(x, y);
    const [top, bottom] = this.#rims(u);
    return [v - top, Math.max(0, bottom - top)];
  }

  #rims(u: number): [top: number, bottom: number] {
    const step = Math.min(STEPS, Math.max(0, (u / this.width) * STEPS));
    const k = Math.min(STEPS - 1, Math.trunc(step));
    const mixed = (table: Float64Array): number => table[k]! + (step - k) * (table[k + 1]! - table[k]!);
    return [mixed(this.#upper), mixed(this.#lower)];
  }

  #local(x: number, y: number): [u: number, v: number] {
    const [dx, dy] = [x - this.#corner[0], y - this.#corner[1]];
    return [dx * this.#along[0] + dy * this.#along[1], dx * this.#down[0] + dy * this.#down[1]];
  }
}
