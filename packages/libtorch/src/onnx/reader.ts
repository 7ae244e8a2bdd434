// Reads the constants of ONNX model files (protocol buffers after onnx.proto of the ONNX project).
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { ONNX_TYPES, type OnnxType } from './writer.js';

/** A constant of a model; its elements are in the file, least significant byte first. */
export type OnnxConstant = { shape: readonly number[]; type: OnnxType; bytes: Uint8Array };

/**
 * The constants of a model's graph, by their names. Those whose elements lie in another file are left out.
 *
 * @throws Error if the bytes are no protocol buffer, or a constant is of a type that `ONNX_TYPES` does not have
 */
export function readOnnxConstants(model: Uint8Array): Map<string, OnnxConstant> {
  const constants = new Map<string, OnnxConstant>();
  eachMessage(model, 7, (graph) =>
    eachMessage(graph, 5, (tensor) => {
      const { name, ...constant } = readTensor(tensor);
      if (constant.bytes !== undefined) constants.set(name, { ...constant, bytes: constant.bytes });
    }),
  );
  return constants;
}

/** Reads a `TensorProto`: 1 sizes, 2 type, 8 name, 9 elements. */
function readTensor(tensor: Uint8Array): { name: string } & Omit<OnnxConstant, 'bytes'> & { bytes?: Uint8Array } {
  const shape: number[] = [];
  let [name, number] = ['', 0];
  let bytes: Uint8Array | undefined;
  const reader = new BinaryReader(tensor);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === 1 && wire === WireType.LengthDelimited) {
      const end = reader.uint32() + reader.pos; // sizes in one piece, as other writers have them
      while (reader.pos < end) shape.push(Number(reader.int64()));
    } else if (field === 1) shape.push(Number(reader.int64()));
    else if (field === 2) number = reader.int32();
    else if (field === 8) name = reader.string();
    else if (field === 9) bytes = reader.bytes();
    else reader.skip(wire, field);
  }
  const type = (Object.keys(ONNX_TYPES) as OnnxType[]).find((each) => ONNX_TYPES[each] === number);
  if (type === undefined) throw new TypeError(`the constant '${name}' is of type ${number}`);
  return { name, shape, type, bytes };
}

/** Calls `read` with the content of every field of that number. */
function eachMessage(message: Uint8Array, number: number, read: (content: Uint8Array) => void): void {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === number && wire === WireType.LengthDelimited) read(reader.bytes());
    else reader.skip(wire, field);
  }
}
