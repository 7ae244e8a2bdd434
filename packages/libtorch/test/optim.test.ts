// Optimisers against plain arithmetic, and going on from a saved state.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  getThreads,
  liveTensors,
  manualSeed,
  nn,
  ones,
  optim,
  randn,
  setThreads,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '../src/index.js';

/** Adam as the paper writes it, on one number. */
function plainAdam(options: { lr: number; betas: readonly [number, number]; eps: number; weightDecay: number }) {
  let [m, v, t] = [0, 0, 0];
  return (parameter: number, gradient: number): number => {
    const g = gradient + options.weightDecay * parameter;
    t += 1;
    m = options.betas[0] * m + (1 - options.betas[0]) * g;
    v = options.betas[1] * v + (1 - options.betas[1]) * g * g;
    const mHat = m / (1 - options.betas[0] ** t);
    const vHat = v / (1 - options.betas[1] ** t);
    return parameter - (options.lr * mHat) / (Math.sqrt(vHat) + options.eps);
  };
}

test('Adam takes the steps of its paper, with weight decay and with gradients that are null at times', () => {
  for (const weightDecay of [0, 0.1]) {
    const options = { lr: 0.05, betas: [0.5, 0.999] as const, eps: 1e-8, weightDecay };
    const start = [1.5, -2, 0.3];
    const parameters = start.map((value) => new nn.Parameter(tensor([value], { dtype: 'float64' })));
    const adam = new optim.Adam(parameters, options);
    const plain = start.map(() => plainAdam(options));
    const values = [...start];
    for (let step = 0; step < 12; step++) {
      parameters.forEach((parameter, i) => {
        const present = i === 0 || (i === 1 && step % 3 === 1) || (i === 2 && step > 5);
        const gradient = Math.cos(step * (i + 1)) + (i === 0 ? 1e-3 * values[i]! : 0);
        parameter.setGrad(present ? tensor([gradient], { dtype: 'float64' }) : null);
        if (present) values[i] = plain[i]!(values[i]!, gradient);
      });
      adam.step();
      parameters.forEach((parameter, i) => {
        assert.ok(Math.abs(parameter.item() - values[i]!) < 1e-12, `step ${step}, parameter ${i}`);
      });
    }
  }
});

test('the learning rate can change between steps, and parameters stay leaves', () => {
  const parameter = new nn.Parameter(zeros([2]));
  const adam = new optim.Adam([parameter], { lr: 0.1 });
  parameter.setGrad(tensor([1, -1]));
  adam.step();
  const first = parameter.toArray() as number[];
  assert.ok(Math.abs(first[0]! + 0.1) < 1e-6 && Math.abs(first[1]! - 0.1) < 1e-6);
  adam.lr = 0;
  adam.step();
  assert.deepEqual(parameter.toArray(), first);
  assert.ok(parameter.isLeaf && parameter.requiresGrad);
  adam.zeroGrad();
  assert.equal(parameter.grad, null);
});

class Net extends nn.Module {
  conv = new nn.Conv2d(2, 4, 3);
  norm = new nn.BatchNorm2d(4);
  unused = new nn.Linear(2, 2);

  forward(input: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(input)).relu();
  }
}

function trainStep(net: Net, adam: optim.Adam, seed: number): void {
  manualSeed(seed);
  tidy(() =>
    net
      .forward(randn([2, 2, 6, 6]))
      .square()
      .mean()
      .backward(),
  );
  adam.step();
  adam.zeroGrad();
}

const bits = (state: ReadonlyMap<string, Tensor>) => [...state].map(([name, value]) => [name, value.toTypedArray()]);

test('a run that goes on from saved tensors is bit by bit the run that was not interrupted', () => {
  const threads = getThreads();
  setThreads(1);
  try {
    manualSeed(1);
    const straight = new Net();
    const adam = new optim.Adam(straight.parameters(), { lr: 0.01, weightDecay: 1e-4 });
    for (let i = 0; i < 4; i++) trainStep(straight, adam, 10 + i);
    const copies = (state: ReadonlyMap<string, Tensor>) =>
      new Map([...state].map(([name, value]) => [name, value.clone()]));
    const [savedNet, savedAdam] = [copies(straight.stateDict()), copies(adam.stateDict())];
    assert.deepEqual([...savedAdam.keys()].slice(0, 4), ['0.exp_avg', '0.exp_avg_sq', '0.step', '1.exp_avg']);
    assert.equal(savedAdam.get('0.step')!.item(), 4);
    assert.equal(savedAdam.has('4.step'), false); // the unused layer
    for (let i = 4; i < 8; i++) trainStep(straight, adam, 10 + i);

    const resumed = new Net();
    const resumedAdam = new optim.Adam(resumed.parameters(), { lr: 0.01, weightDecay: 1e-4 });
    resumed.loadStateDict(savedNet);
    resumedAdam.loadStateDict(savedAdam);
    for (let i = 4; i < 8; i++) trainStep(resumed, resumedAdam, 10 + i);
    assert.deepEqual(bits(resumed.stateDict()).slice(0, 7), bits(straight.stateDict()).slice(0, 7));
    assert.deepEqual(bits(resumedAdam.stateDict()), bits(adam.stateDict()));
  } finally {
    setThreads(threads);
  }
});

