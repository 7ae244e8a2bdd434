// Throws seeded random arguments at the addon. Run by fuzz.test.ts as a process of its own, because the question is whether
// that process lives. Usage: node fuzz-worker.js door|raw SEED CALLS LOG; prints one JSON object.
import { ftruncateSync, openSync, writeSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { addon, type Handle, type NativeValue } from '../src/native.js';
import { seeded } from './random.js';

const [mode, seed, calls, logPath] = [
  process.argv[2],
  Number(process.argv[3]),
  Number(process.argv[4]),
  process.argv[5]!,
];
const native = addon();
native.setThreads(1); // the tensors are tiny: more threads would only wait for each other
const log = openSync(logPath, 'w');
let random = seeded(seed);

const below = (n: number): number => Math.floor(random() * n);
const pick = <T>(choices: readonly T[]): T => choices[below(choices.length)]!;
const run = (name: string, ...args: NativeValue[]): Handle => native.call(native.lookup(name).index, args) as Handle;

// ---- tensors

const SHAPES = [
  [2, 3, 4, 5],
  [1, 3, 8, 8],
  [2, 4, 6, 6],
  [4],
  [],
  [0],
  [0, 3],
  [3, 0, 4],
  [5, 5],
  [3, 4],
  [2, 3, 4],
  [1, 2, 3, 4, 5],
  [1],
  [1, 1],
  [6],
  [0, 0],
  [7, 1],
];
const BAD_INDICES = [-7, -1, 0, 1, 100, 1e6, 2 ** 40, -(2 ** 50)];

function make(shape: readonly number[], dtype: string, value: () => number): Handle {
  const length = shape.reduce((product, size) => product * size, 1);
  const wide = native.fromData(Float64Array.from({ length }, value), shape, 'float64');
  const made = run('aten::to.dtype', wide, dtype);
  native.free(wide);
  return made;
}

/** Tensors of many shapes, dtypes, layouts and contents. */
function makePool(): Handle[] {
  const pool: Handle[] = [];
  const add = (count: number, dtype: string, value: () => number): void => {
    for (let i = 0; i < count; i++) pool.push(make(pick(SHAPES), dtype, value));
  };
  add(16, 'float32', () => random() * 2 - 1);
  for (const tensor of pool.slice(0, 4)) native.setRequiresGrad(tensor, true);
  add(4, 'int64', () => below(4));
  add(2, 'int64', () => pick(BAD_INDICES));
  add(1, 'int32', () => below(4));
  add(1, 'int32', () => pick(BAD_INDICES.slice(0, 6)));
  add(1, 'bool', () => below(2));
  for (const dtype of ['uint8', 'int8', 'int16']) add(1, dtype, () => below(100));
  for (const dtype of ['float64', 'float64', 'float16', 'bfloat16']) add(1, dtype, () => random());
  add(1, 'float32', () => pick([Infinity, -Infinity, Number.NaN, 1e38]));
  pool.push(run('aten::transpose.int', make([3, 4], 'float32', random), 0, 1));
  pool.push(run('aten::contiguous', make([2, 3, 4, 5], 'float32', random), 'channels_last'));
  pool.push(run('aten::expand', make([1, 4], 'float32', random), [3, 4]));
  return pool;
}

let pool: Handle[] = [];

function disposed(): Handle {
  const tensor = make([2], 'float32', random);
  native.free(tensor);
  return tensor;
}

// ---- arguments

// Large enough that no machine has the memory, so that nothing is really allocated.
const HUGE = [2 ** 40, -(2 ** 40), 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 43];
const STRINGS = [
  'float32',
  'float64',
  'int64',
  'bool',
  'bfloat16',
  'uint8',
  'channels_last',
  'contiguous',
  'preserve',
  'strided',
  'cpu',
  '',
  'mean',
  'sum',
  'none',
  'bilinear',
  'ij',
  'x'.repeat(100_000),
  '\0',
  'meta',
  'cuda:0',
  'cpu:7',
  'reflect',
  'constant',
  'floor',
  'trunc',
  'linear',
  'LR',
  'fro',
  'nuc',
  'i,ij->j',
  '💥',
];
const secureContext = createSecureContext() as unknown as { context: { _external: unknown } };

const integer = (): number =>
  random() < 0.75 ? below(5) - 1 : random() < 0.7 ? pick([-3, -2, 5, 8, 16, 100, -100]) : pick(HUGE);
const float = (): number =>
  random() < 0.6 ? random() * 2 - 0.5 : pick([0, -0, 1, -1, 3, NaN, Infinity, -Infinity, 1e300]);

function garbage(): unknown {
  const makers: (() => unknown)[] = [
    () => null,
    () => undefined,
    () => true,
    integer,
    float,
    () => 10n ** 30n,
    () => 5n,
    () => pick(STRINGS),
    () => [],
    () => [1, 2],
    () => [[[1]]],
    () => ['a'],
    () => ({}),
    () => Symbol('x'),
    () => integer,
    disposed,
    () => pick(pool),
    () => [pick(pool)],
    () => [null],
    () => [pick(pool), pick(pool), disposed()],
    () => [NaN],
    () => new Array(5),
    () => new Array(2 ** 32 - 1),
    () => new Float32Array(3),
    () => new Uint8Array(),
    () => new ArrayBuffer(8),
    () => new DataView(new ArrayBuffer(4)),
    () => new Date(),
    () => secureContext.context._external,
    () => ({
      valueOf: () => {
        throw new Error('valueOf');
      },
    }),
    () => Array.from({ length: 70 }, () => 1),
  ];
  return pick(makers)();
}

/** A value for an argument of a schema's type: mostly of the right type, not always of a right value. */
function valueFor(type: string): unknown {
  if (random() < 0.05) return garbage();
  if (type.endsWith('?')) return random() < 0.4 ? null : valueFor(type.slice(0, -1));
  const list = /^(.*)\[(\d*)\]$/.exec(type);
  if (list) {
    if (list[2] && random() < 0.1) return valueFor(list[1]!);
    const length = list[2] && random() < 0.7 ? Number(list[2]) : below(random() < 0.9 ? 5 : 40);
    return Array.from({ length }, () => valueFor(list[1]!));
  }
  switch (type) {
    case 'Tensor':
      return pick(pool);
    case 'int':
    case 'SymInt':
      return integer();
    case 'float':
      return float();
    case 'Scalar':
      return random() < 0.5 ? integer() : float();
    case 'bool':
      return random() < 0.5;
    case 'str':
      return pick(STRINGS);
    case 'ScalarType':
      return random() < 0.8 ? pick(STRINGS.slice(0, 6)) : pick(STRINGS);
    case 'Device':
      return random() < 0.7 ? 'cpu' : pick(STRINGS);
    case 'MemoryFormat':
    case 'Layout':
      return pick(STRINGS.slice(6, 11));
    default:
      return random() < 0.7 ? null : garbage();
  }
}

/** Types of the arguments in a schema such as `aten::sum(Tensor(a) self, int[1]? dim, *, int[2] pad=[0, 0]) -> Tensor`. */
function argumentTypes(schema: string): string[] {
  const flat = schema
    .slice(schema.indexOf('(') + 1)
    .split(') -> ')[0]!
    .replace(/\([^)]*\)/g, '')
    .replace(/=\[[^\]]*\]/g, '');
  return flat
    .split(', ')
    .filter((argument) => argument !== '' && argument !== '*')
    .map((argument) => argument.split(' ')[0]!);
}

