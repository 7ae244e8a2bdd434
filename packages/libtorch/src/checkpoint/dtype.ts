// Element types of stored tensors, their sizes, and their names in the formats that are read and written.

import type { DType } from '../dtype.js';

export { BYTES_PER_ELEMENT as ITEM_SIZE, type DType } from '../dtype.js';

/** Name of each element type in a safetensors header. */
export const SAFETENSORS_NAME: Readonly<Record<DType, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};

/** Element type by its name in a safetensors header. */
export const SAFETENSORS_DTYPE: ReadonlyMap<string, DType> = new Map(
  Object.entries(SAFETENSORS_NAME).map(([dtype, name]) => [name, dtype as DType]),
);

/** Element type by the name of PyTorch's storage class, as `torch.FloatStorage` in a pickle. */
export const TORCH_STORAGE_DTYPE: ReadonlyMap<string, DType> = new Map([
  ['DoubleStorage', 'float64'],
  ['FloatStorage', 'float32'],
  ['HalfStorage', 'float16'],
  ['BFloat16Storage', 'bfloat16'],
  ['LongStorage', 'int64'],
  ['IntStorage', 'int32'],
  ['ShortStorage', 'int16'],
  ['CharStorage', 'int8'],
  ['ByteStorage', 'uint8'],
  ['BoolStorage', 'bool'],
]);

/** The most dimensions a tensor may have, as in PyTorch. */
const MAX_DIMENSIONS = 64;

/**
 * Number of elements of a shape.
 * @returns undefined if a size is not a natural number, there are more than 64 of them, or the product is not exact in a double.
 */
export function elementCount(shape: readonly unknown[]): number | undefined {
  if (shape.length > MAX_DIMENSIONS) return undefined;
  let count = 1;
  for (const size of shape) {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
    count *= size;
    if (count > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return count;
}
