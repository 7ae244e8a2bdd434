// Modules: names, loading, conversion; layers against their definitions.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  autocast,
  backward,
  F,
  getThreads,
  grad,
  manualSeed,
  nn,
  noGrad,
  ones,
  profile,
  randn,
  run,
  setThreads,
  Tensor,
  tensor,
  tidy,
  zeros,
} from '../src/index.js';
import { assertGradients } from './gradient.js';

const float64 = { dtype: 'float64' } as const;

const near = (actual: Tensor, expected: Tensor | readonly number[], tolerance = 1e-5): void => {
  const wanted = expected instanceof Tensor ? expected : tensor([...expected]).reshape(...actual.shape);
  assert.deepEqual(actual.shape, wanted.shape);
  const error = actual.to(float64).sub(wanted.to(float64)).abs().amax().item();
  assert.ok(error <= tolerance, `differs by ${error}`);
};

class Block extends nn.Module {
  convIn = new nn.Conv2d(2, 3, 3);
  norm1 = new nn.BatchNorm2d(3);
  #derived = ones([1]);
  readonly notATensor = { size: 3 };

  get derived(): Tensor {
    return this.#derived;
  }
}

class Network extends nn.Module {
  firstBlock = new Block();
  downBlocks = new nn.ModuleList([new nn.Conv2d(3, 3, 1, { bias: false }), new nn.Linear(2, 2)]);
  parts = new nn.ModuleDict<nn.Module>([
    ['b.weird name', new nn.InstanceNorm2d(3, { affine: true })],
    ['a', new nn.SpectralNormConv2d(3, 3, 1)],
  ]);
  gridScale = tensor([2]);
}

test('a strided 1x1 convolution gives in training what it gives in use, and so do its gradients', () => {
  const layer = new nn.Conv2d(4, 8, 1, { stride: 2, bias: false }).to(float64);
  const input = randn([2, 4, 15, 16]).to(float64).contiguous('channels_last').requiresGrad_();
  const gradients = [true, false].map((training) => {
    layer.train(training);
    const output = layer.forward(input);
    assert.deepEqual(output.shape, [2, 8, 8, 8]);
    return [output, ...grad([output.square().sum()], [input, layer.weight])];
  });
  for (const [i, value] of gradients[0]!.entries()) {
    assert.ok(value!.sub(gradients[1]![i]!).abs().amax().item() < 1e-4);
  }
});

test('state dicts name tensors as PyTorch does, in the order of the fields', () => {
  assert.deepEqual(
    [...new Network().stateDict().keys()],
    [
      'grid_scale',
      'first_block.conv_in.weight',
      'first_block.conv_in.bias',
      'first_block.norm1.weight',
      'first_block.norm1.bias',
      'first_block.norm1.running_mean',
      'first_block.norm1.running_var',
      'first_block.norm1.num_batches_tracked',
      'down_blocks.0.weight',
      'down_blocks.1.weight',
      'down_blocks.1.bias',
      'parts.b.weird name.weight',
      'parts.b.weird name.bias',
      'parts.a.weight_orig',
      'parts.a.bias',
      'parts.a.weight_u',
      'parts.a.weight_v',
    ],
  );
  const net = new Network();
  assert.ok([...net.stateDict('net').keys()].every((name) => name.startsWith('net.')));
  assert.ok(![...net.namedParameters().keys()].some((name) => /running|batches|grid|_u$|_v$/.test(name)));
  assert.equal(net.parameters().length, 11);
});

test('a module or parameter that has several names is trained once', () => {
  class Shared extends nn.Module {
    one = new nn.Linear(2, 2);
    two = this.one;
  }
  const net = new Shared();
  assert.deepEqual([...net.stateDict().keys()], ['one.weight', 'one.bias', 'two.weight', 'two.bias']);
  assert.equal(net.parameters().length, 2);
});

test('a state dict goes from one network to another, converted to what that has', () => {
  const [from, to] = [new Network(), new Network()];
  from.to({ dtype: 'float64' });
  const weight = to.firstBlock.convIn.weight;
  to.loadStateDict(from.stateDict());
  assert.equal(to.firstBlock.convIn.weight, weight);
  assert.equal(weight.dtype, 'float32');
  for (const [name, value] of from.stateDict()) near(to.stateDict().get(name)!, value, 1e-6);
  assert.ok(weight.requiresGrad && weight.isLeaf);
});

