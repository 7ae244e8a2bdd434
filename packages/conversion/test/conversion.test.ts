// Networks in other formats as ONNX: they compute what their operations say.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onnxRuntime } from 'dagan/faces';
import { Builder } from 'flatbuffers';
import { tfjsToOnnx } from '../src/tfjs-to-onnx.js';
import { tfliteToOnnx } from '../src/tflite-to-onnx.js';

test('a converted TensorFlow.js network computes what its operations say', async () => {
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const window = (stride: number) => ({
    strides: { list: { i: ['1', `${stride}`, `${stride}`, '1'] } },
    dilations: { list: { i: ['1', '1', '1', '1'] } },
    padding: { s: base64('SAME') },
    data_format: { s: base64('NHWC') },
  });
  const graph = (operation = 'Relu') => ({
    modelTopology: {
      node: [
        { name: 'x', op: 'Placeholder', attr: { shape: { shape: { dim: [-1, 4, 3, 2].map((size) => ({ size })) } } } },
        { name: 'conv', op: 'Conv2D', input: ['x', 'kernel'], attr: window(2) },
        { name: 'add', op: 'Add', input: ['conv', 'bias'] },
        { name: 'act', op: operation, input: ['add'] },
        { name: 'cut', op: 'Minimum', input: ['act', 'six'] },
        { name: 'deep', op: 'DepthwiseConv2dNative', input: ['cut', 'deepKernel'], attr: window(1) },
        { name: 'mul', op: 'Mul', input: ['deep', 'bias'] },
        { name: 'mean', op: 'Mean', input: ['mul', 'axes'], attr: { keep_dims: { b: false } } },
        { name: 'unused', op: 'Einsum', input: ['mean'] },
      ],
    },
    weightsManifest: [
      {
        weights: [
          { name: 'kernel', shape: [3, 3, 2, 3], dtype: 'float32' },
          { name: 'bias', shape: [3], dtype: 'float32' },
          { name: 'six', shape: [], dtype: 'float32', quantization: { dtype: 'float16' } },
          { name: 'odd', shape: [1], dtype: 'float32', quantization: { dtype: 'float16' } },
          { name: 'deepKernel', shape: [3, 3, 3, 1], dtype: 'float32' },
          { name: 'axes', shape: [2], dtype: 'int32' },
        ],
      },
    ],
  });
  const value = (index: number): number => ((index * 29) % 17) / 4 - 2;
  const kernel = Float32Array.from({ length: 54 }, (_, index) => value(index + 5));
  const deepKernel = Float32Array.from({ length: 27 }, (_, index) => value(index + 11));
  const bias = Float32Array.of(0.5, -1, 2);
  const parts = [kernel, bias, Uint16Array.of(0x4600, 0x3c00), deepKernel, Int32Array.of(1, 2)];
  const weights = Buffer.concat(parts.map((part) => Buffer.from(part.buffer)));
  const outputs = [{ name: 'mean', shape: ['n', 3] }];
  const model = tfjsToOnnx(JSON.stringify(graph()), weights, { name: 'small', outputs });

  // The same by hand, height by width by channels; 4 x 3 pixels become 2 x 2.
  const input = Float32Array.from({ length: 24 }, (_, index) => value(index)); // h, w, c
  const pixel = (y: number, x: number, c: number): number =>
    y < 4 && x >= 0 && x < 3 ? input[(y * 3 + x) * 2 + c]! : 0;
  const cut = new Float32Array(12); // "same" with stride 2 pads 0 and 1 rows, 1 and 1 columns
  for (let at = 0; at < 12; at++) {
    const [y, x, to] = [Math.floor(at / 6), Math.floor(at / 3) % 2, at % 3];
    let sum = bias[to]!;
    for (let k = 0; k < 18; k++) {
      const [ky, kx, from] = [Math.floor(k / 6), Math.floor(k / 2) % 3, k % 2];
      sum += pixel(2 * y + ky, 2 * x + kx - 1, from) * kernel[((ky * 3 + kx) * 2 + from) * 3 + to]!;
    }
    cut[at] = Math.min(6, Math.max(0, sum));
  }
  const mean = [0, 1, 2].map((c) => {
    let sum = 0;
    for (let at = 0; at < 4 * 9; at++) {
      const [y, x, ky, kx] = [(at >> 1) & 1, at & 1, Math.floor(at / 4 / 3), Math.floor(at / 4) % 3];
      const [fromY, fromX] = [y + ky - 1, x + kx - 1];
      if (fromY < 0 || fromX < 0 || fromY > 1 || fromX > 1) continue;
      sum += cut[(fromY * 2 + fromX) * 3 + c]! * deepKernel[(ky * 3 + kx) * 3 + c]!;
    }
    return (sum * bias[c]!) / 4;
  });
  const planes = Float32Array.from({ length: 24 }, (_, index) => input[(index % 12) * 2 + Math.floor(index / 12)]!);
  const network = await onnxRuntime().load(model);
  assert.deepEqual(network.inputs, [{ name: 'x', shape: ['n', 2, 4, 3] }]);
  assert.deepEqual(network.outputs, [{ name: 'mean', shape: ['n', 3] }]);
  const result = await network.run({ x: { shape: [1, 2, 4, 3], data: planes } });
  await network.release();
  for (const [c, number] of mean.entries()) {
    assert.ok(Math.abs(result.mean!.data[c]! - number) < 1e-4, `${result.mean!.data[c]} is not ${number}`);
  }

  const convert = (description: object, bytes: Uint8Array, name = 'mean') =>
    tfjsToOnnx(JSON.stringify(description), bytes, { name: 'small', outputs: [{ name, shape: [] }] });
  assert.throws(() => convert(graph('Elu'), weights), /small: the operation Elu is not known/);
  assert.throws(() => convert(graph(), weights, 'unused'), /small: the operation Einsum is not known/);
  assert.throws(() => convert(graph(), weights, 'none'), /small: there is no value 'none'/);
  assert.throws(() => convert(graph(), weights.subarray(4)), /small: the constants take \d+ bytes or more, but/);
});

