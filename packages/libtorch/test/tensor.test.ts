// Tensors in and out of JavaScript, their facts, and the methods against plain arithmetic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  arange,
  buildInfo,
  cat,
  eye,
  full,
  getThreads,
  linspace,
  manualSeed,
  meshgrid,
  ones,
  rand,
  randn,
  randomState,
  run,
  setRandomState,
  setThreads,
  stack,
  type Tensor,
  tensor,
  where,
  zeros,
} from '../src/index.js';

test('nested arrays, numbers and typed arrays become tensors of their shape and dtype', () => {
  assert.deepEqual(
    tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]).shape,
    [2, 3],
  );
  assert.equal(tensor([1]).dtype, 'float32');
  assert.deepEqual(tensor(7).shape, []);
  assert.equal(tensor(7).item(), 7);
  assert.deepEqual(tensor([[], []]).shape, [2, 0]);
  assert.equal(tensor([1, 0, 2], { dtype: 'bool' }).dtype, 'bool');
  assert.deepEqual(tensor([1, 0, 2], { dtype: 'bool' }).toArray(), [1, 0, 1]);
  assert.deepEqual(tensor(new Float32Array(6), { shape: [2, 3] }).shape, [2, 3]);
  assert.equal(tensor(new BigInt64Array([1n, 2n])).dtype, 'int64');
  assert.deepEqual(tensor(new Float32Array([1.9, -1.9]), { dtype: 'int32' }).toArray(), [1, -1]);
});

test('ragged nested arrays are refused, also where the number of elements would fit', () => {
  assert.throws(() => tensor([[1, 2], [3]]), /same length/);
  assert.throws(() => tensor([[1, 2], [3], [4, 5, 6]]), /same length/);
  assert.throws(() => tensor([1, [2, 3]]), /same length/);
  assert.throws(() => tensor([[1], 2] as never), /same length/);
  assert.throws(() => tensor(['a'] as never), /must hold numbers, not string/);
});

test('every dtype comes back bit by bit as the typed array that holds it', () => {
  const samples = [
    ['float64', new Float64Array([1.1, -0, Number.NaN, Infinity])],
    ['float32', new Float32Array([1.1, -0, Number.NaN, Infinity])],
    ['float16', new Uint16Array([0x3c00, 0x7c00, 0x8000, 1])],
    ['bfloat16', new Uint16Array([0x3f80, 0x7f80, 0x8000, 1])],
    ['int64', new BigInt64Array([2n ** 63n - 1n, -(2n ** 63n), 0n, 1n])],
    ['int32', new Int32Array([2 ** 31 - 1, -(2 ** 31), 0, 1])],
    ['int16', new Int16Array([32767, -32768, 0, 1])],
    ['int8', new Int8Array([127, -128, 0, 1])],
    ['uint8', new Uint8Array([255, 128, 0, 1])],
    ['bool', new Uint8Array([1, 0, 0, 1])],
  ] as const;
  for (const [dtype, data] of samples) {
    const made = tensor(data, { shape: [2, 2], dtype });
    assert.equal(made.dtype, dtype);
    assert.deepEqual(made.toTypedArray(), data);
    const target = data.slice();
    new Uint8Array(target.buffer).fill(0);
    made.copyToData(target);
    assert.deepEqual(target, data);
  }
});

test('data that does not fit is refused with both sizes, and a wrong typed array is named', () => {
  assert.throws(() => tensor(new Float32Array(5), { shape: [2, 3] }), /needs 24 bytes, the data has 20/);
  assert.throws(() => tensor(new Float32Array(5), { shape: [2.5, 2] }), /whole numbers/);
  assert.throws(() => tensor(new Float32Array(5), { shape: [-5] }), /whole numbers/);
  assert.throws(() => tensor(new Float32Array(0), { shape: [2 ** 50, 2 ** 50] }), /too large/);
  assert.throws(() => tensor(new Uint16Array(2)), /float16 or bfloat16/);
  assert.throws(() => tensor(new Uint8ClampedArray(2) as never), /Uint8ClampedArray/);
  assert.throws(() => tensor([1, 2]).copyToData(new Int32Array(2)), /Int32Array cannot hold.*float32/);
  assert.throws(() => tensor([1, 2]).copyToData(new Float32Array(3)), /8 bytes, the target 12/);
  assert.throws(() => tensor([1, 2]).toUint8Array(), /needs a uint8 tensor/);
  assert.throws(() => tensor([1, 2]).item(), /needs one element.*\[2\]/);
});

