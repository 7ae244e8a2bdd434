// Process groups: real processes that find one another over TCP and exchange tensors.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { distributed, nn, randn, tensor } from '../src/index.js';
import { type Scenario, type Seen, sixteenBits, trainingStep, withRelu } from './distributed-worker.js';

const worker = fileURLToPath(new URL('./distributed-worker.js', import.meta.url));

/** A TCP port that is free now. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}

type Rank = { seen: Seen | undefined; errors: string; signal: NodeJS.Signals | null };

/** Runs scenarios of the worker, one after another, in processes of their own. */
async function runRanks(worldSize: number, ...scenarios: Scenario[]): Promise<Rank[]> {
  const port = await freePort();
  const start = (rank: number) =>
    new Promise<Rank>((resolve, reject) => {
      const child = spawn(process.execPath, [worker, ...scenarios], {
        env: {
          ...process.env,
          RANK: `${rank}`,
          LOCAL_RANK: `${rank}`,
          WORLD_SIZE: `${worldSize}`,
          MASTER_ADDR: '127.0.0.1',
          MASTER_PORT: `${port}`,
          OMP_NUM_THREADS: '1',
        },
      });
      let output = '';
      let errors = '';
      child.stdout.on('data', (data) => (output += data));
      child.stderr.on('data', (data) => (errors += data));
      child.on('error', reject);
      child.on('close', (_code, signal) => {
        resolve({ seen: output ? (JSON.parse(output) as Seen) : undefined, errors, signal });
      });
    });
  return Promise.all(Array.from({ length: worldSize }, (_, rank) => start(rank)));
}

/** What all ranks saw; fails with the output of a rank that ended early. */
async function seenBy(worldSize: number, ...scenarios: Scenario[]): Promise<Seen[]> {
  const ranks = await runRanks(worldSize, ...scenarios);
  return ranks.map(({ seen, errors }, rank) => seen ?? assert.fail(`rank ${rank}: ${errors}`));
}

function assertClose(actual: readonly number[], expected: readonly number[], tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length, what);
  const scale = Math.max(1, ...expected.map(Math.abs));
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!)));
  assert.ok(worst <= tolerance * scale, `${what} differs by ${worst}`);
}

const alone = () => distributed.init({ rank: 0, worldSize: 1 });

describe('a world of one', () => {
  test('needs no environment, no port and no native group, and leaves values as they are', () => {
    using group = distributed.initFromEnvironment({ environment: {} });
    assert.deepEqual([group.rank, group.worldSize, group.localRank], [0, 1, 0]);
    const value = tensor([1, 2]);
    assert.equal(group.allReduce(value, 'mean'), value);
    assert.equal(group.broadcast(value), value);
    const work = group.startAllReduce(value);
    assert.ok(work.done);
    assert.equal(work.wait(), value);
    group.barrier();
    const [gathered, ...others] = group.allGather(value);
    value.add_(1);
    assert.deepEqual([gathered?.toArray(), others], [[1, 2], []]);
    assert.deepEqual(value.toArray(), [2, 3]);
    const x = tensor([3]).requiresGrad_();
    group.allReduceWithGradient(x).square().backward();
    assert.equal(x.grad!.item(), 6);
    group.dispose();
    assert.throws(() => group.barrier(), /has been disposed/);
  });

  test('has a SyncBatchNorm2d that is BatchNorm2d to the last bit', () => {
    const synchronised = new nn.SyncBatchNorm2d(3, { group: alone(), momentum: 0.2 });
    const plain = new nn.BatchNorm2d(3, { momentum: 0.2 });
    const input = randn([2, 3, 4, 5]);
    assert.deepEqual(synchronised.forward(input).toArray(), plain.forward(input).toArray());
    assert.deepEqual(
      [...synchronised.stateDict()].map(([name, value]) => [name, value.toArray()]),
      [...plain.stateDict()].map(([name, value]) => [name, value.toArray()]),
    );
  });
});

