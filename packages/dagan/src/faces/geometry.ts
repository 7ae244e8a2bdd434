// Boxes and polygons.

/** A rectangle in pixels, of any position and size. */
export type Box = { left: number; top: number; width: number; height: number };

/** Intersection over union of two boxes, 0 to 1. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (!(width > 0 && height > 0)) return 0;
  const common = width * height;
  return common / (a.width * a.height + b.width * b.height - common);
}

/** The same box in a picture that is so many times as wide and as high. */
export function scaleBox({ left, top, width, height }: Box, x: number, y = x): Box {
  return { left: left * x, top: top * y, width: width * x, height: height * y };
}

/** The smallest box around all boxes. */
export function unionOf(boxes: readonly Box[]): Box {
  const left = Math.min(...boxes.map((box) => box.left));
  const top = Math.min(...boxes.map((box) => box.top));
  const right = Math.max(...boxes.map((box) => box.left + box.width));
  const bottom = Math.max(...boxes.map((box) => box.top + box.height));
  return { left, top, width: right - left, height: bottom - top };
}

/** The smallest box around points that lie `stride` numbers apart, x and y first. */
export function boundsOf(points: ArrayLike<number>, stride: number, count = points.length / stride): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let at = 0; at < count * stride; at += stride) {
    left = Math.min(left, points[at]!);
    right = Math.max(right, points[at]!);
    top = Math.min(top, points[at + 1]!);
    bottom = Math.max(bottom, points[at + 1]!);
  }
  return { left, top, width: right - left, height: bottom - top };
}

/** Whether a polygon contains a point: a ray from it crosses the sides an odd number of times. */
export function contains(polygon: readonly (readonly [x: number, y: number])[], x: number, y: number): boolean {
  let inside = false;
  for (const [i, [x1, y1]] of polygon.entries()) {
    const [x2, y2] = polygon[(i + 1) % polygon.length]!;
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  }
  return inside;
}
