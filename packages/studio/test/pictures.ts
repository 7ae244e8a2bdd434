// Pictures made of others, for the tests.
import { type Picture, resizePicture } from 'dagan';

/** Pictures at their places on grey. */
export function onGrey(
  width: number,
  height: number,
  ...pictures: [picture: Picture, left: number, top: number][]
): Picture {
  const data = new Uint8Array(width * height * 3).fill(128);
  for (const [picture, left, top] of pictures) {
    for (let y = 0; y < picture.height; y++) {
      const row = picture.data.subarray(y * picture.width * 3, (y + 1) * picture.width * 3);
      data.set(row, ((top + y) * width + left) * 3);
    }
  }
  return { width, height, data };
}

/** The same face twice, smaller on the left. */
export const pairOf = (face: Picture): Picture =>
  onGrey(560, 320, [resizePicture(face, 200, 200), 20, 100], [resizePicture(face, 256, 256), 290, 30]);
