// One rank of the process groups in distributed.test.ts: runs the scenarios named on the command line and prints what it
// saw as JSON. Ranks find one another through the environment.
import { fileURLToPath } from 'node:url';
import {
  type DType,
  distributed,
  grad,
  liveTensors,
  manualSeed,
  nn,
  rand,
  randn,
  type Tensor,
  tensor,
  tidy,
} from '../src/index.js';

type Group = distributed.ProcessGroup;

const numbers = (value: Tensor): number[] => [...value.toFloat32Array()];

/** The message of the error that `body` ends with. */
function failureOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing failed';
}

/** Holds the whole process up, as a rank that computes does. */
const sleep = (milliseconds: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);

/** Batch norms in a field and in a list, with and without weights. */
class SmallNetwork extends nn.Module {
  blocks = new nn.ModuleList<nn.Conv2d | nn.BatchNorm2d>([
    new nn.Conv2d(2, 3, 3, { bias: false }),
    new nn.BatchNorm2d(3),
  ]);
  last = new nn.BatchNorm2d(3, { affine: false, momentum: 0.3 });

  forward(input: Tensor): Tensor {
    const convolved = this.blocks.at(0).forward(input); // [N, 3, 6, 4]
    const weighted = this.blocks.at(1).forward(convolved);
    return weighted.sigmoid().mul(this.last.forward(convolved.square()));
  }
}

/**
 * One training step of `SmallNetwork` on some pictures of a batch of five, whose numbers are the same in all processes.
 * The loss is a sum over pictures, so that the sums of the ranks' gradients are those of the whole batch.
 */
export function trainingStep(group: Group, firstPicture: number, pictures: number, dtype: DType = 'float32') {
  manualSeed(5);
  const network = new SmallNetwork();
  network.to({ dtype });
  const inputs = rand([5, 2, 8, 6]).to({ dtype });
  const lossWeights = randn([5, 3, 6, 4]);
  const norm = network.blocks.at(1) as nn.BatchNorm2d;
  norm.weight!.detach().copy_(tensor([0.5, 2, -1]));
  norm.bias!.detach().copy_(tensor([1, -2, 0]));
  const names = [...network.stateDict().keys()];
  const parameters = network.parameters();
  nn.convertSyncBatchNorm(network, group);

  const input = inputs.narrow(0, firstPicture, pictures).clone().requiresGrad_();
  const output = network.forward(input);
  output
    .mul(lossWeights.narrow(0, firstPicture, pictures))
    .sum()
    .backward();
  const state = [...network.stateDict()].map(([name, value]): [string, number[]] => [name, numbers(value)]);
  const gradients = [...network.namedParameters()].map(([name, parameter]): [string, number[]] => [
    name,
    numbers(group.allReduce(parameter.grad!)),
  ]);
  return {
    output: numbers(output),
    inputGradient: numbers(input.grad!),
    gradients: Object.fromEntries(gradients),
    state: Object.fromEntries(state),
    evaluated: numbers(network.eval().forward(input.detach())),
    sameNames: names.join() === [...network.stateDict().keys()].join(),
    sameParameters: network.parameters().every((parameter, i) => parameter === parameters[i]),
    classes: [norm, network.last].map((layer) => layer.constructor.name),
  };
}

/** Three of the five pictures in rank 0, two in rank 1. */
const unequalParts = (group: Group, dtype: DType) => trainingStep(group, 3 * group.rank, 3 - group.rank, dtype);

/** A batch norm of float32 on pictures of bfloat16, as under autocast, whose numbers are the same in all processes. */
export function sixteenBits(group: Group, firstPicture: number, pictures: number) {
  manualSeed(6);
  const inputs = randn([4, 3, 8, 8]).mul(2).add(3).to({ dtype: 'bfloat16' });
  const layer = new nn.SyncBatchNorm2d(3, { group });
  const input = inputs.narrow(0, firstPicture, pictures).clone().requiresGrad_();
  const output = layer.forward(input);
  output.square().mul(output).sum().backward();
  const dtypes = [output.dtype, input.grad!.dtype, layer.runningMean.dtype];
  const running = [...numbers(layer.runningMean), ...numbers(layer.runningVar)];
  return { output: numbers(output), inputGradient: numbers(input.grad!), running, dtypes };
}

