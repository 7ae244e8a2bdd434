// Conversions between stored bytes and JavaScript numbers, half precisions included.
import type { TensorRecord } from './checkpoint.js';
import { type DType, ITEM_SIZE } from './dtype.js';

/**
 * Elements as float32: exact for `float32`, `float16`, `bfloat16`, `bool` and integers up to 16 bits, rounded to nearest
 * for the others.
 * @param source a record of an open checkpoint, or little-endian bytes with their `dtype`
 */
export function toFloat32Array(source: TensorRecord): Float32Array<ArrayBuffer>;
export function toFloat32Array(source: Uint8Array, dtype: DType): Float32Array<ArrayBuffer>;
export function toFloat32Array(source: TensorRecord | Uint8Array, dtype?: DType): Float32Array<ArrayBuffer> {
  const [bytes, type] = 'read' in source ? [source.read(), source.dtype] : [source, dtype!];
  const elements = typedView(bytes, type);
  if (type === 'bfloat16') return decodeBfloat16(elements as Uint16Array);
  if (type === 'float16') return decodeFloat16(elements as Uint16Array);
  // A record's buffer is its own, so its floats need no further copy.
  if (elements instanceof Float32Array && elements.buffer === bytes.buffer && 'read' in source) {
    return elements as Float32Array<ArrayBuffer>;
  }
  const result = new Float32Array(elements.length);
  for (let i = 0; i < result.length; i++) result[i] = Number(elements[i]);
  return result;
}

/**
 * Elements as JavaScript numbers: exact for all types but `int64` beyond 2^53, which is rounded.
 * @param source a record of an open checkpoint, or little-endian bytes with their `dtype`
 */
export function toNumberArray(source: TensorRecord): number[];
export function toNumberArray(source: Uint8Array, dtype: DType): number[];
export function toNumberArray(source: TensorRecord | Uint8Array, dtype?: DType): number[] {
  const [bytes, type] = 'read' in source ? [source.read(), source.dtype] : [source, dtype!];
  if (type === 'bfloat16' || type === 'float16') return Array.from(toFloat32Array(bytes, type));
  return Array.from(typedView(bytes, type), Number);
}

/** bfloat16 bit patterns of float32 values, rounded to nearest, ties to even. NaN stays NaN, overflow gives infinity. */
export function encodeBfloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < result.length; i++) {
    const x = bits[i]!;
    // Rounding would carry a NaN's low bits away and leave an infinity, so NaN keeps its upper half and a quiet bit.
    const notANumber = (x & 0x7fffffff) > 0x7f800000;
    result[i] = notANumber ? (x >>> 16) | 0x40 : (x + 0x7fff + ((x >>> 16) & 1)) >>> 16;
  }
  return result;
}

/** float32 values of bfloat16 bit patterns; exact. */
export function decodeBfloat16(patterns: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(patterns.length);
  for (let i = 0; i < bits.length; i++) bits[i] = patterns[i]! << 16;
  return new Float32Array(bits.buffer);
}

/** float16 (IEEE 754 binary16) bit patterns of float32 values, rounded to nearest, ties to even; overflow gives infinity. */
export function encodeFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const result = new Uint16Array(values.length);
  for (let i = 0; i < result.length; i++) {
    const x = bits[i]!;
    const sign = (x >>> 16) & 0x8000;
    const magnitude = x & 0x7fffffff;
    let half: number;
    if (magnitude > 0x7f800000) {
      half = 0x7e00 | ((magnitude >>> 13) & 0x1ff);
    } else if (magnitude >= 0x47800000) {
      half = 0x7c00; // 65536 and more
    } else if (magnitude >= 0x38800000) {
      // Normal in half precision: rebias the exponent by 127 - 15 and drop 13 bits; a carry out of the mantissa is right.
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else {
      // Subnormal: multiples of 2^-24. The product with 2^24 is exact in a double.
      half = roundHalfEven(Math.abs(values[i]!) * 2 ** 24);
    }
    result[i] = sign | half;
  }
  return result;
}

/** float32 values of float16 bit patterns; exact. */
export function decodeFloat16(patterns: Uint16Array): Float32Array<ArrayBuffer> {
  const bits = new Uint32Array(patterns.length);
  const result = new Float32Array(bits.buffer);
  for (let i = 0; i < bits.length; i++) {
    const sign = (patterns[i]! & 0x8000) << 16;
    const magnitude = patterns[i]! & 0x7fff;
    if (magnitude >= 0x7c00) {
      bits[i] = sign | 0x7f800000 | ((magnitude & 0x3ff) << 13);
    } else if (magnitude >= 0x400) {
      bits[i] = sign | ((magnitude << 13) + 0x38000000);
    } else {
      result[i] = (sign === 0 ? 1 : -1) * magnitude * 2 ** -24;
    }
  }
  return result;
}

function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

type TypedView =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/** The bytes as elements: half precisions as their patterns, `bool` as bytes. Copies only if the bytes are not aligned. */
function typedView(bytes: Uint8Array, dtype: DType): TypedView {
  const size = ITEM_SIZE[dtype];
  if (bytes.byteLength % size !== 0) {
    throw new RangeError(`${bytes.byteLength} bytes are no whole number of ${dtype} elements of ${size} bytes`);
  }
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const length = bytes.byteLength / size;
  switch (dtype) {
    case 'float64':
      return new Float64Array(buffer, byteOffset, length);
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(buffer, byteOffset, length);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, length);
    case 'int32':
      return new Int32Array(buffer, byteOffset, length);
    case 'int16':
      return new Int16Array(buffer, byteOffset, length);
    case 'int8':
      return new Int8Array(buffer, byteOffset, length);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer, byteOffset, length);
  }
}
