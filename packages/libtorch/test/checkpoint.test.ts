// Checkpoint files: what PyTorch wrote is read exactly, what is written is read back, and no broken or hostile file harms.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deflateRawSync } from 'node:zlib';
import {
  CheckpointError,
  type CheckpointFile,
  type DType,
  decodeBfloat16,
  decodeFloat16,
  elementCount,
  encodeBfloat16,
  encodeFloat16,
  ITEM_SIZE,
  openCheckpoint,
  type TensorToWrite,
  toFloat32Array,
  toNumberArray,
  writeSafetensors,
} from '../src/checkpoint/index.js';
import { P, seededRandom, TemporaryFolder, torchZip, u64, type ZipItem, zip } from './checkpoint-forge.js';
import { sharedMissing, sharedPath } from './shared.js';
import { fnv1a, formulaWeights, uniform } from './weight-formula.js';

const DTYPES = Object.keys(ITEM_SIZE) as DType[];

/** Files that PyTorch wrote, see fixtures/make-checkpoints.py. */
function fixture(name: string): string {
  return fileURLToPath(new URL(`../../test/fixtures/${name}`, import.meta.url));
}

/** Everything in a file, all bytes read. */
function readAll(file: string) {
  using checkpoint = openCheckpoint(file);
  const tensors = new Map<string, { dtype: DType; shape: readonly number[]; bytes: Uint8Array }>();
  for (const [name, record] of checkpoint.tensors) {
    const bytes = record.read();
    assert.equal(record.name, name);
    assert.equal(bytes.length, record.byteLength);
    assert.equal(bytes.length, elementCount(record.shape)! * ITEM_SIZE[record.dtype]);
    tensors.set(name, { dtype: record.dtype, shape: record.shape, bytes });
  }
  return { format: checkpoint.format, metadata: checkpoint.metadata, scalars: checkpoint.scalars, tensors };
}

/** Asserts that the file is refused by a CheckpointError that names it and says `what`. */
function assertRefused(file: string, what: RegExp, read: (file: string) => unknown = readAll): void {
  assert.throws(
    () => read(file),
    (error: unknown) => {
      assert.ok(error instanceof CheckpointError, `${error}`);
      assert.equal(error.path, file);
      assert.ok(error.message.startsWith(`${file}: `));
      assert.match(error.message.slice(file.length + 2), what);
      return true;
    },
  );
}

const VIEWS = Array.from({ length: 24 }, (_, i) => i);
const TRANSPOSED = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11];
const EXPECTED_TENSORS: Record<string, { dtype: DType; shape: number[]; values: number[] }> = {
  ...Object.fromEntries(
    DTYPES.map((dtype) => [
      `dtypes.${dtype}`,
      { dtype, shape: [4], values: dtype === 'bool' ? [0, 1, 1, 1] : [0, 1, 2, 100] },
    ]),
  ),
  'views.all': { dtype: 'float32', shape: [2, 3, 4], values: VIEWS },
  'views.transposed': {
    dtype: 'float32',
    shape: [4, 2, 3],
    values: [0, 4, 8, 12, 16, 20, 1, 5, 9, 13, 17, 21, 2, 6, 10, 14, 18, 22, 3, 7, 11, 15, 19, 23],
  },
  'views.slice': { dtype: 'float32', shape: [2, 2], values: [16, 18, 20, 22] },
  'views.expanded': { dtype: 'float32', shape: [3, 2], values: [1, 1, 1, 1, 1, 1] },
  'views.channels_last': { dtype: 'float32', shape: [1, 2, 3, 4], values: VIEWS },
  'views.scalar': { dtype: 'float32', shape: [], values: [23] },
  'views.empty': { dtype: 'float32', shape: [0, 4], values: [] },
  'views.half_transposed': { dtype: 'float16', shape: [4, 3], values: TRANSPOSED },
  'views.double_transposed': { dtype: 'float64', shape: [4, 3], values: TRANSPOSED },
  'views.bytes_transposed': { dtype: 'uint8', shape: [4, 3], values: TRANSPOSED },
  'network.1.num_batches_tracked': { dtype: 'int64', shape: [], values: [1] },
  'optimizer.state.3.step': { dtype: 'float32', shape: [], values: [1] },
  parameter: { dtype: 'float32', shape: [2], values: [1, 1] },
};
const EXPECTED_SCALARS = {
  'optimizer.param_groups.0.lr': 0.001,
  'optimizer.param_groups.0.betas.1': 0.999,
  'optimizer.param_groups.0.params.3': 3,
  'history.loss.1': 0.25,
  'history.3.0': true,
  'history.3.1': null,
  'numpy.float64': 0.1,
  'numpy.float32': 0.5,
  'numpy.int64': -3,
  'numpy.uint8': 200,
  'numpy.bool': true,
  'numpy.big': 7,
  seed: '9223372036854775813',
  negative: -1099511627776,
  'size.2': 4,
  dtype: 'torch.bfloat16',
  device: 'cuda:1',
  'milestones.20': 1,
  'set.0': 4,
  'frozen.0': 5,
  raw: '\x00\xff',
  mutable: 'ab',
  text: 'Pörträt 🖼',
};

