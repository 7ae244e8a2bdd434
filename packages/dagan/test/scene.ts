// A generated picture that moves. Runs in Node and in browsers.
import { createPicture, type Picture } from '../src/media/portable.js';

/** Frame `index` of the scene: colour ramps with a soft bright disc that travels to the right. */
export function scene(width: number, height: number, index: number): Picture {
  const picture = createPicture(width, height);
  const centre = { x: (width * (0.2 + 0.02 * index)) % width, y: height * 0.4 };
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const distance = Math.hypot(x - centre.x, y - centre.y) / (0.2 * height);
      const light = 110 * Math.exp(-distance * distance);
      picture.data[at++] = Math.min(255, 40 + (120 * x) / width + light);
      picture.data[at++] = Math.min(255, 60 + (100 * y) / height + light);
      picture.data[at++] = Math.min(255, 130 - (60 * x) / width + 0.5 * light);
    }
  }
  return picture;
}