/** A batch norm with ReLU and the mean of 2 x 2 pixels, of numbers that are the same in all processes. */
export function withRelu(group: Group, firstPicture: number, pictures: number, dtype: DType = 'float32') {
  manualSeed(7);
  const inputs = randn([5, 8, 6, 4]).mul(2).add(3).to({ dtype });
  const lossWeights = randn([5, 8, 3, 2]).to({ dtype });
  const layer = new nn.SyncBatchNorm2d(8, { group });
  layer.weight!.detach().copy_(randn([8]));
  const input = inputs.narrow(0, firstPicture, pictures).clone().requiresGrad_();
  const output = layer.relu(input, 2);
  output
    .mul(lossWeights.narrow(0, firstPicture, pictures))
    .sum()
    .backward();
  const running = [...numbers(layer.runningMean), ...numbers(layer.runningVar)];
  const gradients = [layer.weight!, layer.bias!].flatMap((parameter) => numbers(group.allReduce(parameter.grad!)));
  return { output: numbers(output), inputGradient: numbers(input.grad!), running, gradients };
}

const scenarios = {
  collectives(group: Group) {
    const { rank, worldSize, localRank } = group;
    const own = () => tensor([rank + 1, 10 * (rank + 1), -rank]);
    const firstLive = liveTensors();
    for (let i = 0; i < 20; i++) tidy(() => group.allGather(group.allReduce(own())).length);
    const leaked = liveTensors() - firstLive;
    const reduced = (operation: distributed.ReduceOperation) => numbers(group.allReduce(own(), operation));
    const dtypes: DType[] = ['bfloat16', 'float16', 'float64', 'int64', 'int32', 'int16', 'int8', 'uint8', 'bool'];
    const parameter = new nn.Parameter(own());
    const picture = () =>
      tensor(
        Float32Array.from({ length: 24 }, (_, i) => i * (rank + 1)),
        { shape: [1, 2, 3, 4] },
      );
    const works = [1, 2, 3].map((factor) => group.startAllReduce(tensor([factor * (rank + 1)]), 'mean'));
    const background = works.map((work) => [...numbers(work.wait()), work.done]);
    return {
      place: [rank, worldSize, localRank],
      sum: reduced('sum'),
      mean: reduced('mean'),
      max: reduced('max'),
      min: reduced('min'),
      dtypes: dtypes.map((dtype) => {
        const value = tensor([rank, 1, 0]).to({ dtype });
        return [dtype, group.allReduce(value) === value && value.dtype === dtype, ...numbers(value)];
      }),
      channelsLast: numbers(group.allReduce(picture().contiguous(rank === 0 ? 'contiguous' : 'channels_last'))),
      column: numbers(group.allReduce(picture().select(3, 1))),
      broadcast: [numbers(group.broadcast(own())), numbers(group.broadcast(parameter, 1))],
      gathered: group.allGather(own().to({ dtype: 'bfloat16' })).map((part) => [part.dtype, ...numbers(part)]),
      gatheredWide: group
        .allGather(tensor(BigInt64Array.of(2n ** 62n + BigInt(rank))))
        .map((part) => `${part.toTypedArray()}`),
      gatheredEmpty: group.allGather(tensor([]).reshape(0, 3)).map((part) => part.shape),
      background,
      leaked,
    };
  },

  /** y = x_0 + x_1; rank r's loss is (r + 1) * sum(y^2). */
  gradient(group: Group) {
    const x = tensor([1 + group.rank, 5]).requiresGrad_();
    const y = group.allReduceWithGradient(x.mul(1)); // [3, 10]
    y.square()
      .sum()
      .mul(group.rank + 1)
      .backward();
    return { y: numbers(y), gradient: numbers(x.grad!), input: numbers(x) };
  },

  barrier(group: Group) {
    if (group.rank === 0) sleep(300);
    const before = Date.now();
    group.barrier();
    return { before, after: Date.now() };
  },

  batchNorm: (group: Group) => unequalParts(group, 'float32'),
  batchNorm64: (group: Group) => unequalParts(group, 'float64'),
  batchNorm16: (group: Group) => sixteenBits(group, 2 * group.rank, 2),

  batchNormRelu: (group: Group) => withRelu(group, 3 * group.rank, 3 - group.rank),
  batchNormRelu16: (group: Group) => withRelu(group, 3 * group.rank, 3 - group.rank, 'bfloat16'),

  mistakes(group: Group) {
    const { rank } = group;
    const other = () => distributed.initFromEnvironment({ timeoutSeconds: 60 });
    const picture = tensor([1, 2, 3, 4 + rank], { shape: [1, 1, 2, 2] }).requiresGrad_();
    const norm = new nn.SyncBatchNorm2d(1, { group });
    norm.forward(picture);
    const [wide, pictures] = [new nn.SyncBatchNorm2d(8, { group }), randn([1, 8, 2, 2]).requiresGrad_()];
    const messages = [
      failureOf(() => group.allReduce(tensor([1, 2, 3].slice(rank)))),
      failureOf(() => (rank === 0 ? group.barrier() : group.allGather(tensor([1])))),
      failureOf(() => group.allReduce(tensor([1]).requiresGrad_().mul(2))),
      failureOf(() => group.allReduce(tensor([1]).to({ dtype: 'int64' }), 'mean')),
      failureOf(() => group.broadcast(tensor([1]), 2)),
      rank === 0 ? failureOf(other) : '',
      failureOf(() => (rank === 0 ? norm.forward(picture) : group.barrier())),
      failureOf(() => grad([norm.forward(picture).square().sum()], [picture], { createGraph: true })),
      failureOf(() => grad([wide.relu(pictures).square().sum()], [pictures], { createGraph: true })),
    ];
    const afterwards = numbers(group.allReduce(tensor([rank])));
    const work = group.startAllReduce(tensor([rank]));
    group.dispose();
    return { messages, afterwards, late: numbers(work.wait()), disposed: failureOf(() => group.barrier()) };
  },

  /** A second group in the store of the first, as under torchrun, whose agent runs one. */
  secondGroup(group: Group) {
    const environment = { ...process.env, TORCHELASTIC_USE_AGENT_STORE: 'True', TORCHELASTIC_RESTART_COUNT: '2' };
    using second = distributed.initFromEnvironment({ timeoutSeconds: 180, environment });
    return { sum: [...numbers(second.allReduce(tensor([1]))), ...numbers(group.allReduce(tensor([2])))] };
  },

  /** Rank 1 waits elsewhere for rank 0, which waits for it in a second group. */
  staysAway(group: Group) {
    const { MASTER_ADDR: masterAddress, MASTER_PORT: port } = process.env;
    const { rank, worldSize } = group;
    const place = { rank, worldSize, masterAddress, masterPort: Number(port), storePrefix: 'short' };
    group.barrier();
    using second = distributed.init({ ...place, timeoutSeconds: 1.5 });
    const message = rank === 0 ? failureOf(() => second.allReduce(tensor([1]))) : '';
    group.barrier();
    return { message };
  },

  /** Rank 0 waits for both others, of whom each comes within the timeout after the one before. */
  oneAfterAnother(group: Group) {
    const { MASTER_ADDR: masterAddress, MASTER_PORT: port } = process.env;
    const { rank, worldSize } = group;
    const place = { rank, worldSize, masterAddress, masterPort: Number(port), storePrefix: 'short' };
    using second = distributed.init({ ...place, timeoutSeconds: 2 });
    group.barrier();
    sleep([0, 1500, 3200][rank]!);
    const message = failureOf(() => second.barrier());
    group.barrier();
    return { message };
  },

  dies(group: Group) {
    if (group.rank === 1) process.kill(process.pid, 'SIGKILL');
    return { messages: [1, 2].map(() => failureOf(() => group.allReduce(tensor([1])))) };
  },

  diesInBackward(group: Group) {
    const y = group.allReduceWithGradient(tensor([1]).requiresGrad_());
    if (group.rank === 1) process.kill(process.pid, 'SIGKILL');
    return { messages: [failureOf(() => y.backward())] };
  },
} satisfies Record<string, (group: Group) => object>;

export type Scenario = keyof typeof scenarios;
/** What a rank prints. */
export type Seen = { [S in Scenario]: ReturnType<(typeof scenarios)[S]> };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = process.argv.slice(2) as Scenario[];
  using group = distributed.initFromEnvironment({ timeoutSeconds: 180 });
  console.log(JSON.stringify(Object.fromEntries(names.map((name) => [name, scenarios[name](group)]))));
}
