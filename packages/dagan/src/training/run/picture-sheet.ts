// Sheets of pictures: a row per sample, a column per thing that the networks see or make.
import { createPicture, type Picture } from '../../media/pictures/picture.js';
import { resizePicture } from '../../media/pictures/resize.js';
import { grid } from '../../visualization/drawing.js';

/** Samples shown at most, one per row. */
export const SHEET_ROWS = 4;

/** Smallest side of a picture on a sheet, so that labels fit. */
const SMALLEST = 96;

/** A column: its label, and a picture per row; null for what there is none of. */
export type SheetColumn = readonly [label: string, pictures: readonly Picture[] | null];

/** @param size side of the samples' frames; what is smaller or larger is scaled to it, or to what labels need */
export function pictureSheet(columns: readonly SheetColumn[], size: number): Picture {
  const side = Math.max(SMALLEST, size);
  const count = Math.max(...columns.map(([, pictures]) => pictures?.length ?? 0));
  const rows = Array.from({ length: count }, (_, row) =>
    columns.map(([, pictures]) => {
      const picture = pictures?.[row];
      return picture ? resizePicture(picture, side, side) : createPicture(side, side);
    }),
  );
  const labels = rows.flatMap((_, row) => columns.map(([label]) => (row === 0 ? label : '')));
  return grid(rows.flat(), { columns: columns.length, gap: 2, labels });
}
