// What the animation networks make of a batch, for the eye: the panel in which one sees a collapse.
import { type Tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../../media/pictures/picture.js';
import type { Frame } from '../../models/animation-model.js';
import { type Keypoints, tensorsToKeypoints } from '../../tensors/keypoint-set.js';
import { tensorToMaps, tensorToPictures } from '../../tensors/pictures.js';
import { drawKeypoints } from '../../visualization/keypoints.js';
import { heatPicture, motionPicture } from '../../visualization/maps.js';
import { pictureSheet, SHEET_ROWS } from '../run/picture-sheet.js';
import type { AnimationSeen } from './objective.js';
import type { FramePair } from './pair.js';

/** One sheet with a row per pair: source, driving, warped, prediction, depths, occlusion, kept pixels, motion, keypoints. */
export function animationSheet({ source, driving }: FramePair, seen: AnimationSeen): Picture {
  return tidy(() => {
    const { deformation, occlusionMap, deformed, prediction, keptPixels } = seen.generated;
    const count = Math.min(SHEET_ROWS, prediction.size(0));
    const first = (value: Tensor) => value.detach().narrow(0, 0, count).to({ dtype: 'float32' }).contiguous();
    const pictures = (value: Tensor) => tensorToPictures(first(value));
    const heat = (value: Tensor | null, range?: readonly [number, number]) =>
      value && tensorToMaps(first(value)).map((map) => heatPicture(map, range));
    const fields = first(deformation).unbind(0); // [H, W, 2] each
    return pictureSheet(
      [
        ['source', pictures(source)],
        ['driving', pictures(driving)],
        ['warped', pictures(deformed)],
        ['prediction', pictures(prediction)],
        ['src depth', heat(seen.sourceDisparity)],
        ['drv depth', heat(seen.drivingDisparity)],
        ['occlusion', heat(occlusionMap, [0, 1])],
        ['kept', heat(keptPixels, [0, 1])],
        ['motion', fields.map((field) => motionPicture(field.size(1), field.size(0), field.toFloat32Array()))],
        ['src points', withPoints(pictures(source), seen.sourceKeypoints)],
        ['drv points', withPoints(pictures(driving), seen.drivingKeypoints)],
      ],
      driving.size(3),
    );
  });
}

/** The sheet of a model of another system: source, driving, prediction, occlusion, motion. */
export function frameSheet({ source, driving }: FramePair, { prediction, deformation, occlusionMap }: Frame): Picture {
  return tidy(() => {
    const count = Math.min(SHEET_ROWS, prediction.size(0));
    const first = (value: Tensor) => value.detach().narrow(0, 0, count).to({ dtype: 'float32' }).contiguous();
    const fields = deformation && first(deformation).unbind(0); // [h, w, 2] each
    const seen = occlusionMap && tensorToMaps(first(occlusionMap)).map((map) => heatPicture(map, [0, 1]));
    return pictureSheet(
      [
        ['source', tensorToPictures(first(source))],
        ['driving', tensorToPictures(first(driving))],
        ['prediction', tensorToPictures(first(prediction))],
        ...(seen ? ([['occlusion', seen]] as const) : []),
        ...(fields
          ? ([['motion', fields.map((f) => motionPicture(f.size(1), f.size(0), f.toFloat32Array()))]] as const)
          : []),
      ],
      driving.size(3),
    );
  });
}

/** Darkened pictures with keypoints and their axes. */
function withPoints(pictures: readonly Picture[], { value, jacobian }: Keypoints): Picture[] {
  const first = (tensor: Tensor) => tensor.detach().narrow(0, 0, pictures.length).to({ dtype: 'float32' }).contiguous();
  const sets = tensorsToKeypoints({ value: first(value), jacobian: jacobian && first(jacobian) });
  return pictures.map((picture, i) => drawKeypoints(picture, sets[i]!, { axes: true, brightness: 0.6 }));
}
