// Pictures of what the networks see: colours that mean what they seem to, marks where they belong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  createPicture,
  distinctColor,
  drawKeypoints,
  drawLabel,
  drawLine,
  grid,
  heatColor,
  heatPicture,
  LABEL_HEIGHT,
  motionPicture,
  oklch,
  type Picture,
  type Rgb,
  valueRange,
} from '../src/index.js';

const pixel = (picture: Picture, x: number, y: number): number[] => [
  ...picture.data.subarray(3 * (y * picture.width + x), 3 * (y * picture.width + x) + 3),
];

/** Lightness of a colour as CIELAB has it, 0 to 100: not the space that the colours were made in. */
function lightness([red, green, blue]: Rgb): number {
  const linear = [red, green, blue].map((byte) => {
    const value = byte / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const y = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

test('the heat colours grow lighter in even steps from nearly black to nearly white', () => {
  const steps = Array.from({ length: 33 }, (_, i) => lightness(heatColor(i / 32)));
  assert.ok(steps[0]! < 6 && steps.at(-1)! > 92);
  const growth = steps.slice(1).map((value, i) => value - steps[i]!);
  const mean = growth.reduce((sum, value) => sum + value, 0) / growth.length;
  for (const [i, value] of growth.entries()) assert.ok(value > 0.3 * mean && value < 1.7 * mean, `step ${i}: ${value}`);
  assert.deepEqual(heatColor(-1), heatColor(0));
  assert.deepEqual(heatColor(2), heatColor(1));
});

test('colours are what their names say, and a colour no screen has keeps its hue and lightness', () => {
  assert.deepEqual(oklch(1, 0, 0), [255, 255, 255]);
  assert.deepEqual(oklch(0, 0, 0), [0, 0, 0]);
  const [r, g, b] = oklch(0.628, 0.2577, 29.23); // sRGB's red
  assert.ok(r >= 254 && g <= 3 && b <= 3, `${r} ${g} ${b}`);
  assert.ok(Math.abs(lightness(oklch(0.6, 9, 150)) - lightness(oklch(0.6, 0.1, 150))) < 4);
  const colours = Array.from({ length: 15 }, (_, k) => distinctColor(k));
  for (const [i, a] of colours.entries()) {
    for (const other of colours.slice(i + 1)) {
      assert.ok(Math.hypot(a[0] - other[0], a[1] - other[1], a[2] - other[2]) > 15, 'two keypoints look alike');
    }
  }
});

test('a map is coloured between the values it has, whatever single outliers there are', () => {
  const data = Float32Array.from({ length: 1000 }, (_, i) => 0.4 + 0.0001 * i);
  data[7] = 99;
  const [low, high] = valueRange({ width: 100, height: 10, data });
  assert.ok(low > 0.4 && low < 0.42 && high > 0.48 && high < 0.5, `${low} to ${high}`);
  const picture = heatPicture({ width: 3, height: 1, data: Float32Array.of(0, 0.5, 1) }, [0, 1]);
  assert.deepEqual(pixel(picture, 0, 0), [...heatColor(0)]);
  assert.deepEqual(pixel(picture, 2, 0), [...heatColor(1)]);
  const flat = heatPicture({ width: 2, height: 2, data: new Float32Array(4).fill(0.5) });
  assert.deepEqual(pixel(flat, 0, 0), pixel(flat, 1, 1));
});

test('a still motion field is grey, and opposite motions have different colours', () => {
  const [width, height] = [5, 4];
  const field = (dx: number) =>
    Float32Array.from({ length: width * height * 2 }, (_, i) => {
      const at = i >> 1;
      return i % 2 === 0 ? (2 * (at % width)) / (width - 1) - 1 + dx : (2 * Math.floor(at / width)) / (height - 1) - 1;
    });
  const [red, green, blue] = pixel(motionPicture(width, height, field(0)), 2, 2) as [number, number, number];
  assert.ok(Math.abs(red - green) <= 1 && Math.abs(green - blue) <= 1);
  assert.notDeepEqual(
    pixel(motionPicture(width, height, field(0.3)), 2, 2),
    pixel(motionPicture(width, height, field(-0.3)), 2, 2),
  );
});

test('keypoints lie where they belong, also at the borders and beyond, and the given picture is left alone', () => {
  const picture = createPicture(101, 51);
  const value = Float32Array.of(-1, -1, 1, 1, 0, 0, 5, 5);
  const drawn = drawKeypoints(picture, { value, jacobian: null });
  for (const [k, x, y] of [
    [0, 0, 0],
    [1, 100, 50],
    [2, 50, 25],
  ] as const) {
    assert.deepEqual(pixel(drawn, x, y), [...distinctColor(k)]);
  }
  assert.ok(picture.data.every((byte) => byte === 0));
  const identity = Float32Array.of(1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1);
  const axes = drawKeypoints(picture, { value, jacobian: identity }, { axes: true });
  assert.notDeepEqual(pixel(axes, 54, 25), [0, 0, 0]);
  assert.deepEqual(pixel(axes, 44, 25), [0, 0, 0], 'an axis points one way');
});

test('a grid sets pictures and labels in their places', () => {
  const colours: Rgb[] = [
    [200, 0, 0],
    [0, 200, 0],
    [0, 0, 200],
  ];
  const pictures = colours.map((colour) => {
    const picture = createPicture(40, 20);
    for (let i = 0; i < 40 * 20; i++) picture.data.set(colour, 3 * i);
    return picture;
  });
  const sheet = grid(pictures, { columns: 2, gap: 2, labels: ['one', 'two', 'three'] });
  assert.deepEqual([sheet.width, sheet.height], [82, 2 * (20 + LABEL_HEIGHT) + 2]);
  assert.deepEqual(pixel(sheet, 0, LABEL_HEIGHT), [200, 0, 0]);
  assert.deepEqual(pixel(sheet, 42, LABEL_HEIGHT), [0, 200, 0]);
  assert.deepEqual(pixel(sheet, 0, 2 * LABEL_HEIGHT + 22), [0, 0, 200]);
  assert.deepEqual(pixel(sheet, 81, 2 * LABEL_HEIGHT + 22), [0, 0, 0]);
  assert.ok(sheet.data.subarray(0, 3 * sheet.width * LABEL_HEIGHT).some((byte) => byte > 200));
  const narrow = createPicture(5, 5);
  drawLabel(narrow, 'TOO LONG', 1, 1);
  drawLine(narrow, [-9, -9], [20, 20], 1, [1, 2, 3]);
  assert.equal(narrow.data.length, 75);
});
