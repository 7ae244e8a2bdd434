// The comparison of systems: that they get one budget and differ in what is theirs, and that the command trains, goes on and
// prints the paper's tables.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { F, rand } from '@dagan/libtorch';
import {
  type AblationPlan,
  type ComparisonResult,
  comparedSystems,
  comparisonConfig,
  PAPER_ROWS,
  PAPER_TABLES,
} from '../src/evaluation/index.js';
import type { AnimationModel } from '../src/models/animation-model.js';
import { modelOperations, prepareForInference, systemOf } from '../src/models/index.js';
import { PLANE } from '../src/tensors/motion-space.js';
import { checkAnyTraining } from '../src/training/animation/objectives.js';
import { anyPreset } from '../src/training/index.js';
import { dagan } from './cli-run.js';
import { makeFaceClip } from './evaluation-fixtures.js';

describe('the systems', () => {
  const plan: AblationPlan = { steps: 100, batchSize: 8, precision: 'float32', seed: 3, size: 64, channels: 16 };

  test('are DaGAN, the first-order model and every small training that begins with random weights', () => {
    const names = comparedSystems();
    assert.deepEqual(names.slice(0, 2), ['dagan', 'fomm']);
    for (const name of ['x2face', 'monkey-net', 'osfv', 'neuralhead-ff']) assert.ok(names.includes(name), name);
    assert.ok(!names.some((name) => name.includes('identity')), 'a second stage is no system');
  });

  test('get one budget, fit the size, and learn by their own losses', () => {
    for (const name of comparedSystems()) {
      const config = comparisonConfig(name, { ...plan, weights: { pixel: 7, warp: 3 } });
      checkAnyTraining(config);
      assert.deepEqual(
        [config.steps, config.batchSize, config.precision, config.seed, config.phases, config.schedule],
        [100, 8, 'float32', 3, [{ size: 64, share: 1 }], { kind: 'cosine', warmup: 10, floor: 0.05 }],
      );
      using model = systemOf(config.model).build(config.model);
      assert.equal(64 % model.sizeMultiple, 0, `${name} takes multiples of ${model.sizeMultiple}`);
    }
    const weightsOf = (name: string) => comparisonConfig(name, { ...plan, weights: { pixel: 7, warp: 3 } }).weights;
    assert.deepEqual(weightsOf('x2face'), { ...anyPreset('x2face-small').weights, pixel: 7 });
    assert.deepEqual(weightsOf('monkey-net'), anyPreset('monkey-net-small').weights);
    assert.deepEqual(weightsOf('fomm'), { ...anyPreset('fomm').weights, pixel: 7, warp: 3 });
    assert.throws(() => comparisonConfig('best', plan), /no system 'best'; known are dagan, fomm/);
  });

  test('become wider with the plan, and keep their kind', () => {
    const parameters = (name: string, channels: number): number => {
      const { model: config } = comparisonConfig(name, { ...plan, channels });
      using model = systemOf(config).build(config);
      return model.parameters().reduce((sum, { numel }) => sum + numel, 0);
    };
    for (const name of ['x2face', 'monkey-net', 'osfv', 'neuralhead-ff']) {
      const growth = parameters(name, 16) / parameters(name, 8);
      assert.ok(growth > 2.5 && growth < 4.5, `${name}: ${growth} times the weights at twice the width`);
    }
  });

  test("have the paper's figures", () => {
    for (const [name, { figures }] of Object.entries(PAPER_ROWS)) {
      for (const { id, measures } of PAPER_TABLES) {
        assert.ok(figures[id] === undefined || figures[id].length === measures.length, `${name}, ${id}`);
      }
    }
    assert.deepEqual(PAPER_ROWS.dagan!.figures.table1, [0.899, 0.804, 31.22, 1.22, 0.939]);
    assert.deepEqual(PAPER_ROWS['monkey-net']!.figures, { table2: [0.049, 1.878, 0.199] });
    assert.deepEqual(PAPER_ROWS.osfv!.figures.table3, [0.791, 3.15, 0.805]);
  });

  test('take as many operations as their convolutions and products have', () => {
    // A model that is one convolution per step, of known sizes.
    const model = {
      motion: PLANE,
      source: () => ({ keypoints: null, disparity: null, kernel: F.conv2d(rand([1, 3, 8, 8]), rand([5, 3, 3, 3])) }),
      driving: () => ({ keypoints: F.linear(rand([2, 7]), rand([4, 7])) }),
      generate: () => F.conv3d(rand([1, 2, 4, 4, 4]), rand([6, 2, 3, 3, 3]), null, { padding: 1 }).flatten(1),
    } as unknown as AnimationModel;
    const expected = { source: 2 * 5 * 36 * 27, drive: 2 * 8 * 7, generate: 2 * 6 * 64 * 54 };
    assert.deepEqual(modelOperations(model, 8), expected);
    const config = comparisonConfig('fomm', plan).model;
    using fomm = systemOf(config).build(config);
    const { source, drive, generate } = modelOperations(prepareForInference(fomm), 64);
    assert.ok(drive > 0 && generate > drive && source > drive, 'a source has keypoints and features');
  });
});

