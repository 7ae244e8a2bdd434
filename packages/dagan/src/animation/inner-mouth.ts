// What lips show when they open. A portrait whose mouth is shut says nothing of its teeth, and networks that have seen many mouths
// paint their mean, which is grey. The driver's picture shows a mouth that does just this: its inside is carried over between the
// portrait's lips, in the portrait's light. After Averbuch-Elor et al., "Bringing Portraits to Life" (SIGGRAPH Asia 2017), where
// hidden regions come from the driver, too. Where what drives has no pictures a mouth is drawn. Pure arithmetic on pixels: runs in
// Node and in browsers.
import { LIP_RIM } from '../faces/landmarks.js';
import { betweenPolygons, depthWithin, type PlanePoint } from '../geometry/mean-value.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import { type Colour, DRAWN_SKIN, drawnMouth, mixed } from './drawn-mouth.js';
import type { KeypointNames } from './mesh-keypoints.js';
import type { MotionTransfer } from './motion.js';
import { smoothStep } from './paste-back.js';

/**
 * What a mouth shows that the portrait has shut: the inside of the driver's, or a drawn one where what drives has no pictures (`auto`);
 * a drawn one always; what the networks paint.
 */
export const INNER_MOUTHS = ['auto', 'drawn', 'painted'] as const;

export type InnerMouthChoice = (typeof INNER_MOUTHS)[number];

/** A picture, and the keypoints in it. */
export type Seen = { picture: Picture; keypoints: Places };

type Places = Pick<KeypointSet, 'value' | 'depth'>;

/** A driver in a picture, and whether that shows the face that drives. */
export type SeenDriver = Seen & { hasFace: boolean };

/** Landmarks of the mouth's corners stand on the skin; the lips' inner rim ends so far on the way to its middle. */
const CORNER = 0.08;

/** Pieces of the rim between two landmarks, to which it is rounded. */
const PIECES = 4;

/** The driver's rim is taken so far towards its middle: next to it are his lips. */
const WITHOUT_LIPS = 0.06;

/** Opening over width: mouths are shut below, and show their inside above. */
const OPEN = [0.04, 0.1] as const;

/** Opening of the portrait's own mouth over that of the frame: below the driver's inside is shown, above the portrait's own. */
const OWN = [0.4, 0.6] as const;

/** Over so many widths of the mouth the inside passes into the lips. */
const FEATHER = 0.06;

/** Light of the portrait over the driver's, at least and at most. */
const GAIN = [0.7, 1.25] as const;

/** How much of the difference in hue between the skins is the light's. */
const TINT = 0.35;

/** Puts the inside of mouths into frames, one after the other. */
export class InnerMouth {
  readonly #rim: readonly number[];
  readonly #isDrawn: boolean;
  /** The driver as last seen, which stays while its face is not. */
  #driver: Seen | undefined;

  private constructor(rim: readonly number[], isDrawn: boolean) {
    this.#rim = rim;
    this.#isDrawn = isDrawn;
  }

  /** @returns undefined where frames stay as painted: by choice, or as the model has no keypoints around the mouth's opening */
  static of(names: KeypointNames, choice: InnerMouthChoice = 'auto'): InnerMouth | undefined {
    const rim = LIP_RIM.flatMap((name) => names[name] ?? []);
    const isPainted = choice === 'painted' || rim.length < LIP_RIM.length;
    return isPainted ? undefined : new InnerMouth(rim, choice === 'drawn');
  }