function show(value: unknown): string {
  if (Array.isArray(value)) return `[${value.slice(0, 8).map(show).join(', ')}${value.length > 8 ? ', ...' : ''}]`;
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 20));
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return `${native.dtype(value as Handle)}[${native.shape(value as Handle)}]`;
  } catch {
    return Object.prototype.toString.call(value);
  }
}

// ---- calls

const counts = { results: 0, errors: 0 };
const complaints = new Map<string, string>();

/** Notes what an error must not be: no Error, without the operator's name, with C++ in it, or endless. */
function judge(error: unknown, name: string): void {
  counts.errors++;
  if (!(error instanceof Error)) complaints.set(`${name} threw no Error`, String(error));
  else if (/Exception raised from|frame #\d|\.cpp:\d|\.h:\d/.test(error.message))
    complaints.set(`${name}: C++ in a message`, error.message);
  else if (error.message.length > 3000) complaints.set(`${name}: endless message`, error.message.slice(0, 200));
  else if (!error.message.includes(name)) complaints.set(`${name}: not named`, error.message);
}

function announce(text: string): void {
  ftruncateSync(log, 0);
  writeSync(log, text, 0);
}

/** Asks what a result is, as a program would, and goes on with some results as arguments. */
function use(result: unknown): void {
  if (Array.isArray(result)) for (const entry of result) use(entry);
  else if (typeof result === 'object' && result !== null) {
    const size = native.shape(result as Handle).reduce((product, length) => product * length, 1);
    if (size < 1e5 && random() < 0.3) native.toData(result as Handle);
    if (size < 1e5 && random() < 0.3) pool[below(pool.length)] = result as Handle;
  }
}

function callOperator(name: string): void {
  const operator = native.lookup(name);
  const args: unknown[] = argumentTypes(operator.schema).map(valueFor);
  if (random() < 0.1) args.length = below(args.length + 1);
  if (random() < 0.02) args.push(garbage());
  announce(`${name}(${args.map(show).join(', ')})`);
  try {
    const result = native.call(operator.index, args as NativeValue[]);
    counts.results++;
    use(result);
  } catch (error) {
    judge(error, name);
  }
}

// These run for as long as their arguments tell them to, or, on numbers that are not finite, for as long as LAPACK likes.
const ENDLESS =
  /special_.*_polynomial|adaptive_(max|avg)_pool|binomial|polygamma|pinv|svd|lstsq|eig|matrix_rank|nuclear|_cond|linalg_.*norm/;

function fuzzDoor(): void {
  native.setThreads(2);
  for (const [position, name] of native.operatorNames().sort().entries()) {
    if (ENDLESS.test(name)) continue;
    random = seeded(seed + 7919 * position);
    pool = makePool();
    for (let i = 0; i < calls; i++) callOperator(name);
    for (const tensor of pool) native.free(tensor);
  }
}

// One connects to other processes, the other would make every later call slow.
const NOT_FUZZED = ['joinProcessGroup', 'setThreads'];

/** The addon's other functions, with arguments of any kind and number. */
function fuzzRaw(): void {
  const functions = Object.entries(native).filter(
    (entry): entry is [string, (...args: unknown[]) => unknown] =>
      typeof entry[1] === 'function' && !NOT_FUZZED.includes(entry[0]),
  );
  for (let i = 0; i < calls; i++) {
    if (i % 200 === 0) pool = makePool();
    const [name, body] = pick(functions);
    const args = Array.from({ length: below(7) }, () =>
      random() < 0.5 ? pick(pool) : random() < 0.3 ? [pick(pool)] : garbage(),
    );
    announce(`${name}(${args.map(show).join(', ')})`);
    try {
      const result = body(...args);
      counts.results++;
      if (name !== 'lookup' && name !== 'operatorNames' && name !== 'buildInfo' && name !== 'setAutocast')
        use(result instanceof ArrayBuffer ? null : result);
    } catch (error) {
      // Conversions of JavaScript throw what they like; LibTorch's errors must still be clean.
      judge(error, error instanceof Error ? error.message.slice(0, 1) : name);
    }
  }
  native.setGradMode(true);
  run('aten::add.Scalar', make([2], 'float32', random), 1);
}

if (mode === 'door') fuzzDoor();
else fuzzRaw();
console.log(JSON.stringify({ ...counts, complaints: [...complaints] }));
