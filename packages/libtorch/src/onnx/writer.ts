// Writes ONNX model files (protocol buffers after onnx.proto of the ONNX project). Runs in Node and in the browser.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Elements of constants: float32, int64, float16 (as bit patterns), uint8, int8 or int32. */
export type OnnxData = Float32Array | BigInt64Array | Uint16Array | Uint8Array | Int8Array | Int32Array;

/** Where the elements of a constant lie in a file beside the model's: its name there, and bytes. */
export type OnnxExternalData = { file: string; offset: number; length: number };

/** A constant of the graph: with its elements, or with the place in another file where they lie. */
export type OnnxInitializer = { name: string; shape: readonly number[] } & (
  | { data: OnnxData }
  | { type: OnnxType; external: OnnxExternalData }
);

/** The value of a node's attribute. */
export type OnnxAttribute = { int: number } | { ints: readonly number[] } | { float: number } | { text: string };

/** An operation; an empty input name leaves an optional input out. */
export type OnnxNode = {
  operator: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes?: Readonly<Record<string, OnnxAttribute>>;
};

/** An input or output of the graph. A dimension given by name is free. */
export type OnnxValue = { name: string; shape: readonly (number | string)[]; type?: OnnxType };

/** All that a model file holds. Nodes stand in the order in which they can be computed. */
export type OnnxModel = {
  name: string;
  /** Version of the standard operators. */
  opset: number;
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
  initializers: readonly OnnxInitializer[];
  nodes: readonly OnnxNode[];
};

/** Numbers of `TensorProto.DataType` in onnx.proto. */
export const ONNX_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;

/** Element type of an input or output; float32 if not given. */
export type OnnxType = keyof typeof ONNX_TYPES;

/** Version of the file format that has all that is used here. */
const IR_VERSION = 8;

/** Number of `TensorProto.DataLocation` for elements in another file. */
const EXTERNAL = 1;

/** Numbers of `AttributeProto.AttributeType`. */
const ATTRIBUTE_TYPE = { float: 1, int: 2, text: 3, ints: 7 } as const;

/** The bytes of a model file. */
export function encodeOnnx(model: OnnxModel): Uint8Array {
  const writer = new BinaryWriter();
  int(writer, 1, IR_VERSION);
  text(writer, 2, 'dagan');
  message(writer, 7, () => {
    for (const node of model.nodes) message(writer, 1, () => writeNode(writer, node));
    text(writer, 2, model.name);
    for (const constant of model.initializers) message(writer, 5, () => writeTensor(writer, constant));
    for (const value of model.inputs) message(writer, 11, () => writeValue(writer, value));
    for (const value of model.outputs) message(writer, 12, () => writeValue(writer, value));
  });
  message(writer, 8, () => int(writer, 2, model.opset));
  return writer.finish();
}

function writeNode(writer: BinaryWriter, { operator, inputs, outputs, attributes = {} }: OnnxNode): void {
  for (const name of inputs) text(writer, 1, name);
  for (const name of outputs) text(writer, 2, name);
  text(writer, 3, outputs[0] ?? operator);
  text(writer, 4, operator);
  for (const [name, value] of Object.entries(attributes)) {
    message(writer, 5, () => {
      text(writer, 1, name);
      if ('float' in value) {
        writer.tag(2, WireType.Bit32).float(value.float);
        int(writer, 20, ATTRIBUTE_TYPE.float);
      } else if ('int' in value) {
        int(writer, 3, value.int);
        int(writer, 20, ATTRIBUTE_TYPE.int);
      } else if ('text' in value) {
        text(writer, 4, value.text);
        int(writer, 20, ATTRIBUTE_TYPE.text);
      } else {
        for (const item of value.ints) int(writer, 8, item);
        int(writer, 20, ATTRIBUTE_TYPE.ints);
      }
    });
  }
}

function writeTensor(writer: BinaryWriter, constant: OnnxInitializer): void {
  for (const size of constant.shape) int(writer, 1, size);
  int(writer, 2, ONNX_TYPES['data' in constant ? typeOf(constant.data) : constant.type]);
  text(writer, 8, constant.name);
  if ('data' in constant) {
    const { buffer, byteOffset, byteLength } = constant.data;
    writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(buffer, byteOffset, byteLength));
    return;
  }
  const { file, offset, length } = constant.external;
  for (const [key, value] of Object.entries({ location: file, offset, length })) {
    message(writer, 13, () => {
      text(writer, 1, key);
      text(writer, 2, `${value}`);
    });
  }
  int(writer, 14, EXTERNAL);
}

function typeOf(data: OnnxData): OnnxType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Uint16Array) return 'float16';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Int32Array) return 'int32';
  return 'uint8';
}

function writeValue(writer: BinaryWriter, { name, shape, type = 'float32' }: OnnxValue): void {
  text(writer, 1, name);
  message(writer, 2, () =>
    message(writer, 1, () => {
      int(writer, 1, ONNX_TYPES[type]);
      message(writer, 2, () => {
        for (const size of shape) {
          message(writer, 1, () => {
            if (typeof size === 'number') int(writer, 1, size);
            else text(writer, 2, size);
          });
        }
      });
    }),
  );
}

function message(writer: BinaryWriter, field: number, fill: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  fill();
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function int(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).int64(value);
}