test('a saved state that does not fit the parameters is refused, and the optimiser goes on as it was', () => {
  const parameters = [new nn.Parameter(zeros([2])), new nn.Parameter(zeros([3]))];
  const adam = new optim.Adam(parameters);
  tidy(() => {
    for (const parameter of parameters) parameter.setGrad(parameter.detach().add(1));
  });
  adam.step();
  const before = tidy(() => bits(adam.stateDict()));
  const state = () => new Map(adam.stateDict());
  const live = liveTensors();
  tidy(() => {
    const wrongShape = state().set('1.exp_avg', zeros([4]));
    assert.throws(
      () => adam.loadStateDict(wrongShape),
      /1 tensors have another shape: 1\.exp_avg is \[4\] instead of \[3\]/,
    );
    const missing = state();
    missing.delete('0.exp_avg_sq');
    assert.throws(() => adam.loadStateDict(missing), /1 tensors are missing: 0\.exp_avg_sq/);
    const unexpected = state().set('2.step', zeros([]));
    assert.throws(() => adam.loadStateDict(unexpected), /1 tensors are unexpected: 2\.step/);
    assert.throws(() => adam.loadStateDict(new Map([['weight', ones([1])]])), /unexpected: weight/);
  });
  assert.ok(liveTensors() <= live); // fewer where what other tests left was collected
  assert.deepEqual(bits(adam.stateDict()), before);
  adam.loadStateDict(new Map());
  assert.equal(adam.stateDict().size, 0);
});

test('clipping scales all gradients together and tells the norm before', () => {
  const parameters = [new nn.Parameter(zeros([2])), new nn.Parameter(zeros([1])), new nn.Parameter(zeros([1]))];
  const set = (a: number[], b: number[]) => {
    parameters[0]!.setGrad(tensor(a));
    parameters[1]!.setGrad(tensor(b));
  };
  const gradients = () => [parameters[0]!.grad!.toArray(), parameters[1]!.grad!.toArray(), parameters[2]!.grad];
  set([3, 0], [4]);
  assert.equal(optim.clipGradNorm(parameters, 10), 5);
  assert.deepEqual(gradients(), [[3, 0], [4], null]);
  assert.equal(optim.clipGradNorm(parameters, 2.5), 5);
  assert.deepEqual(gradients(), [[1.5, 0], [2], null]);
  set([Infinity, 1], [4]);
  assert.equal(optim.clipGradNorm(parameters, 1), Infinity);
  assert.deepEqual(gradients(), [[Infinity, 1], [4], null]);
  set([Number.NaN, 1], [4]);
  assert.ok(Number.isNaN(optim.clipGradNorm(parameters, 1)));
  assert.equal(optim.clipGradNorm([parameters[2]!], 1), 0);
});

test('the moving average follows the parameters and the running statistics', () => {
  manualSeed(2);
  const net = new Net();
  const ema = new optim.ExponentialMovingAverage(net, 0.75);
  const adam = new optim.Adam(net.parameters(), { lr: 0.1 });
  const at = () => (net.conv.weight.toTypedArray() as Float32Array)[5]!;
  const varianceAt = () => (net.norm.runningVar.toTypedArray() as Float32Array)[1]!;
  let [expected, expectedVariance] = [at(), varianceAt()];
  for (let i = 0; i < 5; i++) {
    trainStep(net, adam, 20 + i);
    ema.update();
    expected = 0.75 * expected + 0.25 * at();
    expectedVariance = 0.75 * expectedVariance + 0.25 * varianceAt();
  }
  const averaged = ema.stateDict();
  assert.deepEqual([...averaged.keys()], [...net.stateDict().keys()]);
  assert.ok(Math.abs((averaged.get('conv.weight')!.toTypedArray() as Float32Array)[5]! - expected) < 1e-6);
  assert.ok(Math.abs(expected - at()) > 1e-3);
  const variance = (averaged.get('norm.running_var')!.toTypedArray() as Float32Array)[1]!;
  assert.ok(Math.abs(variance - expectedVariance) < 1e-6);
  assert.ok(Math.abs(expectedVariance - varianceAt()) > 1e-3);
  assert.equal(averaged.get('norm.num_batches_tracked')!.item(), 5);
  assert.equal(averaged.get('conv.weight')!.requiresGrad, false);
});

test('the average takes the place of the weights for a while and gives it back, also after an error', () => {
  const net = new nn.Linear(1, 1);
  const weight = net.weight;
  net.loadStateDict(
    new Map([
      ['weight', tensor([[2]])],
      ['bias', tensor([0])],
    ]),
  );
  const ema = new optim.ExponentialMovingAverage(net, 0.5);
  net.loadStateDict(
    new Map([
      ['weight', tensor([[4]])],
      ['bias', tensor([0])],
    ]),
  );
  ema.update();
  assert.equal(
    ema.use(() => net.forward(tensor([[1]])).item()),
    3,
  );
  assert.equal(net.forward(tensor([[1]])).item(), 4);
  assert.throws(
    () =>
      ema.use(() => {
        throw new Error('mine');
      }),
    /mine/,
  );
  assert.equal(net.weight, weight);
  assert.equal(weight.item(), 4);
  ema.swapIn();
  assert.equal(weight.item(), 3);
  for (const wrong of [() => ema.update(), () => ema.swapIn(), () => ema.stateDict()])
    assert.throws(wrong, /call swapOut first/);
  ema.swapOut();
  assert.throws(() => ema.swapOut(), /call swapIn first/);
  assert.equal(weight.item(), 4);
  assert.equal(ema.stateDict().get('weight')!.item(), 3);
  for (const decay of [1, -0.1, Number.NaN])
    assert.throws(() => new optim.ExponentialMovingAverage(net, decay), /decay/);
});

test('a saved average goes on where it was', () => {
  const net = new nn.Linear(2, 2);
  const ema = new optim.ExponentialMovingAverage(net, 0.9);
  const other = new optim.ExponentialMovingAverage(new nn.Linear(2, 2), 0.9);
  other.loadStateDict(ema.stateDict());
  assert.deepEqual(bits(other.stateDict()), bits(ema.stateDict()));
  assert.throws(() => other.loadStateDict(new Map([['weight', ones([2, 2])]])), /1 tensors are missing: bias/);
});