describe('dagan compare', () => {
  let root: string;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'dagan-comparison-'));
    for (const clip of ['train/anna/a', 'train/ben/b', 'test/cleo/c', 'test/dora/d']) {
      await makeFaceClip(join(root, 'clips', clip), 3, 64);
    }
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const words = (output: string, ...more: string[]): string[] => [
    ...['compare', '--data', 'clips', '--size', '64', '--channels', '4', '--batch-size', '2', '--every', '2'],
    ...['--evaluate-every', '0', '--pictures-every', '0', '--precision', 'float32', '--device', 'cpu', '-o', output],
    ...more,
  ];
  const systems = ['--systems', 'fomm,x2face'];

  test('trains every system with every seed, prints the tables, and goes on where it was', async () => {
    const first = await dagan(root, words('out', ...systems, '--seeds', '0,1', '--steps', '1'));
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /model 1 of 4: FOMM, seed 0\n[\s\S]*model 4 of 4: X2Face, seed 1\n/);
    const [, one, two, three] = first.stdout.split(/^Table \d: .*$/m);
    assert.match(one!, /CSIM ↑ .*paper: AUCON ↑\ncopy of the source .*\nFOMM .* ± .*30\.394.*\nX2Face .* ± .*22\.537/);
    assert.match(two!, /L1 ↓ .*AKD ↓ .*AED ↓.*\ncopy.*\nFOMM .*1\.294.*\nX2Face .*7\.687/);
    assert.match(three!, /FOMM .*3\.90 .*\nX2Face .*3\.62/);
    const folder = join(root, 'out');
    const result = JSON.parse(readFileSync(join(folder, 'comparison.json'), 'utf8')) as ComparisonResult;
    assert.deepEqual(
      result.cross.contestants.map(({ name }) => name),
      ['copy', 'FOMM, seed 0', 'X2Face, seed 0', 'FOMM, seed 1', 'X2Face, seed 1'],
    );
    const [, , zero, , another] = result.self.contestants.map(({ overall }) => overall.l1!);
    const written = /\*?\*?([\d.]+) ± [\d.]+/.exec(
      /^\| X2Face \|.*$/m.exec(/## Table 2[\s\S]*/.exec(read('md'))![0])![0],
    )!;
    assert.equal(written[1], ((zero! + another!) / 2).toFixed(4), 'the mean of both seeds');
    assert.match(read('md'), /1 steps of 2 pairs \(2 in all\) at 64 x 64 pixels, 4 channels .* seeds 0, 1\./);
    assert.match(read('md'), /## What measured them[\s\S]*\| CSIM \| .* \| faceres/);
    assert.match(read('html'), /<h2>Table 3: across identities \(the paper: CelebV\)<\/h2>/);

    const weights = join(folder, 'runs', 'fomm', 'seed-1', 'model.safetensors');
    const before = statSync(weights).mtimeMs;
    const more = ['--systems', 'fomm,x2face,meshg-like', '--seeds', '0,1', '--steps', '1', '--resume', '--json'];
    const again = await dagan(root, words('out', ...more));
    assert.equal(again.code, 0, again.stderr + again.stdout);
    assert.equal(statSync(weights).mtimeMs, before, 'what is trained stays as it is');
    const lines = again.stdout.trim().split('\n');
    const report = lines.map((line) => JSON.parse(line)).find((line) => line.report).report as ComparisonResult;
    assert.deepEqual(report, JSON.parse(read('json')));
    assert.deepEqual(report.self.contestants[1], result.self.contestants[1], 'what is measured stays as it is');
    assert.deepEqual(
      report.systems.map(({ name }) => name),
      ['fomm', 'x2face', 'meshg-like'],
    );
    for (const { parameters, operations } of report.systems) assert.ok(parameters > 1e4 && operations.generate > 1e5);

    const other = await dagan(root, words('out', ...systems, '--steps', '2', '--resume'));
    assert.equal(other.code, 2);
    assert.match(other.stderr, /fomm.seed-0 was trained on another budget/);
    const twice = await dagan(root, words('out', ...systems, '--steps', '1'));
    assert.match(twice.stderr, /out holds a comparison: go on with it \(--resume\)/);
  });

  const read = (kind: string): string => readFileSync(join(root, 'out', `comparison.${kind}`), 'utf8');

  test('says what is missing or wrong', async () => {
    const refuse = async (message: RegExp, ...args: string[]): Promise<void> => {
      const { code, stderr } = await dagan(root, words('none', ...args));
      assert.equal(code === 1 || code === 2, true, stderr);
      assert.match(stderr, message);
    };
    await refuse(/--steps N is needed/, ...systems);
    await refuse(/There is no system 'best'; systems are dagan, fomm,/, '--systems', 'best');
    await refuse(/dagan is guided by face depth: --depth FILE/, '--steps', '1');
    await refuse(/whole numbers from 0 on/, '--seeds', '0,x');
    await refuse(/--seed or --seeds, not both/, ...systems, '--seeds', '0', '--seed', '1');
    assert.equal(existsSync(join(root, 'none')), false);
  });
});