describe('the environment', () => {
  const complete = { RANK: '1', WORLD_SIZE: '2', LOCAL_RANK: '1', MASTER_ADDR: '127.0.0.1', MASTER_PORT: '29500' };
  const joining = (changes: distributed.Environment) => () =>
    distributed.initFromEnvironment({ environment: { ...complete, ...changes }, timeoutSeconds: 0.5 });

  test('is complete or the error names what is missing', () => {
    for (const name of ['RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT']) {
      assert.throws(joining({ [name]: undefined }), new RegExp(`^Error: ${name} is not set`));
      assert.throws(joining({ [name]: '' }), new RegExp(`^Error: ${name} is not set`));
    }
  });

  test('has values that can be or the error names the one that cannot', () => {
    assert.throws(joining({ RANK: '2' }), /RANK must be a whole number from 0 to 1, not '2'/);
    assert.throws(joining({ RANK: 'first' }), /RANK must be .* not 'first'/);
    assert.throws(joining({ WORLD_SIZE: '0' }), /WORLD_SIZE must be .* not '0'/);
    assert.throws(joining({ LOCAL_RANK: '-1' }), /LOCAL_RANK must be .* not '-1'/);
    assert.throws(joining({ MASTER_PORT: '99999' }), /MASTER_PORT must be a whole number from 1 to 65535, not '99999'/);
  });

  test('needs no master where the world is one process', () => {
    using group = distributed.initFromEnvironment({ environment: { RANK: '0', WORLD_SIZE: '1' } });
    assert.equal(group.worldSize, 1);
  });

  test('is checked in options too', () => {
    const address = { masterAddress: '127.0.0.1', masterPort: 29500 };
    assert.throws(() => distributed.init({ rank: 2, worldSize: 2, ...address }), /rank must be .* from 0 to 1, not 2/);
    assert.throws(() => distributed.init({ rank: 0, worldSize: 1.5 }), /worldSize must be .* not 1.5/);
    assert.throws(() => distributed.init({ rank: 0, worldSize: 2 }), /masterAddress must name/);
    assert.throws(() => distributed.init({ rank: 0, worldSize: 2, masterAddress: 'here' }), /masterPort must be/);
    assert.throws(() => distributed.init({ rank: 0, worldSize: 2, ...address, timeoutSeconds: 0 }), /timeoutSeconds/);
  });
});

/** What two ranks saw of everything that leaves both alive. */
let first: Seen;
let second: Seen;

before(async () => {
  const scenarios = [
    'collectives',
    'gradient',
    'barrier',
    'batchNorm',
    'batchNorm64',
    'batchNorm16',
    'batchNormRelu',
    'batchNormRelu16',
    'secondGroup',
    'staysAway',
  ] as const;
  const seen = await seenBy(2, ...scenarios, 'mistakes');
  [first, second] = [seen[0]!, seen[1]!];
});

describe('two ranks', () => {
  test('see the sums, means, extremes, broadcasts and gathered tensors of both', () => {
    assert.deepEqual(first.collectives.place, [0, 2, 0]);
    assert.deepEqual(second.collectives.place, [1, 2, 1]);
    for (const rank of [first.collectives, second.collectives]) {
      assert.deepEqual(rank.sum, [3, 30, -1]);
      assert.deepEqual(rank.mean, [1.5, 15, -0.5]);
      assert.deepEqual(rank.max, [2, 20, 0]);
      assert.deepEqual(rank.min, [1, 10, -1]);
      assert.deepEqual(rank.broadcast, [
        [1, 10, 0],
        [2, 20, -1],
      ]);
      assert.deepEqual(rank.background, [
        [1.5, true],
        [3, true],
        [4.5, true],
      ]);
      assert.deepEqual(rank.gathered, [
        ['bfloat16', 1, 10, 0],
        ['bfloat16', 2, 20, -1],
      ]);
      assert.deepEqual(rank.gatheredWide, [`${2n ** 62n}`, `${2n ** 62n + 1n}`]);
      assert.deepEqual(rank.gatheredEmpty, [
        [0, 3],
        [0, 3],
      ]);
      assert.equal(rank.leaked, 0);
    }
  });

  test('reduce every dtype in place, whatever the memory format', () => {
    for (const rank of [first.collectives, second.collectives]) {
      assert.equal(rank.dtypes.length, 9);
      for (const [dtype, inPlace, ...values] of rank.dtypes) {
        assert.deepEqual([dtype, inPlace, ...values], [dtype, true, 1, dtype === 'bool' ? 1 : 2, 0]);
      }
      const sums = Array.from({ length: 24 }, (_, i) => 3 * i);
      assert.deepEqual(rank.channelsLast, sums);
      assert.deepEqual(
        rank.column,
        sums.filter((_, i) => i % 4 === 1),
      );
    }
  });

  test('differentiate a sum over ranks with respect to what each of them brought', async () => {
    // d/dx_r of (1 + 2) * sum((x_0 + x_1)^2)
    for (const rank of [first.gradient, second.gradient]) {
      assert.deepEqual(rank.y, [3, 10]);
      assert.deepEqual(rank.gradient, [18, 60]);
    }
    assert.deepEqual(first.gradient.input, [1, 5]);
    assert.deepEqual(second.gradient.input, [2, 5]);
  });

  test('leave a barrier only after both have come to it', () => {
    assert.ok(second.barrier.after >= first.barrier.before);
    assert.ok(first.barrier.after >= second.barrier.before);
  });

  test('meet in the store of another program, as under torchrun', () => {
    for (const { secondGroup } of [first, second]) assert.deepEqual(secondGroup.sum, [2, 4]);
  });
});

