// Convolutions of 8 bits: what they compute stays near to float32, and who asks for them gets them.
import assert from 'node:assert/strict';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  decodeOnnx,
  encodeOnnx,
  type OnnxModel,
  type OnnxRange,
  quantizeConvolutions,
  rangeOutputs,
  tensorsToObserve,
  withRanges,
} from '@dagan/libtorch/onnx';
import { exactIn8Bits, loadOnnxEngine } from '../src/animation/engines/onnx-runtime.js';
import { exportedFiles, exportModel, readManifest } from '../src/export/index.js';
import { writePicture } from '../src/media/index.js';
import { loadOnnxRuntime } from '../src/onnx-runtime.js';
import { runtimeOfExported } from '../src/pipelines/choose-engine.js';
import { addInt8, renderedHead } from '../src/pipelines/index.js';
import { parseProcessorFeatures, processorFeatures } from '../src/processor.js';
import { TRAINING_PRESETS } from '../src/training/index.js';
import { dagan } from './cli-run.js';
import { psnr, temporaryFolder } from './media-fixtures.js';
import { formulaModel, narrow } from './small-models.js';

const folder = await temporaryFolder();

/** Numbers from -1 to 1 that are the same in every run. */
const scatter = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 2 * (x - Math.floor(x)) - 1;
  });

/** Two convolutions, a ReLU between them; the second has an odd number of channels and no bias. */
const TWO: OnnxModel = {
  name: 'two',
  opset: 17,
  inputs: [{ name: 'x', shape: [1, 16, 'height', 12] }],
  outputs: [{ name: 'y', shape: [1, 5, 'height', 12] }],
  initializers: [
    { name: 'first', shape: [24, 16, 3, 3], data: scatter(24 * 16 * 9, 1) },
    { name: 'bias', shape: [24], data: scatter(24, 2) },
    { name: 'second', shape: [5, 24, 1, 1], data: scatter(5 * 24, 3).fill(0, 0, 24) },
  ],
  nodes: [
    {
      ...{ operator: 'Conv', inputs: ['x', 'first', 'bias'], outputs: ['sum'] },
      attributes: { pads: { ints: [1, 1, 1, 1] } },
    },
    { operator: 'Relu', inputs: ['sum'], outputs: ['kept'] },
    { operator: 'Conv', inputs: ['kept', 'second'], outputs: ['y'], attributes: { group: { int: 1 } } },
  ],
};

async function run(model: OnnxModel, data: Float32Array): Promise<Record<string, Float32Array>> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime();
  const session = await InferenceSession.create(encodeOnnx(model), {
    ...{ intraOpNumThreads: 1, logSeverityLevel: 3 },
    extra: { session: exactIn8Bits() },
  });
  const results = await session.run({ x: new Tensor('float32', data, [1, 16, 10, 12]) });
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, { data: values }]) => [name, values as Float32Array]));
}

async function observed(model: OnnxModel, data: Float32Array): Promise<Map<string, OnnxRange>> {
  const tensors = tensorsToObserve(model, () => true);
  const seen = await run(withRanges(model, tensors), data);
  return new Map(
    tensors.map((tensor) => {
      const { least, greatest } = rangeOutputs(tensor);
      const numbers = (name: string): number[] => Array.from(seen[name] as Float32Array);
      return [tensor, { least: numbers(least), greatest: numbers(greatest) }];
    }),
  );
}

test('what is written of a graph is read again, byte for byte', () => {
  const bytes = encodeOnnx(TWO);
  const read = decodeOnnx(bytes);
  assert.deepEqual(encodeOnnx(read), bytes);
  assert.deepEqual(read.nodes[0]!.inputs, ['x', 'first', 'bias']);
  assert.throws(() => decodeOnnx(bytes.subarray(0, bytes.length - 20)), Error);
});

test('convolutions of 8 bits are those of float32 to a few steps, with any number of channels', async () => {
  const data = scatter(16 * 10 * 12, 4);
  const ranges = await observed(TWO, data);
  assert.deepEqual([...ranges.keys()], ['x', 'kept', 'y'], 'a ReLU is part of the convolution before it');
  assert.ok(ranges.get('kept')!.least.every((least) => least === 0));
  assert.deepEqual(
    [...ranges.values()].map(({ greatest }) => greatest.length),
    [16, 24, 5],
    'of every channel',
  );
  const rounded = quantizeConvolutions(TWO, { ranges, chosen: () => true });
  const [exact, near] = [(await run(TWO, data)).y!, (await run(rounded, data)).y!];
  const { least, greatest } = ranges.get('y')!;
  const step = (Math.max(...greatest) - Math.min(...least)) / 255;
  const errors = [...exact].map((value, i) => Math.abs(Number(value) - Number(near[i])) / step);
  assert.ok(Math.max(...errors) < 8 && Math.max(...errors) > 0, `${Math.max(...errors)} steps off`);
  assert.ok(
    [...near.subarray(0, 120)].every((value) => value === 0),
    'a channel without weights stays 0',
  );

  const one = quantizeConvolutions(TWO, { ranges, chosen: (name) => name === 'sum' });
  assert.equal(one.nodes.filter(({ operator }) => operator === 'QuantizeLinear').length, 3, 'x, weights, what is kept');
  assert.throws(
    () => quantizeConvolutions(TWO, { ranges: new Map(), chosen: () => true }),
    /range of the tensor 'kept'/,
  );
});

