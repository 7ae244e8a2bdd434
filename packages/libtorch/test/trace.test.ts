// Recording forward passes and writing them as ONNX: ONNX Runtime computes with the files what LibTorch computed.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCheckpoint, type TensorRecord } from '../src/checkpoint/index.js';
import type { Argument } from '../src/index.js';
import {
  call,
  computeInHalf,
  exportableOperators,
  F,
  type Graph,
  liveTensors,
  nn,
  noGrad,
  recordPreparation,
  run,
  runMany,
  saveStateDict,
  storedAs,
  Tensor,
  TraceError,
  type TraceOptions,
  tensor,
  tidy,
  toOnnx,
  trace,
} from '../src/index.js';
import { encodeOnnx, type OnnxModel, sizeOfName } from '../src/onnx/index.js';
import { seeded } from './random.js';

process.env.ORT_DISABLE_TELEMETRY ??= '1';
const { InferenceSession, Tensor: OrtTensor } = await import('onnxruntime-node');

type Tensors = Record<string, Tensor>;
type Body = (inputs: Readonly<Tensors>) => Tensors;

/** Every name must be made before it is used, and once. */
function assertSound({ inputs, outputs, initializers, nodes }: OnnxModel): void {
  const defined = new Set<string>();
  const define = (name: string): void => {
    assert.ok(!defined.has(name), `${name} is defined twice`);
    defined.add(name);
  };
  for (const { name } of [...inputs, ...initializers]) define(name);
  const used = new Set<string>();
  for (const node of nodes) {
    for (const name of node.inputs) {
      assert.ok(name === '' || defined.has(name), `${name} is used before it is made`);
      used.add(name);
    }
    for (const name of node.outputs) define(name);
  }
  for (const { name } of outputs) assert.ok(defined.has(name), `${name} is an output that nothing makes`);
  const idle = [...defined].filter((name) => !used.has(name) && !outputs.some((output) => output.name === name));
  // Parts of a tensor that is split may be left over, nothing else.
  const parts = nodes.filter(({ outputs: made }) => made.length > 1).flatMap(({ outputs: made }) => made);
  assert.deepEqual(
    idle.filter((name) => !parts.includes(name)),
    [],
  );
}

async function runOnnx(
  model: OnnxModel,
  inputs: Tensors,
): Promise<Record<string, { dims: readonly number[]; data: number[] }>> {
  assertSound(model);
  const session = await InferenceSession.create(encodeOnnx(model), { intraOpNumThreads: 1, logSeverityLevel: 3 });
  const feeds = model.inputs.map(({ name, type }) => {
    const value = inputs[name]!;
    const data = value.toTypedArray();
    return [
      name,
      type === 'int64'
        ? new OrtTensor('int64', data as BigInt64Array, value.shape)
        : new OrtTensor('float32', data as Float32Array, value.shape),
    ] as const;
  });
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(
    Object.entries(results).map(([name, { dims, data }]) => [
      name,
      { dims, data: Array.from(data as Float32Array, Number) },
    ]),
  );
}

/** Runs a function in both worlds and compares. */
async function assertSame(
  model: OnnxModel,
  body: Body,
  inputs: Tensors,
  tolerance: number,
  what: string,
): Promise<void> {
  const expected = noGrad(() => body(inputs));
  const actual = await runOnnx(model, inputs);
  assert.deepEqual(Object.keys(actual), Object.keys(expected), what);
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(actual[name]!.dims, value.shape, `${what}: shape of ${name}`);
    const numbers = value.flatten().toArray() as number[];
    for (const [i, number] of numbers.entries()) {
      const off = Math.abs(number - actual[name]!.data[i]!);
      assert.ok(
        off <= tolerance * Math.max(1, Math.abs(number)),
        `${what}: ${name}[${i}] is ${actual[name]!.data[i]} instead of ${number}`,
      );
    }
  }
}

const graphOf = (inputs: Tensors, body: Body, options: TraceOptions = {}): Graph =>
  trace({ inputs: () => inputs, body }, options);