test('strided, expanded and channels-last tensors leave in row-major order', () => {
  const x = arange(6).reshape(2, 3);
  assert.deepEqual(x.transpose(0, 1).toArray(), [
    [0, 3],
    [1, 4],
    [2, 5],
  ]);
  assert.deepEqual([...x.transpose(0, 1).toFloat32Array()], [0, 3, 1, 4, 2, 5]);
  assert.deepEqual(tensor([1, 2]).unsqueeze(1).expand(2, 3).toArray(), [
    [1, 1, 1],
    [2, 2, 2],
  ]);
  const image = arange(24).reshape(1, 2, 3, 4);
  const last = image.contiguous('channels_last');
  assert.deepEqual(last.toArray(), image.toArray());
  assert.equal(last.isContiguous('channels_last'), true);
  assert.equal(last.isContiguous(), false);
  assert.equal(image.isContiguous(), true);
  assert.equal(image.to({ memoryFormat: 'channels_last' }).isContiguous('channels_last'), true);
  assert.equal(last.contiguous().isContiguous(), true);
});

test('memory that JavaScript shares between threads can be read and written', () => {
  const shared = new Float32Array(new SharedArrayBuffer(16));
  shared.set([1, 2, 3, 4]);
  const x = tensor(shared.subarray(1)).mul(10);
  x.copyToData(shared.subarray(1));
  assert.deepEqual([...shared], [1, 20, 30, 40]);
});

test('shapes follow operators that resize in place', () => {
  const x = tensor([[1, 2, 3]]);
  assert.deepEqual(x.shape, [1, 3]);
  run('aten::squeeze_.dim', [x, 0]);
  assert.deepEqual(x.shape, [3]);
  assert.throws(() => x.size(1), /\[3\] has no dimension 1/);
  assert.equal(x.size(-1), 3);
});

test('operators in place give back the tensor that they were given', () => {
  const x = tensor([1, 2]);
  assert.equal(run('aten::add_.Scalar', [x, 1]), x);
  assert.equal(x.add_(1).mul_(2).fill_(3).zero_(), x);
  assert.deepEqual(x.toArray(), [0, 0]);
});

test('new tensors hold what their names say', () => {
  assert.deepEqual(zeros([2]).toArray(), [0, 0]);
  assert.deepEqual(ones([2], { dtype: 'int64' }).toTypedArray(), new BigInt64Array([1n, 1n]));
  assert.deepEqual(full([2], 2.5).toArray(), [2.5, 2.5]);
  assert.deepEqual(arange(3).toArray(), [0, 1, 2]);
  assert.deepEqual(linspace(0, 1, 3).toArray(), [0, 0.5, 1]);
  assert.deepEqual(eye(2).toArray(), [
    [1, 0],
    [0, 1],
  ]);
  assert.deepEqual(cat([tensor([1]), tensor([2, 3])]).toArray(), [1, 2, 3]);
  assert.deepEqual(stack([tensor([1]), tensor([2])], 1).toArray(), [[1, 2]]);
  const [rows, columns] = meshgrid(arange(2), arange(3));
  assert.deepEqual(rows!.toArray(), [
    [0, 0, 0],
    [1, 1, 1],
  ]);
  assert.deepEqual(columns!.toArray(), [
    [0, 1, 2],
    [0, 1, 2],
  ]);
  const condition = tensor([1, 0], { dtype: 'bool' });
  assert.deepEqual(where(condition, 1, 2).toArray(), [1, 2]);
  assert.deepEqual(where(condition, tensor([5, 6]), 2).toArray(), [5, 2]);
  assert.deepEqual(where(condition, 1, tensor([5, 6])).toArray(), [1, 6]);
  assert.deepEqual(where(condition, tensor([3, 4]), tensor([5, 6])).toArray(), [3, 6]);
});

