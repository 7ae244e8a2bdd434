// Constants in half precision: only where nothing is lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeOnnx, readOnnxConstants } from '@dagan/libtorch/onnx';
import { narrow, widen } from '../src/half-precision.js';
import { OnnxParts } from '../src/onnx-parts.js';

test('every number of half precision but NaN comes back as it was', () => {
  const bits = Uint16Array.from({ length: 2 ** 16 }, (_, each) => each).filter((each) => {
    const [exponent, fraction] = [(each >> 10) & 31, each & 1023];
    return exponent !== 31 || fraction === 0;
  });
  assert.deepEqual(narrow(widen(bits)), bits);
  assert.equal(narrow(Float32Array.of(1, 0.1)), undefined);
  assert.equal(narrow(Float32Array.of(65536)), undefined);
  assert.equal(narrow(Float32Array.of(NaN)), undefined);
});

test('a model holds long constants in half precision where that is exact, and reads back by name', () => {
  const parts = new OnnxParts();
  const exact = Float32Array.from({ length: 200 }, (_, at) => at / 8);
  const inexact = Float32Array.from({ length: 200 }, (_, at) => at / 10);
  parts.constant([2, 100], exact, 'exact');
  parts.constant([200], inexact, 'inexact');
  parts.constant([2], exact.subarray(0, 2), 'short');
  const { initializers, nodes } = parts;
  const model = encodeOnnx({ name: 'small', opset: 16, inputs: [], outputs: [], initializers, nodes });
  const constants = readOnnxConstants(model);
  assert.deepEqual([...constants.keys()], ['exact/float16', 'inexact', 'short']);
  const { shape, type, bytes } = constants.get('exact/float16')!;
  assert.deepEqual([shape, type], [[2, 100], 'float16']);
  assert.deepEqual(widen(new Uint16Array(new Uint8Array(bytes).buffer)), exact);
  assert.equal(constants.get('inexact')!.type, 'float32');
  assert.throws(() => readOnnxConstants(model.subarray(0, model.length - 20)), Error);
});