for (const format of ['zip', 'legacy'] as const) {
  for (const protocol of [2, 4]) {
    test(`a ${format} file that PyTorch wrote with pickle protocol ${protocol} gives every value it was made of`, () => {
      using checkpoint = openCheckpoint(fixture(`torch-${format}-p${protocol}.pth`));
      assert.equal(checkpoint.format, `pytorch-${format}`);
      assert.equal(checkpoint.tensors.size, 40);
      for (const [name, { dtype, shape, values }] of Object.entries(EXPECTED_TENSORS)) {
        const record = checkpoint.tensors.get(name);
        assert.ok(record, name);
        assert.deepEqual([record.dtype, record.shape], [dtype, shape], name);
        assert.deepEqual(toNumberArray(record), values, name);
        assert.deepEqual(Array.from(toFloat32Array(record)), values, name);
      }
      assert.equal(checkpoint.scalars.size, 39);
      for (const [name, value] of Object.entries(EXPECTED_SCALARS)) {
        assert.strictEqual(checkpoint.scalars.get(name), value, name);
      }
    });
  }
}

test('the weight formula gives its published check values', () => {
  const hash = fnv1a('open/generator.first.conv.weight');
  assert.equal(hash, 0x803e2fb5);
  assert.deepEqual(
    [0, 1, 2, 3].map((i) => uniform(hash, i)),
    [0.6777756919618696, 0.42735977564007044, 0.445339412195608, 0.4595440838020295],
  );
  const begins = (key: string, shape: number[], values: number[]) =>
    values.forEach((value, i) => {
      assert.ok(Math.abs(formulaWeights(key, shape)![i]! - value) < 1e-8, `${key} ${i}`);
    });
  begins('generator.first.conv.weight', [64, 3, 7, 7], [0.07183222, -0.02935108, -0.02208621]);
  begins('generator.final.weight', [3, 64, 7, 7], [0.00077545, -0.00194249]);
  begins('kp_detector.jacobian.bias', [60], [1.00594974, 0.03343229, 0.0198025, 0.98603517]);
  assert.equal(formulaWeights('kp_detector.down.weight', [3, 1, 13, 13]), undefined);
});

for (const [file, prefix, dtype] of [
  ['checkpoint-tiny.pth.tar', '', 'float32'],
  ['checkpoint-tiny-legacy.pth.tar', '', 'float32'],
  ['checkpoint-tiny-half.pth', 'kp_detector.', 'float16'],
] as const) {
  test(`every weight of ${file} is the one its name determines`, { skip: sharedMissing }, () => {
    const shapes: Record<string, Record<string, number[]>> = JSON.parse(
      fs.readFileSync(sharedPath('fixtures/state-dict-shapes.json'), 'utf8'),
    );
    const published = { ...shapes.tiny_generator, ...shapes.tiny_kp_detector, ...shapes.tiny_discriminator };
    using checkpoint = openCheckpoint(sharedPath(`fixtures/${file}`));
    let compared = 0;
    for (const [name, record] of checkpoint.tensors) {
      const key = prefix + name;
      assert.deepEqual(record.shape, published[key], key);
      const expected = formulaWeights(key, record.shape);
      if (!expected) continue;
      const counts = dtype === 'float32' && key.endsWith('num_batches_tracked');
      assert.equal(record.dtype, counts ? 'int64' : dtype);
      const rounded = record.dtype === 'float16' ? decodeFloat16(encodeFloat16(expected)) : expected;
      assert.deepEqual(toFloat32Array(record), rounded, key);
      compared++;
    }
    assert.ok(compared > 40);
    if (dtype === 'float16') return; // The detector alone: no training state, and a kernel with fewer digits.
    assert.equal(checkpoint.scalars.get('epoch'), 7);
    assert.equal(checkpoint.scalars.get('optimizer_generator.param_groups.0.lr'), 2e-4);
    const kernel = toFloat32Array(checkpoint.tensors.get('kp_detector.down.weight')!);
    for (const [i, value] of [2.37296e-5, 0.000273464, 0.00202064].entries()) {
      assert.ok(Math.abs(kernel[6 * 13 + i]! / value - 1) < 1e-4);
    }
  });
}

