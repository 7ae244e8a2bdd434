// What every checkpoint format looks like to its reader: named tensors, other values, and metadata.
import type { DType } from './dtype.js';

/** One tensor in a file. Its bytes are read only when asked for. */
export type TensorRecord = {
  /** Full name; for PyTorch files the keys of the nested dictionaries joined by dots. */
  readonly name: string;
  readonly dtype: DType;
  /** Sizes of the dimensions; empty for a scalar tensor. */
  readonly shape: readonly number[];
  /** Bytes that `read` returns: elements times element size. */
  readonly byteLength: number;
  /** Where these bytes begin in the file, if they lie there as `read` returns them (safetensors). */
  readonly offset?: number;
  /**
   * Reads the elements, row-major, contiguous and little-endian, into a buffer of their own.
   * @throws CheckpointError if the file is closed, became unreadable, or its checksum does not match.
   */
  read(): Uint8Array<ArrayBuffer>;
};

/** A value other than a tensor. Integers that a double cannot hold are given as decimal strings. */
export type Scalar = number | string | boolean | null;

/** An open checkpoint. Holds a file descriptor until closed. */
export type CheckpointFile = {
  readonly path: string;
  readonly format: 'safetensors' | 'pytorch-zip' | 'pytorch-legacy';
  /** `__metadata__` of a safetensors file; empty for PyTorch files. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name, in file order. Nested containers of PyTorch files are flattened: `{ generator: { w } }` gives `generator.w`. */
  readonly tensors: ReadonlyMap<string, TensorRecord>;
  /** Other values of a PyTorch file by flattened name, such as `epoch` or `optimizer.param_groups.0.lr`. */
  readonly scalars: ReadonlyMap<string, Scalar>;
  /** Closes the file; records can no longer be read. Closing twice is harmless. */
  close(): void;
  [Symbol.dispose](): void;
};