test('loading what does not fit names the first few tensors, gives the counts and changes nothing', () => {
  const net = new Network();
  const state = net.stateDict();
  const before = new Map([...state].map(([name, value]) => [name, value.toArray()]));
  const other = new Map([...new Network().stateDict()]);
  for (const name of ['down_blocks.0.weight', 'down_blocks.1.weight', 'grid_scale', 'parts.a.bias', 'parts.a.weight_u'])
    other.delete(name);
  other.delete('parts.a.weight_v');
  other.set('extra.weight', ones([1]));
  other.set('first_block.conv_in.bias', ones([4]));
  other.set('first_block.norm1.num_batches_tracked', ones([1]));
  let caught: unknown;
  try {
    net.loadStateDict(other);
  } catch (error) {
    caught = error;
  }
  assert.ok(caught instanceof nn.StateDictError);
  assert.equal(
    caught.message,
    '6 tensors are missing: grid_scale, down_blocks.0.weight, down_blocks.1.weight, parts.a.bias, parts.a.weight_u, ...; ' +
      '1 tensors are unexpected: extra.weight; ' +
      '2 tensors have another shape: first_block.conv_in.bias is [4] instead of [3], ' +
      'first_block.norm1.num_batches_tracked is [1] instead of []',
  );
  assert.equal(caught.missing.length, 6);
  assert.deepEqual(caught.unexpected, ['extra.weight']);
  for (const [name, value] of net.stateDict()) assert.deepEqual(value.toArray(), before.get(name));
  const gone = new Map(new Network().stateDict());
  gone.get('grid_scale')!.dispose();
  assert.throws(() => net.loadStateDict(gone), /disposed/);
  for (const [name, value] of net.stateDict()) assert.deepEqual(value.toArray(), before.get(name));
});

test('conversion keeps names, requiresGrad and values, and integers stay integers', () => {
  const net = new Network();
  net.firstBlock.convIn.requiresGrad_(false);
  const names = [...net.stateDict().keys()];
  const before = net.firstBlock.convIn.weight.toArray();
  assert.equal(net.to({ dtype: 'float64', memoryFormat: 'channels_last' }), net);
  assert.deepEqual([...net.stateDict().keys()], names);
  assert.equal(net.firstBlock.convIn.weight.dtype, 'float64');
  assert.equal(net.firstBlock.convIn.weight.isContiguous('channels_last'), true);
  assert.equal(net.firstBlock.convIn.weight.requiresGrad, false);
  assert.equal(net.downBlocks.at(0).weight.requiresGrad, true);
  assert.equal(net.firstBlock.norm1.numBatchesTracked.dtype, 'int64');
  assert.equal(net.firstBlock.norm1.runningMean.requiresGrad, false);
  assert.deepEqual(net.firstBlock.convIn.weight.toArray(), before);
  assert.ok(net.stateDict().get('grid_scale') instanceof Tensor);
  assert.equal(net.namedParameters().size, 11);
});

test('train and eval reach every module below, zeroGrad every gradient', () => {
  const net = new Network();
  assert.ok([...net.namedModules()].every(([, module]) => module.training));
  assert.equal(net.eval(), net);
  assert.ok([...net.namedModules()].every(([, module]) => !module.training));
  net.train();
  assert.ok([...net.namedModules()].every(([, module]) => module.training));
  assert.deepEqual([...net.namedModules()].map(([name]) => name).slice(0, 6), [
    '',
    'first_block',
    'first_block.conv_in',
    'first_block.norm1',
    'down_blocks',
    'down_blocks.0',
  ]);
  const first = net.firstBlock.convIn;
  first
    .forward(ones([1, 2, 4, 4]))
    .sum()
    .backward();
  assert.ok(first.weight.grad);
  net.zeroGrad();
  assert.equal(first.weight.grad, null);
});

test('lists and dictionaries of modules give their members and name what is not there', () => {
  const layers = [new nn.Linear(1, 1), new nn.Linear(1, 2)];
  const list = new nn.ModuleList(layers);
  assert.equal(list.length, 2);
  assert.equal(list.at(-1), layers[1]);
  assert.deepEqual([...list], layers);
  assert.throws(() => list.at(2), /there are 2 modules, none at 2/);
  const dictionary = new nn.ModuleDict([
    ['x', layers[0]!],
    ['y', layers[1]!],
  ]);
  assert.equal(dictionary.get('y'), layers[1]);
  assert.deepEqual(
    [...dictionary.entries()].map(([name]) => name),
    ['x', 'y'],
  );
  assert.deepEqual([...dictionary.values()], layers);
  assert.throws(() => dictionary.get('z'), /no module 'z' \(x, y\)/);
});

