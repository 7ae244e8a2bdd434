// Rows of the depth-to-appearance attention for one portrait and any driving frame, without the matrix they are rows of.
import { cat, keep, noGrad, tidy } from '@dagan/libtorch';
import type { Picture } from '../media/index.js';
import {
  type CrossModalAttention,
  type DaGAN,
  type Precision,
  prepareForInference,
  type SourceState,
} from '../models/index.js';
import { pictureToTensor, tensorToMaps, tensorToPictures } from '../tensors/pictures.js';
import type { ScalarMap } from '../tensors/values.js';
import { resizeField } from '../tensors/warp.js';
import { carryToSource } from '../visualization/index.js';
import { UserError } from './errors.js';

/** A place in the portrait, from 0 to 1 along its width and height. */
export type Place = readonly [x: number, y: number];

/** Where one place looks in one driving frame. */
export type AttentionRow = {
  /** Weights over the warped features, which lie where the driving face is; they sum to 1. */
  warped: ScalarMap;
  /** The same weights, each where in the portrait its feature comes from. */
  source: ScalarMap;
};

/** A portrait whose places are asked where they look. Freed with the process that shows the figure. */
export class AttentionRows {
  /** Disparity of the portrait, which the queries are made of. */
  readonly disparity: ScalarMap;
  readonly #model: DaGAN;
  readonly #attention: CrossModalAttention;
  readonly #device: string;
  readonly #state: SourceState;

  /**
   * Takes over the model.
   *
   * @param portrait of the side that the networks take
   * @throws UserError if the model has no attention
   */
  constructor(model: DaGAN, portrait: Picture, { precision, device }: { precision: Precision; device: string }) {
    const { attention } = model.generator;
    if (!attention) throw new UserError('this model has no attention to show: choose another with --checkpoint');
    this.#attention = attention;
    this.#device = device;
    this.#model = prepareForInference(model, { precision, device });
    this.#state = noGrad(() => tidy(() => this.#model.source(this.#input(portrait))));
    const { keypoints, ...rest } = this.#state;
    for (const value of [...Object.values(rest), ...Object.values(keypoints)]) if (value) keep(value);
    this.disparity = tensorToMaps(this.#state.disparity!)[0]!;
  }

  /** The rows of some places while the portrait takes over a frame's keypoints, and the portrait warped so. */
  look(frame: Picture, places: readonly Place[]): { rows: AttentionRow[]; deformed: Picture } {
    return noGrad(() =>
      tidy(() => {
        const { keypoints } = this.#model.driving(this.#input(frame));
        const { warpedFeatures, deformation, deformed } = this.#model.generate(this.#state, keypoints);
        const [height, width] = warpedFeatures.shape.slice(2) as [number, number];
        const query = this.#state.query!; // [1, h w, C / 8]
        const asked = cat(
          places.map((place) => query.narrow(1, cellOf(place, width, height), 1)),
          1,
        );
        const weights = this.#attention.weights(asked, warpedFeatures); // [1, places, h w]
        const origins = resizeField(deformation, height, width).toFloat32Array();
        const maps = tensorToMaps(weights.reshape(places.length, 1, height, width));
        return {
          rows: maps.map((warped) => ({ warped, source: carryToSource(warped, origins) })),
          deformed: tensorToPictures(deformed)[0]!,
        };
      }),
    );
  }

  #input(picture: Picture) {
    return pictureToTensor(picture).to({ device: this.#device, memoryFormat: 'channels_last' });
  }
}

/** The cell of a grid that a place lies in, row by row. */
export function cellOf([x, y]: Place, width: number, height: number): number {
  const cell = (share: number, cells: number): number => Math.min(cells - 1, Math.max(0, Math.floor(share * cells)));
  return cell(y, height) * width + cell(x, width);
}