/** A convolution whose channels are of very different size, and what reads them: a sigmoid, or an output. */
function unequal(behind: OnnxModel['nodes']): OnnxModel {
  const sizes = [0.01, 0.1, 1, 10];
  return {
    ...{ name: 'unequal', opset: 17, inputs: [{ name: 'x', shape: [1, 16, 'height', 12] }] },
    outputs: [{ name: 'y', shape: [1, 'channels', 'rows', 'columns'] }],
    initializers: [
      {
        name: 'kernel',
        shape: [4, 16, 1, 1],
        data: scatter(4 * 16, 5).map((value, i) => value * sizes[Math.floor(i / 16)]!),
      },
    ],
    nodes: [{ operator: 'Conv', inputs: ['x', 'kernel'], outputs: ['sum'] }, ...behind],
  };
}

test('channels of a mask keep steps of their own', async () => {
  const data = scatter(16 * 10 * 12, 6);
  const model = unequal([{ operator: 'Neg', inputs: ['sum'], outputs: ['y'] }]);
  const rounded = quantizeConvolutions(model, { ranges: await observed(model, data), chosen: () => true });
  const [exact, near] = [(await run(model, data)).y!, (await run(rounded, data)).y!];
  for (let channel = 0; channel < 4; channel++) {
    const part = (values: Float32Array): Float32Array => values.subarray(channel * 120, (channel + 1) * 120);
    const most = Math.max(...part(exact).map(Math.abs));
    const error = Math.max(...part(exact).map((value, i) => Math.abs(value - part(near)[i]!)));
    assert.ok(error > 0 && error < most / 30, `channel ${channel}: ${error} of ${most}`);
  }
});

test('what a sigmoid takes needs no range: numbers beyond those that were seen come out as well', async () => {
  const data = scatter(16 * 10 * 12, 7);
  const model = unequal([
    { operator: 'DepthToSpace', inputs: ['sum'], outputs: ['larger'], attributes: { blocksize: { int: 2 } } },
    { operator: 'Sigmoid', inputs: ['larger'], outputs: ['y'] },
  ]);
  const ranges = (await observed(model, data)).set('sum', { least: [0, 0, 0, 0], greatest: [0, 0, 0, 0] });
  const rounded = quantizeConvolutions(model, { ranges, chosen: () => true });
  const [exact, near] = [(await run(model, data)).y!, (await run(rounded, data)).y!];
  const error = Math.max(...exact.map((value, i) => Math.abs(value - near[i]!)));
  assert.ok(error > 0 && error < 0.1, `${error}`);
});

test('what moves from convolutions to a convolution stays bytes', async () => {
  const shape = (name: string, values: readonly number[]) => ({
    ...{ name, shape: [values.length], data: BigInt64Array.from(values, BigInt) },
  });
  const model: OnnxModel = {
    ...{ name: 'moving', opset: 17, inputs: TWO.inputs, outputs: [{ name: 'y', shape: [1, 8, 'rows', 'columns'] }] },
    initializers: [
      { name: 'first', shape: [32, 16, 1, 1], data: scatter(32 * 16, 9) },
      { name: 'second', shape: [8, 16, 1, 1], data: scatter(8 * 16, 10) },
      ...[shape('from', [1]), shape('to', [-1]), shape('axis', [2])],
    ],
    nodes: [
      { operator: 'Conv', inputs: ['x', 'first'], outputs: ['many'] },
      { operator: 'DepthToSpace', inputs: ['many'], outputs: ['larger'], attributes: { blocksize: { int: 2 } } },
      { operator: 'Relu', inputs: ['larger'], outputs: ['kept'] },
      { operator: 'Concat', inputs: ['kept', 'kept'], outputs: ['both'], attributes: { axis: { int: 1 } } },
      { operator: 'Slice', inputs: ['both', 'from', 'to', 'axis'], outputs: ['inner'] },
      { operator: 'Conv', inputs: ['inner', 'second'], outputs: ['y'] },
    ],
  };
  const data = scatter(16 * 10 * 12, 12);
  const rounded = quantizeConvolutions(model, { ranges: await observed(model, data), chosen: () => true });
  const numbers = rounded.nodes
    .filter(({ operator }) => operator === 'DequantizeLinear')
    .map(({ outputs }) => outputs[0]!);
  assert.ok(
    ['larger', 'kept', 'both'].every((name) => !numbers.includes(name)),
    `${numbers}`,
  );
  const [exact, near] = [(await run(model, data)).y!, (await run(rounded, data)).y!];
  const most = Math.max(...exact.map(Math.abs));
  const error = Math.max(...exact.map((value, i) => Math.abs(value - near[i]!)));
  assert.ok(error > 0 && error < most / 20, `${error} of ${most}`);
});

