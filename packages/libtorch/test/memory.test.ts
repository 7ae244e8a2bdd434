// Who frees a tensor, and that nothing is left over after many passes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  F,
  keep,
  liveTensors,
  manualSeed,
  nn,
  noGrad,
  ones,
  optim,
  randn,
  setThreads,
  Tensor,
  tensor,
  tidy,
  zeros,
} from '../src/index.js';

test('tidy frees what is not returned', () => {
  const before = liveTensors();
  const sum = tidy(() => ones([3]).add(1).mul(2).sum().item());
  assert.equal(sum, 12);
  assert.equal(liveTensors(), before);
  const kept = tidy(() => ones([3]).add(1));
  assert.equal(liveTensors(), before + 1);
  assert.deepEqual(kept.toArray(), [2, 2, 2]);
  kept.dispose();
  assert.equal(liveTensors(), before);
});

test('tidy finds tensors in arrays, maps, sets and plain objects, also in ones that hold themselves', () => {
  const before = liveTensors();
  const bare: Record<string, Tensor> = Object.assign(Object.create(null), { f: ones([6]) });
  const result = tidy(() => {
    ones([9]);
    const structure: Record<string, unknown> = {
      a: ones([1]),
      list: [ones([2]), [ones([3])]],
      map: new Map([['m', ones([4])]]),
      set: new Set([ones([5])]),
      bare,
      number: 1,
      nothing: null,
    };
    structure.itself = structure;
    return structure;
  });
  assert.equal(liveTensors(), before + 6);
  tidy(() => {
    const disposeAll = (value: unknown): void => {
      if (value instanceof Tensor) value.dispose();
      else if (Array.isArray(value) || value instanceof Map || value instanceof Set)
        for (const e of value.values()) disposeAll(e);
    };
    for (const value of Object.values(result)) disposeAll(value);
    bare.f!.dispose();
  });
  assert.equal(liveTensors(), before);
});

test('what an inner scope returns belongs to the scope around it', () => {
  const before = liveTensors();
  let inner: Tensor | undefined;
  tidy(() => {
    inner = tidy(() => ones([2]).add(1));
    assert.equal(liveTensors(), before + 1);
    assert.deepEqual(inner.toArray(), [2, 2]);
  });
  assert.equal(inner!.disposed, true);
  assert.equal(liveTensors(), before);
});

test('keep takes a tensor out of all scopes, and tensors from outside are left alone', () => {
  const before = liveTensors();
  const outside = ones([2]);
  const kept = tidy(
    () =>
      tidy(() => {
        outside.add(1);
        return { held: [keep(zeros([3]))] };
      }).held[0]!,
  );
  assert.deepEqual(kept.shape, [3]);
  assert.equal(outside.disposed, false);
  kept.dispose();
  outside.dispose();
  assert.equal(liveTensors(), before);
});

test('an error inside tidy frees everything and passes on', () => {
  const before = liveTensors();
  assert.throws(
    () =>
      tidy(() =>
        tidy(() => {
          ones([2]).add(ones([2]));
          throw new RangeError('mine');
        }),
      ),
    new RangeError('mine'),
  );
  assert.throws(() => tidy(() => ones([2]).matmul(ones([3]))), /aten::matmul/);
  assert.equal(liveTensors(), before);
  const outside = ones([1]); // no scope is left open that would free it
  tidy(() => ones([1]).item());
  assert.equal(outside.disposed, false);
  outside.dispose();
});

test('tidy, noGrad and autocast refuse code that goes on later', async () => {
  const before = liveTensors();
  assert.throws(() => tidy(async () => ones([2])), /tidy runs synchronous code only/);
  assert.throws(() => noGrad(() => Promise.reject(new Error('lost'))), /noGrad runs synchronous code only/);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(liveTensors(), before);
});

