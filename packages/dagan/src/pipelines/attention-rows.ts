// Rows of the depth-to-appearance attention for one portrait and any driving frame, without the matrix they are rows of.

import { attentionRow } from '../animation/attention-row.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { DaganError } from '../errors.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { resizeFieldValues, type ScalarMap, valuesToPictures } from '../tensors/values.js';
import { carryToSource } from '../visualization/attention.js';

/** A place in the portrait, from 0 to 1 along its width and height. */
export type Place = readonly [x: number, y: number];

/** Where one place looks in one driving frame. */
export type AttentionRow = {
  /** Weights over the warped features, which lie where the driving face is; they sum to 1. */
  warped: ScalarMap;
  /** The same weights, each where in the portrait its feature comes from. */
  source: ScalarMap;
};

/** A portrait whose places are asked where they look. */
export class AttentionRows {
  /** Disparity of the portrait, which the queries are made of. */
  readonly disparity: ScalarMap;
  readonly #engine: Engine;

  private constructor(engine: Engine, disparity: ScalarMap) {
    this.#engine = engine;
    this.disparity = disparity;
  }

  /**
   * Gives the engine its portrait; the engine stays the caller's.
   *
   * @param portrait of the engine's size
   * @throws DaganError if the model has no attention
   */
  static async of(engine: Engine, portrait: Picture): Promise<AttentionRows> {
    const { keypoints, disparity } = await engine.setSource(portrait);
    const { attention } = await engine.inspect(keypoints);
    if (!attention || !disparity) throw new DaganError('no-attention', 'this model has no attention to show', {});
    return new AttentionRows(engine, disparity);
  }

  /** The rows of some places while the portrait takes over a frame's keypoints, and the portrait warped so. */
  async look(frame: Picture, places: readonly Place[]): Promise<{ rows: AttentionRow[]; deformed: Picture }> {
    const [{ keypoints }] = (await this.#engine.drive([frame])) as [Analysis];
    return this.#inspect(keypoints, places);
  }

  async #inspect(keypoints: KeypointSet, places: readonly Place[]) {
    const { attention, deformation, tensors } = await this.#engine.inspect(keypoints, { withTensors: true });
    const { width, height } = attention!;
    const { data: origins } = resizeFieldValues(deformation!, width, height); // what attends warps first
    const rows = places.map((place): AttentionRow => {
      const warped = attentionRow(attention!, cellOf(place, width, height));
      return { warped, source: carryToSource(warped, origins) };
    });
    return { rows, deformed: valuesToPictures(tensors!.get('deformed')!)[0]! };
  }
}

/** The cell of a grid that a place lies in, row by row. */
export function cellOf([x, y]: Place, width: number, height: number): number {
  const cell = (share: number, cells: number): number => Math.min(cells - 1, Math.max(0, Math.floor(share * cells)));
  return cell(y, height) * width + cell(x, width);
}
