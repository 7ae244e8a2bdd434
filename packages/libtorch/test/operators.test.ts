// The operator door: defaults, names, and what an error tells the one who reads it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  autocast,
  call,
  ones,
  operatorNames,
  randn,
  run,
  runMany,
  schemaOf,
  Tensor,
  tensor,
  zeros,
} from '../src/index.js';

/** The message of the error that `body` throws. It must be for users: no C++ stack, no source files of LibTorch. */
function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(error.message, /Exception raised from|frame #|\.cpp:\d|\.h:\d/);
    return error.message;
  }
  return assert.fail('nothing was thrown');
}

test('arguments may come by position or by name, and what is left out takes the default', () => {
  const [a, b] = [tensor([1, 2]), tensor([10, 20])];
  assert.deepEqual(run('aten::add.Tensor', [a, b]).toArray(), [11, 22]);
  assert.deepEqual(run('aten::add.Tensor', [a, b, 2]).toArray(), [21, 42]);
  assert.deepEqual(run('aten::add.Tensor', [a, b], { alpha: 3 }).toArray(), [31, 62]);
  assert.deepEqual(run('aten::add.Tensor', [a], { other: b }).toArray(), [11, 22]);
  assert.deepEqual(run('aten::add.Tensor', [a, b, undefined]).toArray(), [11, 22]);
  assert.match(schemaOf('aten::add.Tensor'), /^aten::add\.Tensor\(Tensor self, Tensor other, \*, Scalar alpha=1\)/);
});

test('one number may stand for a list of fixed length', () => {
  const x = ones([1, 1, 4, 4]);
  assert.deepEqual(run('aten::avg_pool2d', [x, 2]).shape, [1, 1, 2, 2]);
  assert.deepEqual(run('aten::avg_pool2d', [x, [2, 4]]).shape, [1, 1, 2, 1]);
  assert.match(
    messageOf(() => run('aten::avg_pool2d', [x, [2, 2, 2]])),
    /'kernel_size' must be an array of 2 entries/,
  );
});

test('operators may return several tensors, lists, numbers, booleans or nothing', () => {
  const [values, indices] = runMany('aten::max.dim', [
    tensor([
      [1, 3],
      [4, 2],
    ]),
    1,
  ]);
  assert.deepEqual(values!.toArray(), [3, 4]);
  assert.deepEqual(indices!.toArray(), [1, 0]);
  assert.deepEqual(
    runMany('aten::split.Tensor', [ones([5]), 2]).map((part) => part.size(0)),
    [2, 2, 1],
  );
  assert.equal(call('aten::size.int', [ones([3, 4]), 1]), 4);
  assert.equal(call('aten::is_same_size', [ones([2]), ones([2])]), true);
  assert.equal(call('aten::_foreach_add_.Scalar', [[ones([2])], 1]), null);
  assert.match(
    messageOf(() => run('aten::max.dim', [ones([2, 2]), 1])),
    /aten::max\.dim: does not return one tensor/,
  );
  assert.match(
    messageOf(() => runMany('aten::relu', [ones([2])])),
    /aten::relu: does not return several tensors/,
  );
});

test('entries of a list of indices may be left out with null', () => {
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);
  const second = tensor([1], { dtype: 'int64' });
  assert.deepEqual(run('aten::index.Tensor', [x, [null, second]]).toArray(), [[2], [4]]);
});