/** Numbers in [-1, 1). */
function noise(shape: readonly number[], seed = 1): Tensor {
  const random = seeded(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  return tensor(
    Float32Array.from({ length: count }, () => 2 * random() - 1),
    { shape },
  );
}

/** One way to call every operator that has a form in ONNX, on x [2, 3, 4, 6] and y of the same shape. */
const CALLS: Readonly<Record<string, (x: Tensor, y: Tensor) => Argument[] | Argument[][]>> = {
  'aten::relu': (x) => [x],
  'aten::sigmoid': (x) => [x],
  'aten::tanh': (x) => [x],
  'aten::exp': (x) => [x],
  'aten::log': (x) => [x.abs().add(0.1)],
  'aten::sqrt': (x) => [x.abs()],
  'aten::abs': (x) => [x],
  'aten::neg': (x) => [x],
  'aten::sign': (x) => [x],
  'aten::sin': (x) => [x],
  'aten::cos': (x) => [x],
  'aten::round': (x) => [x.mul(10)],
  'aten::floor': (x) => [x.mul(10)],
  'aten::ceil': (x) => [x.mul(10)],
  'aten::reciprocal': (x) => [x.add(3)],
  'aten::rsqrt': (x) => [x.add(3)],
  'aten::square': (x) => [x],
  'aten::softplus': (x) => [x],
  'aten::elu': (x) => [
    [x, 1],
    [x, 0.5],
  ],
  'aten::leaky_relu': (x) => [x, 0.2],
  'aten::clamp': (x) => [
    [x, -0.5, 0.25],
    [x, null, 0.25],
    [x, -0.5],
  ],
  'aten::softmax.int': (x) => [
    [x, 1],
    [x, -1],
  ],
  'aten::pow.Tensor_Scalar': (x) => [
    [x, 2],
    [x, 3],
    [x.abs(), 0.5],
  ],
  'aten::add.Tensor': (x, y) => [
    [x, y],
    [x, y.narrow(1, 0, 1), 0.5],
  ],
  'aten::add.Scalar': (x) => [
    [x, 2],
    [x, 2, 3],
  ],
  'aten::sub.Tensor': (x, y) => [
    [x, y],
    [x, y, 2],
  ],
  'aten::sub.Scalar': (x) => [x, 0.5],
  'aten::rsub.Scalar': (x) => [x, 0.5],
  'aten::mul.Tensor': (x, y) => [x, y.select(0, 1)],
  'aten::mul.Scalar': (x) => [x, -3],
  'aten::div.Tensor': (x, y) => [x, y.add(2)],
  'aten::div.Scalar': (x) => [x, 7],
  'aten::maximum': (x, y) => [x, y],
  'aten::minimum': (x, y) => [x, y],
  'aten::addcmul': (x, y) => [x, y, y],
  'aten::lt.Tensor': (x, y) => [x, y],
  'aten::lt.Scalar': (x) => [x, 0.1],
  'aten::gt.Tensor': (x, y) => [x, y],
  'aten::gt.Scalar': (x) => [x, 0.1],
  'aten::le.Tensor': (x, y) => [x, y],
  'aten::le.Scalar': (x) => [x, 0.1],
  'aten::ge.Tensor': (x, y) => [x, y],
  'aten::ge.Scalar': (x) => [x, 0.1],
  'aten::eq.Tensor': (x, y) => [x.round(), y.round()],
  'aten::eq.Scalar': (x) => [x.round(), 1],
  'aten::where.self': (x, y) => [x.gt(0), x, y],
  'aten::where.ScalarSelf': (x, y) => [x.gt(0), 0.5, y],
  'aten::where.ScalarOther': (x) => [x.gt(0), x, 0.5],
  'aten::where.Scalar': (x) => [x.gt(0), 1.5, 0.5],
  'aten::sum': (x) => [x],
  'aten::sum.dim_IntList': (x) => [
    [x, [1, -1]],
    [x, [2], true],
  ],
  'aten::mean': (x) => [x],
  'aten::mean.dim': (x) => [
    [x, [2, 3]],
    [x, [0], true],
  ],
  'aten::amax': (x) => [
    [x, [1]],
    [x, [], false],
  ],
  'aten::amin': (x) => [x, [-1], true],
  'aten::var.correction': (x) => [x, [2, 3], 0, true],
  'aten::linalg_vector_norm': (x) => [
    [x, 2],
    [x, 2, [1], true],
  ],
  'aten::argmax': (x) => [x, 1, true],
  'aten::to.device': (x) => [x.mul(10), 'cpu', 'int64', false, false, null],
  'aten::contiguous': (x) => [x.transpose(1, 2)],
  'aten::detach': (x) => [x],
  'aten::clone': (x) => [x],
  'aten::batch_norm': (x) => [
    [x, noise([3], 5), noise([3], 6), noise([3], 7), noise([3], 8).abs(), false, 0.1, 1e-3, true],
    [x, null, null, noise([3], 7), noise([3], 8).abs(), false, 0.1, 1e-3, true],
  ],
  'aten::instance_norm': (x) => [
    [x, null, null, null, null, true, 0.1, 1e-5, true],
    [x, noise([3], 5), noise([3], 6), null, null, true, 0.1, 1e-2, true],
  ],
  'aten::reshape': (x) => [x, [6, -1]],
  'aten::view': (x) => [x, [2, 12, 6]],
  'aten::flatten.using_ints': (x) => [x, 1, 2],
  'aten::unsqueeze': (x) => [x, -1],
  'aten::squeeze.dim': (x) => [x.narrow(1, 0, 1), 1],
  'aten::permute': (x) => [x, [0, 2, -1, 1]],
  'aten::transpose.int': (x) => [x, -1, 1],
  'aten::expand': (x) => [x.narrow(1, 0, 1), [5, 2, 7, 4, 6]],
  'aten::repeat': (x) => [x, [2, 1, 1, 3, 1]],
  'aten::slice.Tensor': (x) => [
    [x, 3, 1, null, 2],
    [x, 2, -3, -1],
    [x, 3, 0, 100],
    [x, -1, null, 4],
  ],
  'aten::narrow': (x) => [
    [x, 3, 1, 3],
    [x, 3, 2, 4],
  ],
  'aten::select.int': (x) => [
    [x, 1, 2],
    [x, 1, -1],
  ],
  'aten::index_select': (x) => [x, 1, tensor([2, 0, 2], { dtype: 'int64' })],
  'aten::split.Tensor': (x) => [
    [x, 2, 3],
    [x, 4, -1],
  ],
  'aten::chunk': (x) => [x, 3, 1],
  'aten::unbind.int': (x) => [x, 1],
  'aten::cat': (x, y) => [[x, y, x], -2],
  'aten::stack': (x, y) => [[x, y], -1],
  'aten::flip': (x) => [x, [1, -1]],
  'aten::arange': () => [5, 'float32'],
  'aten::zeros': () => [[2, 3]],
  'aten::zeros_like': (x) => [x],
  'aten::empty.memory_format': () => [[0, 3]],
  'aten::ones': () => [[2, 3]],
  'aten::ones_like': (x) => [x],
  'aten::full': () => [[2, 3], 1.25],
  'aten::linalg_inv': (x) =>
    [2, 3].map((size) => [
      x
        .slice(2, 0, size)
        .slice(3, 0, size)
        .add(noise([size, size], 9).mul(0.1))
        .add(run('aten::eye', [size]).mul(3)),
    ]),
  'aten::matmul': (x, y) => [x, y.transpose(2, 3)],
  'aten::bmm': (x, y) => [x.flatten(0, 1), y.transpose(2, 3).flatten(0, 1)],
  'aten::mv': (x, y) => [x.flatten(0, 2), y.flatten(0, 2).select(0, 0)],
  'aten::dot': (x, y) => [x.flatten(), y.flatten()],
  'aten::linear': (x) => [
    [x, noise([5, 6], 5), noise([5], 6)],
    [x, noise([5, 6], 5), null],
  ],
  'aten::conv2d': (x) => [
    [x, noise([5, 3, 3, 2], 5), noise([5], 6), [2, 1], [1, 0], [1, 2], 1],
    [x, noise([6, 1, 3, 3], 5), null, [1, 1], [1, 1], [1, 1], 3],
  ],
  'aten::conv3d': (x) => [
    [x.unsqueeze(1), noise([5, 1, 3, 3, 2], 5), noise([5], 6), [1, 2, 1], [1, 1, 0], [1, 1, 2], 1],
    [x.unsqueeze(2), noise([4, 3, 1, 1, 1], 5), null, [1, 1, 1], [0, 0, 0], [1, 1, 1], 1],
  ],
  'aten::avg_pool2d': (x) => [
    [x, [2, 3]],
    [x, [3, 3], [1, 2], [1, 1], false, false],
    [x, [3, 3], [2, 2], [1, 1]],
  ],
  'aten::max_pool2d': (x) => [x, [3, 3], [2, 2], [1, 1]],
  'aten::upsample_nearest2d': (x) => [
    [x, [8, 12]],
    [x, [2, 3]],
    [x, [12, 6]],
  ],
  'aten::upsample_bilinear2d': (x) => [
    [x, [8, 12], false],
    [x, [7, 9], false],
    [x, [7, 9], true],
  ],
  'aten::grid_sampler': (x) => [
    [x, noise([2, 5, 7, 2], 5).mul(1.3), 0, 0, false],
    [x, noise([2, 5, 7, 2], 5).mul(1.3), 0, 1, true],
    [x, noise([2, 5, 7, 2], 5).mul(1.3), 1, 2, false],
    // Many channels are sampled in another way.
    [x.repeat(1, 8, 1, 1).mul(noise([1, 24, 1, 1], 6)), noise([2, 5, 7, 2], 5).mul(1.3), 0, 0, false],
    [x.repeat(1, 8, 1, 1).mul(noise([1, 24, 1, 1], 6)), noise([2, 5, 7, 2], 5).mul(1.3), 0, 0, true],
    // Volumes, of one channel and of several.
    [x.unsqueeze(1), noise([2, 2, 5, 7, 3], 5).mul(1.3), 0, 0, false],
    [
      x
        .unsqueeze(1)
        .repeat(1, 2, 1, 1, 1)
        .mul(noise([2, 1, 1, 1], 6)),
      noise([2, 2, 5, 7, 3], 5).mul(1.3),
      0,
      0,
      true,
    ],
  ],
  'aten::constant_pad_nd': (x) => [x, [1, 2, 0, 3], 0.5],
  'aten::reflection_pad2d': (x) => [x, [1, 2, 3, 0]],
  'aten::replication_pad2d': (x) => [x, [1, 2, 3, 0]],
  'aten::pixel_shuffle': (x) => [x.reshape(1, 12, 2, 6), 2],
};

test('every operator that can be exported computes in ONNX Runtime what it computes in LibTorch', async () => {
  assert.deepEqual(Object.keys(CALLS).sort(), exportableOperators());
  const inputs = { x: noise([2, 3, 4, 6], 1), y: noise([2, 3, 4, 6], 2) };
  for (const [operator, argumentsOf] of Object.entries(CALLS)) {
    const found = argumentsOf(inputs.x, inputs.y);
    const lists =
      found.length > 0 && found.every((entry) => Array.isArray(entry) && entry.some((each) => each instanceof Tensor));
    const count = lists ? found.length : 1;
    for (let i = 0; i < count; i++) {
      const body: Body = ({ x, y }) => {
        const calls = argumentsOf(x!, y!);
        const result = call(operator, (lists ? calls[i] : calls) as Argument[]);
        const results = (Array.isArray(result) ? result : [result]) as Tensor[];
        return Object.fromEntries(
          results.map((each, at) => [`result${at}`, each.dtype === 'bool' ? each.to({ dtype: 'float32' }) : each]),
        );
      };
      await assertSame(toOnnx(graphOf(inputs, body)), body, inputs, 1e-5, `${operator}, form ${i}`);
    }
  }
});

/** A network in which sizes show up as numbers: a grid, a reshaping, blocks, weights that are computed. */
class Sized extends nn.Module {
  readonly first = new nn.Conv2d(3, 8, 3, { padding: 1 });
  readonly normal = new nn.SpectralNormConv2d(8, 4, 3);

  forward(image: Tensor): Tensor {
    const [n, , height, width] = image.shape as [number, number, number, number];
    const features = F.avgPool2d(this.first.forward(image).relu(), 2); // [N, 8, H / 2, W / 2]
    const inner = this.normal.forward(features); // [N, 4, H / 2 - 2, W / 2 - 2]
    const [h, w] = [inner.size(2), inner.size(3)];
    const heat = inner
      .reshape(n, 4, h * w)
      .div(0.1)
      .softmax(2);
    const positions = this.grid(h, w).reshape(h * w, 2);
    const points = heat.matmul(positions); // [N, 4, 2]
    const parts = runMany('aten::chunk', [features.flatten(2), 4, 2]).map((part) => part.mean([2], true));
    const summary = run('aten::cat', [parts, 2]).repeat(1, 1, h); // [N, 8, 4 h]
    const wide = F.upsampleNearest(features, [height + 2, 2 * width]).narrow(3, 1, 2 * width - 3);
    const border = features
      .slice(2, 1, h)
      .add(run('aten::zeros', [[height / 2 - 3, 1]]))
      .sum();
    return run('aten::cat', [
      [points.flatten(1), summary.flatten(1), wide.flatten(1), border.mul(height - 1).expand(n, 1), image.flatten(1)],
      1,
    ]);
  }

  grid(height: number, width: number): Tensor {
    const axis = (length: number) => libtorchRange(length).div(length - 1);
    const x = axis(width).view(1, width, 1).expand(height, width, 1);
    const y = axis(height).view(height, 1, 1).expand(height, width, 1);
    return run('aten::cat', [[x, y], 2]);
  }
}

const libtorchRange = (length: number): Tensor => run('aten::arange', [length], { dtype: 'float32' });

const FREE = [
  { name: 'batch', low: 2, high: 3 },
  { name: 'height', low: 16, high: 24 },
  { name: 'width', low: 16, high: 32 },
];

const picture = ({ batch = 1, height = 16, width = 16 }: Partial<Record<string, number>>): Tensors => ({
  image: noise([batch!, 3, height!, width!], 3),
});

test('free dimensions take any size, and their names tell what follows from them', async () => {
  using module = new Sized();
  module.eval();
  const body: Body = ({ image }) => ({ result: module.forward(image!) });
  const graph = trace({ inputs: picture, body }, { dimensions: FREE, modules: module });
  const model = toOnnx(graph, { name: 'sized' });
  assert.deepEqual(model.inputs, [{ name: 'image', shape: ['batch', 3, 'height', 'width'], type: 'float32' }]);
  for (const sizes of [{ batch: 1 }, { batch: 2, height: 40 }, { batch: 5, height: 24, width: 64 }]) {
    const inputs = picture(sizes);
    await assertSame(model, body, inputs, 2e-5, JSON.stringify(sizes));
    const length = noGrad(() => tidy(() => body(inputs).result!.size(1)));
    const all = { height: 16, width: 16, ...sizes };
    assert.equal((graph.outputs.get('result')!.shape[1] as { evaluate(of: object): number }).evaluate(all), length);
  }
  // The same for one size: everything that follows from it alone is computed beforehand.
  const fixed = toOnnx(trace({ inputs: () => picture({}), body }, { modules: module }));
  await assertSame(fixed, body, picture({}), 2e-5, 'fixed');
  const operators = fixed.nodes.map(({ operator }) => operator);
  for (const gone of ['Shape', 'Range', 'Cast']) assert.ok(!operators.includes(gone), gone);
  assert.ok(fixed.nodes.length < model.nodes.length);
  assert.ok(fixed.initializers.some(({ name }) => name === 'first.weight'));
});

test('names of free dimensions can be evaluated, and nothing else', () => {
  const sizes = { batch: 2, height: 96, width: 128 };
  assert.equal(sizeOfName('batch', sizes), 2);
  assert.equal(sizeOfName('height/4', sizes), 24);
  assert.equal(sizeOfName('2*height*width/16', sizes), 1536);
  for (const other of ['depth', 'height-1', '(height)/4', 'height/width', '', 'height/2/2', 'constructor']) {
    assert.equal(sizeOfName(other, sizes), undefined, other);
  }
});

test('what is constant is computed beforehand, what is computed twice once, what nobody needs not at all', () => {
  const weight = noise([4, 4], 7);
  const model = toOnnx(
    graphOf({ x: noise([4, 4]), unused: noise([2]) }, ({ x, unused }) => {
      const constant = weight.matmul(weight).exp().add(1); // one constant
      unused!.exp();
      const twice = [x!.matmul(constant).relu(), x!.matmul(constant).relu()];
      x!.sigmoid().mul(3);
      return { sum: twice[0]!.add(twice[1]!), again: twice[0]!, same: twice[0]!, input: x!, constant };
    }),
  );
  assertSound(model);
  assert.deepEqual(model.nodes.map(({ operator }) => operator).sort(), [
    'Add',
    'Identity',
    'Identity',
    'Identity',
    'MatMul',
    'Relu',
  ]);
  assert.deepEqual(
    model.inputs.map(({ name }) => name),
    ['x'],
  );
  assert.equal(model.initializers.length, 1);
});

class Odd extends nn.Module {
  readonly inner = new Middle();
  forward(x: Tensor, what: string): Tensor {
    return this.inner.forward(x, what);
  }
}

class Middle extends nn.Module {
  forward(x: Tensor, what: string): Tensor {
    if (what === 'unknown') return run('aten::digamma', [x]);
    if (what === 'in place') return x.add(1).add_(1);
    if (what === 'branch') return x.size(0) > 2 ? x.relu() : x.exp();
    if (what === 'more') return x.size(0) > 2 ? x.relu().exp() : x.relu();
    if (what === 'square') return x.mul(x.size(0) ** 2);
    if (what === 'root') return x.mul(Math.sqrt(x.size(0)));
    if (what === 'outside') return x.add(tensor(x.size(0)));
    if (what === 'training') return F.batchNorm(x.view(-1, 2, 1, 1), { training: true });
    const rows = x.repeat(2, 1); // [2 n, 2]
    return run('aten::linalg_inv', [rows.matmul(rows.transpose(0, 1)).add(run('aten::eye', [rows.size(0)]))]);
  }
}

test('what cannot be recorded is refused, and the message says which operator in which module', () => {
  using odd = new Odd();
  const free = [{ name: 'n', low: 2, high: 3 }];
  const recorded = (what: string, dimensions = free): OnnxModel =>
    toOnnx(
      trace(
        {
          inputs: ({ n = 3 }) => ({ x: noise([n, 2]) }),
          body: ({ x }) => ({ y: odd.forward(x!, what) }),
        },
        { dimensions, modules: odd },
      ),
    );
  const inner = 'inner \\(Middle\\)';
  const expected: [string, RegExp, typeof free?][] = [
    ['unknown', new RegExp(`aten::digamma, run in ${inner}, has no form in ONNX`)],
    ['in place', new RegExp(`aten::add_.Scalar changes a tensor in place, .* ran in ${inner}`)],
    [
      'branch',
      new RegExp(`depends on the sizes: aten::exp in ${inner} at one size, aten::relu in ${inner} at another`),
    ],
    ['more', new RegExp(`depends on the sizes: aten::exp in ${inner} at one size, nothing at another`)],
    ['square', new RegExp(`aten::mul.Scalar, run in ${inner}, has a number that is no sum of products.*: 4, 9, 16`)],
    ['root', /has a number that is no sum of products/],
    ['outside', /is made outside of operators and differs between passes/],
    ['training', new RegExp(`aten::batch_norm, run in ${inner}, takes only running statistics`), []],
    ['inverse', new RegExp(`aten::linalg_inv, run in ${inner}, takes only 2x2 and 3x3 matrices here`), []],
  ];
  for (const [what, message, dimensions] of expected) {
    assert.throws(
      () => recorded(what, dimensions),
      (error) => error instanceof TraceError && message.test(error.message),
      what,
    );
  }
  // Nothing of the recording stays behind: the module is as before, and works.
  assert.deepEqual(Object.getOwnPropertyNames(odd.inner), ['training']);
  assert.ok(noGrad(() => odd.forward(noise([3, 2]), 'branch')).size(0) === 3);
});

test('recording leaves no tensors behind, whether it succeeds or not', () => {
  using module = new Sized();
  module.eval();
  const body: Body = ({ image }) => ({ result: module.forward(image!) });
  const before = liveTensors();
  trace({ inputs: picture, body }, { dimensions: FREE, modules: module });
  assert.equal(liveTensors(), before);
  assert.throws(() => trace({ inputs: picture, body: ({ image }) => ({ y: image!.add_(1) }) }), TraceError);
  assert.equal(liveTensors(), before);
});

test('weights may stay in a file beside the graph, which then computes what a preparation made of them', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'dagan-weights-'));
  try {
    using module = new Prepared();
    module.eval();
    const inputs = { x: noise([1, 16, 5, 5]) };
    const body: Body = ({ x }) => ({ y: module.forward(x!) });
    const expected = noGrad(() => body(inputs)).y!.toFloat32Array();
    for (const dtype of ['float32', 'float16'] as const) {
      const kernel = noGrad(() => module.conv.weight.detach().to({ dtype }));
      saveStateDict(join(folder, `${dtype}.safetensors`), new Map([...module.stateDict(), ['conv.weight', kernel]]));
    }
    const alive = liveTensors();
    // The preparation replaces the convolution's weights and the normalisation by others that follow from both.
    const preparation = recordPreparation(module, () => noGrad(() => module.fuse()));
    const graph = trace({ inputs: () => inputs, body }, { preparation });
    preparation.dispose();
    assert.equal(liveTensors(), alive);
    assert.ok(graph.nodes.every(({ operator }) => operator !== 'aten::batch_norm'));
    for (const [dtype, tolerance] of [
      ['float32', 1e-6],
      ['float16', 1e-2],
    ] as const) {
      using file = openCheckpoint(join(folder, `${dtype}.safetensors`));
      const place = ({ name, offset, byteLength }: TensorRecord) =>
        [name, { file: 'weights', offset: offset!, length: byteLength }] as const;
      const external = new Map([...file.tensors.values()].map(place));
      const model = toOnnx(storedAs(graph, file.tensors), { external });
      assertSound(model);
      const outside = model.initializers.filter((constant) => 'external' in constant);
      assert.deepEqual(outside.map(({ name }) => name).sort(), [
        'conv.bias',
        'conv.weight',
        'norm.bias',
        'norm.running_mean',
        'norm.running_var',
        'norm.weight',
      ]);
      for (const constant of model.initializers) assert.ok('external' in constant || constant.data.length <= 64);
      const externalData = [{ path: 'weights', data: readFileSync(file.path) }];
      const options = { intraOpNumThreads: 1, externalData };
      const session = await InferenceSession.create(encodeOnnx(model), options);
      externalData[0]!.data.fill(0); // the session has what it needs
      const { y } = await session.run({ x: new OrtTensor('float32', inputs.x.toFloat32Array(), inputs.x.shape) });
      await session.release();
      for (const [i, value] of (y!.data as Float32Array).entries()) {
        assert.ok(Math.abs(value - expected[i]!) < tolerance, `${dtype} [${i}]: ${value} instead of ${expected[i]}`);
      }
    }
    const shape = [80, 16, 3, 3];
    const like = (record: Partial<TensorRecord>) => new Map([['conv.weight', record as TensorRecord]]);
    const half = like({ dtype: 'bfloat16', shape });
    assert.throws(() => storedAs(graph, half), /conv\.weight is float32 and cannot be taken from .* bfloat16/);
    const other = like({ dtype: 'float32', shape: [1, 2] });
    assert.throws(() => storedAs(graph, other), /conv\.weight is \[.*\] and cannot be taken from .* \[1, 2\]/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A convolution and a normalisation that can be merged into it. */
class Prepared extends nn.Module {
  readonly conv = new nn.Conv2d(16, 80, 3, { padding: 1 });
  readonly norm = new nn.BatchNorm2d(80);

  constructor() {
    super();
    noGrad(() => this.norm.runningVar.copy_(noise([80], 3).abs().add(0.5)));
    noGrad(() => this.norm.runningMean.copy_(noise([80], 4)));
  }

  fuse(): void {
    this.norm.foldInto(this.conv);
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x)).relu();
  }
}

