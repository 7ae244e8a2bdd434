// Reading of numbers stored in IEEE 754 half precision.

/** What each of the 65536 bit patterns stands for; made when first needed, as networks have millions of numbers. */
let table: Float32Array | undefined;

/** The same numbers in single precision. */
export function widen(halves: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfToFloat(bits));
  const values = new Float32Array(halves.length);
  for (let at = 0; at < values.length; at++) values[at] = table[halves[at]!]!;
  return values;
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