test('using frees at the end of the block, and disposing twice does nothing', () => {
  const before = liveTensors();
  const seen: Tensor[] = [];
  {
    using x = ones([2]);
    using y = x.add(1);
    seen.push(x, y);
    assert.equal(liveTensors(), before + 2);
  }
  assert.equal(liveTensors(), before);
  assert.ok(seen.every((entry) => entry.disposed));
  seen[0]!.dispose();
  seen[0]![Symbol.dispose]();
  assert.equal(liveTensors(), before);
  for (const use of [() => seen[0]!.shape, () => seen[0]!.add(1), () => seen[0]!.toArray(), () => seen[0]!.release()]) {
    assert.throws(use, /disposed/);
  }
});

test('reading and making tensors outside of scopes leaves nothing behind', () => {
  const before = liveTensors();
  const x = tensor([
    [1, 2],
    [3, 4],
  ]);
  const bits = tensor(new Float32Array([1, 2]), { dtype: 'bfloat16' });
  x.toArray();
  bits.toFloat32Array();
  tidy(() => x.sum().item());
  assert.throws(() => tensor([1, 2], { shape: [3] }));
  assert.equal(liveTensors(), before + 2);
  x.dispose();
  bits.dispose();
});

test('modules and optimisers free all they hold', () => {
  const before = liveTensors();
  const net = new nn.SpectralNormConv2d(2, 3, 3);
  const adam = new optim.Adam(net.parameters());
  const ema = new optim.ExponentialMovingAverage(net, 0.9);
  tidy(() =>
    net
      .forward(ones([1, 2, 5, 5]))
      .sum()
      .backward(),
  );
  adam.step();
  ema.update();
  adam.zeroGrad();
  net.to({ memoryFormat: 'channels_last' });
  for (const owner of [net, adam, ema]) owner.dispose();
  assert.equal(liveTensors(), before);
});

class SmallNet extends nn.Module {
  conv1 = new nn.Conv2d(3, 8, 3, { padding: 1 });
  norm = new nn.BatchNorm2d(8);
  conv2 = new nn.Conv2d(8, 1, 3);

  forward(input: Tensor): Tensor {
    return this.conv2.forward(F.relu(this.norm.forward(this.conv1.forward(input))));
  }
}

test('a thousand passes forward, backward and of Adam leave tensors and resident memory as they were', () => {
  manualSeed(1);
  setThreads(1); // the network is tiny: more threads would only wait for each other
  const before = liveTensors();
  const net = new SmallNet();
  const adam = new optim.Adam(net.parameters(), { lr: 1e-3 });
  const input = randn([4, 3, 32, 32]);
  const pass = (): number => {
    const loss = tidy(() => {
      const error = net.forward(input).square().mean();
      error.backward();
      return error.item();
    });
    optim.clipGradNorm(net.parameters(), 10);
    adam.step();
    adam.zeroGrad();
    return loss;
  };
  const first = pass();
  const live = liveTensors();
  let early = 0;
  let last = 0;
  for (let i = 2; i <= 1000; i++) {
    last = pass();
    assert.equal(liveTensors(), live);
    if (i === 300) early = process.memoryUsage.rss();
  }
  const growth = (process.memoryUsage.rss() - early) / 2 ** 20;
  assert.ok(growth < 16, `resident memory grew by ${growth.toFixed(1)} MiB from pass 300 to 1000`);
  assert.ok(last < first / 10, `the loss went from ${first} to ${last}`);
  for (const owner of [net, adam, input]) owner.dispose();
  assert.equal(liveTensors(), before);
});

test('tensors that nobody disposes of go with their JavaScript objects', () => {
  const index = JSON.stringify(new URL('../src/index.js', import.meta.url).href);
  const script = `
    import { ones, liveTensors } from ${index};
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    (() => { for (let i = 0; i < 500; i++) ones([1000]).add(1); })();
    const before = liveTensors();
    for (let i = 0; i < 20 && liveTensors() > 0; i++) { gc(); await turn(); }
    console.log(before, liveTensors());
  `;
  const child = spawnSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  });
  assert.equal(child.stderr, '');
  const [before, after] = child.stdout.trim().split(' ').map(Number);
  assert.ok(before! >= 500 && after! <= 2, `${child.stdout} tensors alive before and after collection`);
});
