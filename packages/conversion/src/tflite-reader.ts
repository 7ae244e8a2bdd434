// Reads TensorFlow Lite models (FlatBuffers after schema.fbs of TensorFlow), as far as the face networks need it.
import { ByteBuffer } from 'flatbuffers';
import { widen } from './half-precision.js';

/** A tensor of the graph. */
export type TfliteTensor = {
  name: string;
  shape: number[];
  /** The values of a constant, float16 widened; undefined for what is computed. */
  data: Float32Array | Int32Array | undefined;
};

/** An operation of the graph. */
export type TfliteOperator = {
  /** Its number in `BuiltinOperator`, or the name of an operation outside the standard. */
  kind: number | string;
  /** Indices of tensors. */
  inputs: number[];
  outputs: number[];
  /** Options of a standard operation. */
  options: FlatTable | undefined;
  /** Options of an operation outside the standard, a FlexBuffer. */
  customOptions: Uint8Array;
};

/** A model with one graph. */
export type TfliteModel = {
  tensors: TfliteTensor[];
  operators: TfliteOperator[];
  inputs: number[];
  outputs: number[];
};

/** Numbers of `TensorType`. */
const TYPE = { float32: 0, float16: 1, int32: 2 } as const;

/** `BuiltinOperator.CUSTOM`. */
const CUSTOM = 32;

/** Takes a model apart. Throws a `TypeError` for bytes that are no model. */
export function readTflite(bytes: Uint8Array): TfliteModel {
  if (new TextDecoder('latin1').decode(bytes.subarray(4, 8)) !== 'TFL3') {
    throw new TypeError('these bytes are not a TensorFlow Lite model');
  }
  const buffer = new ByteBuffer(bytes);
  const model = new FlatTable(buffer, buffer.readInt32(0));
  const codes = model.tables(1).map((code): number | string => {
    const kind = Math.max(code.int8(0), code.int32(3));
    return kind === CUSTOM ? code.text(1) : kind;
  });
  const graph = model.tables(2)[0]!;
  const buffers = model.tables(4);
  return {
    tensors: graph.tables(0).map((tensor) => ({
      name: tensor.text(3),
      shape: tensor.int32s(0),
      data: constantOf(buffers[tensor.int32(2)]!.bytes(0), tensor.int8(1), tensor.text(3)),
    })),
    operators: graph.tables(3).map((operator) => ({
      kind: codes[operator.int32(0)]!,
      inputs: operator.int32s(1),
      outputs: operator.int32s(2),
      options: operator.table(4),
      customOptions: operator.bytes(5),
    })),
    inputs: graph.int32s(1),
    outputs: graph.int32s(2),
  };
}

function constantOf(bytes: Uint8Array, type: number, name: string): Float32Array | Int32Array | undefined {
  if (bytes.length === 0) return undefined;
  const aligned = new Uint8Array(bytes).buffer;
  if (type === TYPE.float32) return new Float32Array(aligned);
  if (type === TYPE.int32) return new Int32Array(aligned);
  if (type === TYPE.float16) return widen(new Uint16Array(aligned));
  throw new TypeError(`the constant '${name}' is of type ${type}; known are float32, float16 and int32`);
}

/** A table of a FlatBuffer; fields are asked for by their place in the schema and have its default where absent. */
export class FlatTable {
  readonly #buffer: ByteBuffer;
  readonly #position: number;

  constructor(buffer: ByteBuffer, position: number) {
    this.#buffer = buffer;
    this.#position = position;
  }

  int8(field: number, absent = 0): number {
    const at = this.#place(field);
    return at === undefined ? absent : this.#buffer.readInt8(at);
  }

  int32(field: number, absent = 0): number {
    const at = this.#place(field);
    return at === undefined ? absent : this.#buffer.readInt32(at);
  }

  text(field: number): string {
    const at = this.#place(field);
    return at === undefined ? '' : String(this.#buffer.__string(at));
  }

  table(field: number): FlatTable | undefined {
    const at = this.#place(field);
    return at === undefined ? undefined : new FlatTable(this.#buffer, this.#buffer.__indirect(at));
  }

  tables(field: number): FlatTable[] {
    return this.#vector(field, 4, (at) => new FlatTable(this.#buffer, this.#buffer.__indirect(at)));
  }

  int32s(field: number): number[] {
    return this.#vector(field, 4, (at) => this.#buffer.readInt32(at));
  }

  bytes(field: number): Uint8Array {
    const at = this.#place(field);
    if (at === undefined) return new Uint8Array();
    const start = this.#buffer.__vector(at);
    return this.#buffer.bytes().subarray(start, start + this.#buffer.__vector_len(at));
  }

  #vector<Item>(field: number, size: number, read: (at: number) => Item): Item[] {
    const at = this.#place(field);
    if (at === undefined) return [];
    const start = this.#buffer.__vector(at);
    return Array.from({ length: this.#buffer.__vector_len(at) }, (_, index) => read(start + index * size));
  }

  #place(field: number): number | undefined {
    const offset = this.#buffer.__offset(this.#position, 4 + 2 * field);
    return offset === 0 ? undefined : this.#position + offset;
  }
}
