// Graphs that ONNX Runtime has prepared for this processor: made once, the same frames, never anybody else's.
import assert from 'node:assert/strict';
import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadOnnxEngine } from '../src/animation/engines/onnx-runtime.js';
import { type PreparedFrom, preparedGraphs } from '../src/animation/engines/prepared-graphs.js';
import { readManifest } from '../src/export/exported-folder.js';
import { defaultExport } from '../src/pipelines/default-model.js';
import { renderedHead } from '../src/pipelines/index.js';
import { temporaryFolder } from './media-fixtures.js';

const cache = await temporaryFolder();
const root = join(cache, 'dagan', 'prepared');
const starter = defaultExport()!;
const manifest = readManifest(starter);
const session = { executionProviders: ['cpu'], graphOptimizationLevel: 'all' } as const;
const from = { manifest, size: 256, int8: false, session, runtime: '1' };

process.env.XDG_CACHE_HOME = cache;
const absent = platform() !== 'linux' && 'graphs are prepared on Linux alone';

/** Writes as preparing does, but at once. */
const written = (text: string) => (folder: string) => writeFile(join(folder, 'drive.onnx'), text);
const readDrive = async (folder: string | undefined) => readFile(join(folder!, 'drive.onnx'), 'utf8');

test('prepared graphs paint the same frames, bit for bit, and are made once', { skip: absent }, async () => {
  const { portrait, frames } = renderedHead(2);
  const painted = async (checked = false): Promise<Uint8Array[]> => {
    const engine = await loadOnnxEngine(starter, { threads: 1, size: 256 }, { checked });
    await engine.setSource(portrait);
    const seen = await engine.drive(frames);
    const pictures = await engine.generate([seen[1]!.keypoints]);
    engine.dispose();
    return pictures.map(({ data }) => data);
  };
  const straight = await painted(true); // an engine that checks nothing makes nothing either
  assert.deepEqual(await readdir(cache), []);
  const first = await painted();
  const [folder, ...others] = await readdir(root);
  assert.deepEqual(others, []);
  const names = (await readdir(join(root, folder!))).sort();
  const graphs = ['drive.onnx', 'generate.onnx', 'source.onnx'];
  assert.deepEqual(names, [...graphs.flatMap((name) => [name, `${name}.weights`]), 'files.json'].sort());
  const list = await readFile(join(root, folder!, 'files.json'), 'utf8');
  assert.deepEqual([await painted(), await painted(true)], [first, first]);
  assert.deepEqual(first, straight);
  assert.equal(await readFile(join(root, folder!, 'files.json'), 'utf8'), list);

  await rm(join(root, folder!, 'source.onnx.weights'));
  assert.deepEqual(await painted(true), straight, 'what cannot be loaded is not missed');
  await rm(root, { recursive: true });
});

test('each model, size, arithmetic, runtime and way to optimise has prepared graphs of its own', {
  skip: absent,
}, async () => {
  const otherwise = (more: PreparedFrom['session']): PreparedFrom => ({ ...from, session: { ...session, ...more } });
  const kinds: PreparedFrom[] = [
    from,
    { ...from, manifest: { ...manifest, metadata: { name: 'another' } } },
    { ...from, size: 512 },
    { ...from, int8: true },
    { ...from, runtime: '2' },
    otherwise({ graphOptimizationLevel: 'basic' }),
    otherwise({ executionProviders: ['webgpu', 'cpu'] }),
    otherwise({ extra: { session: { x64quantprecision: '1' } } }),
  ];
  const folders = new Set<string | undefined>();
  for (const kind of kinds) folders.add(await preparedGraphs(kind, written('x')));
  assert.equal(folders.size, kinds.length);
  assert.ok(!folders.has(undefined));
  await rm(root, { recursive: true });
});

test('prepared graphs that were damaged are made again; those that are whole are kept', { skip: absent }, async () => {
  const folder = await preparedGraphs(from, written('first'));
  assert.equal(await readDrive(await preparedGraphs(from, written('second'))), 'first');
  await writeFile(join(folder!, 'drive.onnx'), 'firs');
  assert.equal(await readDrive(await preparedGraphs(from, written('third'))), 'third');
  assert.equal(await preparedGraphs(from), folder, 'found without a look at them');
  assert.equal(await preparedGraphs({ ...from, runtime: '2' }), undefined);
  await rm(root, { recursive: true });
});

test('the graphs of three models are kept, those that were used last', { skip: absent }, async () => {
  const folders: (string | undefined)[] = [];
  for (const [age, runtime] of ['a', 'b', 'c'].entries()) {
    folders.push(await preparedGraphs({ ...from, runtime }, written(runtime)));
    const time = new Date(Date.now() - (10 - age) * 60_000);
    await utimes(folders[age]!, time, time);
  }
  await preparedGraphs({ ...from, runtime: 'a' }, written('x')); // used again
  const last = await preparedGraphs({ ...from, runtime: 'd' }, written('d'));
  const names = (await readdir(root)).map((name) => join(root, name));
  assert.deepEqual(names.sort(), [folders[0]!, folders[2]!, last!].sort());
  await rm(root, { recursive: true });
});

test('where graphs cannot be prepared nothing is left and nothing fails', { skip: absent }, async () => {
  const fails = () => Promise.reject(new Error('no room'));
  assert.equal(await preparedGraphs(from, fails), undefined);
  assert.deepEqual(await readdir(root), []);
  await rm(root, { recursive: true });
  await writeFile(root, 'a file in the way');
  assert.equal(await preparedGraphs(from, written('x')), undefined);
  const engine = await loadOnnxEngine(starter, { threads: 1, size: 256 });
  assert.equal(engine.size, 256);
  engine.dispose();
  await rm(root);
});
