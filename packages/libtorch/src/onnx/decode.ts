// Reads ONNX model files as `encodeOnnx` writes them, to change them and write them again.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import {
  ONNX_TYPES,
  type OnnxAttribute,
  type OnnxData,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxType,
  type OnnxValue,
} from './writer.js';

/** One field of a message: its content if it is one, else a number. */
type Field = { number: number; content: Uint8Array; value: number };

/**
 * The model in a file that `encodeOnnx` wrote; `encodeOnnx` of it gives the same bytes.
 *
 * @throws Error if the bytes are no protocol buffer or hold what `encodeOnnx` does not write
 */
export function decodeOnnx(bytes: Uint8Array): OnnxModel {
  const model = { name: '', opset: 0 };
  const nodes: OnnxNode[] = [];
  const initializers: OnnxInitializer[] = [];
  const [inputs, outputs]: [OnnxValue[], OnnxValue[]] = [[], []];
  for (const { number, content } of fieldsOf(bytes)) {
    if (number === 8) model.opset = fieldsOf(content).find((field) => field.number === 2)!.value;
    if (number !== 7) continue;
    for (const part of fieldsOf(content)) {
      if (part.number === 1) nodes.push(nodeIn(part.content));
      else if (part.number === 2) model.name = text(part.content);
      else if (part.number === 5) initializers.push(constantIn(part.content));
      else if (part.number === 11) inputs.push(valueIn(part.content));
      else if (part.number === 12) outputs.push(valueIn(part.content));
    }
  }
  return { ...model, inputs, outputs, initializers, nodes };
}

/** `NodeProto`: 1 inputs, 2 outputs, 4 operator, 5 attributes. */
function nodeIn(message: Uint8Array): OnnxNode {
  const fields = fieldsOf(message);
  const texts = (number: number): string[] =>
    fields.filter((field) => field.number === number).map(({ content }) => text(content));
  const attributes = fields.filter(({ number }) => number === 5).map(({ content }) => attributeIn(content));
  return {
    operator: texts(4)[0] ?? '',
    inputs: texts(1),
    outputs: texts(2),
    attributes: Object.fromEntries(attributes),
  };
}

/** `AttributeProto`: 1 name, 2 float, 3 int, 4 text, 8 ints, 20 which of them. */
function attributeIn(message: Uint8Array): [string, OnnxAttribute] {
  const fields = fieldsOf(message);
  const name = text(fields.find(({ number }) => number === 1)!.content);
  const found = (number: number): Field | undefined => fields.find((field) => field.number === number);
  const kind = found(20)?.value;
  if (kind === 1) return [name, { float: floatIn(found(2)!.content) }];
  if (kind === 2) return [name, { int: found(3)?.value ?? 0 }];
  if (kind === 3) return [name, { text: text(found(4)!.content) }];
  if (kind === 7) {
    return [name, { ints: fields.filter(({ number }) => number === 8).map(({ value }) => value) }];
  }
  throw new TypeError(`the attribute '${name}' is of kind ${kind}`);
}

/** `TensorProto`: 1 sizes, 2 type, 8 name, 9 elements, 13 place in another file. */
function constantIn(message: Uint8Array): OnnxInitializer {
  const fields = fieldsOf(message);
  const name = text(fields.find(({ number }) => number === 8)!.content);
  const shape = fields.filter(({ number }) => number === 1).map(({ value }) => value);
  const type = typeOf(fields.find(({ number }) => number === 2)!.value);
  const raw = fields.find(({ number }) => number === 9);
  if (raw) return { name, shape, data: dataOf(raw.content, type) };
  const entries = fields
    .filter(({ number }) => number === 13)
    .map(({ content }) => fieldsOf(content).map((field) => text(field.content)) as [string, string]);
  const { location, offset, length } = Object.fromEntries(entries);
  if (location === undefined) throw new TypeError(`the constant '${name}' has no elements`);
  return { name, shape, type, external: { file: location, offset: Number(offset), length: Number(length) } };
}

/** `ValueInfoProto`: 1 name, 2 type; in it 1 of tensors: 1 type of elements, 2 shape of dimensions (1 number, 2 name). */
function valueIn(message: Uint8Array): OnnxValue {
  const inside = (content: Uint8Array, number: number): Uint8Array =>
    fieldsOf(content).find((field) => field.number === number)!.content;
  const tensor = inside(inside(message, 2), 1);
  const shape = fieldsOf(inside(tensor, 2)).map(({ content }) => {
    const [size] = fieldsOf(content);
    return size!.number === 1 ? size!.value : text(size!.content);
  });
  const type = typeOf(fieldsOf(tensor).find(({ number }) => number === 1)!.value);
  return { name: text(inside(message, 1)), shape, type };
}

function typeOf(number: number): OnnxType {
  const type = (Object.keys(ONNX_TYPES) as OnnxType[]).find((each) => ONNX_TYPES[each] === number);
  if (type === undefined) throw new TypeError(`there are elements of type ${number}`);
  return type;
}

function dataOf(bytes: Uint8Array, type: OnnxType): OnnxData {
  const { buffer } = Uint8Array.from(bytes); // elements of several bytes must begin at multiples of their size
  if (type === 'float32') return new Float32Array(buffer);
  if (type === 'int64') return new BigInt64Array(buffer);
  if (type === 'float16') return new Uint16Array(buffer);
  if (type === 'int8') return new Int8Array(buffer);
  if (type === 'int32') return new Int32Array(buffer);
  return new Uint8Array(buffer);
}

function fieldsOf(message: Uint8Array): Field[] {
  const reader = new BinaryReader(message);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const [number, wire] = reader.tag();
    if (wire === WireType.LengthDelimited) fields.push({ number, content: reader.bytes(), value: Number.NaN });
    else if (wire === WireType.Varint) fields.push({ number, content: NOTHING, value: Number(reader.int64()) });
    else if (wire === WireType.Bit32) {
      const content = message.subarray(reader.pos, reader.pos + 4);
      fields.push({ number, content, value: reader.float() });
    } else throw new TypeError(`field ${number} is of a kind that is not expected`);
  }
  return fields;
}

const NOTHING = new Uint8Array();

const DECODER = new TextDecoder();

const text = (bytes: Uint8Array): string => DECODER.decode(bytes);

const floatIn = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getFloat32(0, true);
