// A refined mesh turned to the front, on which lengths do not change with the picture's size or the head's pose.
import { MESH_POINTS } from './mesh.js';
import type { HeadPose } from './pose.js';

/** The points of a mesh in the axes of the canonical face: x to the right as it is seen, y up, z towards the viewer. */
export class FrontalFace {
  /** Distance between the outer corners of the eyes. */
  readonly unit: number;
  readonly #points: Float64Array;

  /**
   * @param source the points of a refined mesh (478)
   * @param rotation of its pose, which is taken out
   * @throws TypeError if the mesh is the plain one, which follows neither blinks nor frowns
   */
  constructor(source: Float64Array, rotation: HeadPose['rotation']) {
    if (source.length !== (MESH_POINTS + 10) * 3) {
      throw new TypeError(
        `expression needs the ${MESH_POINTS + 10} points of the refined mesh, not ${source.length / 3}: ` +
          "load the analyzer with { mesh: 'refined' }",
      );
    }
    this.#points = new Float64Array(source.length);
    for (let at = 0; at < source.length; at += 3) {
      const [x, y, z] = [source[at]!, -source[at + 1]!, -source[at + 2]!];
      for (let axis = 0; axis < 3; axis++) {
        this.#points[at + axis] = rotation[axis]! * x + rotation[3 + axis]! * y + rotation[6 + axis]! * z;
      }
    }
    this.unit = this.distance(33, 263);
  }

  /** Middle of points, as they are seen from the front. */
  mean(...indices: readonly number[]): [x: number, y: number] {
    let [x, y] = [0, 0];
    for (const index of indices) {
      x += this.#points[index * 3]! / indices.length;
      y += this.#points[index * 3 + 1]! / indices.length;
    }
    return [x, y];
  }

  distance(a: number, b: number): number {
    return this.#between(this.mean(a), this.mean(b));
  }

  /** Distance between the middles of two groups of points, in units. */
  apart(a: readonly number[], b: readonly number[]): number {
    return this.#between(this.mean(...a), this.mean(...b)) / this.unit;
  }

  #between([ax, ay]: [number, number], [bx, by]: [number, number]): number {
    return Math.hypot(ax - bx, ay - by);
  }
}
