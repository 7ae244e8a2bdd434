// What the metrics that compare pictures have in common.
import { checkPicture, type Picture } from '../../media/pictures/picture.js';

export type { Picture } from '../../media/pictures/picture.js';

/** Throws a RangeError unless the pictures have one size. */
export function checkSameSize(a: Picture, b: Picture): void {
  checkPicture(a);
  checkPicture(b);
  if (a.width !== b.width || a.height !== b.height) {
    throw new RangeError(`pictures of ${a.width} x ${a.height} and ${b.width} x ${b.height} do not compare`);
  }
}
