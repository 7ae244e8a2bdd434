// What motion fields do to expressions: fields that are known, faces whose mouths and lids are known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveTensors, type Tensor, tensor } from '@dagan/libtorch';
import { addChanges, NO_CHANGES, regressChanges, sumChanges } from '../src/faces/change-sums.js';
import {
  addFieldTransfers,
  type FieldTransfer,
  fieldTransfer,
  fieldTransferFigures,
  NO_FIELD_TRANSFER,
} from '../src/faces/field-transfer.js';
import { coordinateGrid } from '../src/tensors/grid.js';

/** The mesh points of the faces here. */
const POINTS = [10, 152, 13, 14, 61, 291, 159, 145, 386, 374] as const;

type Face = { opening?: number; width?: number; lids?: number };

/** A face 1 high around the picture's middle, its lengths given. */
const face = ({ opening = 1 / 16, width = 5 / 16, lids = 1 / 16 }: Face = {}): [x: number, y: number][] => [
  [0, -0.5],
  [0, 0.5],
  [0, 0.25 - opening / 2],
  [0, 0.25 + opening / 2],
  [-width / 2, 0.25],
  [width / 2, 0.25],
  ...[-0.25, 0.25].flatMap((x): [number, number][] => [
    [x, -0.125 - lids / 2],
    [x, -0.125 + lids / 2],
  ]),
];

const points = (...faces: readonly Face[]): Tensor => tensor(faces.map(face)); // [N, P, 2]

/** Distances of the fields' positions from -1 to 1. */
const STEP = 1 / 32;
const SIDE = 2 / STEP + 1;

const DRIVERS: readonly Face[] = [
  { opening: 0, width: 6 * STEP, lids: 0 },
  { opening: 4 * STEP, width: 8 * STEP, lids: 4 * STEP },
  { opening: 8 * STEP, width: 14 * STEP, lids: 2 * STEP },
];

/** The field without motion, [N, h, w, 2]. */
const identity = (count: number): Tensor => coordinateGrid(SIDE, SIDE).unsqueeze(0).expand(count, SIDE, SIDE, 2);

/** The field that takes the faces' points, which lie on its positions, a part of the way to another face's, [N, h, w, 2]. */
function leading(drivers: readonly Face[], sources: readonly Face[], part: number): Tensor {
  const at = (value: number): number => Math.round((value + 1) / STEP);
  return tensor(
    drivers.map((driver, n) => {
      const field = coordinateGrid(SIDE, SIDE).toArray() as number[][][];
      const goals = face(sources[n]);
      for (const [i, [x, y]] of face(driver).entries()) {
        field[at(y)]![at(x)] = [x + part * (goals[i]![0] - x), y + part * (goals[i]![1] - y)];
      }
      return field;
    }),
  );
}

const near = (actual: number | null, expected: number, within = 1e-4): void => {
  assert.ok(actual !== null && Math.abs(actual - expected) <= within, `${actual} instead of ${expected}`);
};

test('a field that ignores what the face does transfers nothing', () => {
  const driving = points(...DRIVERS);
  const found = fieldTransferFigures(fieldTransfer(identity(3), driving, points({}, {}, {}), POINTS));
  near(found.mouthOpening, 0);
  near(found.mouthWidth, 0);
  near(found.lids, 0);
  near(found.distance, found.unmoved!);
});

test('the field that takes every point to its place in the source transfers all', () => {
  const sources: Face[] = [{ opening: 0.05 }, { width: 0.36 }, { lids: 0.05 }];
  const field = leading(DRIVERS.slice(1), sources.slice(1), 1);
  const found = fieldTransferFigures(
    fieldTransfer(field, points(...DRIVERS.slice(1)), points(...sources.slice(1)), POINTS),
  );
  near(found.mouthOpening, 1);
  near(found.mouthWidth, 1);
  near(found.lids, 1);
  near(found.distance, 0);
  assert.ok(found.unmoved! > 0.01);
});

