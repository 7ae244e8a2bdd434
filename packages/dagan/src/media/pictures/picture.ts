// The one picture type of the program and the exact, loss-free operations on it. Runs in Node and in the browser.

/** An 8-bit RGB picture. */
export type Picture = {
  /** Pixels in a row. */
  width: number;
  /** Number of rows. */
  height: number;
  /** `[height, width, 3]`, row-major, interleaved R, G, B. */
  data: Uint8Array;
  /** How opaque each pixel is, `[height, width]`, where a result is to be transparent; what is read has none. */
  alpha?: Uint8Array;
};

/** A rectangle of whole pixels. */
export type Rectangle = {
  /** Distance of the left edge from the picture's left edge. */
  left: number;
  /** Distance of the top edge from the picture's top edge. */
  top: number;
  width: number;
  height: number;
};

/** A black picture of the given size. */
export function createPicture(width: number, height: number): Picture {
  return { width, height, data: new Uint8Array(width * height * 3) };
}

/** Throws a `TypeError` unless sizes are positive integers and `data` holds exactly `width * height * 3` bytes. */
export function checkPicture(picture: Picture): void {
  const { width, height, data } = picture;
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new TypeError(`a picture's size must be two positive integers, not ${width} x ${height}`);
  }
  if (data.length !== width * height * 3) {
    throw new TypeError(`a ${width} x ${height} RGB picture has ${width * height * 3} bytes, not ${data.length}`);
  }
}

/** Copies `rectangle` out of a picture. Throws a `RangeError` where it reaches outside. */
export function cropPicture(picture: Picture, rectangle: Rectangle): Picture {
  const { left, top, width, height } = rectangle;
  const inside = left >= 0 && top >= 0 && left + width <= picture.width && top + height <= picture.height;
  if (![left, top, width, height].every(Number.isInteger) || width < 1 || height < 1 || !inside) {
    throw new RangeError(
      `the crop ${width} x ${height} at (${left}, ${top}) is not inside the ${picture.width} x ${picture.height} picture`,
    );
  }
  const result = createPicture(width, height);
  for (let y = 0; y < height; y++) {
    const start = ((top + y) * picture.width + left) * 3;
    result.data.set(picture.data.subarray(start, start + width * 3), y * width * 3);
  }
  return result;
}

/** Turns a picture clockwise by `degrees`, then mirrors it left to right if `flip` is set. */
export function rotatePicture(picture: Picture, degrees: 0 | 90 | 180 | 270, flip = false): Picture {
  if (degrees === 0 && !flip) return picture;
  const { width, height, data } = picture;
  const turned = degrees === 90 || degrees === 270;
  const result = createPicture(turned ? height : width, turned ? width : height);
  // The result's pixel (x, y) comes from origin + x * stepX + y * stepY, counted in pixels of the source.
  let [origin, stepX, stepY] = {
    0: [0, 1, width] as const,
    90: [(height - 1) * width, -width, 1] as const,
    180: [width * height - 1, -1, -width] as const,
    270: [width - 1, width, -1] as const,
  }[degrees];
  if (flip) {
    origin += (result.width - 1) * stepX;
    stepX = -stepX;
  }
  let to = 0;
  for (let y = 0; y < result.height; y++) {
    let from = (origin + y * stepY) * 3;
    for (let x = 0; x < result.width; x++, from += stepX * 3, to += 3) {
      result.data[to] = data[from]!;
      result.data[to + 1] = data[from + 1]!;
      result.data[to + 2] = data[from + 2]!;
    }
  }
  return result;
}
