// Convolutions of 8 bits in an ONNX model: pictures as uint8 with one step for all of them, weights as int8 with a step for
// each channel, sums exact. Written with QuantizeLinear and DequantizeLinear around the convolution, as ONNX describes it;
// runtimes put one operator of 8 bits in their place.
import {
  ONNX_TYPES,
  type OnnxData,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
} from './writer.js';

/** What was seen of a tensor [N, C, H, W]: its least and its greatest element, and C. */
export type OnnxRange = { least: number; greatest: number; channels: number };

/** Whether a convolution shall compute in 8 bits; its name is that of its output. */
export type ConvolutionChoice = (convolution: string) => boolean;

/** Steps of int8 on either side of 0, and of uint8 as a whole. */
const [SIGNED_STEPS, STEPS] = [127, 255];

/** Of scales that are one for each channel of a kernel or bias. */
const ALONG_CHANNELS = { axis: { int: 0 } };

const SECOND_SIZE = { start: { int: 1 }, end: { int: 2 } };

/**
 * Convolutions get channels without weights up to a multiple of this. ONNX Runtime 1.30 multiplies 8 bits by others four
 * times as slowly.
 */
const CHANNELS_AT_ONCE = 8;

/** Keeps steps of channels without weights above 0. */
const LEAST_STEP = 1e-6;

/**
 * The tensors whose ranges `quantizeConvolutions` needs: what goes into the chosen convolutions and what comes out of
 * them, behind the ReLU where there is one.
 */
export function tensorsToObserve(model: OnnxModel, chosen: ConvolutionChoice): string[] {
  const names = convolutions(model, chosen).flatMap(({ node, result }) => [node.inputs[0]!, result]);
  return [...new Set(names)];
}

/** Names of the outputs of `withRanges` for a tensor. */
export const rangeOutputs = (tensor: string): Record<keyof OnnxRange, string> => ({
  least: `${tensor}/least`,
  greatest: `${tensor}/greatest`,
  channels: `${tensor}/channels`,
});

/** The model with three more outputs for each of the tensors, a number each: what `OnnxRange` says of it. */
export function withRanges(model: OnnxModel, tensors: readonly string[]): OnnxModel {
  const reductions = tensors.flatMap((tensor): OnnxNode[] => {
    const { least, greatest, channels } = rangeOutputs(tensor);
    const attributes = { keepdims: { int: 0 } };
    return [
      { operator: 'ReduceMin', inputs: [tensor], outputs: [least], attributes },
      { operator: 'ReduceMax', inputs: [tensor], outputs: [greatest], attributes },
      { operator: 'Shape', inputs: [tensor], outputs: [channels], attributes: SECOND_SIZE },
    ];
  });
  const outputs = reductions.map(({ operator, outputs: [name] }): OnnxValue => {
    return operator === 'Shape' ? { name: name!, shape: [1], type: 'int64' } : { name: name!, shape: [] };
  });
  return { ...model, nodes: [...model.nodes, ...reductions], outputs: [...model.outputs, ...outputs] };
}

/**
 * The model with the chosen convolutions in 8 bits. What their results go into otherwise reads them rounded; what else
 * reads their inputs reads those as they are. Weights stay as they are in the model and are rounded by nodes of it, which
 * runtimes compute when they load it.
 *
 * @param ranges of the tensors that `tensorsToObserve` names
 * @throws RangeError if one of them is missing or not finite
 */
export function quantizeConvolutions(
  model: OnnxModel,
  { ranges, chosen }: { ranges: ReadonlyMap<string, OnnxRange>; chosen: ConvolutionChoice },
): OnnxModel {
  const writer = new QuantizedNodes(ranges);
  const found = new Map(convolutions(model, chosen).map((convolution) => [convolution.node, convolution]));
  const relus = new Set([...found.values()].flatMap(({ relu }) => relu ?? []));
  for (const node of model.nodes) {
    const convolution = found.get(node);
    if (convolution) writer.addConvolution(convolution);
    else if (!relus.has(node)) writer.nodes.push(node);
  }
  return { ...model, nodes: writer.nodes, initializers: [...model.initializers, ...writer.initializers] };
}

/** A convolution, the ReLU that alone reads it, and the name of what comes out. */
type Convolution = { node: OnnxNode; relu?: OnnxNode; result: string };