test('an export in int8 paints nearly the same frames, on the same weights', async () => {
  const exported = join(folder, 'exported');
  using model = formulaModel(narrow(TRAINING_PRESETS['starter-256'].model));
  await exportModel(model, exported, { weights: 'float16' });
  const before = readManifest(exported);
  const { portrait, frames } = renderedHead(3);
  await writePicture(join(folder, 'head.png'), portrait);
  const manifest = await addInt8(exported, { portraits: [join(folder, 'head.png')], crop: { kind: 'none' } });
  assert.deepEqual(readManifest(exported), manifest);
  assert.deepEqual({ ...manifest, int8: undefined }, { ...before, int8: undefined });
  assert.ok(exportedFiles(manifest).some(({ file }) => file === 'generate-int8.onnx'));
  assert.ok(manifest.int8!.bytes < 400_000, 'it holds no weights');
  const painted = async (int8: boolean) => {
    const engine = await loadOnnxEngine(exported, { threads: 1, int8 });
    await engine.setSource(portrait);
    const pictures = await engine.generate((await engine.drive(frames)).map(({ keypoints }) => keypoints));
    const { description } = engine;
    engine.dispose();
    return { pictures, description };
  };
  const [exact, near] = [await painted(false), await painted(true)];
  assert.match(near.description, /int8/);
  for (const [i, picture] of exact.pictures.entries()) {
    const ratio = psnr(near.pictures[i]!, picture);
    assert.ok(ratio > 40 && Number.isFinite(ratio), `frame ${i}: ${ratio} dB`);
  }

  await cp(exported, join(folder, 'damaged'), { recursive: true });
  const file = join(folder, 'damaged', 'generate-int8.onnx');
  const bytes = await readFile(file);
  await writeFile(file, bytes.subarray(1));
  await assert.rejects(loadOnnxEngine(join(folder, 'damaged')), /generate-int8\.onnx is not the file/);

  const words = ['animate', 'head.png', 'nod', '--crop', 'none', '--end', '2', '--threads', '1', '--precision', 'int8'];
  const made = await dagan(folder, [...words, '-o', 'int8/', '--checkpoint', 'exported']);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stderr, /ONNX Runtime [\d.]+, cpu, int8, 1 threads/);

  await exportModel(model, exported);
  assert.equal(readManifest(exported).int8, undefined);
  await assert.rejects(readFile(join(exported, 'generate-int8.onnx')), /ENOENT/, 'what an earlier export left is gone');
  const refused = await dagan(folder, [...words, '-o', 'none/', '--checkpoint', 'exported']);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /exported was exported in float32: leave --precision out, or export it anew/);
  await rm(exported, { recursive: true });
});

test('kernels that do without dot products of 8 bits are taken where there are none, and nowhere else', () => {
  const settings = (flags: string) => exactIn8Bits(parseProcessorFeatures(flags));
  assert.deepEqual(settings('avx2 avx512f'), { x64quantprecision: '1' });
  for (const vnni of ['avx_vnni', 'avx512_vnni']) assert.deepEqual(settings(`avx2 ${vnni}`), {}, vnni);
});

test('an export in int8 goes before bfloat16 where there are no matrix units', () => {
  const asked = { engine: 'auto', device: 'auto', precision: 'auto', int8: true } as const;
  const { amxBf16 } = processorFeatures();
  assert.equal(
    runtimeOfExported(asked, () => 0),
    amxBf16 ? 'libtorch' : 'onnx',
  );
  assert.equal(
    runtimeOfExported({ ...asked, precision: 'int8' }, () => 1),
    'onnx',
  );
  assert.equal(
    runtimeOfExported(asked, () => 1),
    'libtorch',
    'a GPU is faster',
  );
});

test('export says that int8 wants portraits, and that portraits are for int8', async () => {
  for (const words of [
    ['--precision', 'int8'],
    ['--calibrate', 'head.png'],
  ]) {
    const { code, stderr } = await dagan(folder, ['export', '-o', 'x', ...words]);
    assert.equal(code, 2);
    assert.match(stderr, /--precision int8 and --calibrate PORTRAIT\.\.\. go together/);
  }
});