test('methods compute what plain arithmetic does', () => {
  const values = [-2.5, -1, -0.3, 0.2, 1, 3.7];
  const x = tensor(values, { dtype: 'float64' });
  const y = tensor([2, -1, 0.5, 4, 3, -2], { dtype: 'float64' });
  const other = y.toArray() as number[];
  const near = (actual: Tensor, expected: (v: number, i: number) => number, what: string) => {
    (actual.toArray() as number[]).forEach((value, i) => {
      const wanted = expected(values[i]!, i);
      assert.ok(Math.abs(value - wanted) <= 1e-12 * Math.max(1, Math.abs(wanted)), `${what}: ${value}, not ${wanted}`);
    });
  };
  near(x.add(y), (v, i) => v + other[i]!, 'add');
  near(x.sub(y), (v, i) => v - other[i]!, 'sub');
  near(x.sub(2), (v) => v - 2, 'sub number');
  near(x.rsub(1), (v) => 1 - v, 'rsub');
  near(x.mul(y), (v, i) => v * other[i]!, 'mul');
  near(x.div(y), (v, i) => v / other[i]!, 'div');
  near(x.neg(), (v) => -v, 'neg');
  near(x.reciprocal(), (v) => 1 / v, 'reciprocal');
  near(x.pow(3), (v) => v ** 3, 'pow');
  near(x.square(), (v) => v * v, 'square');
  near(x.abs().sqrt(), (v) => Math.sqrt(Math.abs(v)), 'sqrt');
  near(x.exp(), Math.exp, 'exp');
  near(x.abs().log(), (v) => Math.log(Math.abs(v)), 'log');
  near(x.sin(), Math.sin, 'sin');
  near(x.cos(), Math.cos, 'cos');
  near(x.sign(), Math.sign, 'sign');
  near(x.round(), Math.round, 'round'); // -2.5 goes to -2 by either rule
  near(x.clamp(-1, 1), (v) => Math.min(1, Math.max(-1, v)), 'clamp');
  near(x.clamp(0), (v) => Math.max(0, v), 'clamp from below');
  near(x.clamp(null, 0), (v) => Math.min(0, v), 'clamp from above');
  near(x.maximum(y), (v, i) => Math.max(v, other[i]!), 'maximum');
  near(x.minimum(y), (v, i) => Math.min(v, other[i]!), 'minimum');
  near(x.relu(), (v) => Math.max(0, v), 'relu');
  near(x.sigmoid(), (v) => 1 / (1 + Math.exp(-v)), 'sigmoid');
  near(x.tanh(), Math.tanh, 'tanh');
  near(x.lt(y), (v, i) => +(v < other[i]!), 'lt');
  near(x.ge(1), (v) => +(v >= 1), 'ge');
  near(x.eq(1), (v) => +(v === 1), 'eq');
  const total = values.reduce((sum, v) => sum + v, 0);
  assert.ok(Math.abs(x.sum().item() - total) < 1e-12);
  assert.ok(Math.abs(x.mean().item() - total / 6) < 1e-12);
  const variance = values.reduce((sum, v) => sum + (v - total / 6) ** 2, 0);
  assert.ok(Math.abs(x.variance([0]).item() - variance / 5) < 1e-12);
  assert.ok(Math.abs(x.variance([0], { correction: 0 }).item() - variance / 6) < 1e-12);
  assert.ok(Math.abs(x.norm().item() - Math.hypot(...values)) < 1e-12);
  assert.equal(x.amax().item(), 3.7);
  assert.equal(x.amin([0]).item(), -2.5);
  assert.equal(x.argmax(0).item(), 5);
  assert.equal(x.isFinite().all().item(), 1);
  assert.ok(Math.abs(x.softmax(0).sum().item() - 1) < 1e-12);
});

test('matrix products and inverses are those of linear algebra', () => {
  const a = tensor(
    [
      [2, 1],
      [1, 3],
    ],
    { dtype: 'float64' },
  );
  assert.deepEqual(
    a
      .matmul(
        tensor(
          [
            [1, 0],
            [2, 1],
          ],
          { dtype: 'float64' },
        ),
      )
      .toArray(),
    [
      [4, 1],
      [7, 3],
    ],
  );
  assert.ok(
    a
      .matmul(a.inverse())
      .sub(eye(2, { dtype: 'float64' }))
      .abs()
      .amax()
      .item() < 1e-14,
  );
  assert.throws(
    () =>
      tensor([
        [1, 2],
        [2, 4],
      ]).inverse(),
    /linalg_inv: .*singular/s,
  );
  assert.deepEqual(ones([2, 1, 3]).bmm(ones([2, 3, 1])).shape, [2, 1, 1]);
});

test('a seed makes random numbers come again, and a saved state goes on where it was', () => {
  manualSeed(7);
  const first = [rand([3]).toArray(), randn([3]).toArray(), zeros([2]).uniform_().toArray()];
  manualSeed(7);
  assert.deepEqual([rand([3]).toArray(), randn([3]).toArray(), zeros([2]).uniform_().toArray()], first);
  const state = randomState();
  const next = [randn([5]).toArray(), rand([3]).toArray()];
  setRandomState(state);
  assert.deepEqual([randn([5]).toArray(), rand([3]).toArray()], next);
  manualSeed(8);
  assert.notDeepEqual(rand([3]).toArray(), first[0]);
  assert.throws(() => manualSeed(1.5), /whole number/);
  assert.throws(() => setRandomState(zeros([3])), /setRandomState/);
});

test('the number of threads can be set, and results do not depend on it', () => {
  const before = getThreads();
  try {
    const x = randn([64, 64]);
    setThreads(1);
    assert.equal(getThreads(), 1);
    const one = x.exp().sum([0]).toFloat32Array();
    setThreads(2);
    assert.equal(getThreads(), 2);
    assert.deepEqual(x.exp().sum([0]).toFloat32Array(), one);
    for (const wrong of [0, -1, Number.NaN, 1e9]) assert.throws(() => setThreads(wrong), /from 1 to 1024/);
  } finally {
    setThreads(before);
  }
});

test('the linked LibTorch tells its version', () => {
  assert.match(buildInfo().version, /^\d+\.\d+/);
  assert.equal(typeof buildInfo().onednn, 'boolean');
});
