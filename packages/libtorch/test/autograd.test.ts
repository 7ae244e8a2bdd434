// Gradients, grad mode, mixed precision; the functions' derivatives against finite differences.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  autocast,
  backward,
  enableGrad,
  F,
  grad,
  manualSeed,
  nn,
  noGrad,
  ones,
  rand,
  randn,
  tensor,
  zeros,
} from '../src/index.js';
import { assertGradients } from './gradient.js';

const float64 = { dtype: 'float64' } as const;

test('backward adds into the gradients of leaves', () => {
  const x = tensor([1, 2, 3]).requiresGrad_();
  x.square().sum().backward();
  assert.deepEqual(x.grad!.toArray(), [2, 4, 6]);
  x.mul(10).sum().backward();
  assert.deepEqual(x.grad!.toArray(), [12, 14, 16]);
  x.setGrad(null);
  assert.equal(x.grad, null);
  x.mul(2).backward({ gradient: tensor([1, 0, -1]) });
  assert.deepEqual(x.grad!.toArray(), [2, 0, -2]);
  x.setGrad(null);
  backward([x.sum(), x.mul(3).sum()]);
  assert.deepEqual(x.grad!.toArray(), [4, 4, 4]);
  x.setGrad(tensor([7, 7, 7]));
  assert.deepEqual(x.grad!.toArray(), [7, 7, 7]);
});

test('a graph can be used once, or again where that is asked for', () => {
  const x = tensor([2]).requiresGrad_();
  const once = x.square();
  once.backward();
  assert.throws(() => once.backward(), /backward: .*second time/);
  const again = x.square();
  again.backward({ retainGraph: true });
  again.backward();
  assert.deepEqual(x.grad!.toArray(), [12]);
});

test('wrong uses of gradients are errors', () => {
  const x = tensor([1, 2]).requiresGrad_();
  assert.throws(() => x.mul(2).backward(), /backward: grad can be implicitly created only for scalar outputs/);
  assert.throws(() => tensor([1]).backward(), /backward: .*does not require grad/);
  assert.throws(() => x.mul(2).backward({ gradient: ones([3]) }), /backward: /);
  assert.throws(() => x.setGrad(ones([3])), /gradient of float32\[3\] cannot belong to float32\[2\]/);
  assert.throws(() => x.setGrad(ones([2], float64)), /gradient of float64\[2\] cannot belong to float32\[2\]/);
  assert.throws(() => x.setGrad(x), /cannot be its own gradient/);
  assert.throws(() => tensor([1], { dtype: 'int64' }).requiresGrad_(), /floating point/);
  assert.throws(() => x.mul(2).requiresGrad_(false), /only a leaf.*use detach/);
  assert.throws(() => x.add_(1), /leaf/);
  assert.equal(x.grad, null);
});

test('grad returns gradients and leaves those of the leaves alone', () => {
  const [x, y] = [tensor([1, 2]).requiresGrad_(), tensor([3, 4]).requiresGrad_()];
  const [dx, dy] = grad([x.mul(y).sum()], [x, y]);
  assert.deepEqual(dx!.toArray(), [3, 4]);
  assert.deepEqual(dy!.toArray(), [1, 2]);
  assert.equal(x.grad, null);
  const [weighted] = grad([x.mul(2)], [x], { gradients: [tensor([1, 10])] });
  assert.deepEqual(weighted!.toArray(), [2, 20]);
  assert.throws(() => grad([x.sum()], [x, y]), /grad: .*unused|not have been used/);
  assert.deepEqual(
    grad([x.sum()], [y, x], { allowUnused: true }).map((entry) => entry?.toArray() ?? null),
    [null, [1, 1]],
  );
});

