// Pictures of what the networks see: colours that mean what they seem to, marks where they belong.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createPicture, type Picture } from '../src/media/index.js';
import { resizeMap } from '../src/tensors/index.js';
import {
  carryToSource,
  distinctColor,
  drawKeypoints,
  drawLabel,
  drawLine,
  drawRing,
  grid,
  heatColor,
  heatPicture,
  joinPictures,
  keypointLegend,
  LABEL_HEIGHT,
  motionPicture,
  oklch,
  overlayHeat,
  type Rgb,
  sharedRange,
  valueRange,
} from '../src/visualization/index.js';

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

test('the labels of rows and columns stand in a margin of their own, dark on a light ground', () => {
  const white: Rgb = [255, 255, 255];
  const pictures = Array.from({ length: 4 }, () => createPicture(60, 30));
  const sheet = grid(pictures, {
    columns: 2,
    gap: 4,
    columnLabels: ['a', 'b'],
    rowLabels: ['x', 'long'],
    background: white,
  });
  const left = sheet.width - (2 * 60 + 4);
  assert.ok(left >= 4 * 8, 'the longest row label fits');
  assert.equal(sheet.height, LABEL_HEIGHT + 2 * 30 + 4);
  assert.deepEqual(pixel(sheet, left + 61, LABEL_HEIGHT + 5), white, 'the gap');
  assert.deepEqual(pixel(sheet, left, LABEL_HEIGHT), [0, 0, 0], 'the first picture');
  const dark = (x0: number, y0: number, x1: number, y1: number): boolean => {
    for (let y = y0; y < y1; y++) for (let x = x0; x < x1; x++) if (pixel(sheet, x, y)[0]! < 60) return true;
    return false;
  };
  assert.ok(dark(left, 0, left + 60, LABEL_HEIGHT) && dark(left + 64, 0, sheet.width, LABEL_HEIGHT));
  assert.ok(dark(0, LABEL_HEIGHT, left, LABEL_HEIGHT + 30) && dark(0, LABEL_HEIGHT + 34, left, sheet.height));
});

test('a legend has the dot of every keypoint, in as many columns as its height asks for', () => {
  for (const height of [300, 64]) {
    const legend = keypointLegend(15, height);
    assert.equal(legend.height, height);
    const found = new Set<string>();
    for (let i = 0; i < legend.data.length; i += 3) found.add([...legend.data.subarray(i, i + 3)].join());
    for (let k = 0; k < 15; k++) assert.ok(found.has(distinctColor(k).join()), `keypoint ${k} at height ${height}`);
  }
  const joined = joinPictures([createPicture(10, 64), keypointLegend(15, 64)]);
  assert.deepEqual([joined.width, joined.height], [10 + keypointLegend(15, 64).width, 64]);
});

test('a map of another size keeps its mean, its ramps and the places of its values', () => {
  const ramp = { width: 8, height: 4, data: Float32Array.from({ length: 32 }, (_, i) => i % 8) };
  const large = resizeMap(ramp, 32, 16);
  assert.equal(large.data[5 * 32 + 18], (18.5 * 8) / 32 - 0.5);
  assert.equal(large.data[0], 0);
  const mean = (data: Float32Array): number => data.reduce((sum, value) => sum + value, 0) / data.length;
  assert.ok(Math.abs(mean(large.data) - mean(ramp.data)) < 1e-5);
  assert.deepEqual(resizeMap(ramp, 8, 4).data, ramp.data);
  assert.deepEqual([...resizeMap({ width: 1, height: 1, data: Float32Array.of(3) }, 2, 2).data], [3, 3, 3, 3]);
  const [low, high] = sharedRange([ramp, { width: 2, height: 1, data: Float32Array.of(20, 20) }], 0);
  assert.deepEqual([low, high], [0, 20]);
});

test('weights over warped features are brought back to where in the source these come from', () => {
  const [width, height] = [6, 4];
  /** Each feature taken from `dx`, `dy` cells further on, in the convention that -1 and 1 are the borders. */
  const motion = (dx: number, dy: number): Float32Array =>
    Float32Array.from({ length: 2 * width * height }, (_, i) => {
      const cell = i >> 1;
      if (i % 2 === 0) return (2 * ((cell % width) + dx) + 1) / width - 1;
      return (2 * (Math.floor(cell / width) + dy) + 1) / height - 1;
    });
  const data = new Float32Array(width * height);
  data[1 * width + 2] = 0.75;
  data[3 * width + 5] = 0.25;
  const map = { width, height, data };
  const close = (actual: Float32Array, expected: Record<number, number>): void => {
    for (const [i, value] of actual.entries()) assert.ok(Math.abs(value - (expected[i] ?? 0)) < 1e-6, `${i}: ${value}`);
  };
  close(carryToSource(map, motion(0, 0)).data, { [width + 2]: 0.75, [3 * width + 5]: 0.25 });
  close(carryToSource(map, motion(-2, 1)).data, { [2 * width]: 0.75 }); // the other comes from below the picture
  close(carryToSource(map, motion(-0.5, -1)).data, {
    1: 0.375,
    2: 0.375,
    [2 * width + 4]: 0.125,
    [2 * width + 5]: 0.125,
  });
});

test('heat lies over the picture where the map says, and a ring marks its place without hiding it', () => {
  const picture = createPicture(64, 64);
  picture.data.fill(200);
  const data = new Float32Array(16 * 16);
  data[4 * 16 + 11] = 2;
  const heated = overlayHeat(picture, { width: 16, height: 16, data }, [0, 2]);
  const colour = (x: number, y: number): number => {
    const [red, , blue] = pixel(heated, x, y) as [number, number, number];
    return Math.abs(red - blue);
  };
  let [most, place] = [0, [0, 0]];
  for (let y = 0; y < 64; y++) {
    for (let x = 0; x < 64; x++) if (colour(x, y) > most) [most, place] = [colour(x, y), [x, y]];
  }
  assert.ok(Math.abs(place[0]! - 45.5) <= 4 && Math.abs(place[1]! - 17.5) <= 4, `${place}`);
  const ground = pixel(heated, 5, 50);
  assert.ok(new Set(ground).size === 1 && ground[0]! < 120 && ground[0]! > 60, 'elsewhere dimmed and grey');
  const flat = overlayHeat(picture, { width: 16, height: 16, data: new Float32Array(256) }, [0, 0]);
  assert.deepEqual(pixel(flat, 45, 17), ground, 'a map without range has no heat');
  drawRing(picture, [30, 30], 10, [255, 0, 0]);
  assert.deepEqual(pixel(picture, 30, 30), [200, 200, 200]);
  assert.deepEqual(pixel(picture, 40, 30), [255, 0, 0]);
  assert.deepEqual(pixel(picture, 30, 20), [255, 0, 0]);
});