test('a file whose pickle runs a command is refused by name and nothing runs', { skip: sharedMissing }, () => {
  const proof = path.join(os.tmpdir(), 'pwned-by-checkpoint'); // What the command in this file would make.
  const before = fs.existsSync(proof);
  assertRefused(sharedPath('fixtures/checkpoint-tiny-malicious.pth.tar'), /refused.*"posix\.system".*Nothing was run/);
  assert.equal(fs.existsSync(proof), before);
});

test('a safetensors file from another writer is read with its metadata', { skip: sharedMissing }, () => {
  using checkpoint = openCheckpoint(sharedPath('fixtures/train-step.safetensors'));
  assert.equal(checkpoint.format, 'safetensors');
  assert.equal(checkpoint.metadata.seed, 'open');
  assert.deepEqual(checkpoint.tensors.get('source')!.shape, [2, 3, 128, 128]);
  const pixels = toFloat32Array(checkpoint.tensors.get('source')!);
  assert.ok(pixels.every((value) => value >= 0 && value <= 1));
  assert.ok([...checkpoint.tensors.values()].every((record) => toNumberArray(record).every(Number.isFinite)));
});

test('what is written as safetensors is read back bit by bit, for every type, shape and name', () => {
  using folder = new TemporaryFolder();
  const random = seededRandom(1);
  const integer = (below: number) => Math.floor(random() * below);
  for (let round = 0; round < 60; round++) {
    const names = new Set([
      '__proto__',
      '',
      '10',
      '9',
      'a.b',
      'ü"\\\n',
      ...Array.from({ length: integer(20) }, (_, i) => `t${i}`),
    ]);
    const tensors = [...names].map((name, i) => {
      const dtype = DTYPES[(i + round) % DTYPES.length]!;
      const shape = Array.from({ length: integer(5) }, () => integer(5));
      const bytes = Buffer.from(Array.from({ length: elementCount(shape)! * ITEM_SIZE[dtype] }, () => integer(256)));
      return { name, dtype, shape, data: random() < 0.5 ? bytes : () => bytes, bytes };
    });
    const metadata: Record<string, string> = round % 2 === 0 ? { step: `${round}`, licence: 'CC-BY' } : {};
    const file = path.join(folder.path, 'a.safetensors');
    writeSafetensors(file, tensors, metadata);

    const read = readAll(file);
    assert.deepEqual({ ...read.metadata }, metadata);
    assert.equal(read.tensors.size, tensors.length);
    for (const { name, dtype, shape, bytes } of tensors) {
      const found = read.tensors.get(name)!;
      assert.deepEqual([found.dtype, found.shape], [dtype, shape]);
      assert.ok(bytes.equals(found.bytes));
    }
    assert.equal(fs.readFileSync(file).readBigUInt64LE() % 8n, 0n, 'the elements begin at a multiple of eight');
  }
  assert.deepEqual(fs.readdirSync(folder.path), ['a.safetensors']);
});

test('the same tensors give the same file in whatever order they come', () => {
  using folder = new TemporaryFolder();
  const tensors: TensorToWrite[] = ['b', 'a', 'c'].map((name, i) => ({
    name,
    dtype: i === 2 ? 'float64' : 'bfloat16',
    shape: [1],
    data: i === 2 ? Float64Array.of(3) : encodeBfloat16(Float32Array.of(i)),
  }));
  const [one, two] = [path.join(folder.path, '1'), path.join(folder.path, '2')];
  writeSafetensors(one, tensors);
  writeSafetensors(two, tensors.toReversed());
  assert.deepEqual(fs.readFileSync(one), fs.readFileSync(two));
  assert.deepEqual([...readAll(one).tensors.keys()], ['c', 'a', 'b']);
});

test('a record can be written to another file while its own is replaced', () => {
  using folder = new TemporaryFolder();
  const file = path.join(folder.path, 'a.safetensors');
  writeSafetensors(file, [{ name: 'a', dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) }]);
  using old = openCheckpoint(file);
  const copies = [...old.tensors.values()].map(({ dtype, shape, read }) => ({
    name: 'copy',
    dtype,
    shape,
    data: read,
  }));
  writeSafetensors(file, copies);
  assert.deepEqual(readAll(file).tensors.get('copy')!.bytes, old.tensors.get('a')!.read());
});

