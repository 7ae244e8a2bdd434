// The inspection of a pair as one sheet for the eye.
import { createPicture, type Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { inPlane } from '../tensors/in-plane.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import { type ScalarMap, type TensorValues, valuesToMaps, valuesToPictures } from '../tensors/values.js';
import { grid, paste } from '../visualization/drawing.js';
import { drawKeypoints } from '../visualization/keypoints.js';
import { heatPicture, motionPicture } from '../visualization/maps.js';

/** Side of a cell, in pixels. */
const CELL = 256;

/** Maps of a cell that shows several channels. */
const MAPS_PER_CELL = 16;

const COLUMNS = 4;

/** Every tensor of an inspection as a labelled cell, four in a row. */
export function inspectionSheet(found: ReadonlyMap<string, TensorValues>): Picture {
  const cells: [label: string, picture: Picture][] = [];
  const add = (name: string, show: (value: TensorValues) => Picture): void => {
    const value = found.get(name);
    if (value) cells.push([name, fit(show(value))]);
  };
  const picture = (value: TensorValues): Picture => valuesToPictures(value)[0]!;
  const heat = (value: TensorValues): Picture => heatPicture(valuesToMaps(value)[0]!);
  add('source', picture);
  add('driving', picture);
  add('embedded_face', picture);
  add('source_drawing', picture);
  add('driving_drawing', picture);
  add('deformed', picture);
  add('prediction', picture);
  add('source_disp0', heat);
  add('driving_disp0', heat);
  for (const side of ['source', 'driving'] as const) {
    if (found.get(`kp_${side}.value`)?.shape[2] === 1) continue; // a code has no places
    const jacobian = found.get(`kp_${side}.jacobian`)?.data ?? null;
    add(`kp_${side}.value`, ({ data: value, shape }) => {
      const space = { dimensions: shape[2] as MotionSpace['dimensions'], matrices: 'jacobians' } as const;
      const drawn = inPlane({ value, jacobian }, space);
      return drawKeypoints(picture(found.get(side)!), drawn, { axes: true, brightness: 0.6 });
    });
  }
  add('sparse_deformed', (value) => mosaic(valuesToPictures(value)));
  add('mask', (value) => mosaic(valuesToMaps(value).map((map) => heatPicture(map, [0, largest(value)]))));
  add('deformation', (value) => motionPicture(value.shape[2]!, value.shape[1]!, value.data));
  const share = (value: TensorValues): Picture => heatPicture(valuesToMaps(value)[0]!, [0, 1]);
  add('occlusion_map', share);
  add('kept_pixels', share);
  for (const stage of ['source', 'warped', 'refined']) {
    add(`${stage}_feature_every8`, (value) => mosaic(valuesToMaps(value).map((map) => heatPicture(map))));
  }
  add('attention_rows_every256', (value) => mosaic(attentionMaps(value, found).map((map) => heatPicture(map))));
  return grid(
    cells.map(([, shown]) => shown),
    { columns: COLUMNS, gap: 4, labels: cells.map(([label]) => label) },
  );
}

const fit = (picture: Picture): Picture => resizePicture(picture, CELL, CELL);

const largest = ({ data }: TensorValues): number => data.reduce((most, value) => Math.max(most, value), -Infinity);

/** Attention rows [1, R, h w] as R maps of where in the warped features each position looks. */
function attentionMaps({ shape, data }: TensorValues, found: ReadonlyMap<string, TensorValues>): ScalarMap[] {
  const [height, width] = found.get('warped_feature_every8')!.shape.slice(2) as [number, number];
  return valuesToMaps({ shape: [1, shape[1]!, height, width], data });
}

/** The first maps or pictures as one square of small ones. */
function mosaic(pictures: readonly Picture[]): Picture {
  const shown = pictures.slice(0, MAPS_PER_CELL);
  const columns = Math.ceil(Math.sqrt(shown.length));
  const side = Math.floor(CELL / columns);
  const square = createPicture(CELL, CELL);
  for (const [i, each] of shown.entries()) {
    paste(square, resizePicture(each, side, side), (i % columns) * side, Math.floor(i / columns) * side);
  }
  return square;
}
