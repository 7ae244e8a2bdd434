// The evaluation as a whole: protocols, lists, what is kept, reports, ranks and the command.
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { liveTensors } from '@dagan/libtorch';
import {
  copyOfSource,
  type EvaluateOptions,
  type EvaluationResult,
  evaluate,
  findCases,
  Instruments,
  readPairList,
  summaryTable,
} from '../src/evaluation/index.js';
import { createPicture, type Picture, writePicture } from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { makeVideoClip } from './data-fixtures.js';
import { brightened, changing, makeFaceClip, moved } from './evaluation-fixtures.js';

let root: string;
let clips: string;
let instruments: Instruments;
before(async () => {
  root = mkdtempSync(join(tmpdir(), 'dagan-evaluation-'));
  clips = join(root, 'clips');
  await makeFaceClip(join(clips, 'test', 'anna', 'a'), 12);
  await makeFaceClip(join(clips, 'test', 'ben', 'b'), 4);
  instruments = await Instruments.load();
});
after(async () => {
  await instruments[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

let outputs = 0;

async function run(
  options: Partial<EvaluateOptions> & Pick<EvaluateOptions, 'contestants'>,
): Promise<EvaluationResult> {
  const output = options.output ?? join(root, `out-${outputs++}`);
  const result = await evaluate({ data: clips, protocol: 'self', size: 128, instruments, ...options, output });
  assert.ok(result, 'rank 0 gets the results');
  return result;
}

const same = (picture: Picture): Picture => picture;

describe('the same person', () => {
  test('identical frames are perfect in every measure, and the frame that is the source is not scored', async () => {
    const result = await run({ contestants: [changing('same', same)], paperCompatible: true });
    assert.equal(result.cases, 2);
    assert.equal(result.frames, 11 + 3);
    const { overall } = result.contestants[1]!;
    const zero = [
      'l1',
      'l1Bytes',
      'perceptual',
      'l1Mouth',
      'l1Eyes',
      'akd',
      'akdPublished',
      'aed',
      'aedPublished',
      'prmse',
      'missing',
    ];
    for (const id of zero) assert.ok(Math.abs(overall[id as 'l1']!) < 1e-9, `${id}: ${overall[id as 'l1']}`);
    for (const id of ['ssim', 'ssimPublished', 'csim', 'aucon'] as const) {
      assert.ok(Math.abs(overall[id]! - 1) < 1e-6, `${id}: ${overall[id]}`);
    }
    for (const id of ['psnr', 'psnrMouth', 'psnrEyes'] as const) assert.equal(overall[id], 100);
    assert.equal(result.measures.length, Object.keys(overall).length);
  });

  test('each kind of error shows in its own measures', async () => {
    const contestants = [
      changing('moved', (picture) => moved(picture, 3, 0)),
      changing('dark', (picture) => brightened(picture, 0.8, 0)),
      changing('blank', ({ width, height }) => createPicture(width, height)),
    ];
    const { contestants: columns } = await run({ contestants });
    const [copy, shifted, dark, blank] = columns.map(({ overall }) => overall) as [
      (typeof columns)[0]['overall'],
      (typeof columns)[0]['overall'],
      (typeof columns)[0]['overall'],
      (typeof columns)[0]['overall'],
    ];
    // Three pixels of 128 are six of 256.
    assert.ok(Math.abs(shifted.akd! - 6) < 0.6, `AKD ${shifted.akd}`);
    assert.ok(dark.akd! < 2 && dark.prmse! < 2 && dark.csim! > 0.9 && dark.l1! > 0.05);
    assert.equal(shifted.missing, 0);
    assert.equal(blank.missing, 1);
    assert.deepEqual([blank.akd, blank.csim, blank.prmse], [null, null, null]);
    assert.ok(blank.psnr! < dark.psnr!);
    assert.ok(copy.akd! > shifted.akd! && copy.csim! > 0.8, 'the copy is the same person elsewhere');
  });

  test('every n-th frame, few cases drawn by a seed, and any size can be asked for', async () => {
    const result = await run({ contestants: [], every: 3, limit: 1, size: 64, seed: 1 });
    assert.equal(result.cases, 1);
    const other = await run({ contestants: [], every: 3, limit: 1, size: 64, seed: 1 });
    assert.deepEqual(other.contestants, result.contestants);
    const seeds = await Promise.all(
      [1, 2, 3, 4, 5, 6].map(async (seed) => (await findCases(clips, { protocol: 'self', limit: 1, seed }))[0]!.name),
    );
    assert.deepEqual([...new Set(seeds)].sort(), ['test/anna/a', 'test/ben/b']);
    const whole = await run({ contestants: [], every: 3 });
    assert.deepEqual(
      whole.contestants[0]!.cases.map(({ frames }) => frames),
      [3, 1], // 3, 6, 9; 3
    );
  });
});

describe('across identities', () => {
  test('likeness is judged against the portrait, pose and expression against the driving frame', async () => {
    const { contestants, measures, settings } = await run({
      protocol: 'cross',
      contestants: [changing('driving itself', same)],
    });
    assert.deepEqual(
      measures.map(({ id }) => id),
      ['csim', 'prmse', 'prmseCentred', 'aucon', 'missing'],
    );
    assert.equal(settings.motion, 'relative');
    const [copy, driving] = contestants as [(typeof contestants)[0], (typeof contestants)[0]];
    assert.deepEqual(
      copy.cases.map(({ name }) => name),
      ['test/ben/b by test/anna/a', 'test/anna/a by test/ben/b'],
    );
    assert.ok(Math.abs(copy.overall.csim! - 1) < 1e-6 && copy.overall.prmse! > 1);
    assert.ok(Math.abs(driving.overall.prmse!) < 1e-9 && driving.overall.aucon === 1);
    assert.equal(driving.cases[1]!.figures.aucon, null, 'four frames do not tell a face at rest');
  });

  test('portraits of a folder are drawn by the seed, those of the same person left out', async () => {
    const portraits = join(clips, 'portraits');
    mkdirSync(portraits, { recursive: true });
    for (const name of ['one', 'two', 'three']) {
      await writePicture(join(portraits, `${name}.png`), createPicture(20, 30));
    }
    writeFileSync(join(clips, 'index.json'), JSON.stringify([{ file: 'portraits/one.png', id: 'anna' }]));
    const draw = (seed: number) => findCases(clips, { protocol: 'cross', portraits, sources: 2, seed });
    const cases = await draw(3);
    assert.deepEqual(await draw(3), cases);
    assert.equal(cases.length, 4);
    const forAnna = cases.filter(({ name }) => name.endsWith('by test/anna/a')).map(({ name }) => name.split(' ')[0]);
    assert.deepEqual(forAnna.sort(), ['three.png', 'two.png']);
    rmSync(join(clips, 'index.json'));
    rmSync(portraits, { recursive: true });
  });
});

describe('lists of pairs', () => {
  const list = (name: string, ...lines: string[]): string => {
    const path = join(root, name);
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  };

  test('all published layouts are read, wherever the data lie', async () => {
    const data = join(root, 'listed');
    await makeFaceClip(join(data, 'id1#x.mp4'), 3);
    await makeVideoClip(join(data, 'id2#y.mp4'), 5);
    const elsewhere = '/data/somebody/vox1_frames/test';
    const pairs = await readPairList(
      list(
        'frames.csv',
        'source,driving,best_frame',
        `${elsewhere}/id1#x.mp4/0000000.png,${elsewhere}/id1#x.mp4/0000002.png,${elsewhere}/id1#x.mp4/0000001.png`,
        `${elsewhere}/id1#x.mp4/0000001.png,${elsewhere}/id2#y.mp4/0000004.png,${elsewhere}/id2#y.mp4/0000003.png`,
      ),
      data,
    );
    const frameOf = (name: string, frame: number | null = null) => ({ path: join(data, name), frame });
    assert.deepEqual(pairs, [
      {
        line: 2,
        source: frameOf('id1#x.mp4/0000000.png'),
        driving: frameOf('id1#x.mp4/0000002.png'),
        reference: frameOf('id1#x.mp4/0000001.png'),
      },
      {
        line: 3,
        source: frameOf('id1#x.mp4/0000001.png'),
        driving: frameOf('id2#y.mp4', 4),
        reference: frameOf('id2#y.mp4', 3),
      },
    ]);
    const whole = list('videos.csv', 'source_frame,driving_video', '/d/id1#x.mp4/0000002.png,/d/id2#y.mp4');
    const [video] = await findCases(data, { protocol: 'cross', pairs: whole });
    assert.deepEqual(
      [video!.source.frame, video!.driving.kind, video!.name],
      [null, 'clip', 'id1#x.mp4/0000002.png by id2#y.mp4'],
    );

    // A frame of the folder that drives it is the source itself, and is not scored.
    const within = list('within.csv', 'source_frame,driving_video', '/d/id1#x.mp4/0000001.png,/d/id1#x.mp4');
    const [own] = await findCases(data, { protocol: 'self', pairs: within });
    assert.deepEqual([own!.sourceFrame, own!.driving.kind, video!.sourceFrame], [1, 'clip', null]);
    assert.equal((await run({ data, pairs: within, contestants: [changing('same', same)] })).frames, 2);

    // A frame alone moves as it is; with a reference, relative to that.
    const alone = list('alone.csv', 'source,driving,frame', '/d/id1#x.mp4/0000000.png,/d/id1#x.mp4/0000002.png');
    const contestant = changing('same', same);
    const options = { data, pairs: alone, contestants: [contestant] };
    const result = await run(options);
    assert.deepEqual([result.cases, result.frames, contestant.references], [1, 1, 0]);
    assert.equal(result.contestants[1]!.overall.l1, 0);
    await run({ ...options, protocol: 'cross', pairs: join(root, 'frames.csv') });
    assert.equal(contestant.references, 2);
    await assert.rejects(run({ ...options, motion: 'relative' }), /relative motion needs a clip, or a best_frame/);
  });

  test('what is wrong in a list is named by its line', async () => {
    const read = (...lines: string[]) => readPairList(list('wrong.csv', ...lines), clips);
    await assert.rejects(read('a,b', 'x,y'), /wrong.csv: line 1 must name the columns source and driving, not a, b/);
    await assert.rejects(read('source,driving', '/x/none.png,/x/none.png'), /line 2: '\/x\/none.png' is not below/);
    await assert.rejects(read('source,driving', '../clips/test,../clips/test'), /line 2: .* is not below/);
    await assert.rejects(read('source,driving'), /lists no pairs/);
    await assert.rejects(readPairList(join(root, 'absent.csv'), clips), /absent.csv: .*no such file/);
  });
});

describe('what is kept', () => {
  test('an evaluation that broke off goes on, and gives what an unbroken one gives', async () => {
    const output = join(root, 'broken');
    let left = 11; // the first case has 11 frames to score
    const breaking = changing('moved', (picture) => {
      if (left-- === 0) throw new Error('the power is gone');
      return moved(picture, 2, 1);
    });
    await assert.rejects(run({ contestants: [breaking], output }), /the power is gone/);
    assert.equal(existsSync(join(output, 'evaluation.json')), false);
    const [file] = readdirSync(join(output, 'rows'));
    const rows = join(output, 'rows', file!);
    writeFileSync(rows, `${readFileSync(rows, 'utf8')}{"key":"torn`);

    const going = changing('moved', (picture) => moved(picture, 2, 1));
    const result = await run({ contestants: [going], output });
    assert.equal(going.rendered, 3, 'the second case alone');
    assert.deepEqual(result, await run({ contestants: [changing('moved', (picture) => moved(picture, 2, 1))] }));
    assert.deepEqual(JSON.parse(readFileSync(join(output, 'evaluation.json'), 'utf8')), result);

    // A further model is measured alone, a changed setting measures all anew.
    const [again, further] = [going, changing('further', same)];
    again.rendered = 0;
    await run({ contestants: [again, further], output });
    assert.deepEqual([again.rendered, further.rendered], [0, 14]);
    await run({ contestants: [again], output, every: 2 });
    assert.ok(again.rendered > 0);
  });

  test('where pictures of worst cases were removed, the report says so and has all else', async () => {
    const output = join(root, 'tidied');
    const contestant = changing('moved', (picture) => moved(picture, 2, 1));
    const before = await run({ contestants: [contestant], output });
    rmSync(join(output, 'worst'), { recursive: true });
    contestant.rendered = 0;
    assert.deepEqual(await run({ contestants: [contestant], output }), before);
    assert.equal(contestant.rendered, 0, 'nothing is measured anew for a picture');
    const html = readFileSync(join(output, 'report.html'), 'utf8');
    assert.equal(html.match(/its picture, worst\/[0-9a-f]+\.webp, was removed/g)?.length, 2);
    assertBalanced(html);
  });

  test('a model that fails leaves no tensors behind', async () => {
    const alive = liveTensors();
    const failing = changing('failing', () => {
      throw new Error('the power is gone');
    });
    await assert.rejects(run({ contestants: [failing] }), /the power is gone/);
    assert.equal(liveTensors(), alive);
  });

  test('the report is one well-formed page that fetches nothing', async () => {
    const output = join(root, 'report');
    const name = 'a <b> & "c"';
    const result = await run({ contestants: [changing(name, (picture) => moved(picture, 9, 0))], output });
    const html = readFileSync(join(output, 'report.html'), 'utf8');
    assert.doesNotMatch(html, /<script|<link|https?:\/\/|url\(|\ssrc="(?!data:)|\shref=/i);
    assert.ok(html.includes('a &lt;b&gt; &amp; &quot;c&quot;') && !html.includes('<b> &'));
    assert.equal(html.match(/<img src="data:image\/webp;base64,[A-Za-z0-9+/=]+"/g)?.length, 2);
    assert.doesNotMatch(html, /NaN|undefined|Infinity|\[object/);
    assertBalanced(html);
    for (const { measuredBy } of result.measures) assert.ok(html.includes(measuredBy), measuredBy);
    const table = summaryTable(result);
    assert.match(table, /^ +copy +a <b> & "c"/);
    assert.match(table, /\nAKD, px ↓ +[\d.]+[ *] +[\d.]+/);
  });

  /** Fails unless every element that is opened is closed in its turn. */
  function assertBalanced(html: string): void {
    const open: string[] = [];
    for (const [, end, name, rest] of html
      .replace(/<style>.*?<\/style>/s, '')
      .matchAll(/<(\/?)([a-z][a-z0-9]*)([^>]*)>/g)) {
      if (['meta', 'img'].includes(name!) || rest!.endsWith('/')) continue;
      if (end === '') open.push(name!);
      else assert.equal(open.pop(), name, 'closes what was opened last');
    }
    assert.deepEqual(open, []);
  }
});

describe('dagan evaluate', () => {
  test('several processes give what one gives', async () => {
    const model = join(root, 'small.safetensors');
    saveModel(model, formulaModel(SMALL_WITHOUT_DEPTH), { name: 'small', training_steps: '7' });
    const words = ['evaluate', '--data', clips, '--size', '128', '--checkpoint', model, '--precision', 'float32'];
    const [one, two] = await Promise.all([
      dagan(root, [...words, '--threads', '1', '-o', 'one']),
      dagan(root, [...words, '--threads', '1', '-o', 'two', '--nproc', '2']),
    ]);
    assert.equal(one.code, 0, one.stderr);
    assert.equal(two.code, 0, two.stderr);
    assert.deepEqual(readdirSync(join(root, 'two', 'rows')).sort(), ['0.jsonl', '1.jsonl']);
    const read = (name: string): EvaluationResult =>
      JSON.parse(readFileSync(join(root, name, 'evaluation.json'), 'utf8'));
    const withoutEngine = ({ contestants, ...rest }: EvaluationResult) => ({
      ...rest,
      contestants: contestants.map(({ facts: { engine, ...facts }, ...column }) => ({ ...column, facts })),
    });
    assert.deepEqual(withoutEngine(read('two')), withoutEngine(read('one')));
    const [, small] = read('one').contestants;
    assert.deepEqual([small!.name, small!.facts.model, small!.facts.steps], ['small', 'small', '7']);
    assert.match(one.stdout, /L1 ↓ +0\.\d{4}.*\nmouth opening +0\.\d{4} +14 +0\.00 \/ –.*report.html\n$/s);
    assert.equal(two.stdout.split('\n').length, one.stdout.split('\n').length, 'one rank alone speaks');
  });

  test('says what is wrong, and the remedy', async () => {
    const bare = join(root, 'bare');
    mkdirSync(join(bare, 'train'), { recursive: true });
    const single = join(root, 'single');
    await makeFaceClip(join(single, 'test', 'anna', 'a'), 2, 64);
    const model = join(root, 'tiny.safetensors');
    saveModel(model, formulaModel(SMALL_WITHOUT_DEPTH));
    const refuse = async (words: readonly string[], code: number, message: RegExp): Promise<void> => {
      const result = await dagan(root, ['evaluate', ...words]);
      assert.equal(result.code, code, result.stderr);
      assert.match(result.stderr, message);
    };
    const checked = ['--checkpoint', model, '--size', '128', '-o', join(root, 'refused')];
    await Promise.all([
      refuse([], 2, /required option '--data <folder>'/),
      refuse(['--data', join(root, 'none')], 1, /none: no such file or folder/),
      refuse(['--data', clips, '--portraits', clips], 2, /--portraits and --sources go with --protocol cross/),
      refuse(['--data', clips, '--inner-mouth', 'auto'], 2, /it would show the true result/),
      refuse(['--data', clips, '--checkpoint', model, '--size', '100'], 2, /must be a multiple of 128.*--size/),
    ]);
    await refuse(['--data', bare, ...checked], 1, /no folder 'test'; to evaluate on the former, name .*train/);
    await refuse(['--data', single, '--protocol', 'cross', ...checked], 1, /shows 'anna' alone.*folder of portraits/);
    await refuse(
      ['--data', clips, ...checked, '--identity-network', model],
      1,
      /tiny.safetensors: is not an ONNX model that can be run/,
    );
  });
});

test('clips to evaluate on are those in test, be it a folder or a link to one, with train and without', async () => {
  const linked = join(root, 'linked');
  mkdirSync(linked);
  const casesOf = async (data: string) => (await findCases(data, { protocol: 'self' })).map(({ name }) => name);
  const expected = ['test/anna/a', 'test/ben/b'];
  assert.deepEqual(await casesOf(clips), expected);
  symlinkSync(join(clips, 'test', 'anna'), join(linked, 'train'));
  await assert.rejects(casesOf(linked), /holds clips to train on and no folder 'test'/);
  symlinkSync(join(clips, 'test'), join(linked, 'test'));
  assert.deepEqual(await casesOf(linked), expected);
  rmSync(join(linked, 'train'));
  assert.deepEqual(await casesOf(linked), expected);
});

test('the copy of the source is a column by itself', async () => {
  const copy = copyOfSource();
  const picture = createPicture(4, 4);
  await assert.rejects(copy.render([picture]), /begin comes first/);
  await copy.begin(picture, { motion: 'absolute', adaptScale: false }, null);
  assert.deepEqual(await copy.render([createPicture(4, 4), createPicture(4, 4)]), [picture, picture]);
  await assert.rejects(run({ contestants: [changing('copy', same)] }), /two of the models are called 'copy'/);
});