test('a write that fails leaves the old file and nothing else', () => {
  using folder = new TemporaryFolder();
  const file = folder.file('a.safetensors', 'old');
  const good: TensorToWrite = { name: 'a', dtype: 'float32', shape: [1], data: Float32Array.of(1) };
  const attempts: [TensorToWrite[], RegExp][] = [
    [[good, { ...good, name: 'b', shape: [3] }], /"b".*takes 12 bytes, given are 4/],
    [[good, good], /two tensors named "a"/],
    [[{ ...good, name: '__metadata__' }], /__metadata__/],
    [[{ ...good, shape: [-1] }], /impossible shape \[-1\]/],
    [[{ ...good, shape: [0.5] }], /impossible shape/],
  ];
  for (const [tensors, what] of attempts) assertRefused(file, what, () => writeSafetensors(file, tensors));
  const fails = () => {
    throw new Error('no more memory');
  };
  assert.throws(() => writeSafetensors(file, [good, { ...good, name: 'b', data: fails }]), /no more memory/);
  assert.equal(fs.readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(fs.readdirSync(folder.path), ['a.safetensors']);

  const nowhere = path.join(folder.path, 'none', 'a.safetensors');
  assertRefused(nowhere, /cannot be written.*ENOENT/, () => writeSafetensors(nowhere, [good]));
  // A folder cannot be replaced by a file: the very last step fails.
  const taken = path.join(folder.path, 'taken');
  fs.mkdirSync(path.join(taken, 'inner'), { recursive: true });
  assertRefused(taken, /cannot be written/, () => writeSafetensors(taken, [good]));
  assert.deepEqual(fs.readdirSync(folder.path).sort(), ['a.safetensors', 'taken']);
});

test('a closed file says so, and closing twice is harmless', () => {
  const file = fixture('torch-zip-p2.pth');
  const checkpoint = openCheckpoint(file);
  checkpoint.close();
  checkpoint.close();
  assertRefused(file, /is closed/, () => checkpoint.tensors.get('parameter')!.read());
});

test('half precisions survive decoding and encoding, and encoding rounds to the nearest, ties to even', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
  for (const [decode, encode, mantissa] of [
    [decodeBfloat16, encodeBfloat16, 7],
    [decodeFloat16, encodeFloat16, 10],
  ] as const) {
    const values = decode(all);
    const back = encode(values);
    const infinity = 0x8000 - (1 << mantissa);
    for (let i = 0; i < 65536; i++) {
      const notANumber = (i & 0x7fff) > infinity;
      assert.equal(Number.isNaN(values[i]), notANumber);
      if (notANumber) assert.ok((back[i]! & 0x7fff) > infinity);
      else assert.equal(back[i], i);
    }
    // Between neighbours: exactly half-way goes to the even one, anything else to the nearer.
    for (let i = 0; i < infinity - 1; i++) {
      const [low, high] = [values[i]!, values[i + 1]!];
      const middle = (low + high) / 2;
      const probes = Float32Array.of(middle, low + (high - low) * 0.375, low + (high - low) * 0.625, -middle);
      const even = i % 2 === 0 ? i : i + 1;
      assert.deepEqual(Array.from(encode(probes)), [even, i, i + 1, even | 0x8000], `${i}`);
    }
    const extremes = encode(Float32Array.of(Infinity, -Infinity, NaN, 3.4e38, -0, 1e-45));
    assert.deepEqual(
      [extremes[0], extremes[1], extremes[3], extremes[4], extremes[5]],
      [infinity, infinity | 0x8000, mantissa === 7 ? 0x7f80 : 0x7c00, 0x8000, 0],
    );
    assert.ok(Number.isNaN(decode(extremes)[2]));
  }
  assert.equal(decodeFloat16(Uint16Array.of(0x7bff))[0], 65504);
  assert.deepEqual(Array.from(encodeFloat16(Float32Array.of(65519, 65520, 1e6))), [0x7bff, 0x7c00, 0x7c00]);
});

test('bytes are converted at any alignment, and only as whole elements', () => {
  const bytes = new Uint8Array(17);
  new DataView(bytes.buffer).setBigInt64(1, -5n, true);
  new DataView(bytes.buffer).setBigInt64(9, 2n ** 62n, true);
  assert.deepEqual(toNumberArray(bytes.subarray(1), 'int64'), [-5, 2 ** 62]);
  assert.deepEqual(Array.from(toFloat32Array(bytes.subarray(1), 'int64')), [-5, 2 ** 62]);
  assert.deepEqual(toNumberArray(Uint8Array.of(0, 0x80, 0x3f), 'uint8'), [0, 128, 63]);
  assert.throws(() => toFloat32Array(bytes, 'float32'), /17 bytes are no whole number of float32 elements/);
});

