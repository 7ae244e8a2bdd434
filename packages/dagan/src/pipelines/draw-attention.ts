// The figure of where places of the portrait look for appearance (Eq. 9 and Fig. 9 of the paper).
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import type { ScalarMap } from '../tensors/values.js';
import { resizeMap } from '../tensors/values.js';
import { drawRing, overlayHeat } from '../visualization/attention.js';
import { distinctColor } from '../visualization/colors.js';
import { grid } from '../visualization/drawing.js';
import { heatPicture } from '../visualization/maps.js';
import type { AttentionRows, Place } from './attention-rows.js';
import type { DrawnFrame } from './figure.js';
import type { Squares } from './squares.js';

/** A portrait, and the places of it whose attention is drawn, with what they are called. */
export type AttentionScene = {
  rows: AttentionRows;
  portrait: Picture;
  places: readonly Place[];
  labels: readonly string[];
};

export type AttentionFigureOptions = {
  /** Side of each picture in pixels. */
  size: number;
  /** What the heat lies over: the portrait, or the portrait as it is moved. */
  over: 'source' | 'warped';
};

/** Frames of a clip that are looked at to find the largest weights. */
const RANGE_FRAMES = 16;

/** Pictures in a row of the figure. */
const COLUMNS = 6;

/** Portrait, its depth, the driving frame, and the heat of every place. Heat grows from 0 to the row's largest weight. */
export async function* drawAttention(
  squares: Squares,
  { rows, portrait, places, labels: names }: AttentionScene,
  { size, over }: AttentionFigureOptions,
): AsyncGenerator<DrawnFrame> {
  const fit = (picture: Picture): Picture => resizePicture(picture, size, size);
  const ring = (picture: Picture, shown: readonly number[]): Picture => {
    for (const i of shown) {
      const [x, y] = places[i]!;
      drawRing(picture, [x * size - 0.5, y * size - 0.5], size / 40, distinctColor(i));
    }
    return picture;
  };
  const everywhere = places.map((_, i) => i);
  const disparity = heatPicture(resizeMap(rows.disparity, size, size));
  const still = [ring(copyOf(fit(portrait)), everywhere), ring(disparity, everywhere)];
  const labels = ['source', 'its depth', 'driving', ...names];
  const largestIn = async (driving: Picture): Promise<number[]> =>
    (await rows.look(driving, places)).rows.map((row) => largest(row[over]));
  let most: number[] = [];
  if (squares.moving) {
    for await (const { squares: driving } of squares.sample(RANGE_FRAMES)) {
      most = (await largestIn(driving[0]!)).map((value, i) => Math.max(value, most[i] ?? 0));
    }
  }
  for await (const { squares: driving, timestamp, duration } of squares.frames()) {
    const { rows: found, deformed } = await rows.look(driving[0]!, places);
    if (!squares.moving) most = found.map((row) => largest(row[over]));
    const ground = fit(over === 'source' ? portrait : deformed);
    const heats = found.map((row, i) => {
      const heat = overlayHeat(ground, row[over], [0, most![i]!]);
      return over === 'source' ? ring(heat, [i]) : heat;
    });
    const cells = [...still, fit(driving[0]!), ...heats];
    const picture = grid(cells, { columns: Math.min(cells.length, COLUMNS), gap: 4, labels });
    yield { picture, timestamp, duration };
  }
}

const copyOf = (picture: Picture): Picture => ({ ...picture, data: picture.data.slice() });

const largest = ({ data }: ScalarMap): number => data.reduce((most, value) => Math.max(most, value), 0);