test('three ranks leave a barrier only after all have come to it', async () => {
  const seen = await seenBy(3, 'barrier');
  const left = Math.min(...seen.map(({ barrier }) => barrier.after));
  assert.ok(left >= Math.max(...seen.map(({ barrier }) => barrier.before)));
});

test('ranks that are threads of one process wait for each other', async () => {
  const port = await freePort();
  const code = `
    const { parentPort, workerData: { rank, port, library } } = require('node:worker_threads');
    const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    import(library).then(({ distributed, tensor }) => {
      const place = { masterAddress: '127.0.0.1', masterPort: port, timeoutSeconds: 60 };
      const group = distributed.init({ rank, worldSize: 2, ...place });
      if (rank === 1) sleep(400);
      parentPort.postMessage([...group.allReduce(tensor([rank + 1])).toFloat32Array()]);
      group.dispose();
    });`;
  const library = new URL('../src/index.js', import.meta.url).href;
  const threads = [0, 1].map((rank) => new Worker(code, { eval: true, workerData: { rank, port, library } }));
  const ended = threads.map((thread) => once(thread, 'exit'));
  const seen = await Promise.all(threads.map(async (thread) => (await once(thread, 'message'))[0]));
  assert.deepEqual(seen, [[3], [3]]);
  await Promise.all(ended);
});

describe('synchronised batch norm', () => {
  test('of batches of three and two equals batch norm of five: outputs, gradients, running statistics', () => {
    const cases = [
      ['float32', 1e-5, first.batchNorm, second.batchNorm],
      ['float64', 1e-7, first.batchNorm64, second.batchNorm64],
    ] as const;
    for (const [dtype, tolerance, ...parts] of cases) {
      const whole = trainingStep(alone(), 0, 5, dtype);
      for (const what of ['output', 'inputGradient', 'evaluated'] as const) {
        assertClose(
          parts.flatMap((part) => part[what]),
          whole[what],
          tolerance,
          `${what} in ${dtype}`,
        );
      }
      for (const part of parts) {
        for (const what of ['gradients', 'state'] as const) {
          assert.deepEqual(Object.keys(part[what]), Object.keys(whole[what]));
          for (const [name, values] of Object.entries(whole[what])) {
            assertClose(part[what][name]!, values, tolerance, `${what} of ${name} in ${dtype}`);
          }
        }
      }
      assert.ok(whole.inputGradient.some((value) => Math.abs(value) > 0.1));
    }
  });

  test('with ReLU and mean equals that of the whole batch, too', () => {
    const cases = [
      ['float32', 1e-5, first.batchNormRelu, second.batchNormRelu],
      ['bfloat16', 2 ** -6, first.batchNormRelu16, second.batchNormRelu16],
    ] as const;
    for (const [dtype, tolerance, ...parts] of cases) {
      const whole = withRelu(alone(), 0, 5, dtype);
      for (const what of ['output', 'inputGradient'] as const) {
        assertClose(
          parts.flatMap((part) => part[what]),
          whole[what],
          tolerance,
          `${what} in ${dtype}`,
        );
      }
      for (const part of parts) {
        assertClose(part.running, whole.running, 1e-5, `running statistics in ${dtype}`);
        assertClose(part.gradients, whole.gradients, 1e-4, `gradients in ${dtype}`);
      }
    }
  });

  test('takes the place of batch norm in a network without changing names or parameters', () => {
    const { classes, sameNames, sameParameters } = trainingStep(alone(), 0, 5);
    assert.deepEqual(classes, ['SyncBatchNorm2d', 'SyncBatchNorm2d']);
    assert.ok(sameNames && sameParameters);
  });

  test('of 16-bit pictures keeps their dtype and takes its statistics in 32 bits', () => {
    const parts = [first.batchNorm16, second.batchNorm16];
    const whole = sixteenBits(alone(), 0, 4);
    assert.deepEqual(parts[0]!.dtypes, ['bfloat16', 'bfloat16', 'float32']);
    assertClose(
      parts.flatMap((part) => part.output),
      whole.output,
      2 ** -8,
      'output',
    );
    assertClose(
      parts.flatMap((part) => part.inputGradient),
      whole.inputGradient,
      2 ** -6,
      'input gradient',
    );
    assertClose(parts[1]!.running, whole.running, 1e-5, 'running statistics');
  });
});