function convolutions({ nodes, outputs }: OnnxModel, chosen: ConvolutionChoice): Convolution[] {
  const readers = new Map<string, OnnxNode[]>();
  for (const node of nodes) {
    for (const name of new Set(node.inputs)) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const shown = new Set(outputs.map(({ name }) => name));
  return nodes
    .filter((node) => isOfPictures(node) && chosen(node.outputs[0]!))
    .map((node) => {
      const [name] = node.outputs;
      const [reader, ...others] = readers.get(name!) ?? [];
      const isRelu = reader?.operator === 'Relu' && others.length === 0 && !shown.has(name!);
      return isRelu ? { node, relu: reader, result: reader.outputs[0]! } : { node, result: name! };
    });
}

/** Convolutions of volumes stay as they are. */
function isOfPictures({ operator, attributes = {} }: OnnxNode): boolean {
  const { kernel_shape: kernel } = attributes;
  return operator === 'Conv' && !(kernel && 'ints' in kernel && kernel.ints.length !== 2);
}

/** Where a tensor's values lie on the 256 steps of uint8; 0 is one of them. */
function stepsOf({ least, greatest }: OnnxRange): { step: number; zero: number } {
  const [low, high] = [Math.min(least, 0), Math.max(greatest, 0)];
  const step = Math.max((high - low) / STEPS, LEAST_STEP);
  return { step, zero: Math.round(-low / step) };
}

class QuantizedNodes {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  /** Rounded forms of tensors by their names. */
  readonly #rounded = new Map<string, string>();
  readonly #ranges: ReadonlyMap<string, OnnxRange>;

  constructor(ranges: ReadonlyMap<string, OnnxRange>) {
    this.#ranges = ranges;
  }

  addConvolution({ node, relu, result }: Convolution): void {
    const { attributes, inputs } = node;
    const [input, kernel, bias] = inputs as [string, string, string?];
    const { step } = stepsOf(this.#rangeOf(input));
    const { channels } = this.#rangeOf(result);
    const { group } = attributes ?? {};
    const isWhole = !(group && 'int' in group && group.int > 1);
    const extra = isWhole ? -channels & (CHANNELS_AT_ONCE - 1) : 0;
    const rounded = this.#rounded.get(input) ?? this.#round(input, { exact: input, rounded: `${input}/rounded` });
    const filled = extra > 0 ? this.#fill(kernel, [0, 0, 0, 0, extra, 0, 0, 0], `${result}/kernel`) : kernel;
    const steps = this.#stepsOfChannels(filled, result);
    const weights = this.#roundKernel(filled, steps, result);
    const filledBias = bias && extra > 0 ? this.#fill(bias, [0, extra], `${result}/shift`) : bias;
    const shift = filledBias ? [this.#roundBias(filledBias, { steps, step, place: result })] : [];
    const exact = `${result}/exact`;
    const sum = relu ? `${result}/sum` : exact;
    this.#node('Conv', [rounded, weights, ...shift], sum, attributes);
    if (relu) this.#node('Relu', [sum], exact);
    if (extra === 0) {
      this.#round(result, { exact, rounded: result });
      return;
    }
    const whole = this.#round(result, { exact, rounded: `${result}/filled` });
    this.#rounded.delete(result);
    const [from, to, axis] = [0, channels, 1].map((value, i) => this.#ints(`${result}/cut_${i}`, [value]));
    this.#node('Slice', [whole, from!, to!, axis!], result);
  }

  /** Zeros behind a kernel's or bias' channels. */
  #fill(tensor: string, pads: readonly number[], name: string): string {
    return this.#node('Pad', [tensor, this.#ints(`${name}_pads`, pads)], name);
  }

  /** Rounds the tensor `name`, which is there as `exact`, to uint8 and back. */
  #round(name: string, { exact, rounded }: { exact: string; rounded: string }): string {
    const { step, zero } = stepsOf(this.#rangeOf(name));
    const scale = this.#constant(`${name}/step`, Float32Array.of(step));
    const origin = this.#constant(`${name}/zero`, Uint8Array.of(zero));
    const bytes = this.#node('QuantizeLinear', [exact, scale, origin], `${name}/bytes`);
    this.#rounded.set(name, rounded);
    return this.#node('DequantizeLinear', [bytes, scale, origin], rounded);
  }

  /** [C]: the step of each channel's weights, which spread over all of int8. */
  #stepsOfChannels(kernel: string, place: string): string {
    const sizes = this.#node('Abs', [kernel], `${place}/sizes`);
    const axes = { axes: { ints: [1, 2, 3] }, keepdims: { int: 0 } };
    const greatest = this.#node('ReduceMax', [sizes], `${place}/greatest`, axes);
    const count = this.#constant(`${place}/signed_steps`, Float32Array.of(SIGNED_STEPS));
    const spread = this.#node('Div', [greatest, count], `${place}/spread`);
    const least = this.#constant(`${place}/least_step`, Float32Array.of(LEAST_STEP));
    return this.#node('Max', [spread, least], `${place}/steps`);
  }

  #roundKernel(kernel: string, steps: string, place: string): string {
    const none = this.#node('Sub', [steps, steps], `${place}/none`);
    const zeros = this.#node('Cast', [none], `${place}/zeros`, { to: { int: ONNX_TYPES.int8 } });
    const bytes = this.#node('QuantizeLinear', [kernel, steps, zeros], `${place}/weights`, ALONG_CHANNELS);
    return this.#node('DequantizeLinear', [bytes, steps, zeros], `${place}/rounded_weights`, ALONG_CHANNELS);
  }

  /** Rounds a bias to int32, in whose steps the sums are. */
  #roundBias(bias: string, { steps, step, place }: { steps: string; step: number; place: string }): string {
    const ofInput = this.#constant(`${place}/input_step`, Float32Array.of(step));
    const both = this.#node('Mul', [steps, ofInput], `${place}/sum_steps`);
    const counted = this.#node('Div', [bias, both], `${place}/counted`);
    const whole = this.#node('Round', [counted], `${place}/whole`);
    const sums = this.#node('Cast', [whole], `${place}/bias`, { to: { int: ONNX_TYPES.int32 } });
    return this.#node('DequantizeLinear', [sums, both], `${place}/rounded_bias`, ALONG_CHANNELS);
  }

  #rangeOf(tensor: string): OnnxRange {
    const range = this.#ranges.get(tensor);
    if (range && Number.isFinite(range.least) && Number.isFinite(range.greatest)) return range;
    throw new RangeError(`the range of the tensor '${tensor}' is not known`);
  }

  #node(operator: string, inputs: readonly string[], output: string, attributes?: OnnxNode['attributes']): string {
    this.nodes.push({ operator, inputs, outputs: [output], ...(attributes && { attributes }) });
    return output;
  }

  #ints(name: string, values: readonly number[]): string {
    this.initializers.push({ name, shape: [values.length], data: BigInt64Array.from(values, BigInt) });
    return name;
  }

  /** A number without dimensions. */
  #constant(name: string, data: OnnxData): string {
    this.initializers.push({ name, shape: [], data });
    return name;
  }
}
