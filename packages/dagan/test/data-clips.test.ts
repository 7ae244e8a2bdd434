/** Finding the clips of a data set: layouts, lists, identities, filters, held-out identities, and what is refused. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { type Dataset, type DatasetOptions, holdOut, identitiesOf, openDataset } from '../src/data/index.js';
import { MediaError } from '../src/media/index.js';
import { temporaryFolder } from './media-fixtures.js';
import { sharedMissing, sharedPath } from './shared.js';

const folder = await temporaryFolder();

/** A root with these files, which are empty: clips are not opened here. */
async function rootWith(...files: string[]): Promise<string> {
  const root = await mkdtemp(join(folder, 'set-'));
  for (const file of files) {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), '');
  }
  return root;
}

const shown = ({ clips }: Dataset) => Object.fromEntries(clips.map(({ name, identity }) => [name, identity]));

/** The reason why a data set is refused; the error must name `culprit`. */
async function refusal(root: string, options: DatasetOptions = {}, culprit = root): Promise<string> {
  try {
    await openDataset(root, options);
  } catch (error) {
    assert(error instanceof MediaError, String(error));
    assert.equal(error.path, culprit);
    return error.reason;
  }
  return assert.fail('the data set was opened');
}

test('clips are videos and folders of pictures, at any depth, and their names tell whom they show', async () => {
  const root = await rootWith(
    'train/anna_01.mp4',
    'train/anna_02.webm',
    'train/bert.mov',
    'train/id10270#5r0dWxy17C8#003#1.mp4/0000000.png',
    'train/id10270#5r0dWxy17C8#003#1.mp4/0000001.png',
    'train/id10270#x#1.mp4',
    'train/carl_7/0.jpg',
    'train/dora/talk/0001.mp4',
    'train/dora/talk/poster.png',
    'train/dora/song/0.png',
    'train/.hidden/0.mp4',
    'train/notes.txt',
    'test/eve_01.mp4',
  );
  assert.deepEqual(shown(await openDataset(root)), {
    'train/anna_01.mp4': 'anna',
    'train/anna_02.webm': 'anna',
    'train/bert.mov': 'bert',
    'train/carl_7': 'carl',
    'train/dora/song': 'dora',
    'train/dora/talk/0001.mp4': 'dora',
    'train/id10270#5r0dWxy17C8#003#1.mp4': 'id10270',
    'train/id10270#x#1.mp4': 'id10270',
  });
  const { clips } = await openDataset(root);
  assert.deepEqual(
    clips.filter(({ kind }) => kind === 'folder').map(({ name }) => name),
    ['train/carl_7', 'train/dora/song', 'train/id10270#5r0dWxy17C8#003#1.mp4'],
  );
  assert(clips.every(({ path, name }) => path === join(root, name)));
  assert.deepEqual(shown(await openDataset(root, { split: 'test' })), { 'test/eve_01.mp4': 'eve' });
});

test('a folder of clips without train and test is a training set', async () => {
  const clips = await rootWith('anna_01.mp4', 'bert/1.mp4', 'bert/2.mp4');
  const expected = { 'anna_01.mp4': 'anna', 'bert/1.mp4': 'bert', 'bert/2.mp4': 'bert' };
  assert.deepEqual(shown(await openDataset(clips)), expected);
  assert.match(await refusal(clips, { split: 'test' }), /has no folder 'test'/);
});

