// The ablation: that its rows differ in nothing but what the table is about, and that the command trains, goes on and reports.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ABLATION_ROWS, type AblationPlan, type AblationResult, ablationConfig } from '../src/evaluation/index.js';
import { MODEL_PRESETS, sizeMultiple } from '../src/models/index.js';
import { checkTrainingConfig, TRAINING_PRESETS } from '../src/training/index.js';
import { dagan } from './cli-run.js';
import { makeFaceClip } from './evaluation-fixtures.js';

describe('the rows', () => {
  const plan: AblationPlan = { steps: 1000, batchSize: 8, precision: 'float32', seed: 3, size: 64, channels: 16 };

  test("are the eight of the paper's Table 4, with its figures", () => {
    assert.deepEqual(
      ABLATION_ROWS.map(({ preset }) => preset),
      ['baseline', 'baseline-fdn', 'baseline-cam', 'dagan', 'fomm', 'fomm-fdn', 'fomm-cam', 'fomm-fdn-cam'],
    );
    assert.deepEqual(
      ABLATION_ROWS.map(({ paper: { csim, prmse, aucon } }) => [csim, prmse, aucon]),
      [
        [0.688, 5.39, 0.657],
        [0.71, 2.69, 0.852],
        [0.698, 2.56, 0.838],
        [0.723, 2.33, 0.873],
        [0.462, 3.9, 0.667],
        [0.695, 2.81, 0.812],
        [0.669, 2.36, 0.821],
        [0.716, 2.28, 0.865],
      ],
    );
  });

  test('get one budget and one width, and differ as their presets do', () => {
    for (const row of ABLATION_ROWS) {
      const config = ablationConfig(row, plan);
      checkTrainingConfig(config);
      const { model } = config;
      const preset = MODEL_PRESETS[row.preset as keyof typeof MODEL_PRESETS];
      assert.deepEqual(
        [config.steps, config.batchSize, config.precision, config.seed, config.phases],
        [1000, 8, 'float32', 3, [{ size: 64, share: 1 }]],
      );
      assert.deepEqual(
        [model.numKeypoints, model.depthGuidedKeypoints, model.generator.attention, model.depth !== null],
        [preset.numKeypoints, preset.depthGuidedKeypoints, preset.generator.attention, preset.depth !== null],
      );
      assert.deepEqual(config.weights, TRAINING_PRESETS[row.preset].weights);
      assert.equal(sizeMultiple(model), 32, 'the networks can halve pictures of 64 as often as they do');
      assert.equal(model.generator.blockExpansion, 16);
      // Keypoint and motion networks see 64 x 64, as in the paper.
      assert.equal(64 * model.keypointDetector.scaleFactor, 64);
      assert.equal(64 * model.generator.denseMotion.scaleFactor, 64);
    }
  });

  test('take other weights of losses all alike', () => {
    for (const row of ABLATION_ROWS) {
      const { weights } = ablationConfig(row, { ...plan, weights: { pixel: 100, generatorAdversarial: 0 } });
      assert.deepEqual(weights, { ...TRAINING_PRESETS[row.preset].weights, pixel: 100, generatorAdversarial: 0 });
    }
  });

  test('at 32 channels the generator is as wide as that of starter-256, and learns from the same pictures', () => {
    const starter = TRAINING_PRESETS['starter-256'];
    for (const row of ABLATION_ROWS) {
      const config = ablationConfig(row, { ...plan, channels: 32, size: 256 });
      const { blockExpansion, maxFeatures } = config.model.generator;
      const wanted = starter.model.generator;
      assert.deepEqual([blockExpansion, maxFeatures], [wanted.blockExpansion, wanted.maxFeatures]);
      const { augmentation, reshape, sway } = config;
      assert.deepEqual([augmentation, reshape, sway], [starter.augmentation, starter.reshape, starter.sway]);
    }
  });
});