/** A convolution by its definition. */
function naiveConv2d(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  [stride, padding, dilation, groups]: [[number, number], [number, number], number, number],
): { shape: number[]; data: number[] } {
  const [n, c, h, w] = input.shape as [number, number, number, number];
  const [out, perGroup, kh, kw] = weight.shape as [number, number, number, number];
  const [x, k, b] = [input.toFloat32Array(), weight.toFloat32Array(), bias?.toFloat32Array()];
  const height = Math.floor((h + 2 * padding[0] - dilation * (kh - 1) - 1) / stride[0]) + 1;
  const width = Math.floor((w + 2 * padding[1] - dilation * (kw - 1) - 1) / stride[1]) + 1;
  const data: number[] = [];
  for (let image = 0; image < n; image++)
    for (let o = 0; o < out; o++)
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++) {
          let sum = b?.[o] ?? 0;
          for (let i = 0; i < perGroup; i++)
            for (let dy = 0; dy < kh; dy++)
              for (let dx = 0; dx < kw; dx++) {
                const [y, xx] = [
                  row * stride[0] - padding[0] + dy * dilation,
                  column * stride[1] - padding[1] + dx * dilation,
                ];
                if (y < 0 || y >= h || xx < 0 || xx >= w) continue;
                const channel = Math.floor(o / (out / groups)) * perGroup + i;
                sum += x[((image * c + channel) * h + y) * w + xx]! * k[((o * perGroup + i) * kh + dy) * kw + dx]!;
              }
          data.push(sum);
        }
  return { shape: [n, out, height, width], data };
}

test('Conv2d computes the sums of its definition', () => {
  manualSeed(1);
  const cases = [
    { kernel: 3, stride: [1, 1], padding: [0, 0], groups: 1, bias: true },
    { kernel: 3, stride: [2, 1], padding: [1, 2], groups: 2, bias: true },
    { kernel: [1, 5], stride: [1, 3], padding: [0, 2], groups: 1, bias: false },
    { kernel: [7, 2], stride: [2, 2], padding: [3, 0], groups: 4, bias: true },
  ] as const;
  for (const { kernel, stride, padding, groups, bias } of cases) {
    const conv = new nn.Conv2d(4, 8, kernel, { stride, padding, groups, bias });
    const input = randn([2, 4, 9, 8]);
    const expected = naiveConv2d(input, conv.weight, conv.bias, [[...stride], [...padding], 1, groups]);
    const output = conv.forward(input);
    assert.deepEqual(output.shape, expected.shape);
    near(output, expected.data, 1e-4);
  }
  const [input, weight] = [randn([1, 4, 9, 8]), randn([4, 2, 3, 3])];
  const dilated = F.conv2d(input, weight, null, { dilation: 2, groups: 2 });
  near(dilated, naiveConv2d(input, weight, null, [[1, 1], [0, 0], 2, 2]).data, 1e-4);
});

test('Linear is x W^T + b over the last dimension', () => {
  const layer = new nn.Linear(2, 3);
  layer.loadStateDict(
    new Map([
      [
        'weight',
        tensor([
          [1, 2],
          [3, 4],
          [5, 6],
        ]),
      ],
      ['bias', tensor([10, 20, 30])],
    ]),
  );
  assert.deepEqual(
    layer
      .forward(
        tensor([
          [
            [1, 1],
            [1, -1],
          ],
        ]),
      )
      .toArray(),
    [
      [
        [13, 27, 41],
        [9, 19, 29],
      ],
    ],
  );
});

test('layers start with weights in the range that PyTorch draws them from', () => {
  manualSeed(2);
  const conv = new nn.Conv2d(8, 64, 3, { groups: 2 });
  const bound = 1 / Math.sqrt(4 * 9);
  assert.ok(conv.weight.abs().amax().item() <= bound && conv.weight.abs().amax().item() > 0.98 * bound);
  assert.ok(conv.bias!.abs().amax().item() <= bound && conv.bias!.abs().amax().item() > 0.8 * bound);
  assert.ok(Math.abs(conv.weight.mean().item()) < 0.1 * bound);
});

