// Turns TensorFlow Lite models into ONNX models that compute the same; the pictures in them become channels first.
import { encodeOnnx, type OnnxModel, type OnnxNode } from '@dagan/libtorch/onnx';
import { OnnxParts } from './onnx-parts.js';
import { type FlatTable, readTflite, type TfliteModel, type TfliteOperator } from './tflite-reader.js';
import { addCutOut, addRegionMatrix, addTransformedPoints } from './tflite-regions.js';

/** Numbers of `BuiltinOperator` in TensorFlow's schema.fbs. */
const BUILTIN = {
  add: 0,
  averagePool2d: 1,
  concatenation: 2,
  conv2d: 3,
  depthwiseConv2d: 4,
  dequantize: 6,
  logistic: 14,
  maxPool2d: 17,
  mul: 18,
  relu: 19,
  reshape: 22,
  resizeBilinear: 23,
  pad: 34,
  stridedSlice: 45,
  prelu: 54,
  hardSwish: 117,
} as const;

/** The first version of the ONNX operators that has GridSample. */
const OPSET = 16;

/**
 * Converts a model. Inputs and outputs keep their names. An input `[n, height, width, channels]` becomes
 * `[n, channels, height, width]`; outputs keep their shape.
 *
 * Throws a `TypeError` that names the first operation it does not know.
 */
export function tfliteToOnnx(bytes: Uint8Array, name: string): Uint8Array {
  return encodeOnnx(new Conversion(readTflite(bytes), name).run());
}

/** One model on its way. Every tensor of rank 4 is kept as `[n, channels, height, width]`. */
class Conversion {
  readonly #parts = new OnnxParts();
  readonly #data: (Float32Array | Int32Array | undefined)[];
  readonly #model: TfliteModel;
  readonly #name: string;

  constructor(model: TfliteModel, name: string) {
    this.#model = model;
    this.#name = name;
    this.#data = model.tensors.map(({ data }) => data);
  }

