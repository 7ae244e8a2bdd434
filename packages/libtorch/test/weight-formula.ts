// Network weights by a formula of their names, so that reference outputs can be compared without storing any weights.

/**
 * The formula's values for one entry of a published state dict.
 * @param key full key, as `generator.first.conv.weight`
 * @param shape sizes of its dimensions
 * @param seed other seeds give other weights
 * @returns row-major values, or undefined for entries that the formula leaves as their layer computes them: anti-alias
 *   kernels, normalisation constants, and the vectors of spectral normalisation
 */
export function formulaWeights(
  key: string,
  shape: readonly number[],
  seed = 'open',
): Float32Array<ArrayBuffer> | undefined {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  const fill = (value: (u: number, i: number) => number) => {
    const hash = fnv1a(`${seed}/${key}`);
    for (let i = 0; i < values.length; i++) values[i] = value(uniform(hash, i), i);
    return values;
  };
  const last = key.slice(key.lastIndexOf('.') + 1);

  if (last === 'num_batches_tracked') return fill(() => 1);
  if (key.endsWith('down.weight') || ['mean', 'std', 'weight_u', 'weight_v'].includes(last)) return undefined;
  if (last === 'running_mean') return fill((u) => 0.1 * (2 * u - 1));
  if (last === 'running_var') return fill((u) => 0.5 + u);
  if (last === 'gamma') return fill(() => 0.5);
  if (shape.length >= 2) {
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    const bound = Math.sqrt(6 / fanIn);
    const gain = gainOf(key);
    return fill((u) => (2 * u - 1) * bound * gain);
  }
  if (key === 'kp_detector.jacobian.bias')
    return fill((u, i) => (i % 4 === 0 || i % 4 === 3 ? 1 : 0) + 0.05 * (2 * u - 1));
  if (last === 'weight') return fill((u) => 0.8 + 0.4 * u);
  return fill(isBatchNorm(key) ? (u) => 0.1 * (2 * u - 1) : (u) => 0.05 * (2 * u - 1));
}

/** `h` of the formula: FNV-1a, 32 bits, over the UTF-8 bytes of a text. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** `u` of the formula for element `i`: the finaliser of MurmurHash3 (32 bits), scaled to [0, 1). */
export function uniform(hash: number, i: number): number {
  let x = hash + Math.imul(i, 0x9e3779b9);
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  x ^= x >>> 16;
  return (x >>> 0) / 2 ** 32;
}

/** Layers whose outputs must be small for a network of random weights to behave. */
function gainOf(key: string): number {
  if (key === 'kp_detector.jacobian.weight') return 0.2;
  if (key === 'generator.final.weight' || /^depth_decoder\.decoder\.1[0-3]\./.test(key)) return 0.05;
  return 1;
}

/** The published networks normalise by batch in layers of these names, but by instance in the discriminator. */
function isBatchNorm(key: string): boolean {
  return /\.((bn|norm)\d*|downsample\.1)\.bias$/.test(key) && !key.startsWith('discriminator.');
}