test('BatchNorm2d normalises by the batch in training and by running statistics in use', () => {
  manualSeed(3);
  const norm = new nn.BatchNorm2d(2, { momentum: 0.25, eps: 1e-3 });
  norm.loadStateDict(
    new Map([
      ['weight', tensor([2, -1])],
      ['bias', tensor([0.5, 3])],
      ['running_mean', tensor([1, 2])],
      ['running_var', tensor([4, 9])],
      ['num_batches_tracked', tensor(41)],
    ]),
  );
  const input = randn([3, 2, 2, 2]).mul(3).add(1);
  const flat = input.toFloat32Array();
  const channel = (c: number): number[] =>
    [0, 1, 2].flatMap((n) => [...flat.slice((n * 2 + c) * 4, (n * 2 + c + 1) * 4)]);
  const statistics = [0, 1].map((c) => {
    const values = channel(c);
    const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
    return { mean, squares: values.reduce((sum, v) => sum + (v - mean) ** 2, 0), count: values.length };
  });
  const expected = (mean: number[], variance: number[]): number[] =>
    [...flat].map((v, i) => {
      const c = Math.floor(i / 4) % 2;
      return ((v - mean[c]!) / Math.sqrt(variance[c]! + 1e-3)) * [2, -1][c]! + [0.5, 3][c]!;
    });
  const output = norm.forward(input);
  near(
    output,
    expected(
      statistics.map((s) => s.mean),
      statistics.map((s) => s.squares / s.count),
    ),
    1e-4,
  );
  const runningMean = statistics.map((s, c) => 0.75 * [1, 2][c]! + 0.25 * s.mean);
  const runningVar = statistics.map((s, c) => 0.75 * [4, 9][c]! + (0.25 * s.squares) / (s.count - 1));
  near(norm.runningMean, runningMean);
  near(norm.runningVar, runningVar);
  assert.equal(norm.numBatchesTracked.item(), 42);
  norm.eval();
  near(norm.forward(input), expected(runningMean, runningVar), 1e-4);
  near(norm.runningMean, runningMean);
  assert.equal(norm.numBatchesTracked.item(), 42);
  assert.deepEqual(
    [...new nn.BatchNorm2d(2, { affine: false }).stateDict().keys()],
    ['running_mean', 'running_var', 'num_batches_tracked'],
  );
});

test('InstanceNorm2d normalises every picture and channel by itself, in training and in use', () => {
  manualSeed(4);
  const input = randn([2, 3, 4, 5]).mul(4).sub(2);
  const norm = new nn.InstanceNorm2d(3);
  const mean = input.mean([2, 3], true);
  const variance = input.variance([2, 3], { correction: 0, keepDim: true });
  const expected = input.sub(mean).div(variance.add(1e-5).sqrt());
  near(norm.forward(input), expected);
  near(norm.eval().forward(input), expected);
  assert.equal(norm.stateDict().size, 0);
  const affine = new nn.InstanceNorm2d(3, { affine: true });
  affine.loadStateDict(
    new Map([
      ['weight', tensor([1, 2, 3])],
      ['bias', tensor([4, 5, 6])],
    ]),
  );
  const scale = tensor([1, 2, 3]).reshape(1, 3, 1, 1);
  near(affine.forward(input), expected.mul(scale).add(tensor([4, 5, 6]).reshape(1, 3, 1, 1)));
});

test('SpectralNormConv2d divides by the largest singular value once power iteration has found it', () => {
  manualSeed(5);
  const layer = new nn.SpectralNormConv2d(3, 6, 3);
  const plain = F.conv2d(ones([1, 3, 3, 3]), layer.weight, null);
  for (let i = 0; i < 300; i++) tidy(() => noGrad(() => layer.forward(ones([1, 3, 3, 3]))));
  const matrix = layer.weight.reshape(6, -1).detach().to(float64);
  const largest = Math.sqrt(
    run('aten::linalg_eigvalsh', [matrix.matmul(matrix.transpose(0, 1))])
      .amax()
      .item(),
  );
  const output = layer.eval().forward(ones([1, 3, 3, 3]));
  near(output, plain.div(largest).add(layer.bias!.reshape(1, 6, 1, 1)), 1e-5);
  assert.ok(Math.abs(layer.weightU.norm().item() - 1) < 1e-5 && Math.abs(layer.weightV.norm().item() - 1) < 1e-5);
});