test('a wrong argument is named with its operator, what is expected and what came', () => {
  const x = randn([2, 3]);
  const cases: [() => unknown, RegExp][] = [
    [() => run('aten::relu', ['x'.repeat(1e5)]), /^aten::relu: argument 'self' must be a Tensor, got string 'x{40}'$/],
    [() => run('aten::relu', [null]), /^aten::relu: argument 'self' must be a Tensor, got null$/],
    [() => run('aten::relu', []), /^aten::relu: argument 'self' must be a Tensor, got undefined$/],
    [() => run('aten::relu', [x, 1]), /^aten::relu: takes 1 arguments, got 2$/],
    [
      () => run('aten::softmax.int', [x, 0.5]),
      /^aten::softmax\.int: argument 'dim' must be an integer, got number 0\.5$/,
    ],
    [() => run('aten::softmax.int', [x, Number.NaN]), /argument 'dim' must be an integer, got number NaN/],
    [() => run('aten::softmax.int', [x, 2 ** 60]), /argument 'dim' must be an integer/],
    [() => run('aten::softmax.int', [x, 10n ** 30n]), /argument 'dim' must be a 64-bit integer, got number 10{30}/],
    [() => run('aten::sum.dim_IntList', [x, 'all']), /argument 'dim' must be an array, got string 'all'/],
    [() => run('aten::sum.dim_IntList', [x, [0], 1]), /argument 'keepdim' must be true or false, got number 1/],
    [() => run('aten::mul.Scalar', [x, x]), /'other' must be a number or a boolean, got a tensor float32\[2, 3\]/],
    [
      () => run('aten::meshgrid.indexing', [[x]], { indexing: 5 }),
      /argument 'indexing' must be a string, got number 5/,
    ],
    [
      () => run('aten::zeros', [[2]], { dtype: 'float31' }),
      /'dtype' must be a dtype such as 'float32', got string 'float31'/,
    ],
    [() => run('aten::zeros', [[2]], { dtype: 6 }), /'dtype' must be a dtype such as 'float32', got number 6/],
    [
      () => run('aten::zeros', [[2]], { device: 'gpu' }),
      /'device' must be a device such as 'cpu' or 'cuda:0', got string 'gpu'/,
    ],
    [() => run('aten::zeros', [[2]], { device: 'meta' }), /'device' must be a device/],
    [
      () => run('aten::contiguous', [x], { memory_format: 'nhwc' }),
      /'memory_format' must be 'contiguous', 'channels_last'/,
    ],
    [() => run('aten::zeros', [[2]], { layout: 'sparse' }), /'layout' must be 'strided', got string 'sparse'/],
    [() => run('aten::add.Tensor', [x, x], { beta: 1 }), /^aten::add\.Tensor: has no argument 'beta' \(aten::add/],
    [() => run('aten::add.Tensor', [x, x], { other: x }), /^aten::add\.Tensor: argument 'other' is given twice$/],
    [() => run('aten::cat', [[x, null]]), /^aten::cat: argument 'tensors' must be a Tensor, got an array$/],
  ];
  for (const [body, expected] of cases) assert.match(messageOf(body), expected);
});

test('what LibTorch refuses is told with the shapes and dtypes of all tensors', () => {
  const message = messageOf(() => run('aten::conv2d', [zeros([1, 3, 8, 8]), zeros([4, 2, 3, 3]), null]));
  assert.match(message, /^aten::conv2d: Given groups=1, weight of size \[4, 2, 3, 3\]/);
  assert.match(message, /\n {2}arguments: input: float32\[1, 3, 8, 8\], weight: float32\[4, 2, 3, 3\]$/);
  const mixed = messageOf(() => zeros([2, 3]).matmul(zeros([3, 2], { dtype: 'float64' })));
  assert.match(mixed, /^aten::matmul: .*arguments: self: float32\[2, 3\], other: float64\[3, 2\]$/s);
  const list = messageOf(() => run('aten::cat', [[zeros([2, 3]), zeros([2, 4])], 0]));
  assert.match(list, /arguments: tensors: \[float32\[2, 3\], float32\[2, 4\]\]$/);
});

test('messages stay short where LibTorch would list all its backends or repeat a long argument', () => {
  const x = ones([2, 2]);
  const long = 'x'.repeat(1e6);
  assert.ok(messageOf(() => run('aten::div.Tensor_mode', [x, x], { rounding_mode: long })).length < 1500);
  assert.match(
    messageOf(() => zeros([1], { device: 'cuda:99' })),
    /^aten::zeros: .{1,300}/s,
  );
  assert.ok(messageOf(() => zeros([1], { device: 'cuda:99' })).length < 1500);
});

test('sizes and scales that would lead kernels astray are refused', () => {
  const x = ones([1, 4, 2, 2]);
  assert.match(
    messageOf(() => run('aten::pixel_shuffle', [x, 2 ** 43])),
    /^aten::pixel_shuffle: argument 'upscale_factor' must be at most 4096/,
  );
  assert.match(
    messageOf(() => run('aten::upsample_bilinear2d', [x, [3, 3], false, 0.01, 0.01])),
    /^aten::upsample_bilinear2d: argument 'scales_h' must be null/,
  );
  assert.deepEqual(run('aten::upsample_bilinear2d', [x, [3, 3], false, null, null]).shape, [1, 4, 3, 3]);
});

test('more memory than there is gives an error, not the end of the process', () => {
  assert.match(
    messageOf(() => zeros([2 ** 45])),
    /^aten::zeros: .*can't allocate memory.*140737488355328 bytes/s,
  );
  assert.match(
    messageOf(() => zeros([2 ** 40, 2 ** 40])),
    /^aten::zeros: /,
  );
  assert.match(
    messageOf(() => zeros([-1])),
    /^aten::zeros: /,
  );
  assert.equal(ones([2]).sum().item(), 2);
});

test('tensors that are disposed of are refused by name', () => {
  const x = ones([2]);
  x.dispose();
  assert.throws(() => x.relu(), TypeError);
  assert.match(
    messageOf(() => x.shape),
    /this tensor has been disposed/,
  );
  assert.match(
    messageOf(() => run('aten::cat', [[ones([2]), x]])),
    /has been disposed/,
  );
  assert.equal(String(x), 'Tensor(disposed)');
  assert.equal(String(ones([2, 3], { dtype: 'int64' })), 'Tensor(int64[2, 3])');
});

test('operators that do not exist or are not offered say so', () => {
  assert.match(
    messageOf(() => schemaOf('aten::nope')),
    /^aten::nope: LibTorch has no such operator/,
  );
  assert.match(
    messageOf(() => schemaOf('relu')),
    /write it as namespace::name\.overload/,
  );
  assert.match(
    messageOf(() => schemaOf('aten::_stack')),
    /^aten::_stack: this operator is not offered: it is internal/,
  );
  assert.match(
    messageOf(() => schemaOf('aten::relu.out')),
    /not offered: results are returned|no such operator/,
  );
  assert.match(
    messageOf(() => schemaOf('aten::add.out')),
    /not offered: results are returned/,
  );
  assert.match(
    messageOf(() => schemaOf('aten::max_pool2d_with_indices_backward')),
    /computed by backward\(\) and grad\(\)/,
  );
  assert.match(
    messageOf(() => schemaOf('quantized::add')),
    /it is none of ATen's/,
  );
});

test('every name in the list of operators can be looked up', () => {
  const names = operatorNames();
  assert.ok(names.length > 1000);
  for (const name of names) assert.ok(schemaOf(name).startsWith(`${name}(`));
  for (const name of ['aten::conv2d', 'aten::add.Tensor', 'aten::grid_sampler']) assert.ok(names.includes(name));
});

test('only dense tensors leave an operator, so that none meets a tensor of a kind it does not expect', () => {
  const x = ones([2, 2]);
  assert.match(
    messageOf(() => run('aten::to_sparse', [x])),
    /aten::to_sparse: returns a tensor of a kind that is not offered/,
  );
  assert.match(
    messageOf(() => run('aten::quantize_per_tensor', [x, 0.1, 0, 'int8'])),
    /aten::quantize_per_tensor: /,
  );
});

test('complex tensors pass between operators, and their parts come out', () => {
  const spectrum = run('aten::fft_rfft', [tensor([1, 0, -1, 0])]);
  assert.match(String(messageOf(() => spectrum.dtype)), /complex64\[3\] has no dtype in JavaScript.*view_as_real/);
  assert.deepEqual(run('aten::view_as_real', [spectrum]).toArray(), [
    [0, 0],
    [2, 0],
    [0, 0],
  ]);
});

test('whole numbers keep integer tensors integer, others make them floating point', () => {
  const x = tensor([1, 2], { dtype: 'int64' });
  assert.equal(x.add(1).dtype, 'int64');
  assert.equal(x.mul(-3).dtype, 'int64');
  assert.equal(x.mul(0.5).dtype, 'float32');
  assert.equal(x.to({ dtype: 'float32' }).mul(-0).toTypedArray()[0], -0);
});

test('autocast refuses what it cannot cast to and leaves no trace', () => {
  assert.match(
    messageOf(() => autocast({ dtype: 'int64' }, () => 1)),
    /setAutocast: the dtype must be 'bfloat16' or 'float16'/,
  );
  assert.equal(ones([2, 2]).matmul(ones([2, 2])).dtype, 'float32');
  assert.ok(ones([1]) instanceof Tensor);
});
