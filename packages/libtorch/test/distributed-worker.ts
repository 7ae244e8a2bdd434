// One rank of the process groups in distributed.test.ts: runs the scenario named on the command line and sends what it
// saw to the parent. Ranks find one another through the environment.
import assert from 'node:assert/strict';
import {
  distributed,
  F,
  grad,
  liveTensors,
  manualSeed,
  nn,
  rand,
  randn,
  run,
  Tensor,
  type TensorOptions,
  tensor,
  tidy,
} from '../src/index.js';

const numbers = (value: Tensor): number[] => [...value.toFloat32Array()];

const failureOf = (body: () => unknown): string => {
  try {
    body();
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing failed';
};

/** Two convolutions' worth of network with a batch norm in a list and one in a field. */
class SmallNetwork extends nn.Module {
  blocks: nn.ModuleList<nn.Module>;
  norm: nn.BatchNorm2d;

  constructor() {
    super();
    this.blocks = new nn.ModuleList([new nn.Conv2d(2, 3, 3), new nn.BatchNorm2d(3)]);
    this.norm = new nn.BatchNorm2d(3, { affine: false, momentum: 0.3 });
  }

  forward(input: Tensor): Tensor {
    const convolved = (this.blocks.at(0) as nn.Conv2d).forward(input);
    const first = (this.blocks.at(1) as nn.BatchNorm2d).forward(convolved);
    return this.norm.forward(first.sigmoid().add(first.mul(3)).add(50));
  }
}

/** What one training step of `SmallNetwork` computes; equal in all processes but for the part of the batch. */
export function networkStep(group: distributed.ProcessGroup | null, firstPicture: number, pictures: number) {
  manualSeed(5);
  const network = new SmallNetwork();
  const batch = rand([5, 2, 8, 6]);
  const weights = randn([5, 3, 6, 4]);
  if (group) nn.convertSyncBatchNorm(network, group);
  const norm = network.blocks.at(1) as nn.BatchNorm2d;
  norm.weight!.detach().copy_(tensor([0.5, 2, -1]));
  norm.bias!.detach().copy_(tensor([1, -2, 0]));
  const input = batch.narrow(0, firstPicture, pictures).detach().clone().requiresGrad_();
  const output = network.forward(input);
  output.mul(weights.narrow(0, firstPicture, pictures)).sum().backward();
  const gradients = [...network.namedParameters()].map(([name, parameter]): [string, number[]] => {
    const gradient = parameter.grad!;
    return [name, numbers(group ? group.allReduce(gradient) : gradient)];
  });
  const state = [...network.stateDict()].map(([name, value]): [string, number[]] => [name, numbers(value)]);
  const evaluated = network.eval().forward(input.detach());
  return {
    output: numbers(output),
    evaluated: numbers(evaluated),
    inputGradient: numbers(input.grad!),
    gradients: Object.fromEntries(gradients),
    state: Object.fromEntries(state),
  };
}

const integers: TensorOptions = { dtype: 'int64' };

const scenarios: Record<string, (group: distributed.ProcessGroup) => unknown> = {
  collectives(group) {
    const { rank, worldSize, localRank } = group;
    const own = () => tensor([rank + 1, 10 * (rank + 1), -rank]);
    const reduce = (operation: distributed.ReduceOperation) => numbers(group.allReduce(own(), operation));
    const typed = (dtype: 'bfloat16' | 'float16' | 'float64' | 'int64' | 'int16' | 'uint8' | 'bool') => {
      const value = tensor([rank, 1, 0]).to({ dtype });
      const same = group.allReduce(value) === value && value.dtype === dtype;
      return [same, ...numbers(value)];
    };
    // Not contiguous: the ranks hold the same elements in different memory formats.
    const picture = () => tensor(Float32Array.from({ length: 24 }, (_, i) => i * (rank + 1)), [1, 2, 3, 4]);
    const layout = picture().contiguous(rank === 0 ? 'contiguous' : 'channels_last');
    const column = tensor([1, 2, 3, 4]).view(2, 2).mul(rank + 1).select(1, 1);
    const background = [1, 2, 3].map((factor) => ({ work: group.startAllReduce(tensor([factor * (rank + 1)]), 'mean') }));
    const parameter = new nn.Parameter(own());
    group.broadcast(parameter, 1);
    group.barrier();
    return {
      place: [rank, worldSize, localRank],
      sum: reduce('sum'),
      mean: reduce('mean'),
      max: reduce('max'),
      min: reduce('min'),
      broadcast: numbers(parameter),
      gathered: group.allGather(own().to({ dtype: 'bfloat16' })).map((part) => [part.dtype, ...numbers(part)]),
      gatheredIntegers: group.allGather(run('aten::add.Scalar', [tensor(BigInt64Array.of(2n ** 40n)), rank])).map((part) => part.item()),
      types: Object.fromEntries((['bfloat16', 'float16', 'float64', 'int64', 'int16', 'uint8', 'bool'] as const).map((dtype) => [dtype, typed(dtype)])),
      layouts: [numbers(group.allReduce(layout)), numbers(group.allReduce(column))],
      background: background.map(({ work }) => numbers(work.wait())),
    };
  },
};
void F; void grad; void liveTensors; void tidy; void integers; void assert;

const [scenario] = process.argv.slice(2);
if (scenario) {
  using group = distributed.initFromEnvironment({ timeoutSeconds: 10 });
  console.log(JSON.stringify(scenarios[scenario]!(group)));
}
void failureOf;
