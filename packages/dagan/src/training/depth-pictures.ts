// What depth and pose network make of a batch, for the eye: the panel in which one sees a collapse.
import { type Tensor, tidy } from '@dagan/libtorch';
import { tensorToMaps, tensorToPictures } from '../animation/engines/index.js';
import type { Picture } from '../media/picture.js';
import { grid, heatPicture } from '../visualization/index.js';
import type { DepthSeen, FrameTriple } from './depth-objective.js';

/** Samples shown at most, one per row. */
const ROWS = 4;

const LABELS = ['source', 'target', 'warped', 'disparity', 'mask'];

/** One sheet with a row per sample: next frame, target, target rebuilt from the next frame, disparity, where depth learns. */
export function depthSheet(batch: FrameTriple, seen: DepthSeen): Picture {
  return tidy(() => {
    const count = Math.min(ROWS, batch.target.size(0));
    const first = (value: Tensor) => value.detach().narrow(0, 0, count).to({ dtype: 'float32' }).contiguous();
    const pictures = (value: Tensor) => tensorToPictures(first(value));
    const columns = [
      pictures(batch.next),
      pictures(batch.target),
      pictures(seen.warped),
      tensorToMaps(first(seen.disparity)).map((map) => heatPicture(map)),
      tensorToMaps(first(seen.mask)).map((map) => heatPicture(map, [0, 1])),
    ];
    const rows = Array.from({ length: count }, (_, row) => columns.map((column) => column[row]!));
    const labels = rows.flatMap((_, row) => LABELS.map((label) => (row === 0 ? label : '')));
    return grid(rows.flat(), { columns: LABELS.length, gap: 2, labels });
  });
}