  /**
   * A frame whose mouth shows an inside, as far as it is open and the portrait's own was not. Only the face mesh is exact enough to say
   * where: landmarks that it has not found, which have no depth, are passed over.
   *
   * @param frame the frame as painted, and the keypoints that it was painted with
   * @param motion the portrait's own keypoints, and whether the driver moves its mouth
   * @param driver what drives; undefined where that has no picture
   * @returns the frame itself where nothing is to be changed
   */
  in(
    frame: Seen,
    { portrait, movesMouth }: { portrait: Places } & Pick<MotionTransfer, 'movesMouth'>,
    driver: SeenDriver | undefined,
  ): Picture {
    if (this.#isDrawn || !movesMouth || !driver) this.#driver = undefined;
    else if (driver.hasFace && driver.keypoints.depth) this.#driver = driver;
    const { picture } = frame;
    if (!portrait.depth) return picture;
    const to = this.#rimOf(frame.keypoints, picture);
    const opening = openingOf(to);
    const own = openingOf(this.#rimOf(portrait, picture)) / Math.max(opening, 1e-6);
    const share = ramp(opening, OPEN) * (1 - ramp(own, OWN));
    if (share <= 0) return picture;
    const rim = rounded(to);
    const skin = skinAround(picture, to);
    const drawn = drawnWithin(rim, skin);
    if (!this.#driver) return withInside(picture, rim, drawn, share);
    const [seen, from] = [this.#driver.picture, this.#rimOf(this.#driver.keypoints, this.#driver.picture)];
    const carried = carriedInto(rim, skin, seen, from);
    const known = ramp(openingOf(from), OPEN); // a driver whose mouth is shut shows nothing
    const inside = (place: PlanePoint): Colour => mixed(drawn(place), carried(place), known);
    return withInside(picture, rim, known === 1 ? carried : inside, share);
  }

  /** Landmarks of the inner rim of the lips in pixels: from one corner over the upper lip to the other, and back. */
  #rimOf({ value }: Places, { width, height }: Picture): PlanePoint[] {
    const points = this.#rim.map(
      (keypoint): PlanePoint => [
        ((value[2 * keypoint]! + 1) * (width - 1)) / 2,
        ((value[2 * keypoint + 1]! + 1) * (height - 1)) / 2,
      ],
    );
    const middle = middleOf(points);
    return points.map((point, i) => (i % HALF === 0 ? between(point, middle, CORNER) : point));
  }
}

/** Landmarks from one corner of the mouth to the other. */
const HALF = LIP_RIM.length / 2;

/** 0 below a range, 1 above, smooth between. */
const ramp = (value: number, [least, most]: readonly [number, number]): number =>
  smoothStep((value - least) / (most - least));

const between = (a: PlanePoint, b: PlanePoint, part: number): PlanePoint => [
  a[0] + part * (b[0] - a[0]),
  a[1] + part * (b[1] - a[1]),
];

function middleOf(points: readonly PlanePoint[]): PlanePoint {
  const mean = (axis: 0 | 1): number => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
  return [mean(0), mean(1)];
}

const widthOf = (rim: readonly PlanePoint[]): number => Math.hypot(...minus(rim[HALF]!, rim[0]!));

const minus = (a: PlanePoint, b: PlanePoint): PlanePoint => [a[0] - b[0], a[1] - b[1]];

/** How far the lips are apart in their middle, over the mouth's width; less than 0 where they overlap. */
function openingOf(rim: readonly PlanePoint[]): number {
  const [x, y] = minus(rim[HALF]!, rim[0]!);
  const [dx, dy] = minus(rim[HALF + HALF / 2]!, rim[HALF / 2]!);
  return (x * dy - y * dx) / Math.max(1e-6, x * x + y * y);
}

/** A rim as smooth as lips are: curves through its landmarks (Catmull and Rom, 1974), with corners at those of the mouth. */
function rounded(rim: readonly PlanePoint[]): PlanePoint[] {
  return rim.flatMap((from, i) => {
    const to = rim[(i + 1) % rim.length]!;
    const before = i % HALF === 0 ? from : rim[i - 1]!;
    const after = (i + 1) % HALF === 0 ? to : rim[(i + 2) % rim.length]!;
    return Array.from({ length: PIECES }, (_, piece): PlanePoint => {
      const t = piece / PIECES;
      const along = (axis: 0 | 1): number => {
        const [p, q, r, s] = [before[axis], from[axis], to[axis], after[axis]];
        return q + (t / 2) * (r - p + t * (2 * p - 5 * q + 4 * r - s + t * (3 * (q - r) + s - p)));
      };
      return [along(0), along(1)];
    });
  });
}

/** Colours of a drawn mouth within a rim, in the light of the skin around it. */
function drawnWithin(rim: readonly PlanePoint[], skin: Colour): (place: PlanePoint) => Colour {
  const corner = rim.length / 2;
  const drawn = drawnMouth([...rim.slice(0, corner), rim[corner]!], [rim[0]!, ...rim.slice(corner).toReversed()]);
  const inLight = lightOf(skin, DRAWN_SKIN);
  return (place) => inLight(drawn(place));
}

/** Colours of another picture's mouth within a rim, likewise. @param from landmarks of its rim */
function carriedInto(
  rim: readonly PlanePoint[],
  skin: Colour,
  picture: Picture,
  from: readonly PlanePoint[],
): (place: PlanePoint) => Colour {
  const middle = middleOf(from);
  const inside = rounded(from.map((point) => between(point, middle, WITHOUT_LIPS)));
  const inLight = lightOf(skin, skinAround(picture, from));
  return (place) => inLight(colourAt(picture, betweenPolygons(rim, inside, place)));
}

/** A frame that shows something else within a rim. */
function withInside(
  frame: Picture,
  rim: readonly PlanePoint[],
  inside: (place: PlanePoint) => Colour,
  share: number,
): Picture {
  const { width, height } = frame;
  const data = frame.data.slice();
  const feather = FEATHER * Math.hypot(...minus(rim[rim.length / 2]!, rim[0]!));
  const range = (axis: 0 | 1, length: number): [number, number] => {
    const along = rim.map((point) => point[axis]);
    return [Math.max(0, Math.ceil(Math.min(...along))), Math.min(length - 1, Math.floor(Math.max(...along)))];
  };
  const [[left, right], [top, bottom]] = [range(0, width), range(1, height)];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const depth = depthWithin(rim, [x, y]);
      if (depth === 0) continue;
      const part = share * smoothStep(depth / feather);
      const colour = inside([x, y]);
      const at = 3 * (y * width + x);
      for (const channel of [0, 1, 2] as const) {
        const value = data[at + channel]! + part * (colour[channel] - data[at + channel]!);
        data[at + channel] = Math.min(255, Math.max(0, value)) + 0.5;
      }
    }
  }
  return { ...frame, data };
}

