// Reading and writing tensors in files: safetensors, and PyTorch's formats without running their code.
export type { CheckpointFile, Scalar, TensorRecord } from './checkpoint.js';
export {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  toFloat32Array,
  toNumberArray,
} from './convert.js';
export { type DType, elementCount, ITEM_SIZE } from './dtype.js';
export { CheckpointError } from './errors.js';
export { openCheckpoint } from './open.js';
export { type TensorToWrite, writeSafetensors } from './write-safetensors.js';