test('a file of another kind is named for what it looks like', () => {
  using folder = new TemporaryFolder();
  const tar = Buffer.alloc(1024);
  tar.write('generator.pth', 0);
  tar.write('ustar', 257);
  const files: [string | Uint8Array, RegExp][] = [
    ['', /is empty/],
    [Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), /PNG image/],
    [Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), /JPEG image/],
    ['<!DOCTYPE html><html><title>Google Drive - Virus scan warning', /web page/],
    ['\n  <HTML><body>404', /web page/],
    ['version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n', /Git LFS pointer.*git lfs pull/],
    ['model:\n  num_kp: 15\n', /text file that begins with "model:"/],
    ['{"generator":{"a":1}}', /text file/],
    [Buffer.from('\0\0\0\x20ftypisom'), /MP4/],
    [Buffer.from([0x1f, 0x8b, 8, 0]), /gzip.*unpack/],
    [tar, /tar archive.*unpack/],
    [new Uint8Array(5000), /filled with zeros/],
    [Buffer.from([1, 2, 3, 250]), /unknown kind/],
    [zip([{ name: 'a.npy', data: new Uint8Array(3) }]), /no PyTorch checkpoint.*"a\.npy".*NumPy/],
    [zip([{ name: 'weights/model.pth', data: new Uint8Array(3) }]), /"weights\/model\.pth".*unpack it/],
    [zip([]), /holds nothing/],
    [torchZip(P.whole(P.dict), {}, [{ name: 'archive/constants.pkl', data: P.whole(P.none) }]), /TorchScript/],
    [P.whole(P.dict), /Python pickle, but not one that torch\.save wrote/],
    [P.whole(P.text('posix'), P.text('system'), P.stackGlobal), /"posix\.system"/],
  ];
  for (const [i, [content, what]] of files.entries()) assertRefused(folder.file(`${i}.pth`, content), what);
  assertRefused(folder.path, /is a folder/);
  assertRefused(path.join(folder.path, 'missing.pth'), /no such file/);
  assertRefused('/dev/zero', /not a regular file/);
});

test('a safetensors header that breaks a rule of the format is refused', () => {
  using folder = new TemporaryFolder();
  const whole = (header: unknown, data = 8, length?: bigint) => {
    const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
    return Buffer.concat([u64(length ?? json.length), json, Buffer.alloc(data)]);
  };
  const tensor = (begin: unknown, end: unknown, shape: unknown = [2], dtype: unknown = 'F32') => ({
    dtype,
    shape,
    data_offsets: [begin, end],
  });
  assert.equal(readAll(folder.file('good', whole({ a: tensor(0, 8) }))).tensors.size, 1);
  assert.equal(readAll(folder.file('padded', whole(`{}${' '.repeat(6)}`, 0))).tensors.size, 0);
  const broken: [Buffer, RegExp][] = [
    [whole({ a: tensor(0, 8) }, 7), /ends too early: \d+ bytes expected, it has \d+.*incompletely/],
    [whole({ a: tensor(0, 8) }, 9), /1 bytes behind its last tensor/],
    [whole({ a: tensor(1, 9) }, 9), /1 unused bytes/],
    [whole({ a: tensor(0, 8), b: tensor(4, 12) }, 12), /"b".*overlaps/],
    [whole({ a: tensor(0, 8), b: tensor(0, 8) }), /overlaps/],
    [whole({ a: tensor(0, 8, [3]) }), /3 float32 elements in 8 bytes/],
    [whole({ a: tensor(8, 0, [0]) }), /range of bytes/],
    [whole({ a: tensor(0, 8.5) }), /range of bytes/],
    [whole({ a: tensor(0, '8') }), /range of bytes/],
    [whole({ a: tensor(0, 8, [-2]) }), /shape/],
    [whole({ a: tensor(0, 8, [2 ** 40, 2 ** 40]) }), /shape/],
    [whole({ a: tensor(0, 8, 'x') }), /shape/],
    [whole({ a: tensor(0, 8, Array(65).fill(1)) }), /shape/],
    [whole({ a: tensor(0, 2 ** 50, [2 ** 48]) }), /ends too early/],
    [whole({ a: tensor(0, 8, [8], 'F8_E4M3') }), /type "F8_E4M3", known are F64/],
    [whole({ a: tensor(0, 8, [8], 'toString') }), /type "toString"/],
    [whole({ a: tensor(0, 8, [8], null) }), /type null/],
    [whole({ a: 3 }), /type none/],
    [whole({ __metadata__: { step: 3 } }, 0), /metadata/],
    [whole({ __metadata__: 'x' }, 0), /metadata/],
    [whole('{"a":', 0), /no JSON/],
    [whole('{"\xff":1}'.replace('\xff', '\ud800'), 0, 9n), /no JSON|type none/],
    [whole({ a: tensor(0, 8) }, 8, 1000n), /ends too early/],
    [whole({ a: tensor(0, 8) }, 8, 2n ** 40n), /header of 1099511627776 bytes/],
  ];
  for (const [i, [content, what]] of broken.entries()) assertRefused(folder.file(`${i}`, content), what);
});