/** Brightness as in ITU-R BT.601. */
const luma = ([red, green, blue]: Colour): number => 0.299 * red + 0.587 * green + 0.114 * blue;

/** How far a colour is from grey, over its brightness. */
const colourfulness = (colour: Colour): number =>
  Math.hypot(...colour.map((value) => value - luma(colour))) / Math.max(1, luma(colour));

/**
 * How a driver's colours look in a portrait, by the skin around both mouths: as bright as the root of the ratio of the skins says, for
 * half of it is light and half the skin's own; of the portrait's hue, in part; and no more colourful, so that mouths of grey portraits
 * are grey.
 */
function lightOf(own: Colour, drivers: Colour): (colour: Colour) => Colour {
  const [least, most] = GAIN;
  const [brightness, driversBrightness] = [Math.max(1, luma(own)), Math.max(1, luma(drivers))];
  const gain = Math.min(most, Math.max(least, Math.sqrt(brightness / driversBrightness)));
  const colours = Math.min(1, colourfulness(own) / Math.max(1e-3, colourfulness(drivers)));
  const gains = own.map((value, channel) => {
    const hue = Math.max(1, value) / brightness / (Math.max(1, drivers[channel]!) / driversBrightness);
    return gain * hue ** (TINT * colours);
  });
  return (colour) => {
    const grey = luma(colour);
    const seen = (channel: 0 | 1 | 2): number => gains[channel]! * (grey + colours * (colour[channel] - grey));
    return [seen(0), seen(1), seen(2)];
  };
}

/** Places at which skin is looked at: rings around the mouth, in its widths. */
const RINGS = [0.75, 0.85, 0.95].flatMap((radius) =>
  Array.from({ length: 48 }, (_, i): PlanePoint => {
    const angle = (2 * Math.PI * i) / 48;
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }),
);

/** The mean colour around a mouth. */
function skinAround(picture: Picture, rim: readonly PlanePoint[]): Colour {
  const [[middleX, middleY], side] = [middleOf(rim), widthOf(rim)];
  const colours = RINGS.map(([x, y]) => colourAt(picture, [middleX + side * x, middleY + side * y]));
  const mean = (channel: 0 | 1 | 2): number =>
    colours.reduce((sum, colour) => sum + colour[channel], 0) / colours.length;
  return [mean(0), mean(1), mean(2)];
}

/** The colour at a place, between the centres of pixels; outside that of the nearest. */
function colourAt({ width, height, data }: Picture, [x, y]: PlanePoint): Colour {
  const [inX, inY] = [Math.min(width - 1, Math.max(0, x)), Math.min(height - 1, Math.max(0, y))];
  const [left, top] = [Math.floor(inX), Math.floor(inY)];
  const [right, down] = [inX - left, inY - top];
  const at = 3 * (top * width + left);
  const [beside, below] = [left + 1 < width ? 3 : 0, top + 1 < height ? 3 * width : 0];
  const between = (channel: number): number => {
    const [a, b] = [data[at + channel]!, data[at + beside + channel]!];
    const [c, d] = [data[at + below + channel]!, data[at + below + beside + channel]!];
    return (1 - down) * (a + right * (b - a)) + down * (c + right * (d - c));
  };
  return [between(0), between(1), between(2)];
}
