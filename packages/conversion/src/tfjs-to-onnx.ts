// Turns TensorFlow.js graph models into ONNX models that compute the same; the pictures in them become channels first.
import { encodeOnnx, type OnnxValue } from '@dagan/libtorch/onnx';
import { widen } from './half-precision.js';
import { OnnxParts } from './onnx-parts.js';

/** The parts of a `model.json` that are read. */
type Description = {
  modelTopology: { node: readonly GraphNode[] };
  weightsManifest: readonly { weights: readonly WeightEntry[] }[];
};

type GraphNode = {
  name: string;
  op: string;
  input?: readonly string[];
  attr?: Readonly<Record<string, { s?: string; b?: boolean; list?: { i?: readonly string[] }; shape?: GraphShape }>>;
};

type GraphShape = { dim: readonly { size: string }[] };

type WeightEntry = { name: string; shape: readonly number[]; dtype: string; quantization?: { dtype: string } };

/** A constant of the model. */
type Weight = { shape: readonly number[]; data: Float32Array | Int32Array };

/** Operations whose ONNX sibling takes the same inputs and has no attributes. */
const ELEMENTWISE: Readonly<Record<string, string>> = {
  Add: 'Add',
  Mul: 'Mul',
  Relu: 'Relu',
  Minimum: 'Min',
  Maximum: 'Max',
};

const OPSET = 16;

/**
 * Converts the part of a model that computes some of its values. The input keeps its name; `[n, height, width,
 * channels]` becomes `[n, channels, height, width]`. Outputs must be vectors.
 *
 * Throws a `TypeError` that names the first operation it does not know.
 *
 * @param description the text of `model.json`
 * @param weights the bytes of its weight files, one after the other
 * @param outputs names of the values to compute
 */
export function tfjsToOnnx(
  description: string,
  weights: Uint8Array,
  { name, outputs }: { name: string; outputs: readonly OnnxValue[] },
): Uint8Array {
  return encodeOnnx(new Conversion(JSON.parse(description) as Description, weights, name).run(outputs));
}

class Conversion {
  readonly #sources: ReadonlyMap<string, GraphNode>;
  readonly #weights: ReadonlyMap<string, Weight>;
  readonly #inputs: OnnxValue[] = [];
  readonly #parts = new OnnxParts();
  readonly #done = new Set<string>();
  readonly #name: string;

  constructor(description: Description, bytes: Uint8Array, name: string) {
    this.#name = name;
    this.#sources = new Map(description.modelTopology.node.map((node) => [node.name, node]));
    this.#weights = readWeights(description, bytes, name);
  }

