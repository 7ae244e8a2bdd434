// Element types of tensors, and which TypedArray holds them in JavaScript.

/** Element type of a tensor, by the name that NumPy, PyTorch and safetensors users know. */
export type DType =
  | 'float64'
  | 'float32'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool';

/** Memory layout of a 4-D tensor; `channels_last` (NHWC in memory) is what fast convolutions want. */
export type MemoryFormat = 'contiguous' | 'channels_last' | 'preserve';

/** Bytes of one element. */
export const BYTES_PER_ELEMENT: Readonly<Record<DType, 1 | 2 | 4 | 8>> = {
  float64: 8,
  float32: 4,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** TypedArrays that can hold a tensor's elements. The 16-bit floats travel as their bit patterns. */
export type TensorData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

/** Views `buffer` as elements of `dtype`; float16 and bfloat16 come as the bit patterns in a Uint16Array. */
export function viewAs(buffer: ArrayBuffer, dtype: DType): TensorData {
  switch (dtype) {
    case 'float64':
      return new Float64Array(buffer);
    case 'float32':
      return new Float32Array(buffer);
    case 'float16':
    case 'bfloat16':
      return new Uint16Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'int16':
      return new Int16Array(buffer);
    case 'int8':
      return new Int8Array(buffer);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer);
  }
}

/** The dtype that a TypedArray holds by itself. */
export function dtypeOfData(data: TensorData): DType {
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Int16Array) return 'int16';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Uint16Array) {
    throw new TypeError('a Uint16Array holds bit patterns: name their dtype, float16 or bfloat16');
  }
  throw new TypeError(`a ${(data as object).constructor.name} cannot hold a tensor's elements`);
}

/** Whether the elements of a TypedArray can be taken for those of a tensor of this dtype, bit by bit. */
export function holds(data: TensorData, dtype: DType): boolean {
  if (data instanceof Uint16Array) return dtype === 'float16' || dtype === 'bfloat16';
  return dtype === dtypeOfData(data) || (dtype === 'bool' && data instanceof Uint8Array);
}