test('gradients can be differentiated again', () => {
  const x = tensor([2, -3], float64).requiresGrad_();
  const [first] = grad([x.pow(3).sum()], [x], { createGraph: true });
  assert.deepEqual(first!.toArray(), [12, 27]);
  const [second] = grad([first!.sum()], [x]);
  assert.deepEqual(second!.toArray(), [12, -18]);
  const penalty = grad([x.pow(4).sum()], [x], { createGraph: true })[0]!
    .square()
    .sum(); // sum of 16 x^6
  penalty.backward();
  assert.deepEqual(x.grad!.toArray(), [96 * 2 ** 5, 96 * (-3) ** 5]);
});

test('noGrad and enableGrad nest, return what the body returns, and end with it even by an error', () => {
  const x = tensor([1]).requiresGrad_();
  const recorded = () => x.mul(2).requiresGrad;
  assert.equal(noGrad(recorded), false);
  assert.deepEqual(
    noGrad(() => [recorded(), enableGrad(recorded), recorded()]),
    [false, true, false],
  );
  assert.equal(
    enableGrad(() => noGrad(recorded)),
    false,
  );
  assert.equal(recorded(), true);
  assert.throws(() => noGrad(() => enableGrad(() => noGrad(() => x.matmul(zeros([5]))))), /aten::matmul/);
  assert.equal(recorded(), true);
  assert.equal(x.isLeaf, true);
  assert.equal(x.mul(2).isLeaf, false);
  assert.equal(x.mul(2).detach().requiresGrad, false);
});

test('autocast computes convolutions in bfloat16 while weights and gradients stay float32', () => {
  manualSeed(3);
  const conv = new nn.Conv2d(3, 4, 3);
  const input = randn([2, 3, 8, 8]).requiresGrad_();
  const exact = conv.forward(input);
  const output = autocast({}, () => conv.forward(input));
  assert.equal(output.dtype, 'bfloat16');
  assert.equal(conv.weight.dtype, 'float32');
  const error = output.to({ dtype: 'float32' }).sub(exact).abs().amax().item();
  assert.ok(error > 0 && error < 0.03, `${error}`);
  output.to({ dtype: 'float32' }).square().mean().backward();
  assert.equal(conv.weight.grad!.dtype, 'float32');
  assert.equal(input.grad!.dtype, 'float32');
  const rough = conv.weight.grad!;
  const [fine] = grad([conv.forward(input).square().mean()], [conv.weight]);
  assert.ok(rough.sub(fine!).norm().item() < 0.02 * fine!.norm().item());
});

test('autocast regions nest, can be switched off inside, and end with their body even by an error', () => {
  const product = () => ones([2, 2]).matmul(ones([2, 2])).dtype;
  assert.equal(product(), 'float32');
  assert.deepEqual(
    autocast({}, () => [product(), autocast({ enabled: false }, product), product()]),
    ['bfloat16', 'float32', 'bfloat16'],
  );
  assert.throws(() => autocast({}, () => ones([2]).matmul(ones([3]))), /aten::matmul/);
  assert.equal(product(), 'float32');
});

test('weights that change between two autocast regions are cast anew', () => {
  const weight = ones([2, 2]).requiresGrad_();
  const read = () => autocast({}, () => ones([2, 2]).matmul(weight).sum().item());
  assert.equal(read(), 8);
  noGrad(() => weight.mul_(2));
  assert.equal(read(), 16);
});

test('a channels-last network gives the same output and keeps its layout', () => {
  manualSeed(4);
  const conv = new nn.Conv2d(3, 4, 3, { padding: 1 });
  const input = randn([2, 3, 8, 8]);
  const plain = conv.forward(input);
  conv.to({ memoryFormat: 'channels_last' });
  assert.equal(conv.weight.isContiguous('channels_last'), true);
  const output = conv.forward(input.contiguous('channels_last'));
  assert.equal(output.isContiguous('channels_last'), true);
  assert.ok(output.sub(plain).abs().amax().item() < 1e-5);
});