test('a zip file that lies or hides something is refused', () => {
  using folder = new TemporaryFolder();
  const content = Buffer.from(Float32Array.of(1, 2).buffer);
  const pickle = P.whole(P.tensor(P.storage('FloatStorage', '0', 2), 0, [2], [1]));
  const data: ZipItem = { name: 'archive/data/0', data: content };
  const file = (...items: ZipItem[]) =>
    folder.file('a.pth', zip([{ name: 'archive/data.pkl', data: pickle }, ...items]));
  const values = (name: string) => readAll(name).tensors.get('')!.bytes;
  assert.deepEqual(Buffer.from(values(file(data))), content);
  const wide = zip([{ name: 'archive/data.pkl', data: pickle }, data], true);
  assert.deepEqual(Buffer.from(values(folder.file('wide.pth', wide))), content, '64-bit sizes');
  assert.deepEqual(Buffer.from(values(file({ ...data, crc: 0 }))), content, 'PyTorch can leave checksums out');
  const little = { name: 'archive/byteorder', data: Buffer.from('little') };
  assert.deepEqual(Buffer.from(values(file(data, little))), content, 'as PyTorch 2 notes it');
  const big = Buffer.from(content).swap32();
  const order = { name: 'archive/byteorder', data: Buffer.from('big') };
  assert.deepEqual(
    Buffer.from(values(file({ ...data, data: big }, order))),
    content,
    'written on a big-endian machine',
  );

  assertRefused(file({ ...data, crc: 5 }), /checksum of "archive\/data\/0" does not match/);
  assertRefused(file({ ...data, flags: 1 }), /encrypted/);
  assertRefused(file({ ...data, data: content.subarray(1) }), /of 8 bytes is 7 bytes long/);
  assertRefused(file(), /storage "0" of 8 bytes is missing/);
  assertRefused(file(data, data), /two zip entries/);
  assertRefused(file({ ...data, size: 2 ** 31 }), /outside the file/);
  const bomb = deflateRawSync(Buffer.alloc(2 ** 20));
  const packed: ZipItem = { name: 'archive/data.pkl', data: bomb, method: 8, size: 2 ** 20 };
  assertRefused(folder.file('bomb.pth', zip([packed])), /compressed entry "archive\/data\.pkl"/);
  const huge: ZipItem = { ...packed, size: 0xf0000000 };
  assertRefused(folder.file('huge.pth', zip([huge])), /pickle of 4026531840 bytes/);
});

