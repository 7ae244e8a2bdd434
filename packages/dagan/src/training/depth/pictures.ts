// What depth and pose network make of a batch, for the eye: the panel in which one sees a collapse.
import { type Tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../../media/pictures/picture.js';
import { tensorToMaps, tensorToPictures } from '../../tensors/pictures.js';
import { heatPicture } from '../../visualization/maps.js';
import { pictureSheet, SHEET_ROWS } from '../run/picture-sheet.js';
import type { DepthSeen, FrameTriple } from './objective.js';

/** One sheet with a row per sample: next frame, target, target rebuilt from the next frame, disparity, where depth learns. */
export function depthSheet(batch: FrameTriple, seen: DepthSeen): Picture {
  return tidy(() => {
    const count = Math.min(SHEET_ROWS, batch.target.size(0));
    const first = (value: Tensor) => value.detach().narrow(0, 0, count).to({ dtype: 'float32' }).contiguous();
    const pictures = (value: Tensor) => tensorToPictures(first(value));
    return pictureSheet(
      [
        ['source', pictures(batch.next)],
        ['target', pictures(batch.target)],
        ['warped', pictures(seen.warped)],
        ['disparity', tensorToMaps(first(seen.disparity)).map((map) => heatPicture(map))],
        ['mask', tensorToMaps(first(seen.mask)).map((map) => heatPicture(map, [0, 1]))],
      ],
      batch.target.size(3),
    );
  });
}