describe('what goes wrong', () => {
  test('in the arguments ends in an error on every rank, after which the group still works', () => {
    assert.deepEqual(first.mistakes.messages.slice(0, 5), [
      'rank 0: the ranks disagree: this one calls all-reduce (sum) of float32[3], rank 1 calls all-reduce (sum) of float32[2]',
      'rank 0: the ranks disagree: this one calls barrier, rank 1 calls all-gather of float32[1]',
      'rank 0: all-reduce (sum) of float32[1] overwrites the tensor, which autograd does not record; ' +
        'give it detach()ed, or use allReduceWithGradient',
      'rank 0: all-reduce (mean) of int64[1]: a mean needs a floating-point tensor',
      'broadcast: the root must be a rank from 0 to 1, not 2',
    ]);
    assert.match(first.mistakes.messages[5]!, /^rank 0: another program listens at 127.0.0.1:\d+; choose another port/);
    assert.equal(
      first.mistakes.messages[6],
      "rank 0: the ranks disagree: this one calls batch norm's statistics of float32[2, 3], rank 1 calls barrier",
    );
    assert.match(
      second.mistakes.messages[6]!,
      /calls barrier, rank 0 calls batch norm's statistics of float32\[2, 3\]$/,
    );
    assert.match(second.mistakes.messages[0]!, /this one calls .* of float32\[2\], rank 0 calls .* of float32\[3\]/);
    for (const rank of [first.mistakes, second.mistakes]) {
      assert.deepEqual([rank.afterwards, rank.late], [[1], [1]]);
      for (const message of rank.messages.slice(7)) {
        assert.match(message, /synchronised batch norm has no second derivative/);
      }
      assert.match(rank.disposed, /has been disposed/);
    }
  });

  test('in another process ends in an error long before the timeout: a rank that is killed', async () => {
    const [[survivor, killed], [inBackward]] = await Promise.all([runRanks(2, 'dies'), runRanks(2, 'diesInBackward')]);
    assert.equal(killed!.signal, 'SIGKILL');
    for (const message of survivor!.seen!.dies.messages) {
      assert.match(
        message,
        /^rank 0: all-reduce \(sum\) of float32\[1\] lost its connection to another rank; has that/,
      );
    }
    assert.match(
      inBackward!.seen!.diesInBackward.messages[0]!,
      /rank 0: differentiable all-reduce .* lost its connection/,
    );
  });

  test('in another process ends in an error after the timeout: a rank that stays away', () => {
    assert.equal(
      first.staysAway.message,
      'rank 0: all-reduce (sum) of float32[1] timed out after 1.5 s; has another rank ended?',
    );
  });

  test('in other processes ends in an error after the timeout: ranks that each come a little later', async () => {
    const [{ oneAfterAnother }] = (await seenBy(3, 'oneAfterAnother')) as [Seen, Seen, Seen];
    assert.equal(oneAfterAnother.message, 'rank 0: barrier timed out after 2 s; has another rank ended?');
  });

  test('while joining ends in an error that names the place: nobody else comes, nobody is there', async () => {
    const place = { worldSize: 2, masterAddress: '127.0.0.1', masterPort: await freePort(), timeoutSeconds: 0.5 };
    for (const rank of [0, 1]) {
      assert.throws(
        () => distributed.init({ rank, ...place }),
        new RegExp(`^Error: rank ${rank}: could not join the group of 2 at 127.0.0.1:${place.masterPort} within 0.5 s`),
      );
    }
  });

  test('in the choice of a backend names those that there are', () => {
    assert.ok(distributed.backends().includes('gloo'));
    if (distributed.backends().includes('nccl')) return;
    const nccl = { backend: 'nccl', rank: 0, worldSize: 2, masterAddress: '127.0.0.1', masterPort: 1 } as const;
    assert.throws(() => distributed.init(nccl), /no process groups of 'nccl', only of gloo/);
  });
});
