// Tensors from and to files.
import type { TensorRecord } from './checkpoint/checkpoint.js';
import { writeSafetensors } from './checkpoint/write-safetensors.js';
import { viewAs } from './dtype.js';
import { type Tensor, tensor } from './tensor.js';

/** Reads one tensor of a checkpoint, in the dtype that the file has. */
export function readTensor(record: TensorRecord): Tensor {
  return tensor(viewAs(record.read().buffer, record.dtype), { shape: record.shape, dtype: record.dtype });
}

/** Reads tensors of a checkpoint into memory, such as its `tensors`. */
export function readStateDict(records: ReadonlyMap<string, TensorRecord>): Map<string, Tensor> {
  return new Map([...records].map(([name, record]) => [name, readTensor(record)]));
}

/** Writes tensors as one safetensors file: beside the target first, then renamed, so that it is whole or not there. */
export function saveStateDict(
  path: string,
  state: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): void {
  writeSafetensors(
    path,
    [...state].map(([name, value]) => ({
      name,
      dtype: value.dtype,
      shape: value.shape,
      data: () => value.toTypedArray(),
    })),
    metadata,
  );
}