test('SpectralNormConv2d takes one step of power iteration in training and none in use', () => {
  manualSeed(6);
  const layer = new nn.SpectralNormConv2d(2, 3, 2);
  const matrix = layer.weight.reshape(3, -1).toArray() as number[][];
  let u = layer.weightU.toArray() as number[];
  const unit = (values: number[]): number[] => values.map((v) => v / Math.hypot(...values));
  let v = unit(matrix[0]!.map((_, j) => matrix.reduce((sum, row, i) => sum + row[j]! * u[i]!, 0)));
  u = unit(matrix.map((row) => row.reduce((sum, value, j) => sum + value * v[j]!, 0)));
  const output = layer.train().forward(ones([1, 2, 2, 2]));
  near(layer.weightU, u);
  near(layer.weightV, v);
  const sigma = u.reduce((sum, ui, i) => sum + ui * matrix[i]!.reduce((s, value, j) => s + value * v[j]!, 0), 0);
  near(output, F.conv2d(ones([1, 2, 2, 2]), layer.weight.div(sigma), layer.bias));
  v = layer.weightV.toArray() as number[];
  layer.eval().forward(ones([1, 2, 2, 2]));
  near(layer.weightU, u);
  assert.deepEqual(layer.weightV.toArray(), v);
});

test('the gradient of a spectrally normalised convolution goes through the singular value, u and v held fixed', () => {
  manualSeed(7);
  const layer = new nn.SpectralNormConv2d(2, 3, 2).to(float64);
  const input = randn([1, 2, 3, 3], float64);
  const weight = layer.weight.detach().clone();
  layer.eval();
  const [u, v] = [layer.weightU, layer.weightV];
  const bias = layer.bias!.detach();
  const formula = (w: Tensor): Tensor => {
    const sigma = run('aten::dot', [u, run('aten::mv', [w.reshape(3, -1), v])]);
    return F.conv2d(input, w.div(sigma), bias);
  };
  assertGradients(formula, [weight]);
  const leaf = weight.clone().requiresGrad_();
  const [expected] = grad([formula(leaf).square().sum()], [leaf]);
  const [actual] = grad([layer.forward(input).square().sum()], [layer.weight]);
  near(actual!, expected!, 1e-10);
  // Two passes in training before one backward pass, as a discriminator has for real and generated pictures.
  layer.train();
  layer
    .forward(input)
    .sum()
    .add(layer.forward(zeros([1, 2, 3, 3], float64)).sum())
    .backward();
  assert.ok(layer.weight.grad);
});

test('a batch norm folded into the convolution before it leaves the output as it was', () => {
  manualSeed(8);
  for (const bias of [true, false]) {
    const [conv, norm] = [new nn.Conv2d(2, 3, 3, { bias }), new nn.BatchNorm2d(3)];
    norm.forward(conv.forward(randn([4, 2, 6, 6]).mul(3)));
    norm.eval();
    const input = randn([1, 2, 6, 6]);
    const expected = norm.forward(conv.forward(input));
    norm.foldInto(conv);
    near(norm.forward(conv.forward(input)), expected);
  }
});

/** Largest error of any element, in units of the wanted elements' root mean square. */
const relativeError = (actual: Tensor, wanted: Tensor): number => {
  const error = actual.to(float64).sub(wanted.to(float64)).abs().amax().item();
  return error / wanted.to(float64).square().mean().sqrt().item();
};

test('the convolution for training has the values and derivatives of a convolution', () => {
  const threads = getThreads();
  const shapes = [
    [4, 32, 32, 32, 64, 3, 1],
    [2, 16, 21, 34, 48, 3, 1], // neither side is a multiple of its tiles
    [1, 64, 30, 17, 16, 3, 1],
    [2, 17, 20, 20, 33, 3, 0], // channels that fill no vector
    [2, 36, 24, 21, 69, 7, 0], // larger kernels, in parts
    [2, 40, 19, 20, 17, 7, 3],
    [2, 24, 22, 23, 32, 4, 0],
    [1, 16, 25, 25, 24, 5, 2],
    [1, 16, 25, 25, 16, 6, 1],
    [2, 3, 20, 20, 32, 3, 1], // what follows it leaves to conv2d: so few channels,
    [1, 32, 9, 9, 32, 3, 1], // so few pixels,
    [1, 16, 30, 30, 16, 9, 4], // so large a kernel
  ] as const;
  for (const count of [1, 2]) {
    setThreads(count);
    for (const [n, from, height, width, to, side, padding] of shapes) {
      for (const format of ['contiguous', 'channels_last'] as const) {
        tidy(() => {
          const x = randn([n, from, height, width]).contiguous(format);
          const values = [x, randn([to, from, side, side]).mul(0.1).contiguous(format), randn([to])] as const;
          const [input, weight, bias] = values.map((value) => value.detach().requiresGrad_()) as [
            Tensor,
            Tensor,
            Tensor,
          ];
          const exact = values.map((value) => value.to(float64).requiresGrad_()) as [Tensor, Tensor, Tensor];
          const result = F.trainingConv2d(input, weight, bias, { padding });
          const wanted = F.conv2d(...exact, { padding });
          const gradient = randn(wanted.shape);
          assert.deepEqual(result.shape, wanted.shape);
          assert.ok(relativeError(result, wanted) < 2e-4);
          assert.ok(
            relativeError(
              F.trainingConv2d(input, weight, null, { padding }),
              F.conv2d(exact[0], exact[1], null, { padding }),
            ) < 2e-4,
          );
          const gradients = grad([result], [input, weight, bias], { gradients: [gradient] });
          const exactly = grad([wanted], exact, { gradients: [gradient.to(float64)] });
          gradients.forEach((each, i) => {
            assert.ok(
              relativeError(each!, exactly[i]!) < 5e-4,
              `derivative ${i} of ${[n, from, height, width, to, side, padding]}`,
            );
          });
        });
      }
    }
  }
  setThreads(threads);
});

