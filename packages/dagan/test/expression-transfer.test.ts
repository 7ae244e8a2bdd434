// Expression transfer: faces warped to known openings, widths, smiles, lids and brows drive contestants that do all, half or none
// of it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type EvaluateOptions,
  type EvaluationResult,
  type ExpressionChanges,
  evaluate,
  expressionChanges,
  expressionTable,
  expressionTransfer,
  Instruments,
} from '../src/evaluation/index.js';
import { FaceAnalyzer, TRANSFER_SIGNALS, type TransferSignals, transferSignals } from '../src/faces/index.js';
import { createPicture, type Picture, readPicture, writePicture } from '../src/media/index.js';
import { changing, cutOut, type Grimace, grimacing, PORTRAIT } from './evaluation-fixtures.js';

const near = (actual: number | null, expected: number, within: number, what = 'value'): void => {
  assert.ok(actual !== null && Math.abs(actual - expected) <= within, `${what}: ${actual} instead of ${expected}`);
};

const FRAMES = 11;

/** What the driver does in a frame: nothing in the first one, then everything at its own pace. */
function grimace(frame: number, part = 1): Grimace {
  const wave = (pace: number): number => part * Math.sin(pace * frame);
  return {
    opening: 0.05 * (part - part * Math.cos(0.9 * frame)),
    width: 0.06 * wave(0.7),
    smile: 0.03 * wave(1.7),
    lids: -0.03 * (part - part * Math.cos(2.3 * frame)),
    brows: 0.03 * wave(1.2),
    gaze: 0,
  };
}

/** The portrait, farther away: everything in it at four fifths of its size. */
const farther = (picture: Picture): Picture =>
  cutOut(picture, { centerX: 128, centerY: 128, side: 320, angle: 0 }, 256);

let root: string;
let instruments: Instruments;
let analyzer: FaceAnalyzer;
let driving: Picture[];
let halfway: Picture[];
before(async () => {
  root = mkdtempSync(join(tmpdir(), 'dagan-expression-'));
  instruments = await Instruments.load();
  analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const portrait = await readPicture(PORTRAIT);
  const mesh = (await analyzer.track(portrait))!;
  const clip = (part: number) =>
    Array.from({ length: FRAMES }, (_, frame) => grimacing(portrait, mesh, grimace(frame, part)));
  [driving, halfway] = [clip(1), clip(0.5)];
  await writeClip('clips/anna/a', driving);
});
after(async () => {
  await instruments[Symbol.asyncDispose]();
  await analyzer.close();
  rmSync(root, { recursive: true, force: true });
});

async function writeClip(name: string, frames: readonly Picture[]): Promise<string> {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  for (const [i, frame] of frames.entries())
    await writePicture(join(folder, `${String(i).padStart(4, '0')}.png`), frame);
  return folder;
}

async function run(options: Partial<EvaluateOptions> & Pick<EvaluateOptions, 'contestants' | 'output'>) {
  const result = await evaluate({ data: join(root, 'clips'), protocol: 'self', size: 256, instruments, ...options });
  assert.ok(result, 'rank 0 gets the results');
  return result;
}

/** Shows pictures one after the other, whatever drives it. */
function showing(name: string, frames: readonly Picture[]) {
  let next = 0;
  return changing(name, () => frames[next++]!);
}

test('each signal is what its part of the face does, and of nothing else', async () => {
  const portrait = await readPicture(PORTRAIT);
  const mesh = (await analyzer.track(portrait))!;
  const still: Grimace = { opening: 0, width: 0, smile: 0, lids: 0, brows: 0, gaze: 0 };
  const read = async (change: Partial<Grimace>): Promise<TransferSignals> => {
    const seen = await analyzer.mesh(grimacing(portrait, mesh, { ...still, ...change }), mesh);
    return transferSignals(seen, analyzer.pose(seen));
  };
  const rest = await read({});
  const changes: [keyof TransferSignals, Partial<Grimace>][] = [
    ['mouthOpening', { opening: 0.08 }],
    ['mouthWidth', { width: 0.1 }],
    ['smile', { smile: 0.05 }],
    ['lids', { lids: -0.05 }],
    ['brows', { brows: 0.05 }],
    ['gaze', { gaze: 0.04 }],
  ];
  for (const [name, change] of changes) {
    const [made] = Object.values(change) as [number];
    const found = await read(change);
    // The mesh network reads a little less than what was done to the picture, of irises between lids that stay a quarter.
    const part = (found[name] - rest[name]) / made;
    assert.ok(part > (name === 'gaze' ? 0.2 : 0.45) && part < 1.2, `${name}: ${part}`);
    const strongest = TRANSFER_SIGNALS.reduce((a, b) =>
      Math.abs(found[a] - rest[a]) > Math.abs(found[b] - rest[b]) ? a : b,
    );
    assert.equal(strongest, name);
  }
});