/** Makes a TensorFlow Lite file of one graph from plain descriptions. */
function buildTflite(model: {
  tensors: { name: string; shape: number[]; type: number; data?: Uint8Array }[];
  operators: {
    kind: number;
    inputs: number[];
    outputs: number[];
    options?: [field: number, value: number, byte?: boolean][];
  }[];
  inputs: number[];
  outputs: number[];
}): Uint8Array {
  const builder = new Builder(1024);
  const vector = (size: number, values: readonly number[], add: (value: number) => void): number => {
    builder.startVector(size, values.length, size);
    for (const value of [...values].reverse()) add(value);
    return builder.endVector();
  };
  const ints = (values: readonly number[]): number => vector(4, values, (value) => builder.addInt32(value));
  const offsets = (values: readonly number[]): number => vector(4, values, (value) => builder.addOffset(value));
  const table = (fields: number, fill: () => void): number => {
    builder.startObject(fields);
    fill();
    return builder.endObject();
  };
  const buffers = model.tensors.map(({ data }) => {
    const bytes = data && vector(1, [...data], (value) => builder.addInt8(value));
    return table(1, () => bytes !== undefined && builder.addFieldOffset(0, bytes, 0));
  });
  const tensors = model.tensors.map(({ name, shape, type }, index) => {
    const [text, sizes] = [builder.createString(name), ints(shape)];
    return table(4, () => {
      builder.addFieldOffset(0, sizes, 0);
      builder.addFieldInt8(1, type, 0);
      builder.addFieldInt32(2, index, 0);
      builder.addFieldOffset(3, text, 0);
    });
  });
  const kinds = [...new Set(model.operators.map(({ kind }) => kind))];
  const codes = kinds.map((kind) => table(4, () => builder.addFieldInt8(0, kind, 0)));
  const operators = model.operators.map(({ kind, inputs, outputs, options }) => {
    const [from, to] = [ints(inputs), ints(outputs)];
    const chosen =
      options &&
      table(8, () => {
        for (const [field, value, byte] of options) {
          if (byte) builder.addFieldInt8(field, value, 0);
          else builder.addFieldInt32(field, value, 0);
        }
      });
    return table(5, () => {
      builder.addFieldInt32(0, kinds.indexOf(kind), 0);
      builder.addFieldOffset(1, from, 0);
      builder.addFieldOffset(2, to, 0);
      if (chosen !== undefined) builder.addFieldOffset(4, chosen, 0);
    });
  });
  const parts = [offsets(tensors), ints(model.inputs), ints(model.outputs), offsets(operators)];
  const graph = table(4, () => {
    for (const [field, part] of parts.entries()) builder.addFieldOffset(field, part, 0);
  });
  const [allCodes, graphs, allBuffers] = [offsets(codes), offsets([graph]), offsets(buffers)];
  const root = table(5, () => {
    builder.addFieldInt32(0, 3, 0);
    builder.addFieldOffset(1, allCodes, 0);
    builder.addFieldOffset(2, graphs, 0);
    builder.addFieldOffset(4, allBuffers, 0);
  });
  builder.finish(root, 'TFL3');
  return builder.asUint8Array();
}