test('the convolution for training has a second derivative, and heeds autocast', () => {
  tidy(() => {
    const [x, weight] = [randn([2, 16, 16, 16]), randn([16, 16, 3, 3])];
    const sharpness = (convolve: (input: Tensor, kernel: Tensor) => Tensor): Tensor => {
      const [input, kernel] = [x.detach().requiresGrad_(), weight.detach().requiresGrad_()];
      const [slope] = grad([convolve(input, kernel).square().sum()], [input], { createGraph: true });
      return grad([slope!.square().sum()], [kernel])[0]!;
    };
    const wanted = sharpness((input, kernel) => F.conv2d(input, kernel, null, { padding: 1 }));
    assert.ok(
      relativeError(
        sharpness((input, kernel) => F.trainingConv2d(input, kernel, null, { padding: 1 })),
        wanted,
      ) < 1e-3,
    );
    const half = autocast({ device: 'cpu', dtype: 'bfloat16' }, () => F.trainingConv2d(x, weight));
    assert.equal(half.dtype, 'bfloat16');
  });
});

test('under autocast the convolution for training is as exact as its 16 bits, forth and back', () => {
  manualSeed(13);
  for (const [n, from, height, width, to, side, padding] of [
    [4, 32, 32, 32, 64, 3, 1],
    [2, 17, 30, 29, 33, 3, 0], // channels that fill no vector
    [2, 36, 34, 34, 20, 7, 3],
    [4, 32, 12, 12, 32, 3, 1], // few pixels
  ] as const) {
    tidy(() => {
      const x = randn([n, from, height, width]).to({ dtype: 'bfloat16' }).contiguous('channels_last');
      const values = [x, randn([to, from, side, side]).mul(0.1), randn([to])].map((value) => value.requiresGrad_());
      const exact = values.map((value) => value.detach().to(float64).requiresGrad_()) as [Tensor, Tensor, Tensor];
      const [input, weight, bias] = values as [Tensor, Tensor, Tensor];
      const result = autocast({ device: 'cpu', dtype: 'bfloat16' }, () =>
        F.trainingConv2d(input, weight, bias, { padding }),
      );
      const wanted = F.conv2d(...exact, { padding });
      const gradient = randn(wanted.shape).to({ dtype: 'bfloat16' });
      assert.equal(result.dtype, 'bfloat16');
      assert.ok(relativeError(result, wanted) < 2 ** -4);
      const gradients = grad([result], values, { gradients: [gradient] });
      const exactly = grad([wanted], exact, { gradients: [gradient.to(float64)] });
      gradients.forEach((each, i) => {
        assert.equal(each!.dtype, values[i]!.dtype);
        assert.ok(relativeError(each!, exactly[i]!) < 2 ** -4, `derivative ${i} of ${[n, from, height, width, to]}`);
      });
    });
  }
});

test('a 3x3 layer says the same in training as in use', () => {
  tidy(() => {
    const layer = new nn.Conv2d(32, 32, 3, { padding: 1 });
    const x = randn([2, 32, 24, 24]);
    const [training, use] = [layer.train().forward(x), layer.eval().forward(x)];
    assert.ok(relativeError(training, use) < 2e-4);
    assert.notEqual(relativeError(training, use), 0, 'training takes the faster way');
  });
});