test('gradients of the functions for pictures equal finite differences', () => {
  manualSeed(5);
  const draw = (...shape: number[]) => rand(shape, float64).mul(2).sub(1);
  const image = draw(2, 2, 5, 4);
  assertGradients((x, w, b) => F.conv2d(x, w, b, { stride: [2, 1], padding: 1 }), [image, draw(3, 2, 3, 2), draw(3)]);
  assertGradients((x, w) => F.conv2d(x, w, null, { dilation: 2, groups: 2 }), [image, draw(4, 1, 2, 2)]);
  assertGradients((x, w, b) => F.linear(x, w, b), [draw(3, 4), draw(2, 4), draw(2)]);
  for (const paddingMode of ['zeros', 'border'] as const) {
    for (const alignCorners of [false, true]) {
      const grid = draw(2, 3, 3, 2).mul(1.13);
      assertGradients((x, g) => F.gridSample(x, g, { paddingMode, alignCorners }), [image, grid], { step: 1e-7 });
    }
  }
  assertGradients((x, g) => F.gridSample(x, g, { paddingMode: 'reflection' }), [image, draw(2, 3, 3, 2)], {
    step: 1e-7,
  });
  assertGradients((x) => F.gridSample(x, draw(2, 3, 3, 2).detach().mul(0).add(0.21), { mode: 'nearest' }), [image]);
  for (const alignCorners of [false, true]) {
    assertGradients((x) => F.upsampleBilinear(x, [7, 3], { alignCorners }), [image]);
  }
  assertGradients((x) => F.upsampleNearest(x, [10, 8]), [image]);
  assertGradients((x) => F.avgPool2d(x, 2, { stride: 1, padding: 1 }), [image]);
  assertGradients((x) => F.maxPool2d(x, 2), [image]);
  assertGradients((x) => F.pad(x, [1, 2, 2, 1], 'reflect'), [image]);
  assertGradients((x) => F.pad(x, [1, 0, -1, 2], 'replicate'), [image]);
  assertGradients((x) => F.pixelShuffle(x, 2), [draw(1, 4, 2, 3)]);
});

test('gradients of normalisations equal finite differences', () => {
  manualSeed(6);
  const image = rand([3, 2, 3, 3], float64);
  const [weight, bias] = [rand([2], float64), rand([2], float64)];
  assertGradients((x, w, b) => F.batchNorm(x, { weight: w, bias: b, training: true }), [image, weight, bias]);
  const runningMean = tensor([0.3, -0.2], float64);
  const runningVar = tensor([0.5, 2], float64);
  assertGradients((x, w, b) => F.batchNorm(x, { weight: w, bias: b, runningMean, runningVar }), [image, weight, bias]);
  assertGradients((x, w, b) => F.instanceNorm(x, { weight: w, bias: b }), [image, weight, bias]);
});

test('gradients of activations and reductions equal finite differences', () => {
  manualSeed(7);
  const x = randn([3, 4], float64);
  const positive = rand([3, 4], float64).add(0.5);
  for (const dim of [0, 1, -1]) assertGradients((v) => v.softmax(dim), [x]);
  assertGradients((v) => F.leakyRelu(v, 0.2), [x]);
  assertGradients(F.elu, [x]);
  assertGradients(F.softplus, [x]);
  assertGradients((v) => v.sigmoid(), [x]);
  assertGradients((v) => v.tanh(), [x]);
  assertGradients((v) => v.exp().add(v.sin()).mul(v.cos()), [x]);
  assertGradients((v) => v.log().add(v.sqrt()).add(v.pow(1.5)).add(v.reciprocal()), [positive]);
  assertGradients((a, b) => a.div(b), [x, positive]);
  assertGradients((v) => v.variance([0]), [x]);
  assertGradients((v) => v.norm(), [x]);
  assertGradients((v) => v.amax([1]), [x]);
  assertGradients((a, b) => a.matmul(b), [x, randn([4, 2], float64)]);
  assertGradients(
    (v) => v.inverse(),
    [
      randn([2, 3, 3], float64).add(
        tensor(
          [
            [3, 0, 0],
            [0, 3, 0],
            [0, 0, 3],
          ],
          float64,
        ),
      ),
    ],
  );
});