test('symbolic links to folders and files are what they lead to, and one that leads nowhere is named', async () => {
  const store = await rootWith('talks/anna_01.mp4', 'talks/bert/1.mp4', 'id7#x#1/0.png', 'eve_01.mp4');
  const root = await rootWith('train/carl.mp4');
  const links: [string, string][] = [
    ['talks', 'test'],
    ['talks/bert', 'train/dora'],
    ['id7#x#1', 'train/id7#x#1'],
    ['eve_01.mp4', 'train/eve_09.mp4'],
  ];
  for (const [target, link] of links) await symlink(join(store, target), join(root, link));
  assert.deepEqual(shown(await openDataset(root)), {
    'train/carl.mp4': 'carl',
    'train/dora/1.mp4': 'dora',
    'train/eve_09.mp4': 'eve',
    'train/id7#x#1': 'id7',
  });
  const tested = await openDataset(root, { split: 'test' });
  assert.deepEqual(shown(tested), { 'test/anna_01.mp4': 'anna', 'test/bert/1.mp4': 'bert' });
  assert.equal(tested.clips[0]!.path, join(root, 'test/anna_01.mp4'));

  const gone = join(root, 'train/gone.mp4');
  await symlink(join(store, 'gone.mp4'), gone);
  assert.match(await refusal(root, {}, gone), /is a link that cannot be followed: no such file or folder/);
  await symlink(store, join(store, 'talks/back'));
  const circle = join(root, 'test/back/talks');
  assert.match(await refusal(root, { split: 'test' }, circle), /is a link to a folder that it lies in: remove it/);
});

test('an index gives identity, tier and motion, and clips are chosen by tier and identity', async () => {
  const root = await rootWith('train/a.mp4', 'train/b.mp4', 'train/c.mp4');
  const index = [
    { file: 'train/a.mp4', id: 'one', tier: 'A', motion: 0.25, crop: [0, 0, 1, 1] },
    { file: 'train/b.mp4', identity: 'one', tier: 'B' },
    { file: 'train/gone.mp4', id: 'nobody' },
  ];
  await writeFile(join(root, 'index.json'), JSON.stringify(index));
  const all = await openDataset(root);
  assert.deepEqual(shown(all), { 'train/a.mp4': 'one', 'train/b.mp4': 'one', 'train/c.mp4': 'c' });
  assert.deepEqual([all.clips[0]!.tier, all.clips[0]!.motion, all.clips[2]!.tier], ['A', 0.25, undefined]);
  assert.deepEqual(Object.keys(shown(await openDataset(root, { tiers: ['B', 'C'] }))), ['train/b.mp4']);
  assert.deepEqual(Object.keys(shown(await openDataset(root, { identities: ['c'] }))), ['train/c.mp4']);
  assert.match(await refusal(root, { tiers: ['Z'] }), /none of its 3 clips is chosen: they are of tier A, B, none/);
  assert.match(await refusal(root, { identities: ['c', 'dora'] }), /no clip of the identity 'dora'/);
});

test('a list names the clips, as text or as a table with identities and tiers', async () => {
  const root = await rootWith('train/a.mp4', 'more/b_1.mp4', 'frames/c/0.png', 'train/not-listed.mp4');
  const text = join(folder, 'list.txt');
  await writeFile(text, 'train/a.mp4\r\n\n./frames/c/\nmore/b_1.mp4\n');
  const listed = await openDataset(root, { list: text });
  assert.deepEqual(shown(listed), { 'frames/c': 'frames', 'more/b_1.mp4': 'more', 'train/a.mp4': 'a' });
  assert.deepEqual(
    listed.clips.map(({ kind }) => kind),
    ['folder', 'video', 'video'],
  );
  const table = join(folder, 'list.csv');
  await writeFile(table, 'tier,File,identity\nA,train/a.mp4,"Smith, ""Jo"""\n,more/b_1.mp4,\n');
  const { clips } = await openDataset(root, { list: table });
  assert.deepEqual(
    clips.map(({ name, identity, tier }) => [name, identity, tier]),
    [
      ['more/b_1.mp4', 'more', undefined],
      ['train/a.mp4', 'Smith, "Jo"', 'A'],
    ],
  );
});

test('what is wrong with a list is told with its line', async () => {
  const root = await rootWith('train/a.mp4');
  const reason = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return refusal(root, { list: join(folder, name) }, join(folder, name));
  };
  assert.match(await reason('gone.txt', 'train/a.mp4\ntrain/b.mp4\n'), /line 2: train\/b\.mp4 .*no such file/);
  assert.match(
    await reason('twice.txt', 'train/a.mp4\n\ntrain/../train/a.mp4'),
    /line 3: train\/a\.mp4 is listed twice/,
  );
  assert.match(await reason('out.txt', '../secret.mp4'), /line 1: '\.\.\/secret\.mp4' is not a path below/);
  assert.match(await reason('absolute.txt', join(root, 'train/a.mp4')), /line 1: .* is not a path below/);
  assert.match(await reason('bad.csv', 'name,id\ntrain/a.mp4,x\n'), /no column 'file' but name, id/);
  assert.match(await reason('empty.txt', '\n'), /holds no clips/);
  assert.match(await refusal(root, { list: join(folder, 'no-list.txt') }, join(folder, 'no-list.txt')), /no such file/);
});

