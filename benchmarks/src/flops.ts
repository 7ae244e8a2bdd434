// How much arithmetic a model takes per frame: two operations for each multiplication of convolutions and matrix products, as they
// are computed in use (`prepareForInference`), counted at the operator door.
//
//   node benchmarks/dist/flops.js [PRESET ...] [--size 256]
//
// The source is computed once per portrait; a frame is drive and generate.
import { parseArgs } from 'node:util';
import {
  type Argument,
  type CallObserver,
  noGrad,
  observeCalls,
  type Result,
  rand,
  Tensor,
  tidy,
} from '@dagan/libtorch';
import { DaGAN, prepareForInference, TRAINING_PRESETS, trainingPreset } from 'dagan';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { size: { type: 'string', default: '256' } },
});
const size = Number(values.size);

const product = (numbers: readonly number[]): number => numbers.reduce((a, b) => a * b, 1);

/** Operations of one call; 0 for all that is neither convolution nor matrix product. */
function operationsOf(name: string, args: readonly Argument[], result: Result): number {
  if (!(result instanceof Tensor)) return 0;
  const [first, second] = args;
  if (/^aten::(conv2d|convolution)/.test(name) && second instanceof Tensor) {
    return 2 * product(result.shape) * product(second.shape.slice(1));
  }
  if (/^aten::(matmul|bmm|mm)$/.test(name) && first instanceof Tensor) {
    return 2 * product(result.shape) * first.shape.at(-1)!;
  }
  return 0;
}

function counting<T>(body: () => T): { operations: number; result: T } {
  let operations = 0;
  const observer: CallObserver = {
    instead: () => undefined,
    called: (name, _schema, args, result) => {
      operations += operationsOf(name, args, result);
    },
  };
  return { result: observeCalls(observer, body), operations };
}

const giga = (operations: number): string => (operations / 1e9).toFixed(2).padStart(7);

console.log(`GFLOP at ${size} x ${size}      source   drive  generate  a frame   weights, millions`);
for (const name of positionals.length > 0 ? positionals : Object.keys(TRAINING_PRESETS)) {
  using model = new DaGAN(trainingPreset(name).model);
  const weights = [...model.stateDict().values()].reduce((sum, { shape }) => sum + product(shape), 0);
  prepareForInference(model);
  noGrad(() =>
    tidy(() => {
      const picture = rand([1, 3, size, size]);
      const source = counting(() => model.source(picture));
      const drive = counting(() => model.driving(picture));
      const generate = counting(() => model.generate(source.result, drive.result.keypoints));
      const parts = [source, drive, generate].map(({ operations }) => giga(operations)).join(' ');
      const frame = giga(drive.operations + generate.operations);
      console.log(`${name.padEnd(24)} ${parts}  ${frame}   ${(weights / 1e6).toFixed(1)}`);
    }),
  );
}
