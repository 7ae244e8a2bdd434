// Reproducible weights of an untrained model: every tensor follows from its published name and a seed, by a formula that
// the reference numbers of the tests were computed with.
import { type nn, type Tensor, tensor } from '@dagan/libtorch';

/** 32-bit FNV-1a hash of a text's UTF-8 bytes. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** MurmurHash3's finaliser of a 32-bit number, scaled to [0, 1). */
function scrambled(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 32;
}

/** Values that a tensor is filled with, as a function of u in [0, 1) and the element's index. */
function distribution(key: string, shape: readonly number[], batchNorm: boolean): (u: number, i: number) => number {
  const signed = (scale: number) => (u: number) => (2 * u - 1) * scale;
  if (key.endsWith('.running_var')) return (u) => 0.5 + u;
  if (key.endsWith('.running_mean')) return signed(0.1);
  if (key === 'kp_detector.jacobian.bias') return (u, i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0) + 0.05 * (2 * u - 1);
  if (shape.length >= 2) {
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    const bound = Math.sqrt(6 / fanIn);
    if (key === 'kp_detector.jacobian.weight') return (u) => (2 * u - 1) * bound * 0.2;
    if (key === 'generator.final.weight' || /^depth_decoder\.decoder\.1[0-3]\./.test(key)) {
      return (u) => (2 * u - 1) * bound * 0.05;
    }
    return signed(bound);
  }
  if (key.endsWith('.weight')) return (u) => 0.8 + 0.4 * u;
  return signed(batchNorm ? 0.1 : 0.05);
}

/**
 * The tensor of a name.
 *
 * @param key full name in the published state dicts, such as `generator.first.conv.weight`
 * @param batchNorm whether a bias belongs to a batch normalisation
 */
export function formulaTensor(key: string, shape: readonly number[], seed: string, batchNorm = false): Tensor {
  if (key.endsWith('num_batches_tracked')) return tensor(BigInt64Array.of(1n), { shape: [] });
  const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
  if (key.endsWith('.gamma')) return tensor(data.fill(0.5), { shape });
  const hash = fnv1a(`${seed}/${key}`);
  const valueAt = distribution(key, shape, batchNorm);
  for (let i = 0; i < data.length; i++) data[i] = valueAt(scrambled(hash + Math.imul(i, 0x9e3779b9)), i);
  return tensor(data, { shape });
}

/** Names of tensors that keep what their layer computes: anti-alias kernels and colour statistics. */
const isComputed = (key: string): boolean => /(^|\.)(down\.weight|mean|std)$/.test(key);

/**
 * Fills a module's parameters and buffers by the formula. Spectral normalisation's vectors `weight_u` and `weight_v` are
 * not part of it and keep their values.
 *
 * @param prefix put before the module's names, such as `kp_detector`
 * @param rename gives the published name of a name of ours, prefix included
 * @returns the module
 */
export function fillByFormula<M extends nn.Module>(
  module: M,
  { prefix = '', rename = (name) => name, seed = 'open' }: FormulaOptions = {},
): M {
  const state = new Map([...module.stateDict(prefix)].map(([name, value]) => [rename(name), value]));
  for (const [key, value] of state) {
    if (isComputed(key) || /\.weight_[uv]$/.test(key)) continue;
    const batchNorm = state.has(key.replace(/[^.]+$/, 'running_mean'));
    using target = value.detach();
    using source = formulaTensor(key, value.shape, seed, batchNorm);
    target.copy_(source);
  }
  return module;
}

export type FormulaOptions = { prefix?: string; rename?: (name: string) => string; seed?: string };
