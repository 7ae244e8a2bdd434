// Views of what the networks see, drawn in a real browser.
import { expect, test } from 'vitest';
import { cloudOf, drawCloud } from '../src/views/cloud-view.js';

/** A head before a far wall, as a portrait and its disparity. */
function head(side: number) {
  const disparity = new Float32Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const from = Math.hypot(x - side / 2, y - side / 2) / side;
      disparity[y * side + x] = from < 0.3 ? 0.6 - from : 0.08;
    }
  }
  const picture = { width: side, height: side, data: new Uint8Array(3 * side * side).fill(200) };
  return cloudOf(picture, { width: side, height: side, data: disparity });
}

/** Where the painted pixels begin and end, from left to right, as parts of the width. */
function painted({ width, height, data }: ImageData): [number, number] {
  const columns = Array.from({ length: width }, (_, x) => x).filter((x) =>
    Array.from({ length: height }, (_, y) => data[4 * (y * width + x) + 3]!).some((alpha) => alpha > 0),
  );
  return [columns[0]! / width, (columns.at(-1)! + 1) / width];
}

test('the point cloud stays in the middle of its drawing, whichever way it is turned, and fills it', () => {
  const cloud = head(96);
  for (const yaw of [-50, -18, 0, 18, 50]) {
    const [left, right] = painted(drawCloud(cloud, yaw, 6, 1, 128));
    expect(Math.abs((left + right) / 2 - 0.5), `turned by ${yaw} degrees`).toBeLessThan(0.06);
    expect(right - left).toBeGreaterThan(0.6);
  }
});