test('a field that goes half the way transfers a half, and frames add up over batches', () => {
  const [, wide, wider] = DRIVERS as [Face, Face, Face];
  const batchOf = (...drivers: Face[]): FieldTransfer => {
    const sources = drivers.map(() => ({}));
    return fieldTransfer(leading(drivers, sources, 0.5), points(...drivers), points(...sources), POINTS);
  };
  const whole = batchOf(wide, wider);
  const { mouthOpening, mouthWidth, lids } = fieldTransferFigures(whole);
  for (const half of [mouthOpening, mouthWidth, lids]) near(half, 0.5);
  const added = [batchOf(wide), batchOf(wider)].reduce<FieldTransfer>(addFieldTransfers, NO_FIELD_TRANSFER);
  near(fieldTransferFigures(added).mouthOpening, 0.5);
  near(added.distance, whole.distance);
  assert.equal(added.points, 2 * POINTS.length);
});

test('points that are not seen do not count, nor the signals made of them', () => {
  const seen = (at: number): number => (POINTS[at] === 14 ? 0 : 1);
  const told = (...faces: readonly Face[]): Tensor =>
    tensor(faces.map((each) => face(each).map(([x, y], at) => [x, y, seen(at)])));
  const { signals, points: count } = fieldTransfer(identity(3), told(...DRIVERS), told({}, {}, {}), POINTS);
  assert.deepEqual([count, signals.mouthOpening.count, signals.mouthWidth.count], [3 * (POINTS.length - 1), 0, 3]);
  const figures = fieldTransferFigures({ ...NO_FIELD_TRANSFER, signals });
  assert.deepEqual([figures.mouthOpening, figures.distance], [null, null]);
});

test('what does not fit is refused, and no tensor is left behind', () => {
  const [driving, source, field, short] = [points(...DRIVERS), points({}, {}, {}), identity(3), identity(2)];
  const alive = liveTensors();
  assert.throws(
    () => fieldTransfer(short, driving, source, POINTS),
    /a field \[2,65,65,2\] does not go with points \[3,10,2\]/,
  );
  assert.throws(() => fieldTransfer(field, driving, source), /mesh point 10 is missing/);
  fieldTransfer(field, driving, source, POINTS);
  assert.equal(liveTensors(), alive);
});

test('regressions add up over groups by their sums of squares, each around its own means', () => {
  const lively = sumChanges([
    [0, 1],
    [2, 2],
    [4, 3],
  ]); // S_xx 8, S_xy 4, S_yy 2
  const still = sumChanges([
    [5, 0],
    [5, 9],
  ]); // S_xx 0, S_xy 0, S_yy 40.5
  const slight = sumChanges([
    [1, 1],
    [2, 3],
  ]); // S_xx 0.5, S_xy 1, S_yy 2
  near(regressChanges([lively]).slope, 0.5, 1e-12);
  near(regressChanges([lively]).correlation, 1, 1e-12);
  near(regressChanges([lively]).deviation, Math.sqrt(8 / 3), 1e-12);
  near(regressChanges([lively, still]).slope, 0.5, 1e-12);
  const all = regressChanges([lively, still, slight]);
  near(all.slope, 5 / 8.5, 1e-12);
  near(all.correlation, 5 / Math.sqrt(8.5 * 44.5), 1e-12);
  assert.equal(all.count, 7);
  // Added up, two groups are one, around common means: (0, 1), (2, 2), (4, 3), (1, 1), (2, 3).
  near(regressChanges([addChanges(lively, slight)]).slope, 5 / 8.8, 1e-12);
  assert.deepEqual(regressChanges([NO_CHANGES]), { count: 0, deviation: 0, slope: null, correlation: null });
  const copy = regressChanges([sumChanges([0.1, 0.3, 0.2].map((x) => [x, 0] as const))]);
  assert.deepEqual([copy.slope, copy.correlation], [0, null]);
});
