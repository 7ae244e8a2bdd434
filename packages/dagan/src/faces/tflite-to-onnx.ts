// Turns TensorFlow Lite models into ONNX models that compute the same; the pictures in them become channels first.
import { toObject } from 'flatbuffers/js/flexbuffers.js';
import { encodeOnnx, type OnnxAttribute, type OnnxData, type OnnxModel, type OnnxNode } from './onnx-writer.js';
import { type FlatTable, readTflite, type TfliteModel, type TfliteOperator } from './tflite-reader.js';

/** Numbers of `BuiltinOperator` in TensorFlow's schema.fbs. */
const BUILTIN = {
  add: 0,
  concatenation: 2,
  conv2d: 3,
  depthwiseConv2d: 4,
  dequantize: 6,
  maxPool2d: 17,
  mul: 18,
  relu: 19,
  reshape: 22,
  pad: 34,
  stridedSlice: 45,
  prelu: 54,
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

/**
 * The points of the mesh that a network with attention computes again from a close look at a region: in the order of
 * its operations `Landmarks2TransformMatrix` (lips, one eye, the other eye), the indices of the mesh points.
 */
export function regionPoints(bytes: Uint8Array): number[][] {
  return readTflite(bytes)
    .operators.filter(({ kind }) => kind === 'Landmarks2TransformMatrix')
    .map((operator) => regionOptions(operator).subset_idxs);
}

type RegionOptions = {
  left_rotation_idx: number;
  right_rotation_idx: number;
  output_width: number;
  output_height: number;
  scale_x: number;
  scale_y: number;
  /** Absent or null for 0. */
  target_rotation_radians?: number | null;
  subset_idxs: number[];
};

function regionOptions({ customOptions }: TfliteOperator): RegionOptions {
  return toObject(new Uint8Array(customOptions).buffer) as RegionOptions;
}

/** One model on its way. Every tensor of rank 4 is kept as `[n, channels, height, width]`. */
class Conversion {
  private readonly nodes: OnnxNode[] = [];
  private readonly initializers: OnnxModel['initializers'][number][] = [];
  private readonly data: (Float32Array | Int32Array | undefined)[];
  private helpers = 0;

  constructor(
    private readonly model: TfliteModel,
    private readonly name: string,
  ) {
    this.data = model.tensors.map(({ data }) => data);
  }

  run(): OnnxModel {
    for (const operator of this.model.operators) this.convert(operator);
    return {
      name: this.name,
      opset: OPSET,
      inputs: this.model.inputs.map((index) => ({ name: this.tensorName(index), shape: this.shape(index) })),
      outputs: this.model.outputs.map((index) => this.output(index)),
      initializers: this.initializers,
      nodes: this.nodes,
    };
  }

  private convert(operator: TfliteOperator): void {
    const { kind, inputs, outputs, options } = operator;
    const [first, second] = inputs as [number, number];
    const target = outputs[0]!;
    switch (kind) {
      case BUILTIN.dequantize: // float16 constants were widened when they were read
        this.data[target] = this.data[first];
        return;
      case BUILTIN.add:
        this.activated('Add', [this.value(first), this.value(second)], target, options?.int8(0));
        return;
      case BUILTIN.mul:
        this.activated('Mul', [this.value(first), this.value(second)], target, options?.int8(0));
        return;
      case BUILTIN.relu:
        this.node('Relu', [this.value(first)], this.tensorName(target));
        return;
      case BUILTIN.prelu: {
        const slope = this.constant([this.shape(target)[1]!, 1, 1], this.float(second));
        this.node('PRelu', [this.value(first), slope], this.tensorName(target));
        return;
      }
      case BUILTIN.conv2d:
      case BUILTIN.depthwiseConv2d:
        this.convolution(operator);
        return;
      case BUILTIN.maxPool2d:
        this.maximum(operator);
        return;
      case BUILTIN.pad: {
        // Pairs (before, after) per dimension, n h w c, to all befores and then all afters, n c h w.
        const pairs = this.data[second]!;
        const order = [0, 3, 1, 2];
        const pads = [...order.map((axis) => pairs[2 * axis]!), ...order.map((axis) => pairs[2 * axis + 1]!)];
        this.node('Pad', [this.value(first), this.integers(pads)], this.tensorName(target));
        return;
      }
      case BUILTIN.reshape: {
        const shape = this.model.tensors[target]!.shape;
        const inputs = [this.channelsLast(first), this.integers(shape)];
        const name = this.tensorName(target);
        if (shape.length < 4) this.node('Reshape', inputs, name);
        else this.node('Transpose', [this.op('Reshape', inputs)], name, { perm: { ints: [0, 3, 1, 2] } });
        return;
      }
      case BUILTIN.concatenation: {
        const axis = options?.int32(0) ?? 0;
        if (this.shape(target).length === 4) throw new TypeError(`${this.name}: cannot join pictures`);
        const attributes = { axis: { int: axis } };
        this.node(
          'Concat',
          inputs.map((index) => this.value(index)),
          this.tensorName(target),
          attributes,
        );
        return;
      }
      case BUILTIN.stridedSlice:
        // The face networks use it to copy an output whole.
        if (this.size(first) !== this.size(target)) throw new TypeError(`${this.name}: cannot cut out a part`);
        this.node('Identity', [this.value(first)], this.tensorName(target));
        return;
      case 'Landmarks2TransformMatrix':
        this.regionMatrix(operator);
        return;
      case 'TransformTensorBilinear':
        this.cutOut(operator);
        return;
      case 'TransformLandmarks':
        this.transformPoints(operator);
        return;
      default:
        throw new TypeError(`${this.name}: the operation ${kind} is not known`);
    }
  }

  private convolution({ kind, inputs, outputs, options }: TfliteOperator): void {
    const [input, kernel, bias] = inputs as [number, number, number];
    const depthwise = kind === BUILTIN.depthwiseConv2d;
    const [a, height, width, b] = this.model.tensors[kernel]!.shape as [number, number, number, number];
    const channels = this.shape(input)[1]!;
    // [out, h, w, in], or [1, h, w, out] if every channel has kernels of its own, to [out, in per group, h, w].
    const [out, perGroup] = depthwise ? [b, 1] : [a, b];
    const source = this.float(kernel);
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
    const window = this.window(input, options, [(height - 1) * dilationHeight + 1, (width - 1) * dilationWidth + 1]);
    this.activated(
      'Conv',
      [
        this.value(input),
        this.constant([out, perGroup, height, width], weights),
        this.constant([out], this.float(bias)),
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

  private maximum({ inputs, outputs, options }: TfliteOperator): void {
    const kernel: [number, number] = [options?.int32(4) ?? 0, options?.int32(3) ?? 0];
    const attributes = { ...this.window(inputs[0]!, options, kernel), kernel_shape: { ints: kernel } };
    this.activated('MaxPool', [this.value(inputs[0]!)], outputs[0]!, options?.int8(5), attributes);
  }

  /**
   * Strides and padding, whose options lie in the same places for convolutions and pooling. Padding "same" makes
   * ceil(size / stride) outputs and puts the odd row or column behind.
   */
  private window(input: number, options: FlatTable | undefined, reach: readonly [number, number]) {
    const same = options?.int8(0) === 0;
    const strides = [options?.int32(2) ?? 1, options?.int32(1) ?? 1];
    const totals = [0, 1].map((axis) => {
      const size = this.shape(input)[2 + axis]!;
      const stride = strides[axis]!;
      return same ? Math.max(0, (Math.ceil(size / stride) - 1) * stride + reach[axis]! - size) : 0;
    });
    const before = totals.map((total) => Math.floor(total / 2));
    const after = totals.map((total, axis) => total - before[axis]!);
    return { strides: { ints: strides }, pads: { ints: [...before, ...after] } };
  }

  /**
   * The matrix `[1, 4, 4]` from pixels of a region's close-up to pixels of the feature map: the region is the box
   * around the points, in the frame that the line from one of them to another is level in, scaled.
   *
   *     M = T(centre) R S T(-output / 2),   u = R e_x = direction of the line,   S = scale * box / output
   */
  private regionMatrix(operator: TfliteOperator): void {
    const options = regionOptions(operator);
    if (options.target_rotation_radians) throw new TypeError(`${this.name}: regions must be level`);
    const points = this.op('Slice', [
      this.value(operator.inputs[0]!),
      this.integers([0]),
      this.integers([2]),
      this.integers([2]),
    ]); // (1, 468, 2)
    const pick = (indices: number[]): string =>
      this.op('Gather', [points, this.integers(indices)], { axis: { int: 1 } });
    const line = this.op('Sub', [pick([options.right_rotation_idx]), pick([options.left_rotation_idx])]); // (1, 1, 2)
    const u = this.op('Div', [line, this.op('ReduceL2', [line], { axes: { ints: [2] } })]);
    // (x, y) to (-y, x), written for rows.
    const v = this.op('MatMul', [u, this.constant([1, 2, 2], Float32Array.of(0, 1, -1, 0))]);
    const rotation = this.op('Concat', [u, v], { axis: { int: 1 } }); // rows u, v: (1, 2, 2)
    const across = this.op('Transpose', [rotation], { perm: { ints: [0, 2, 1] } });
    const level = this.op('MatMul', [pick(options.subset_idxs), across]); // (1, n, 2) in the frame of u, v
    const least = this.op('ReduceMin', [level], { axes: { ints: [1] } });
    const most = this.op('ReduceMax', [level], { axes: { ints: [1] } });
    const middle = this.op('Mul', [this.op('Add', [least, most]), this.constant([1], Float32Array.of(0.5))]);
    const centre = this.op('MatMul', [middle, rotation]); // (1, 1, 2)
    const extent = this.op('Mul', [
      this.op('Sub', [most, least]),
      this.constant(
        [1, 1, 2],
        Float32Array.of(options.scale_x / options.output_width, options.scale_y / options.output_height),
      ),
    ]);
    // Rows S u, S v.
    const steps = this.op('Mul', [rotation, this.op('Transpose', [extent], { perm: { ints: [0, 2, 1] } })]);
    const half = this.constant([1, 1, 2], Float32Array.of(options.output_width / 2, options.output_height / 2));
    const origin = this.op('Sub', [centre, this.op('MatMul', [half, steps])]);
    const zero = this.constant([1, 1, 2], new Float32Array(2));
    const columns = this.op('Concat', [steps, zero, origin], { axis: { int: 1 } }); // (1, 4, 2)
    const upper = this.op('Transpose', [columns], { perm: { ints: [0, 2, 1] } });
    const lower = this.constant([1, 2, 4], Float32Array.of(0, 0, 1, 0, 0, 0, 0, 1));
    this.node('Concat', [upper, lower], this.tensorName(operator.outputs[0]!), { axis: { int: 1 } });
  }

  /**
   * Cuts a region out of the feature map, bilinearly: pixel centres are at halves, and what would reach for a pixel
   * outside the map is 0.
   */
  private cutOut({ inputs, outputs }: TfliteOperator): void {
    const [, , mapHeight, mapWidth] = this.shape(inputs[0]!) as [number, number, number, number];
    const [, , height, width] = this.shape(outputs[0]!) as [number, number, number, number];
    const centres = new Float32Array(height * width * 4);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) centres.set([x + 0.5, y + 0.5, 0, 1], (y * width + x) * 4);
    }
    const rows = this.affineRows(this.value(inputs[1]!));
    const places = this.op('MatMul', [this.constant([1, height * width, 4], centres), rows]);
    const unit = this.op('Sub', [
      this.op('Mul', [places, this.constant([1, 1, 2], Float32Array.of(2 / mapWidth, 2 / mapHeight))]),
      this.constant([1], Float32Array.of(1)),
    ]); // the map's edges are -1 and 1
    const grid = this.op('Reshape', [unit, this.integers([1, height, width, 2])]);
    const sampled = this.op('GridSample', [this.value(inputs[0]!), grid], {
      mode: { text: 'bilinear' },
      padding_mode: { text: 'zeros' },
      align_corners: { int: 0 },
    });
    const limit = this.constant([1, 1, 1, 2], Float32Array.of(1 - 1 / mapWidth, 1 - 1 / mapHeight));
    const beyond = this.op('Relu', [this.op('Sub', [this.op('Abs', [grid]), limit])]);
    const outside = this.op('ReduceMax', [beyond], { axes: { ints: [3] }, keepdims: { int: 0 } });
    const inside = this.op('Sub', [this.constant([1], Float32Array.of(1)), this.op('Sign', [outside])]);
    const mask = this.op('Unsqueeze', [inside, this.integers([1])]);
    this.node('Mul', [sampled, mask], this.tensorName(outputs[0]!));
  }

  /** Points `[1, n, 2]` through the first two rows of a matrix `[1, 4, 4]`. */
  private transformPoints({ inputs, outputs }: TfliteOperator): void {
    const count = this.shape(inputs[0]!)[1]!;
    const rest = new Float32Array(count * 2);
    for (let at = 1; at < rest.length; at += 2) rest[at] = 1;
    const points = this.op('Concat', [this.value(inputs[0]!), this.constant([1, count, 2], rest)], {
      axis: { int: 2 },
    });
    this.node('MatMul', [points, this.affineRows(this.value(inputs[1]!))], this.tensorName(outputs[0]!));
  }

  /** The first two rows of a matrix `[1, 4, 4]`, as columns `[1, 4, 2]`. */
  private affineRows(matrix: string): string {
    const rows = this.op('Slice', [matrix, this.integers([0]), this.integers([2]), this.integers([1])]);
    return this.op('Transpose', [rows], { perm: { ints: [0, 2, 1] } });
  }

  /** An operation with the activation that is fused into it: 0 none, 1 ReLU. */
  private activated(
    operator: string,
    inputs: string[],
    target: number,
    activation = 0,
    attributes?: OnnxNode['attributes'],
  ): void {
    if (activation > 1) throw new TypeError(`${this.name}: the fused activation ${activation} is not known`);
    const name = this.tensorName(target);
    if (activation === 0) this.node(operator, inputs, name, attributes);
    else this.node('Relu', [this.op(operator, inputs, attributes)], name);
  }

  private output(index: number) {
    const { shape } = this.model.tensors[index]!;
    const name = this.tensorName(index);
    if (shape.length !== 4) return { name, shape };
    // The maker of the tensor writes to another name, and a last operation turns it.
    const maker = this.nodes.find(({ outputs }) => outputs[0] === name)!;
    const turned = `${name}/channels-first`;
    for (const [at, node] of this.nodes.entries()) {
      const inputs = node.inputs.map((input) => (input === name ? turned : input));
      this.nodes[at] = { ...node, inputs, outputs: node === maker ? [turned] : node.outputs };
    }
    this.node('Transpose', [turned], name, { perm: { ints: [0, 2, 3, 1] } });
    return { name, shape };
  }

  private channelsLast(index: number): string {
    const value = this.value(index);
    if (this.shape(index).length !== 4) return value;
    return this.op('Transpose', [value], { perm: { ints: [0, 2, 3, 1] } });
  }

  /** The shape in the ONNX model. */
  private shape(index: number): number[] {
    const { shape } = this.model.tensors[index]!;
    return shape.length === 4 ? [shape[0]!, shape[3]!, shape[1]!, shape[2]!] : shape;
  }

  private size(index: number): number {
    return this.model.tensors[index]!.shape.reduce((product, size) => product * size, 1);
  }

  private tensorName(index: number): string {
    const { name } = this.model.tensors[index]!;
    return name === '' ? `tensor-${index}` : name;
  }

  /** The name under which an operation finds a tensor; constants are stored when they are first used. */
  private value(index: number): string {
    const name = this.tensorName(index);
    if (this.data[index] === undefined) return name;
    const { shape } = this.model.tensors[index]!;
    if (shape.length === 4) throw new TypeError(`${this.name}: the constant '${name}' is a picture`);
    return this.constant(shape, this.float(index));
  }

  private float(index: number): Float32Array {
    const data = this.data[index];
    if (data instanceof Float32Array) return data;
    throw new TypeError(`${this.name}: '${this.tensorName(index)}' is not a constant of real numbers`);
  }

  private constant(shape: readonly number[], data: OnnxData): string {
    const name = `constant-${this.initializers.length}`;
    this.initializers.push({ name, shape, data });
    return name;
  }

  private integers(values: readonly number[]): string {
    return this.constant([values.length], BigInt64Array.from(values, BigInt));
  }

  /** Adds an operation and returns the name of its result. */
  private op(operator: string, inputs: string[], attributes?: Record<string, OnnxAttribute>): string {
    const output = `helper-${this.helpers++}`;
    this.node(operator, inputs, output, attributes);
    return output;
  }

  private node(operator: string, inputs: string[], output: string, attributes?: OnnxNode['attributes']): void {
    this.nodes.push({ operator, inputs, outputs: [output], attributes });
  }
}