  run(): OnnxModel {
    for (const operator of this.#model.operators) this.#convert(operator);
    return {
      name: this.#name,
      opset: OPSET,
      inputs: this.#model.inputs.map((index) => ({ name: this.#tensorName(index), shape: this.#shape(index) })),
      outputs: this.#model.outputs.map((index) => this.#output(index)),
      initializers: this.#parts.initializers,
      nodes: this.#parts.nodes,
    };
  }

  #convert(operator: TfliteOperator): void {
    const { kind, inputs, outputs, options } = operator;
    const [first, second] = inputs as [number, number];
    const target = outputs[0]!;
    switch (kind) {
      case BUILTIN.dequantize: // float16 constants were widened when they were read
        this.#data[target] = this.#data[first];
        return;
      case BUILTIN.add:
        this.#activated('Add', [this.#value(first), this.#value(second)], target, options?.int8(0));
        return;
      case BUILTIN.mul:
        this.#activated('Mul', [this.#value(first), this.#value(second)], target, options?.int8(0));
        return;
      case BUILTIN.relu:
        this.#parts.node('Relu', [this.#value(first)], this.#tensorName(target));
        return;
      case BUILTIN.logistic:
        this.#parts.node('Sigmoid', [this.#value(first)], this.#tensorName(target));
        return;
      case BUILTIN.hardSwish:
        this.#parts.node('HardSwish', [this.#value(first)], this.#tensorName(target));
        return;
      case BUILTIN.averagePool2d:
        this.#average(operator);
        return;
      case BUILTIN.resizeBilinear: {
        // With the centres of pixels half a step from their edges, as options 2 and 3 of the face networks say.
        if (options?.int8(2) !== 0 || options.int8(3) !== 1)
          throw new TypeError(`${this.#name}: unknown grid of a resizing`);
        const inputs = [this.#value(first), '', '', this.#parts.integers(this.#shape(target))];
        const attributes = { mode: { text: 'linear' }, coordinate_transformation_mode: { text: 'half_pixel' } };
        this.#parts.node('Resize', inputs, this.#tensorName(target), attributes);
        return;
      }
      case 'Convolution2DTransposeBias':
        this.#transposed(operator);
        return;
      case BUILTIN.prelu: {
        const slope = this.#parts.constant([this.#shape(target)[1]!, 1, 1], this.#float(second));
        this.#parts.node('PRelu', [this.#value(first), slope], this.#tensorName(target));
        return;
      }
      case BUILTIN.conv2d:
      case BUILTIN.depthwiseConv2d:
        this.#convolution(operator);
        return;
      case BUILTIN.maxPool2d:
        this.#maximum(operator);
        return;
      case BUILTIN.pad: {
        // Pairs (before, after) per dimension, n h w c, to all befores and then all afters, n c h w.
        const pairs = this.#data[second]!;
        const order = [0, 3, 1, 2];
        const pads = [...order.map((axis) => pairs[2 * axis]!), ...order.map((axis) => pairs[2 * axis + 1]!)];
        this.#parts.node('Pad', [this.#value(first), this.#parts.integers(pads)], this.#tensorName(target));
        return;
      }
      case BUILTIN.reshape: {
        const shape = this.#model.tensors[target]!.shape;
        const inputs = [this.#channelsLast(first), this.#parts.integers(shape)];
        const name = this.#tensorName(target);
        if (shape.length < 4) this.#parts.node('Reshape', inputs, name);
        else this.#parts.node('Transpose', [this.#parts.op('Reshape', inputs)], name, { perm: { ints: [0, 3, 1, 2] } });
        return;
      }
      case BUILTIN.concatenation: {
        const axis = options?.int32(0) ?? 0;
        if (this.#shape(target).length === 4) throw new TypeError(`${this.#name}: cannot join pictures`);
        const attributes = { axis: { int: axis } };
        this.#parts.node(
          'Concat',
          inputs.map((index) => this.#value(index)),
          this.#tensorName(target),
          attributes,
        );
        return;
      }
      case BUILTIN.stridedSlice:
        // The face networks use it to copy an output whole.
        if (this.#size(first) !== this.#size(target)) throw new TypeError(`${this.#name}: cannot cut out a part`);
        this.#parts.node('Identity', [this.#value(first)], this.#tensorName(target));
        return;
      case 'Landmarks2TransformMatrix':
        addRegionMatrix(this.#parts, this.#value(first), operator, this.#tensorName(target));
        return;
      case 'TransformTensorBilinear':
        addCutOut(this.#parts, this.#sized(first), this.#value(second), this.#sized(target));
        return;
      case 'TransformLandmarks':
        addTransformedPoints(this.#parts, this.#sized(first), this.#value(second), this.#tensorName(target));
        return;
      default:
        throw new TypeError(`${this.#name}: the operation ${kind} is not known`);
    }
  }

  #convolution({ kind, inputs, outputs, options }: TfliteOperator): void {
    const [input, kernel, bias] = inputs as [number, number, number];
    const depthwise = kind === BUILTIN.depthwiseConv2d;
    const [a, height, width, b] = this.#model.tensors[kernel]!.shape as [number, number, number, number];
    const channels = this.#shape(input)[1]!;
    // [out, h, w, in], or [1, h, w, out] if every channel has kernels of its own, to [out, in per group, h, w].
    const [out, perGroup] = depthwise ? [b, 1] : [a, b];
    const source = this.#float(kernel);
    const weights = new Float32Array(source.length);
    let to = 0;
    for (let o = 0; o < out; o++) {
      for (let i = 0; i < perGroup; i++) {
        for (let at = 0; at < height * width; at++) {
          weights[to++] = source[depthwise ? at * out + o : (o * height * width + at) * perGroup + i]!;
        }
      }
    }
    const activation = options?.int8(depthwise ? 4 : 3);
    const [dilationWidth, dilationHeight] = depthwise
      ? [options?.int32(5, 1) ?? 1, options?.int32(6, 1) ?? 1]
      : [options?.int32(4, 1) ?? 1, options?.int32(5, 1) ?? 1];
    const window = this.#window(input, options, [(height - 1) * dilationHeight + 1, (width - 1) * dilationWidth + 1]);
    this.#activated(
      'Conv',
      [
        this.#value(input),
        this.#parts.constant([out, perGroup, height, width], weights),
        this.#parts.constant([out], this.#float(bias)),
      ],
      outputs[0]!,
      activation,
      {
        ...window,
        kernel_shape: { ints: [height, width] },
        dilations: { ints: [dilationHeight, dilationWidth] },
        group: { int: depthwise ? channels : 1 },
      },
    );
  }

  #maximum({ inputs, outputs, options }: TfliteOperator): void {
    const kernel: [number, number] = [options?.int32(4) ?? 0, options?.int32(3) ?? 0];
    const attributes = { ...this.#window(inputs[0]!, options, kernel), kernel_shape: { ints: kernel } };
    this.#activated('MaxPool', [this.#value(inputs[0]!)], outputs[0]!, options?.int8(5), attributes);
  }

  /** The mean of a whole picture, channel by channel; the face networks take no other. */
  #average({ inputs, outputs }: TfliteOperator): void {
    const [, , height, width] = this.#shape(outputs[0]!);
    if (height !== 1 || width !== 1) throw new TypeError(`${this.#name}: cannot average parts of a picture`);
    this.#parts.node('GlobalAveragePool', [this.#value(inputs[0]!)], this.#tensorName(outputs[0]!));
  }

  /** A transposed convolution whose kernel is as large as its stride, so that nothing overlaps. */
  #transposed({ inputs, outputs }: TfliteOperator): void {
    const [input, kernel, bias] = inputs as [number, number, number];
    const [out, height, width, channels] = this.#model.tensors[kernel]!.shape as [number, number, number, number];
    const [from, to] = [this.#shape(input), this.#shape(outputs[0]!)];
    if (to[2] !== height * from[2]! || to[3] !== width * from[3]!) {
      throw new TypeError(`${this.#name}: kernels of a transposed convolution overlap`);
    }
    const source = this.#float(kernel);
    const weights = new Float32Array(source.length); // [out, h, w, in] -> [in, out, h, w]
    for (let o = 0, at = 0; o < out; o++) {
      for (let place = 0; place < height * width; place++) {
        for (let i = 0; i < channels; i++) weights[(i * out + o) * height * width + place] = source[at++]!;
      }
    }
    const kernels = this.#parts.constant([channels, out, height, width], weights);
    const attributes = { kernel_shape: { ints: [height, width] }, strides: { ints: [height, width] } };
    const biases = this.#parts.constant([out], this.#float(bias));
    this.#parts.node('ConvTranspose', [this.#value(input), kernels, biases], this.#tensorName(outputs[0]!), attributes);
  }

  /**
   * Strides and padding, whose options lie in the same places for convolutions and pooling. Padding "same" makes
   * ceil(size / stride) outputs and puts the odd row or column behind.
   */
  #window(input: number, options: FlatTable | undefined, reach: readonly [number, number]) {
    const same = options?.int8(0) === 0;
    const strides = [options?.int32(2) ?? 1, options?.int32(1) ?? 1];
    const totals = [0, 1].map((axis) => {
      const size = this.#shape(input)[2 + axis]!;
      const stride = strides[axis]!;
      return same ? Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach[axis]! - size) : 0;
    });
    const before = totals.map((total) => Math.floor(total / 2));
    const after = totals.map((total, axis) => total - before[axis]!);
    return { strides: { ints: strides }, pads: { ints: [...before, ...after] } };
  }

  /** An operation with the activation that is fused into it: 0 none, 1 ReLU. */
  #activated(
    operator: string,
    inputs: string[],
    target: number,
    activation = 0,
    attributes?: OnnxNode['attributes'],
  ): void {
    if (activation > 1) throw new TypeError(`${this.#name}: the fused activation ${activation} is not known`);
    const name = this.#tensorName(target);
    if (activation === 0) this.#parts.node(operator, inputs, name, attributes);
    else this.#parts.node('Relu', [this.#parts.op(operator, inputs, attributes)], name);
  }

  #output(index: number) {
    const { shape } = this.#model.tensors[index]!;
    const name = this.#tensorName(index);
    if (shape.length !== 4) return { name, shape };
    // The maker of the tensor writes to another name, and a last operation turns it.
    const maker = this.#parts.nodes.find(({ outputs }) => outputs[0] === name)!;
    const turned = `${name}/channels-first`;
    for (const [at, node] of this.#parts.nodes.entries()) {
      const inputs = node.inputs.map((input) => (input === name ? turned : input));
      this.#parts.nodes[at] = { ...node, inputs, outputs: node === maker ? [turned] : node.outputs };
    }
    this.#parts.node('Transpose', [turned], name, { perm: { ints: [0, 2, 3, 1] } });
    return { name, shape };
  }

