// What the networks make of a batch, for the eye: the panel in which one sees a collapse.
import { type Tensor, tidy } from '@dagan/libtorch';
import { tensorsToKeypoints, tensorToMaps, tensorToPictures } from '../animation/engines/index.js';
import { createPicture, type Picture } from '../media/picture.js';
import { resizePicture } from '../media/resize.js';
import type { Keypoints } from '../models/keypoints.js';
import { drawKeypoints, grid, heatPicture, motionPicture } from '../visualization/index.js';
import type { AnimationSeen, FramePair } from './animation-objective.js';

/** Smallest side of a picture on the sheet, so that labels fit. */
const SMALLEST = 96;

/** Pairs shown at most, one per row. */
const ROWS = 4;

const LABELS = [
  'source',
  'driving',
  'warped',
  'prediction',
  'src depth',
  'drv depth',
  'occlusion',
  'motion',
  'src points',
  'drv points',
];

/** One sheet with a row per pair: source, driving, warped, prediction, depths, occlusion, motion, keypoints. */
export function animationSheet(batch: FramePair, seen: AnimationSeen): Picture {
  return tidy(() => {
    const count = Math.min(ROWS, seen.generated.prediction.size(0));
    const first = (value: Tensor) => value.detach().narrow(0, 0, count).to({ dtype: 'float32' }).contiguous();
    const side = Math.max(SMALLEST, batch.driving.size(3));
    const black = Array.from({ length: count }, () => createPicture(side, side));
    const fit = (pictures: readonly Picture[]) => pictures.map((picture) => resizePicture(picture, side, side));
    const pictures = (value: Tensor) => fit(tensorToPictures(first(value)));
    const heat = (value: Tensor | null, range?: readonly [number, number]) =>
      value ? fit(tensorToMaps(first(value)).map((map) => heatPicture(map, range))) : black;
    const points = (value: Tensor, { value: positions, jacobian }: Keypoints) => {
      const sets = tensorsToKeypoints({ value: first(positions), jacobian: jacobian && first(jacobian) });
      return pictures(value).map((picture, i) => drawKeypoints(picture, sets[i]!, { axes: true, brightness: 0.6 }));
    };
    // The batch's last part is what has been seen.
    const size = batch.driving.size(0);
    const shown = seen.generated.prediction.size(0);
    const source = batch.source.narrow(0, size - shown, shown);
    const driving = batch.driving.narrow(0, size - shown, shown);
    const { deformation, occlusionMap, deformed, prediction } = seen.generated;
    const columns = [
      pictures(source),
      pictures(driving),
      pictures(deformed),
      pictures(prediction),
      heat(seen.sourceDisparity),
      heat(seen.drivingDisparity),
      heat(occlusionMap, [0, 1]),
      fit(
        first(deformation)
          .unbind(0)
          .map((field) => motionPicture(field.size(1), field.size(0), field.toFloat32Array())),
      ),
      points(source, seen.sourceKeypoints),
      points(driving, seen.drivingKeypoints),
    ];
    const rows = Array.from({ length: count }, (_, row) => columns.map((column) => column[row]!));
    const labels = rows.flatMap((_, row) => LABELS.map((label) => (row === 0 ? label : '')));
    return grid(rows.flat(), { columns: LABELS.length, gap: 2, labels });
  });
}