test('batch norm, ReLU and mean in one are what they are one by one, forth and back', () => {
  const threads = getThreads();
  manualSeed(11);
  const shapes = [
    [2, 16, 8, 12, 1],
    [3, 40, 6, 10, 2], // four vectors of channels, and one
    [2, 12, 8, 8, 2], // what follows it leaves to LibTorch: channels that fill no vector,
    [2, 16, 7, 9, 2], // pixels outside of all squares,
    [2, 16, 9, 9, 3], // larger squares
  ] as const;
  for (const [dtype, tolerance] of [
    ['float32', 1e-5],
    ['bfloat16', 2 ** -4],
  ] as const) {
    for (const [n, channels, height, width, pool] of shapes) {
      for (const format of ['contiguous', 'channels_last'] as const) {
        setThreads(format === 'contiguous' ? 2 : 1);
        tidy(() => {
          const x = randn([n, channels, height, width]).mul(2).add(1).to({ dtype }).contiguous(format);
          const values = [x, randn([channels]), randn([channels])].map((value) => value.requiresGrad_());
          const exact = values.map((value) => value.detach().to(float64).requiresGrad_());
          const running = () => [zeros([channels]), ones([channels])] as const;
          const state = ([, weight, bias]: Tensor[], [runningMean, runningVar]: readonly [Tensor, Tensor]) => ({
            weight: weight!,
            bias: bias!,
            runningMean,
            runningVar,
          });
          const [moved, wantedMoved] = [running(), running().map((value) => value.to(float64)) as [Tensor, Tensor]];
          const result = F.batchNormRelu(values[0]!, state(values, moved), pool);
          const wanted = F.avgPool2d(
            F.batchNorm(exact[0]!, { ...state(exact, wantedMoved), training: true }).relu(),
            pool,
          );
          const gradient = randn(result.shape).to({ dtype });
          const gradients = grad([result], values, { gradients: [gradient] });
          const exactly = grad([wanted], exact, { gradients: [gradient.to(float64)] });
          assert.equal(result.dtype, dtype);
          assert.deepEqual(result.shape, wanted.shape);
          assert.ok(relativeError(result, wanted) < tolerance);
          gradients.forEach((each, i) => {
            const what = `derivative ${i} of ${[n, channels, height, width, pool]} in ${dtype}, ${format}`;
            assert.ok(relativeError(each!, exactly[i]!) < tolerance, what);
          });
          moved.forEach((value, i) => {
            assert.ok(relativeError(value, wantedMoved[i]!) < tolerance);
          });
        });
      }
    }
  }
  setThreads(threads);
});

test('batch norm and ReLU in one have a second derivative', () => {
  tidy(() => {
    const [x, factor, offset] = [randn([2, 8, 6, 6]), randn([8]), randn([8])];
    const sharpness = (normalized: (input: Tensor, weight: Tensor, bias: Tensor) => Tensor): Tensor[] => {
      const leaves = [x, factor, offset].map((value) => value.detach().requiresGrad_()) as [Tensor, Tensor, Tensor];
      const output = normalized(...leaves);
      const [slope] = grad([output.square().mul(output).sum()], [leaves[0]], { createGraph: true });
      return grad([slope!.square().sum()], leaves) as Tensor[];
    };
    const running = () => ({ runningMean: zeros([8]), runningVar: ones([8]) });
    const own = sharpness((input, weight, bias) => F.batchNormRelu(input, { weight, bias, ...running() }));
    const wanted = sharpness((input, weight, bias) =>
      F.batchNorm(input, { weight, bias, ...running(), training: true }).relu(),
    );
    own.forEach((each, i) => {
      assert.ok(relativeError(each, wanted[i]!) < 1e-4, `derivative ${i}`);
    });
  });
});