test('a root that is missing, bare or comes with a broken index is refused with the reason', async () => {
  const missing = join(folder, 'missing');
  assert.match(await refusal(missing), /no such file or folder/);
  assert.match(await refusal(await rootWith('notes.txt')), /has no folder 'train'/);
  const empty = await rootWith('train/notes.txt');
  assert.match(await refusal(empty, {}, join(empty, 'train')), /holds no clips/);
  const root = await rootWith('train/a.mp4');
  const index = join(root, 'index.json');
  for (const [content, reason] of [
    ['[{"file": "a"', /cannot be read as an index/],
    ['{"file": "a"}', /an array of objects/],
    ['[{"file": "a"}, {"id": "x"}]', /entry 1 has no 'file'/],
    ['[null]', /entry 0 has no 'file'/],
    ['[{"file": "a", "motion": "much"}]', /entry 0: 'motion' must be a number, not "much"/],
    [`[{"file": "a", "motion": "${'much'.repeat(2000)}"}]`, /^.{0,400}'motion' must be a number, not "much.{0,100}$/],
  ] as const) {
    await writeFile(index, content);
    assert.match(await refusal(root, {}, index), reason);
  }
});

test('held-out identities share nobody with the rest, are the same every time and change with the seed', async () => {
  const names = Array.from({ length: 20 }, (_, i) => [`train/p${i}x_1.mp4`, `train/p${i}x_2.mp4`]).flat();
  const dataset = await openDataset(await rootWith(...names));
  const { training, heldOut } = holdOut(dataset, { fraction: 0.2, seed: 5 });
  assert.equal(identitiesOf(heldOut).length, 4);
  assert.equal(heldOut.clips.length, 8);
  assert.deepEqual([...identitiesOf(training), ...identitiesOf(heldOut)].sort(), identitiesOf(dataset));
  assert.deepEqual(holdOut(dataset, { fraction: 0.2, seed: 5 }), { training, heldOut });
  const others = [1, 2, 3].map((seed) => identitiesOf(holdOut(dataset, { fraction: 0.2, seed }).heldOut).join());
  assert(new Set(others).size > 1);

  const pair = await openDataset(await rootWith('train/a.mp4', 'train/b.mp4'));
  assert.equal(holdOut(pair, { fraction: 0.01 }).heldOut.clips.length, 1);
  assert.equal(holdOut(pair, { fraction: 0.99 }).training.clips.length, 1);
  assert.throws(() => holdOut(pair, { fraction: 1 }), RangeError);
  const alone = await openDataset(await rootWith('train/a_1.mp4', 'train/a_2.mp4'));
  assert.throws(() => holdOut(alone), /has only the identity 'a'/);
});

test('a real data set with an index: every clip has its identity and tier', { skip: sharedMissing }, async () => {
  const dataset = await openDataset(sharedPath('dataset'));
  const test = await openDataset(sharedPath('dataset'), { split: 'test' });
  assert.deepEqual([dataset.clips.length, identitiesOf(dataset).length], [118, 74]);
  assert.deepEqual([test.clips.length, identitiesOf(test).length], [16, 11]);
  assert(dataset.clips.every(({ tier, motion }) => tier !== undefined && motion !== undefined));
  const people = new Set(identitiesOf(dataset));
  assert(!identitiesOf(test).some((identity) => people.has(identity)));
  const open = await openDataset(sharedPath('dataset'), { tiers: ['A', 'B'] });
  assert.deepEqual([...new Set(open.clips.map(({ tier }) => tier))].sort(), ['A', 'B']);
});
