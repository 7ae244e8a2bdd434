// Numbers stored in IEEE 754 half precision.

/** What each of the 65536 bit patterns stands for; made when first needed, as networks have millions of numbers. */
let table: Float32Array | undefined;

/** The bit pattern of each number that half precision holds, without -0 and NaN. */
let patterns: Map<number, number> | undefined;

/** The same numbers in single precision. */
export function widen(halves: Uint16Array): Float32Array {
  const numbers = numbersOfPatterns();
  return Float32Array.from(halves, (bits) => numbers[bits]!);
}

/** The bit patterns of the same numbers in half precision; undefined unless it holds every one of them exactly. */
export function narrow(values: Float32Array): Uint16Array | undefined {
  patterns ??= new Map(Array.from(numbersOfPatterns(), (value, bits): [number, number] => [value, bits]).reverse());
  const halves = new Uint16Array(values.length);
  for (const [at, value] of values.entries()) {
    const bits = Object.is(value, -0) ? 0x8000 : patterns.get(value);
    if (bits === undefined || Number.isNaN(value)) return undefined;
    halves[at] = bits;
  }
  return halves;
}

function numbersOfPatterns(): Float32Array {
  table ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => halfToFloat(bits));
  return table;
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