  #channelsLast(index: number): string {
    const value = this.#value(index);
    if (this.#shape(index).length !== 4) return value;
    return this.#parts.op('Transpose', [value], { perm: { ints: [0, 2, 3, 1] } });
  }

  /** The shape in the ONNX model. */
  #shape(index: number): number[] {
    const { shape } = this.#model.tensors[index]!;
    return shape.length === 4 ? [shape[0]!, shape[3]!, shape[1]!, shape[2]!] : shape;
  }

  /** A tensor that is no constant, with its shape in the ONNX model. */
  #sized(index: number): { name: string; shape: number[] } {
    return { name: this.#value(index), shape: this.#shape(index) };
  }

  #size(index: number): number {
    return this.#model.tensors[index]!.shape.reduce((product, size) => product * size, 1);
  }

  #tensorName(index: number): string {
    const { name } = this.#model.tensors[index]!;
    return name === '' ? `tensor-${index}` : name;
  }

  /** The name under which an operation finds a tensor; constants are stored when they are first used. */
  #value(index: number): string {
    const name = this.#tensorName(index);
    if (this.#data[index] === undefined) return name;
    const { shape } = this.#model.tensors[index]!;
    if (shape.length === 4) throw new TypeError(`${this.#name}: the constant '${name}' is a picture`);
    return this.#parts.constant(shape, this.#float(index));
  }

  #float(index: number): Float32Array {
    const data = this.#data[index];
    if (data instanceof Float32Array) return data;
    throw new TypeError(`${this.#name}: '${this.#tensorName(index)}' is not a constant of real numbers`);
  }
}