test('a converted network computes what its operations say, with "same" padding and half precision', async () => {
  const [height, width, channels, filters] = [5, 4, 2, 3];
  const value = (index: number): number => ((index * 37) % 19) / 8 - 1;
  const kernel = Float32Array.from({ length: filters * 9 * channels }, (_, index) => value(index + 3));
  const depthKernel = Float32Array.from({ length: 9 * filters }, (_, index) => value(index + 8));
  const bias = Float32Array.of(0.5, -0.25, 0.125);
  const slope = Float32Array.of(0.25, 0.5, -1);
  // These values are exact in half precision.
  const half = (values: Float32Array): Uint8Array => new Uint8Array(Uint16Array.from(values, toHalf).buffer);
  const raw = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer);
  const bytes = buildTflite({
    tensors: [
      { name: 'input', shape: [1, height, width, channels], type: 0 },
      { name: 'kernel16', shape: [filters, 3, 3, channels], type: 1, data: half(kernel) },
      { name: 'kernel', shape: [filters, 3, 3, channels], type: 0 },
      { name: 'bias', shape: [filters], type: 0, data: raw(bias) },
      { name: 'conv', shape: [1, 3, 2, filters], type: 0 },
      { name: 'depthKernel', shape: [1, 3, 3, filters], type: 0, data: raw(depthKernel) },
      { name: 'depth', shape: [1, 3, 2, filters], type: 0 },
      { name: 'slope', shape: [1, 1, filters], type: 0, data: raw(slope) },
      { name: 'prelu', shape: [1, 3, 2, filters], type: 0 },
      { name: 'pool', shape: [1, 2, 1, filters], type: 0 },
    ],
    operators: [
      { kind: 6, inputs: [1], outputs: [2] },
      {
        kind: 3,
        inputs: [0, 2, 3],
        outputs: [4],
        options: [
          [1, 2],
          [2, 2],
          [3, 1, true],
        ],
      },
      {
        kind: 4,
        inputs: [4, 5, 3],
        outputs: [6],
        options: [
          [1, 1],
          [2, 1],
          [3, 1],
        ],
      },
      { kind: 54, inputs: [6, 7], outputs: [8] },
      {
        kind: 17,
        inputs: [8],
        outputs: [9],
        options: [
          [1, 2],
          [2, 2],
          [3, 2],
          [4, 2],
        ],
      },
    ],
    inputs: [0],
    outputs: [9, 8],
  });
  const input = Float32Array.from({ length: height * width * channels }, (_, index) => value(index)); // h, w, c

  // The same by hand, height by width by channels. "Same" puts the odd row or column behind.
  const convolve = (
    source: Float32Array,
    [h, w, c]: [number, number, number],
    stride: number,
    weight: (ky: number, kx: number, from: number, to: number) => number,
  ): Float32Array => {
    const [outH, outW] = [Math.ceil(h / stride), Math.ceil(w / stride)];
    const before = (size: number, out: number): number => Math.floor(Math.max(0, (out - 1) * stride + 3 - size) / 2);
    const result = new Float32Array(outH * outW * filters);
    for (let y = 0; y < outH; y++) {
      for (let x = 0; x < outW; x++) {
        for (let to = 0; to < filters; to++) {
          let sum = bias[to]!;
          for (let ky = 0; ky < 3; ky++) {
            for (let kx = 0; kx < 3; kx++) {
              const [sy, sx] = [y * stride + ky - before(h, outH), x * stride + kx - before(w, outW)];
              if (sy < 0 || sx < 0 || sy >= h || sx >= w) continue;
              for (let from = 0; from < c; from++) sum += source[(sy * w + sx) * c + from]! * weight(ky, kx, from, to);
            }
          }
          result[(y * outW + x) * filters + to] = sum;
        }
      }
    }
    return result;
  };
  const conv = convolve(
    input,
    [height, width, channels],
    2,
    (ky, kx, from, to) => kernel[((to * 3 + ky) * 3 + kx) * channels + from]!,
  ).map((sum) => Math.max(0, sum));
  const depth = convolve(conv, [3, 2, filters], 1, (ky, kx, from, to) =>
    from === to ? depthKernel[(ky * 3 + kx) * filters + to]! : 0,
  );
  const prelu = depth.map((sum, index) => (sum < 0 ? sum * slope[index % filters]! : sum));
  const pool = Float32Array.from({ length: 2 * filters }, (_, index) => {
    const [row, channel] = [Math.floor(index / filters), index % filters];
    const rows = [2 * row, 2 * row + 1].filter((y) => y < 3);
    return Math.max(...rows.flatMap((y) => [0, 1].map((x) => prelu[(y * 2 + x) * filters + channel]!)));
  });

  const network = await onnxRuntime().load(tfliteToOnnx(bytes, 'small'));
  const planes = Float32Array.from({ length: input.length }, (_, index) => {
    const [channel, place] = [Math.floor(index / (height * width)), index % (height * width)];
    return input[place * channels + channel]!;
  });
  const outputs = await network.run({ input: { shape: [1, channels, height, width], data: planes } });
  await network.release();
  assert.deepEqual(outputs.prelu!.shape, [1, 3, 2, filters]);
  assert.deepEqual(outputs.pool!.shape, [1, 2, 1, filters]);
  for (const [name, expected] of Object.entries({ prelu, pool })) {
    for (const [index, number] of expected.entries()) {
      assert.ok(Math.abs(outputs[name]!.data[index]! - number) < 1e-5, `${name}[${index}]`);
    }
  }
  const unknown = buildTflite({
    tensors: [
      { name: 'input', shape: [1, 2], type: 0 },
      { name: 'output', shape: [1, 2], type: 0 },
    ],
    operators: [{ kind: 25, inputs: [0], outputs: [1] }],
    inputs: [0],
    outputs: [1],
  });
  assert.throws(() => tfliteToOnnx(unknown, 'softmax'), /softmax: the operation 25 is not known/);
});

/** Bits of a number that half precision holds exactly, other than 0 and below 2^-14. */
function toHalf(value: number): number {
  if (value === 0) return 0;
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | ((Math.abs(value) / 2 ** exponent - 1) * 1024);
}