describe('dagan ablate', () => {
  let root: string;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'dagan-ablation-'));
    for (const clip of ['train/anna/a', 'train/ben/b', 'test/cleo/c', 'test/dora/d']) {
      await makeFaceClip(join(root, 'clips', clip), 3, 64);
    }
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const words = (output: string, ...more: string[]): string[] => [
    ...['ablate', '--data', 'clips', '--depth', 'untrained', '--rows', 'baseline,dagan', '--size', '64'],
    ...['--channels', '4', '--batch-size', '2', '--every', '2', '--evaluate-every', '0', '--pictures-every', '0'],
    ...['--precision', 'float32', '--device', 'cpu', '--weight', 'pixel=50', '-o', output, ...more],
  ];

  test('trains and evaluates every row, writes the table, and goes on where it was', async () => {
    const first = await dagan(root, words('out', '--steps', '1'));
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stdout, /Copy of the source.*\nBaseline +[\d.]+ M.*0\.688.*\nDaGAN \(FDN \+ CAM\).*0\.723/s);
    const folder = join(root, 'out');
    const result = JSON.parse(readFileSync(join(folder, 'ablation.json'), 'utf8')) as AblationResult;
    assert.deepEqual(
      [result.trainedDepth, result.rows.length, result.self.cases, result.cross.cases],
      [false, 2, 2, 2],
    );
    assert.deepEqual(
      result.self.contestants.map(({ name }) => name),
      ['copy', 'Baseline', 'DaGAN (FDN + CAM)'],
    );
    const [copy, ...models] = result.self.contestants.map(({ overall }) => overall.l1!);
    for (const l1 of models) assert.ok(l1 > copy!, 'one step learns nothing');
    const markdown = readFileSync(join(folder, 'ablation.md'), 'utf8');
    assert.match(markdown, /Weights of losses other than the presets': pixel 50\.\n.*depth network .* was NOT trained/);
    assert.match(markdown, /\| mouth opening \| mouth width \| lids \| cross mouth opening \|/);
    assert.match(markdown, /\| Copy of the source .* \| 0\.00 \/ – \|/);
    assert.match(markdown, /\| Baseline \| [\d.]+ M \| .* \| 0\.688 \| 5\.39 \| 0\.657 \|/);
    for (const file of ['ablation.html', 'self/report.html', 'cross/report.html']) {
      assert.ok(existsSync(join(folder, file)), file);
    }

    const weights = join(folder, 'runs', 'baseline', 'model.safetensors');
    const before = statSync(weights).mtimeMs;
    const again = await dagan(root, words('out', '--steps', '1', '--resume'));
    assert.equal(again.code, 0, again.stderr);
    assert.equal(statSync(weights).mtimeMs, before, 'what is trained stays as it is');
    assert.deepEqual(JSON.parse(readFileSync(join(folder, 'ablation.json'), 'utf8')), result);

    const other = await dagan(root, words('out', '--steps', '2', '--resume'));
    assert.equal(other.code, 2);
    assert.match(other.stderr, /runs.baseline was trained on another budget \(1 steps of 2 at 64 pixels/);
    const twice = await dagan(root, words('out', '--steps', '1'));
    assert.match(twice.stderr, /out holds an ablation: go on with it \(--resume\)/);
  });

  test('says what is missing or wrong', async () => {
    const refuse = async (args: readonly string[], message: RegExp): Promise<void> => {
      const { code, stderr } = await dagan(root, args);
      assert.equal(code === 1 || code === 2, true, stderr);
      assert.match(stderr, message);
    };
    await Promise.all([
      refuse(words('none'), /--steps N is needed/),
      refuse(words('none', '--steps', '1', '--rows', 'baseline,best'), /There is no row 'best'; rows are baseline,/),
      refuse(
        words('none', '--steps', '1', '--weight', 'pixels=1'),
        /It must be name=number; names are perceptual, perceptualParts, pixel,/,
      ),
      refuse(['ablate', '--data', 'clips', '-o', 'none'], /required option '--depth <file>'/),
      refuse(words('none', '--steps', '1', '--portraits', 'nowhere'), /nowhere: no such file or folder/),
    ]);
    assert.equal(existsSync(join(root, 'none')), false);
  });
});