test('a pickle that names anything beyond tensors and containers is refused, however it names it', () => {
  using folder = new TemporaryFolder();
  const names = [
    ...['posix.system', 'os.system', 'builtins.eval', '__builtin__.exec', 'builtins.getattr', 'subprocess.Popen'],
    ...['torch.load', 'torch._utils._rebuild_wrapper', 'numpy.load', 'codecs.encode', 'collections.__dict__'],
    ...['torch.serialization.os.system', 'toString', 'constructor', '__proto__.constructor'],
  ];
  for (const full of names) {
    const dot = full.indexOf('.') < 0 ? 0 : full.lastIndexOf('.');
    const [module, name] = [full.slice(0, dot), full.slice(dot && dot + 1)];
    for (const reference of [P.global(module, name), Buffer.concat([P.text(module), P.text(name), P.stackGlobal])]) {
      const pickle = P.whole(P.dict, P.text('a'), reference, P.mark, P.text('touch x'), P.tuple, P.call, P.setItem);
      assertRefused(folder.file('a.pth', torchZip(pickle)), /is refused: its pickle names ".*would run code/);
    }
  }
});

test('an error quotes no control characters and no endless names', () => {
  using folder = new TemporaryFolder();
  const pickle = P.whole(P.text('\x1b[31m\n'), P.text('x'.repeat(1e6)), P.stackGlobal);
  const file = folder.file('a.pth', torchZip(pickle));
  assertRefused(file, /^[^\p{Cc}]{100,700}$/u);
});

test('a legacy file whose list of storages doubles itself is refused before it is written out', () => {
  using folder = new TemporaryFolder();
  const magic = Buffer.from([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]);
  const protocol = Buffer.from([0x80, 2, 0x4d, 0xe9, 0x03, 0x2e]);
  const empty = Buffer.from([0x80, 2, 0x7d, 0x2e]);
  // Each pair holds the one before it twice: 2^40 texts in a hundred bytes.
  const doubled = Buffer.from([0x80, 2, 0x58, 1, 0, 0, 0, 97, ...Array(40).fill([0x32, 0x86]).flat(), 0x85, 0x2e]);
  for (const [name, parts] of [
    ['list.pth', [magic, protocol, empty, empty, doubled]],
    ['protocol.pth', [magic, doubled, empty, empty, empty]],
  ] as const) {
    const file = folder.file(name, Buffer.concat(parts));
    assert.throws(() => openCheckpoint(file), CheckpointError);
  }
});

test('a malformed or hostile pickle ends in an error that says what it does', () => {
  using folder = new TemporaryFolder();
  const repeat = (count: number, ...parts: Buffer[]) => Buffer.concat(Array(count).fill(Buffer.concat(parts)));
  const storage = P.storage('FloatStorage', '0', 4);
  const orderedDict = P.global('collections', 'OrderedDict');
  // Each list holds the one before it ten times: 10^12 values in a few hundred bytes.
  const shared = Array.from({ length: 12 }, (_, i) => [P.list, P.put(i + 1), P.mark, repeat(10, P.get(i)), P.appends]);
  const pairs = repeat(1000, P.mark, P.int(1), P.int(2), P.tuple);
  const megabyte = Buffer.concat([Buffer.from([0x42, 0, 0, 0x10, 0]), Buffer.alloc(2 ** 20, 65)]);
  const pickles: [Buffer, RegExp][] = [
    [P.whole(P.list, P.put(0), ...shared.flat()), /over and over/],
    // A hundred times the same megabyte.
    [P.whole(P.list, megabyte, P.put(0), P.append, P.mark, repeat(100, P.get(0)), P.appends), /over and over/],
    [P.whole(P.list, P.put(0), P.get(0), P.append), /nests containers.*within themselves/],
    [P.whole(repeat(100_000, P.list), repeat(99_999, P.append)), /nests containers deeper/],
    [
      P.whole(P.list, P.put(0), P.mark, pairs, P.appends, repeat(5000, orderedDict, P.mark, P.get(0), P.tuple, P.call)),
      /over and over/,
    ],
    [P.whole(repeat(3_000_000, P.dict)), /makes more than 1048576 objects/],
    [P.whole(P.none, repeat(3_000_000, Buffer.from([0x94]))), /remembers more than/],
    [P.whole(Buffer.from([0x8b, 0xff, 0xff, 0xff, 0x7f, 1])), /ends too early/],
    [P.whole(Buffer.from([0x8b, 0, 4, 0, 0]), Buffer.alloc(1024)), /integer of 1024 bytes/],
    [P.whole(Buffer.concat([Buffer.from([0x8d]), u64(2n ** 63n)])), /ends too early/],
    [P.whole(P.get(7)), /value 7, which it never stored/],
    [P.whole(P.append), /takes a value that it never made/],
    [P.whole(P.none, P.mark, P.append), /takes a value that it never made/],
    [P.whole(P.appends), /closes a group/],
    [P.whole(P.int(1), P.int(2), P.append), /no list/],
    [P.whole(P.dict, P.mark, P.int(1), P.setItems), /no dictionary/],
    [P.whole(P.int(1), P.mark, P.tuple, P.call), /calls something/],
    [P.whole(P.global('torch', 'FloatStorage'), P.mark, P.int(9), P.tuple, P.call), /calls torch\.FloatStorage/],
    [P.whole(P.int(1), P.dict, P.build), /sets the state/],
    [P.whole(P.tensor(storage, 0, [4], [1]), P.dict, P.build), /sets the state/],
    [P.whole(P.dict, P.mark, P.mark, P.tuple, P.int(1), P.setItems), /neither text nor a number/],
    [
      P.whole(P.dict, P.mark, P.text('a.b'), P.none, P.text('a'), P.dict, P.text('b'), P.none, P.setItem, P.setItems),
      /two values named "a\.b"/,
    ],
    [P.whole(Buffer.from('X\x02\0\0\0\xff\xfe', 'latin1')), /not UTF-8/],
    [P.whole(Buffer.from('i__main__\nA\n')), /opcode 0x69/],
    [Buffer.concat([Buffer.from([0x80, 9]), P.none, P.stop]), /protocol 9/],
    [P.start, /ends too early/],
    [P.whole(P.tensor(storage, 0, [5], [1])), /shape \[5\] that reaches outside of its storage "0"/],
    [P.whole(P.tensor(storage, 1, [2, 2], [2, 1])), /reaches outside/],
    [P.whole(P.tensor(storage, -1, [1], [1])), /from something else/],
    [P.whole(P.tensor(storage, 0, [-1], [1])), /impossible shape/],
    [P.whole(P.tensor(storage, 0, [1], [-1])), /impossible shape/],
    [P.whole(P.tensor(storage, 0, [1, 1], [1])), /impossible shape/],
    [P.whole(P.tensor(storage, 0, Array(65).fill(1), Array(65).fill(1))), /impossible shape/],
    [P.whole(P.tensor(storage, 0, [2e9, 2e9], [0, 0])), /impossible shape/],
    [P.whole(P.tensor(storage, 0, [1e9], [0])), /more than 4000000000 bytes.*contiguous/],
    [P.whole(P.tensor(P.int(3), 0, [1], [1])), /from something else/],
    [P.whole(P.list, storage, P.append, P.storage('FloatStorage', '0', 5), P.append), /two different ways/],
    [P.whole(P.storage('ComplexFloatStorage', '0', 2)), /"torch\.ComplexFloatStorage", an element type/],
    [P.whole(P.mark, P.text('module'), P.tuple, P.persistent), /state_dict/],
    [P.whole(P.int(4), P.persistent), /no tensor storage/],
    [P.whole(P.storage('FloatStorage', '../0', 4)), /"\.\.\/0".*missing/],
  ];
  for (const [i, [pickle, what]] of pickles.entries()) {
    assertRefused(folder.file(`${i}.pth`, torchZip(pickle, { 0: new Uint8Array(16) })), what);
  }
});

test('names that mean something to JavaScript are plain names in a pickle', () => {
  using folder = new TemporaryFolder();
  const items = ['__proto__', 'constructor', 'toString'].map((name, i) => Buffer.concat([P.text(name), P.int(i)]));
  const { scalars } = readAll(folder.file('a.pth', torchZip(P.whole(P.dict, P.mark, ...items, P.setItems))));
  assert.deepEqual(
    [...scalars],
    [
      ['__proto__', 0],
      ['constructor', 1],
      ['toString', 2],
    ],
  );
});

test('every truncation is an error, and every flipped bit an error or a consistent file', () => {
  using folder = new TemporaryFolder();
  const small = path.join(folder.path, 'small.safetensors');
  writeSafetensors(
    small,
    DTYPES.map((dtype) => ({
      name: `a.${dtype}`,
      dtype,
      shape: [2, 3],
      data: new Uint8Array(6 * ITEM_SIZE[dtype]).fill(7),
    })),
    { note: 'fuzz' },
  );
  const random = seededRandom(7);
  const files = [small, ...['zip-p2', 'zip-p4', 'legacy-p2', 'legacy-p4'].map((name) => fixture(`torch-${name}.pth`))];
  for (const file of files) {
    const original = fs.readFileSync(file);
    const expected = readAll(file);
    const attempt = (content: Uint8Array, what: string) => {
      const damaged = folder.file('damaged', content);
      try {
        return readAll(damaged);
      } catch (error) {
        assert.ok(error instanceof CheckpointError, `${path.basename(file)}, ${what}: ${(error as Error).stack}`);
        assert.equal(error.path, damaged);
        return undefined;
      }
    };
    for (let i = 0; i < 200; i++) {
      const length = Math.floor(random() * original.length);
      assert.equal(
        attempt(original.subarray(0, length), `${length} bytes`),
        undefined,
        `${file}: ${length} bytes were accepted`,
      );
    }
    let refused = 0;
    for (let i = 0; i < 300; i++) {
      const content = Buffer.from(original);
      const flips = 1 + (i % 3);
      for (let flip = 0; flip < flips; flip++) {
        content[Math.floor(random() * content.length)]! ^= 1 << Math.floor(random() * 8);
      }
      const read = attempt(content, `flip ${i}`);
      if (!read) refused++;
      // Zip files have checksums: what is read from a damaged one is right. The other formats cannot notice all damage.
      else if (read.format === 'pytorch-zip') assert.deepEqual(read, expected, `${file}, flip ${i}`);
    }
    assert.ok(refused > 50, `${file}: only ${refused} damaged files were noticed`);
  }
});

test('opening many files and failing on many leaves no file open', {
  skip: !fs.existsSync('/proc/self/fd') && 'needs /proc',
}, () => {
  using folder = new TemporaryFolder();
  const bad = folder.file('bad.pth', 'no checkpoint');
  const before = fs.readdirSync('/proc/self/fd').length;
  for (let i = 0; i < 50; i++) {
    readAll(fixture('torch-zip-p4.pth'));
    assertRefused(bad, /text file/);
  }
  assert.equal(fs.readdirSync('/proc/self/fd').length, before);
});

test('elements are read only when asked for', () => {
  using folder = new TemporaryFolder();
  const file = path.join(folder.path, 'a.safetensors');
  const tensors = ['a', 'b'].map((name) => ({
    name,
    dtype: 'float32' as const,
    shape: [2],
    data: Float32Array.of(1, 2),
  }));
  writeSafetensors(file, tensors);
  using checkpoint: CheckpointFile = openCheckpoint(file);
  fs.truncateSync(file, fs.statSync(file).size - 8);
  assert.deepEqual(toNumberArray(checkpoint.tensors.get('a')!), [1, 2]);
  assertRefused(file, /became shorter/, () => checkpoint.tensors.get('b')!.read());
});