  run(outputs: readonly OnnxValue[]) {
    for (const output of outputs) this.#visit(output.name);
    const { initializers, nodes } = this.#parts;
    return { name: this.#name, opset: OPSET, inputs: this.#inputs, outputs, initializers, nodes };
  }

  /** Converts what a value is computed from, and then the value. */
  #visit(name: string): void {
    if (this.#done.has(name)) return;
    this.#done.add(name);
    const node = this.#sources.get(name);
    if (!node) throw new TypeError(`${this.#name}: there is no value '${name}'`);
    for (const input of node.input ?? []) if (!this.#weights.has(input)) this.#visit(input);
    this.#convert(node);
  }

  #convert(node: GraphNode): void {
    const { name, op, input = [] } = node;
    const [first = '', second = ''] = input;
    const elementwise = ELEMENTWISE[op];
    if (elementwise) {
      const values = input.map((from) => (this.#weights.has(from) ? this.#channelConstant(from) : from));
      this.#parts.node(elementwise, values, name);
    } else if (op === 'Placeholder') {
      const [n, height, width, channels] = node.attr!.shape!.shape!.dim.map(({ size }) => Number(size));
      this.#inputs.push({ name, shape: [n! > 0 ? n! : 'n', channels!, height!, width!] });
    } else if (op === 'Conv2D' || op === 'DepthwiseConv2dNative') {
      this.#convolution(node, first, second);
    } else if (op === 'Mean') {
      const axes = this.#weight(second).data;
      if (axes.join() !== '1,2' || node.attr?.keep_dims?.b) throw this.#unknown(`Mean over the axes ${axes.join()}`);
      this.#parts.node('ReduceMean', [first], name, { axes: { ints: [2, 3] }, keepdims: { int: 0 } });
    } else {
      throw this.#unknown(op);
    }
  }

  /** Kernels `[height, width, in, out]`, or `[height, width, channels, 1]`, become `[out, in per group, height, width]`. */
  #convolution({ name, op, attr = {} }: GraphNode, input: string, kernel: string): void {
    const depthwise = op !== 'Conv2D';
    const { shape, data } = this.#weight(kernel);
    const [height, width, from, to] = shape as [number, number, number, number];
    const [groups, perGroup, out] = depthwise ? [from, 1, from] : [1, from, to];
    if (depthwise && to !== 1) throw this.#unknown(`${op} with ${to} kernels per channel`);
    const [, strideY, strideX] = attr.strides!.list!.i!.map(Number) as [number, number, number];
    const [, dilationY, dilationX] = attr.dilations!.list!.i!.map(Number) as [number, number, number];
    if (decodeText(attr.data_format?.s) !== 'NHWC') throw this.#unknown(`${op} of ${decodeText(attr.data_format?.s)}`);
    const area = height * width;
    const turned = new Float32Array(data.length);
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < perGroup; i++) {
        for (let at = 0; at < area; at++) {
          turned[(o * perGroup + i) * area + at] = data[depthwise ? at * out + o : (at * perGroup + i) * out + o]!;
        }
      }
    }
    this.#parts.constant([out, perGroup, height, width], turned, kernel);
    this.#parts.node('Conv', [input, kernel], name, {
      kernel_shape: { ints: [height, width] },
      strides: { ints: [strideY, strideX] },
      dilations: { ints: [dilationY, dilationX] },
      group: { int: groups },
      // Like TensorFlow's, this puts the odd row or column behind.
      auto_pad: { text: decodeText(attr.padding?.s) === 'SAME' ? 'SAME_UPPER' : 'VALID' },
    });
  }

  /** The name of a constant that is applied to every pixel: one number, or one per channel. */
  #channelConstant(name: string): string {
    const { shape, data } = this.#weight(name);
    if (shape.length > 1 || !(data instanceof Float32Array)) throw this.#unknown(`the constant ${name} [${shape}]`);
    if (!this.#done.has(name)) {
      this.#parts.constant(shape.length === 0 ? [] : [shape[0]!, 1, 1], data, name);
      this.#done.add(name);
    }
    return name;
  }

  #weight(name: string): Weight {
    const weight = this.#weights.get(name);
    if (!weight) throw new TypeError(`${this.#name}: '${name}' is no constant`);
    return weight;
  }

  #unknown(what: string): TypeError {
    return new TypeError(`${this.#name}: the operation ${what} is not known`);
  }
}

/** Strings of the description are base64. */
function decodeText(text: string | undefined): string {
  return text === undefined ? '' : atob(text);
}

function readWeights({ weightsManifest }: Description, bytes: Uint8Array, name: string): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  let position = 0;
  for (const entry of weightsManifest.flatMap((group) => group.weights)) {
    const stored = entry.quantization?.dtype ?? entry.dtype;
    const width = { float32: 4, int32: 4, float16: 2 }[stored];
    if (width === undefined) throw new TypeError(`${name}: the constant '${entry.name}' is of type ${stored}`);
    const length = entry.shape.reduce((product, size) => product * size, width);
    const { buffer } = new Uint8Array(bytes.subarray(position, position + length)); // aligned
    position += length;
    if (position > bytes.length) break;
    const data =
      stored === 'float16'
        ? widen(new Uint16Array(buffer))
        : stored === 'float32'
          ? new Float32Array(buffer)
          : new Int32Array(buffer);
    weights.set(entry.name, { shape: entry.shape, data });
  }
  if (position !== bytes.length) {
    throw new TypeError(`${name}: the constants take ${position} bytes or more, but their file has ${bytes.length}`);
  }
  return weights;
}
