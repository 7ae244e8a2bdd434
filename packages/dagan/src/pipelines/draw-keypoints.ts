// The figure of where the networks put keypoints, and how the face around each is turned and stretched.
import { basename, extname } from 'node:path';
import type { Engine } from '../animation/engine.js';
import { DaganError } from '../errors.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { inPlane } from '../tensors/in-plane.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { grid, joinPictures } from '../visualization/drawing.js';
import { drawKeypoints, keypointLegend } from '../visualization/keypoints.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { DrawnFrame } from './figure.js';
import type { Squares } from './squares.js';

/** Squares with their keypoints, beside each other. @param options.axes draws jacobians @param engine stays the caller's */
export async function* drawKeypointFigure(
  squares: Squares,
  engine: Engine,
  { axes, legend }: { axes: boolean; legend: boolean },
): AsyncGenerator<DrawnFrame> {
  if (engine.motion?.dimensions === 1) {
    throw new DaganError('no-keypoints', 'what moves in this model is a code, which has no places to draw', {});
  }
  const known = new WeakMap<Picture, KeypointSet>(); // of pictures that stand still
  const keypointsOf = async (picture: Picture): Promise<KeypointSet> => {
    const found = known.get(picture);
    if (found) return found;
    const [analysis] = await engine.drive([resizePicture(picture, NETWORK_SIZE, NETWORK_SIZE)]);
    const drawn = inPlane(analysis!.keypoints, engine.motion);
    known.set(picture, drawn);
    return drawn;
  };
  const labels = squares.paths.length > 1 ? squares.paths.map((path) => basename(path, extname(path))) : undefined;
  for await (const { squares: pictures, timestamp, duration } of squares.frames()) {
    const cells: Picture[] = [];
    let count = 0;
    for (const picture of pictures) {
      const keypoints = await keypointsOf(picture);
      count = keypoints.value.length / 2;
      cells.push(drawKeypoints(picture, keypoints, { axes, brightness: 0.6 }));
    }
    const sheet = grid(cells, { gap: 4, labels });
    yield {
      picture: legend ? joinPictures([sheet, keypointLegend(count, sheet.height)]) : sheet,
      timestamp,
      duration,
    };
  }
}