test('eyes that look aside half as far as the driver have a slope of a half', async () => {
  const portrait = await readPicture(PORTRAIT);
  const mesh = (await analyzer.track(portrait))!;
  const still: Grimace = { opening: 0, width: 0, smile: 0, lids: 0, brows: 0, gaze: 0 };
  const looking = (part: number) =>
    Array.from({ length: FRAMES }, (_, frame) =>
      grimacing(portrait, mesh, { ...still, gaze: 0.04 * part * Math.sin(0.9 * frame) }),
    );
  const data = await writeClip('gaze/eve/a', looking(1));
  const contestants = [showing('half', looking(0.5).slice(1))];
  const result = await run({ data: join(data, '../..'), contestants, output: join(root, 'eyes') });
  const { slope, correlation } = result.contestants[1]!.expression.gaze;
  near(slope, 0.5, 0.12);
  assert.ok(correlation! > 0.9, `${correlation}`);
});

describe('dagan evaluate measures it', () => {
  let result: EvaluationResult;
  let output: string;
  before(async () => {
    output = join(root, 'self');
    const contestants = [changing('all', (picture) => picture), showing('half', halfway.slice(1))];
    result = await run({ contestants, output });
  });

  test('a contestant that does all, half or none of it has slope 1, a half, 0 in every signal', () => {
    const [copy, all, half] = result.contestants as [EvaluationResult['contestants'][0], ...typeof result.contestants];
    for (const name of TRANSFER_SIGNALS.filter((each) => each !== 'gaze')) {
      const [none, whole, part] = [copy!, all!, half!].map(({ expression }) => expression[name]);
      assert.deepEqual([none!.slope, none!.correlation, none!.count], [0, null, FRAMES - 1], name);
      near(whole!.slope, 1, 0.001, name);
      near(whole!.correlation, 1, 0.001, name);
      near(part!.slope, 0.5, 0.1, name);
      assert.ok(part!.correlation! > 0.9, `${name}: ${part!.correlation}`);
      assert.equal(part!.deviation, none!.deviation);
    }
    const { deviation } = copy!.expression.mouthOpening;
    assert.ok(deviation > 0.02 && deviation < 0.05, `${deviation}`);
    assert.deepEqual(copy!.cases[0]!.expression, copy!.expression);
  });

  test('the file, the table and the page show it', () => {
    assert.deepEqual(JSON.parse(readFileSync(join(output, 'evaluation.json'), 'utf8')), result);
    assert.match(result.expressionMeasuredBy, /478 points \(@mediapipe/);
    const lines = expressionTable(result).split('\n');
    assert.match(lines[0]!, /^slope \/ correlation +varies +frames +copy +all +half$/);
    assert.match(
      lines[1]!,
      /^mouth opening +0\.0\d{3} +10 +0\.00 \/ – +1\.00 \/ 1\.00\* +0\.[45]\d \/ (1\.00|0\.9\d)$/,
    );
    const html = readFileSync(join(output, 'report.html'), 'utf8');
    assert.match(
      html,
      /<h2>Expression transfer<\/h2>.*<td>mouth opening<\/td>.*<td class="best">1\.00 \/ 1\.00<\/td>/s,
    );
    for (const name of ['mouth opening', 'mouth width', 'smile', 'lids', 'brows', 'gaze']) {
      assert.ok(html.includes(`<figcaption>${name}: change of the result over that of the driver</figcaption>`), name);
    }
    assert.doesNotMatch(html, /NaN|undefined|Infinity/);
  });

  test('figures that were kept without it are measured anew', async () => {
    const [file] = readdirSync(join(output, 'rows'));
    const path = join(output, 'rows', file!);
    const rows = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
    writeFileSync(path, rows.map(({ expression, ...row }) => `${JSON.stringify(row)}\n`).join(''));
    const all = changing('all', (picture) => picture);
    const again = await run({ contestants: [all, showing('half', halfway.slice(1))], output });
    assert.equal(all.rendered, FRAMES - 1);
    assert.deepEqual(again, result);
  });
});

test('across identities changes count in the scale of each face', async () => {
  const portraits = await writeClip('portraits', [farther(driving[0]!)]);
  const contestants = [
    changing('all', farther),
    showing('half', halfway.map(farther)),
    // Always half open, which is no reaction.
    changing('stuck', () => farther(driving[3]!)),
  ];
  const result = await run({ protocol: 'cross', portraits, contestants, output: join(root, 'cross') });
  const [copy, all, half, stuck] = result.contestants.map(({ expression }) => expression);
  for (const name of ['mouthOpening', 'mouthWidth', 'lids'] as const) {
    assert.equal(copy![name].count, FRAMES, 'the clip shows another person, so its first frame counts');
    near(copy![name].slope, 0, 0);
    near(all![name].slope, 1, 0.12, name);
    near(half![name].slope, 0.5, 0.12, name);
    // Where a face was before decides a little where it is read.
    near(stuck![name].slope, 0, 0.06, name);
  }
});

test('frames in which a face is not found are left out, and the table says so', async () => {
  const blank = createPicture(256, 256);
  const data = join(root, 'gaps');
  await writeClip(
    'gaps/anna/a',
    driving.map((frame, i) => (i === 4 || i === 5 ? blank : frame)),
  );
  let shown = 0;
  const losing = changing('losing', (picture) => (++shown === 7 ? blank : picture));
  const result = await run({ data, contestants: [losing], output: join(root, 'gaps-out') });
  assert.equal(result.frames, FRAMES - 1);
  const [copy, lost] = result.contestants.map(({ expression }) => expression.mouthOpening);
  assert.deepEqual([copy!.count, lost!.count], [FRAMES - 3, FRAMES - 4]);
  near(lost!.slope, 1, 0.1);
  assert.match(
    expressionTable(result),
    /^mouth opening +0\.\d+ +8 of 10 +0\.00 \/ – +[\d.]+ \/ [\d.]+ \(7 frames\)\*$/m,
  );
});

describe('arithmetic', () => {
  const signals = (mouthOpening: number): TransferSignals => ({
    ...{ mouthOpening, mouthWidth: 0.7, smile: 0, lids: 0.1, brows: 0.2, gaze: 0 },
  });

  test('changes count from the reference frame and from the source, and need a face in both', () => {
    const frames = [
      { real: signals(0.3), generated: signals(0.15) },
      { real: null, generated: signals(0.2) },
      { real: signals(0.5), generated: null },
    ];
    const { mouthOpening, lids } = expressionChanges(frames, signals(0.25), signals(0.125));
    near(mouthOpening.driving[0]!, 0.05, 1e-12);
    near(mouthOpening.generated[0]!, 0.025, 1e-12);
    assert.deepEqual([mouthOpening.driving[1], mouthOpening.generated[2]], [null, null]);
    assert.deepEqual(lids.driving, [0, null, 0]);
    const without = expressionChanges(frames, null, signals(0.1)).mouthOpening;
    assert.deepEqual(without.driving, [null, null, null]);
    assert.equal(expressionTransfer([expressionChanges(frames, null, null)]).mouthOpening.slope, null);
  });

  test('cases weigh by how much their drivers move, still ones nothing', () => {
    const mouth = (driving: number[], generated: (number | null)[]): ExpressionChanges => {
      const empty = { driving: [], generated: [] };
      const others = { mouthWidth: empty, smile: empty, lids: empty, brows: empty, gaze: empty };
      return { mouthOpening: { driving, generated }, ...others };
    };
    // Around their means: x -2 0 2, y -1 0 1 (products 4, squares 8 and 2); x -0.5 0.5, y 0.5 -0.5 (-0.5, 0.5 and 0.5); x 0 0.
    const moving = mouth([0, 2, 4], [1, 2, 3]);
    const slight = mouth([0, 1, 9], [1, 0, null]);
    const still = mouth([3, 3], [0, 5]);
    const { slope, correlation, count, deviation } = expressionTransfer([moving, slight, still]).mouthOpening;
    near(slope, 3.5 / 8.5, 1e-12);
    near(correlation, 3.5 / Math.sqrt(8.5 * (2.5 + 12.5)), 1e-12);
    assert.equal(count, 7);
    near(deviation, Math.sqrt(8.5 / 7), 1e-12);
  });
});
