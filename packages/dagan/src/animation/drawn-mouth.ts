// The inside of a mouth as an illustrator would suggest it: a dark cavity, the edges of teeth, a tongue. It stands for a driver's own
// where what drives has no pictures.
import type { PlanePoint } from '../geometry/mean-value.js';
import { smoothStep } from './paste-back.js';

export type Colour = readonly [red: number, green: number, blue: number];

/** Skin in the light that the colours below are in. */
export const DRAWN_SKIN: Colour = [205, 160, 140];

const CAVITY: Colour = [46, 16, 16];
const TONGUE: Colour = [150, 72, 70];
const TEETH: Colour = [222, 212, 200];

/** Lengths are in widths of the mouth: how far teeth show below the upper lip and above the lower one, and the tongue above it. */
const UPPER_TEETH = 0.12;
const LOWER_TEETH = 0.05;
const TONGUE_HEIGHT = 0.16;

/** Over so much one passes into the next. */
const EDGE = 0.025;

/** Upper teeth from one corner of the mouth to the other. */
const TEETH_ACROSS = 9;

/**
 * Colours within the rim of a mouth.
 *
 * @param upper the upper lip's rim, from one corner of the mouth to the other
 * @param lower the lower lip's, likewise
 */
export function drawnMouth(upper: readonly PlanePoint[], lower: readonly PlanePoint[]): (place: PlanePoint) => Colour {
  const [from, to] = [upper[0]!, upper.at(-1)!];
  const [x, y] = [to[0] - from[0], to[1] - from[1]];
  const square = Math.max(1e-6, x * x + y * y);
  /** Across the mouth from 0 to 1, and below the line between its corners, in its widths. */
  const seen = ([px, py]: PlanePoint): PlanePoint => [
    ((px - from[0]) * x + (py - from[1]) * y) / square,
    ((py - from[1]) * x - (px - from[0]) * y) / square,
  ];
  const [top, bottom] = [upper.map(seen), lower.map(seen)];
  return (place) => {
    const [across, down] = seen(place);
    return colourOf(across, down - heightAt(top, across), heightAt(bottom, across) - down);
  };
}

/** @param above depth below the upper lip @param below height above the lower lip */
function colourOf(across: number, above: number, below: number): Colour {
  const side = 2 * across - 1;
  const round = 1 - side * side; // the row of teeth is a bow, whose ends lie deep and in the dark
  const tongue = mixed(CAVITY, TONGUE, passed(TONGUE_HEIGHT * round - below) * 0.8);
  const lower = mixed(tongue, shaded(TEETH, 0.35 + 0.35 * round), passed(LOWER_TEETH * round - below) * 0.7);
  const gap = Math.abs(((across * TEETH_ACROSS) % 1) - 0.5); // 0.5 between two teeth
  const bow = UPPER_TEETH * (0.45 + 0.55 * round) * (1 - 0.12 * smoothStep((gap - 0.3) / 0.2));
  const light =
    (0.45 + 0.55 * round) * (0.72 + 0.28 * smoothStep(above / 0.06)) * (1 - 0.1 * smoothStep((gap - 0.4) / 0.1));
  return mixed(lower, shaded(TEETH, light), passed(bow - above));
}

const passed = (distance: number): number => smoothStep(0.5 + distance / EDGE);

/** Between two colours. */
export const mixed = (a: Colour, b: Colour, share: number): Colour => [
  a[0] + share * (b[0] - a[0]),
  a[1] + share * (b[1] - a[1]),
  a[2] + share * (b[2] - a[2]),
];

const shaded = ([red, green, blue]: Colour, light: number): Colour => [light * red, light * green, light * blue];

/** Height of a line of points at a place across. */
function heightAt(line: readonly PlanePoint[], across: number): number {
  const next = line.findIndex(([x]) => x > across);
  if (next <= 0) return line.at(next === 0 ? 0 : -1)![1];
  const [[x0, y0], [x1, y1]] = [line[next - 1]!, line[next]!];
  return y0 + ((across - x0) / Math.max(1e-6, x1 - x0)) * (y1 - y0);
}