test('a mean absolute difference and its derivative hold for any dtypes and layouts', () => {
  manualSeed(12);
  const cases = [
    ['float32', 'float32', 'contiguous', 'channels_last'],
    ['bfloat16', 'bfloat16', 'channels_last', 'channels_last'],
    ['bfloat16', 'float32', 'channels_last', 'contiguous'],
    ['float64', 'float64', 'contiguous', 'contiguous'],
  ] as const;
  for (const [dtype, other, format, otherFormat] of cases) {
    tidy(() => {
      const a = randn([2, 7, 5, 31]).to({ dtype }).contiguous(format);
      const b = randn([2, 7, 5, 31]).to({ dtype: other }).contiguous(otherFormat);
      b.select(1, 3).copy_(a.select(1, 3)); // nothing to learn where they are the same
      const [x, exact] = [a.detach().requiresGrad_(), a.to(float64).requiresGrad_()];
      const result = F.meanAbsoluteDifference(x, b);
      const wanted = exact.sub(b.to(float64)).abs().mean();
      assert.equal(result.dtype, dtype === 'float64' ? 'float64' : 'float32');
      near(result, wanted, 1e-6);
      const [gradient] = grad([result.mul(3)], [x]);
      assert.equal(gradient!.dtype, dtype);
      assert.ok(relativeError(gradient!, grad([wanted.mul(3)], [exact])[0]!) < (dtype === 'bfloat16' ? 2 ** -8 : 1e-6));
    });
  }
  tidy(() => {
    const [a, b] = [randn([3, 4]).requiresGrad_(), randn([3, 4]).requiresGrad_()];
    const gradients = grad([F.meanAbsoluteDifference(a, b)], [a, b]);
    near(gradients[1]!, gradients[0]!.neg());
    const broken = tensor([1, Number.NaN, 2, 3, 4, 5, 6, 7, 8]);
    assert.ok(Number.isNaN(F.meanAbsoluteDifference(broken, broken.mul(0)).item()));
  });
});

test('sampling pictures whose channels lie innermost is that of LibTorch, and so are its gradients', () => {
  for (const [channels, alignCorners] of [
    [8, false],
    [24, true],
    [5, true],
  ] as const) {
    tidy(() => {
      const [bilinear, zerosOutside] = [0, 0];
      const places = randn([2, 9, 4, 2]); // some of them outside
      places
        .select(0, 0)
        .select(0, 0)
        .copy_(tensor([-40, 1e6, 0.5, -7]).view(4, 1).expand(4, 2));
      const picture = randn([2, channels, 6, 5]).contiguous('channels_last');
      const [x, grid] = [picture.detach().requiresGrad_(), places.detach().requiresGrad_()];
      const exact = [picture.to(float64).requiresGrad_(), places.to(float64).requiresGrad_()] as const;
      const result = F.gridSample(x, grid, { alignCorners });
      const wanted = run('aten::grid_sampler', [...exact, bilinear, zerosOutside, alignCorners]);
      near(result, wanted);
      const gradient = randn(wanted.shape);
      const gradients = grad([result], [x, grid], { gradients: [gradient] });
      const exactly = grad([wanted], exact, { gradients: [gradient.to(float64)] });
      for (const [i, each] of gradients.entries()) near(each!, exactly[i]!, 1e-4);
      const [alone] = grad([F.gridSample(picture, grid, { alignCorners })], [grid], { gradients: [gradient] });
      near(alone!, gradients[1]!, 0);
    });
  }
});

test('a profile tells the operators of both passes, their shapes and how often they ran', () => {
  tidy(() => {
    const x = randn([2, 3, 8, 8]).requiresGrad_();
    const { result, operators } = profile(() => {
      backward([F.avgPool2d(x.relu(), 2).relu().sum()]);
      return 'done';
    });
    assert.equal(result, 'done');
    const calls = (name: string, inputs: string) =>
      operators.filter((each) => each.name === name && each.inputs === inputs).map((each) => each.calls);
    assert.deepEqual(calls('aten::relu', 'float32[2, 3, 8, 8]'), [1]);
    assert.deepEqual(calls('aten::relu', 'float32[2, 3, 4, 4]'), [1]);
    assert.equal(
      operators.some((each) => each.name === 'aten::avg_pool2d_backward'),
      true,
    );
    assert.ok(operators.every((each) => each.milliseconds >= 0 && each.computed >= 0));
    assert.throws(() => profile(() => profile(() => {})), /a profile is being taken already/);
    assert.throws(
      () =>
        profile(() => {
          throw new Error('of the body');
        }),
      /of the body/,
    );
    assert.equal(profile(() => {}).operators.length, 0);
  });
});

test('batch norms that were converted for a group normalise, then rectify, where it has no operator for both', () => {
  const layer = new nn.BatchNorm2d(16);
  const group = { worldSize: 2, syncBatchNormRelu: () => null, syncBatchNorm: (input: Tensor) => input };
  nn.convertSyncBatchNorm(layer, group as unknown as Parameters<typeof nn.convertSyncBatchNorm>[1]);
  assert.deepEqual(layer.relu(ones([2, 16, 2, 2]).mul(-3)).toArray(), zeros([2, 16, 2, 2]).toArray());
  assert.deepEqual(layer.relu(ones([2, 16, 2, 2]), 2).toArray(), ones([2, 16, 1, 1]).toArray());
});
