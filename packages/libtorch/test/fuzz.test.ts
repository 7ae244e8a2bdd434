// The addon under hostile arguments: every call gives a result or a clean error, and the process lives.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addon, type Handle, type NativeValue } from '../src/native.js';

type Report = { results: number; errors: number; complaints: [string, string][] };

/** Runs the worker to its end; if it ends in any other way than well, the last call that it announced is told. */
async function fuzz(mode: 'door' | 'raw', seed: number, calls: number): Promise<Report> {
  const directory = mkdtempSync(join(tmpdir(), 'libtorch-fuzz-'));
  const log = join(directory, 'last-call');
  try {
    const worker = [fileURLToPath(new URL('fuzz-worker.js', import.meta.url)), mode, `${seed}`, `${calls}`, log];
    // Huge sizes are to fail at once also where the system would promise memory that it does not have.
    const limited = process.platform === 'linux' ? ['sh', '-c', 'ulimit -c 0 -v 16000000; exec "$0" "$@"'] : [];
    const [command, ...args] = [...limited, process.execPath, ...worker];
    const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    const timer = setTimeout(() => child.kill('SIGKILL'), 180_000);
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => {
      child.on('close', (...end) => resolve(end));
    });
    clearTimeout(timer);
    assert.equal(code, 0, `ended with ${signal ?? code} at ${readFileSync(log, 'utf8')}`);
    return JSON.parse(output) as Report;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('every operator answers wrong arguments with a result or an error that names it', async () => {
  const { results, errors, complaints } = await fuzz('door', 1, 12);
  assert.deepEqual(complaints, []);
  assert.ok(results > 1000 && errors > 5000, `${results} results, ${errors} errors`);
});

test('the other functions of the addon answer any arguments with a result or an error', async () => {
  const { results, errors, complaints } = await fuzz('raw', 2, 10_000);
  assert.deepEqual(complaints, []);
  assert.ok(results > 1000 && errors > 5000, `${results} results, ${errors} errors`);
});

test('arguments that JavaScript changes while they are read do no harm', () => {
  const native = addon();
  const add = native.lookup('aten::_foreach_add.Scalar').index;
  const first = native.fromData(new Float32Array([1]), [1], 'float32');
  const second = native.fromData(new Float32Array([2]), [1], 'float32');
  const list = [first, second];
  Object.defineProperty(list, 1, {
    get() {
      native.free(first);
      list.length = 1;
      return second;
    },
    configurable: true,
  });
  try {
    native.call(add, [list, 1]);
  } catch (error) {
    assert.ok(error instanceof Error);
  }
  const data = new Float32Array(1 << 16);
  const shape = [1 << 16];
  Object.defineProperty(shape, 0, {
    get() {
      structuredClone(data, { transfer: [data.buffer] });
      return 1 << 16;
    },
  });
  assert.throws(() => native.fromData(data, shape, 'float32'), /the data has 0/);
});

test('numbers that are no operator, and lists longer than any operator takes, are refused', () => {
  const native = addon();
  for (const index of [-1, 0.5, Number.NaN, 1e9, Infinity, '0', null, undefined]) {
    assert.throws(() => native.call(index as number, []), /a number that lookup gave/);
  }
  const relu = native.lookup('aten::relu').index;
  assert.throws(
    () => native.call(relu, 'x' as unknown as NativeValue[]),
    /aten::relu: the arguments must come as an array/,
  );
  const cat = native.lookup('aten::cat').index;
  assert.throws(
    () => native.call(cat, [new Array<Handle>(2 ** 32 - 1)]),
    /'tensors' must be an array of at most 1048576 entries/,
  );
  assert.throws(() => native.call(cat, new Array<Handle>(2 ** 32 - 1)), /aten::cat: takes 2 arguments, got 4294967295/);
});