test('half precision rounds what it is told to and keeps the rest; named weights stay as they are', async () => {
  using module = new Sized();
  module.eval();
  const body: Body = ({ image }) => ({ result: module.forward(image!) });
  const graph = trace({ inputs: picture, body }, { dimensions: FREE, modules: module });
  const half = toOnnx(computeInHalf(graph, (node) => node.module.path === 'first'));
  const everything = toOnnx(computeInHalf(graph, (node) => node.operator !== 'aten::softmax.int'));
  const inputs = picture({ batch: 2 });
  await assertSame(half, body, inputs, 5e-3, 'one layer in half');
  assertSound(everything);
  for (const model of [half, everything]) {
    for (const { type } of [...model.inputs, ...model.outputs]) assert.equal(type, 'float32');
    const weights = model.initializers.find(({ name }) => name === 'first.weight')!;
    assert.ok('data' in weights && weights.data instanceof Float32Array);
  }
  const session = await InferenceSession.create(encodeOnnx(everything), { logSeverityLevel: 3 });
  await session.release();
  const large = tensor(new Float32Array(300).fill(1e6));
  const overflowing = graphOf({ x: noise([300]) }, ({ x }) => ({ y: x!.add(large) }));
  assert.throws(() => computeInHalf(overflowing, () => true), /has values that float16 cannot hold/);
});
