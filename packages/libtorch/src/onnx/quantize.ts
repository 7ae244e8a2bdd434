// Convolutions of 8 bits in an ONNX model: pictures as uint8 with one step for all of them, weights as int8 with a step for
// each channel, sums exact. Results of few channels that no other convolution reads, such as masks and colours, have steps of
// their own for each channel. Written with QuantizeLinear and DequantizeLinear around the convolution, as ONNX describes it;
// runtimes put one operator of 8 bits in their place. What only moves between convolutions stays bytes.
import {
  ONNX_TYPES,
  type OnnxData,
  type OnnxInitializer,
  type OnnxModel,
  type OnnxNode,
  type OnnxValue,
} from './writer.js';

/** What was seen of a tensor [N, C, H, W]: the least and the greatest element of each channel. */
export type OnnxRange = { least: readonly number[]; greatest: readonly number[] };

/** Whether a convolution shall compute in 8 bits; its name is that of its output. */
export type ConvolutionChoice = (convolution: string) => boolean;

/** Steps of int8 on either side of 0, and of uint8 as a whole. */
const [SIGNED_STEPS, STEPS] = [127, 255];

/** Of scales that are one for each channel of a kernel or bias. */
const ALONG_CHANNELS = { axis: { int: 0 } };

/** Of reductions to the channels of a picture [N, C, H, W]. */
const TO_CHANNELS = { axes: { ints: [0, 2, 3] }, keepdims: { int: 0 } };

/** Operators that put elements elsewhere and change none. */
const MOVING = ['DepthToSpace', 'Slice', 'Reshape', 'Transpose'];

/** Operators that do to bytes what they do to numbers: these, and where 0 is the first step, ReLU, which then changes none. */
const ON_BYTES = [...MOVING, 'Concat', 'Relu'];

/** Beyond it on either side, sigmoid changes by less than a quarter of a step of 255. */
const END_OF_SIGMOID = 7;

/**
 * Convolutions get channels without weights up to a multiple of this. ONNX Runtime 1.30 multiplies 8 bits by others four
 * times as slowly.
 */
const CHANNELS_AT_ONCE = 8;

/** Keeps steps of channels without weights above 0. */
const LEAST_STEP = 1e-6;

/** Ranges are widened by this part of their ends, since others than the pictures seen will come. */
const MARGIN = 0.4;

/** Results of no more channels have steps of their own for each of them, where nothing speaks against it: it costs little then. */
const FEW_CHANNELS = 32;

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
});

/** The model with two more outputs [C] for each of the tensors: what `OnnxRange` says of it. */
export function withRanges(model: OnnxModel, tensors: readonly string[]): OnnxModel {
  const reductions = tensors.flatMap((tensor): OnnxNode[] => {
    const { least, greatest } = rangeOutputs(tensor);
    return [
      { operator: 'ReduceMin', inputs: [tensor], outputs: [least], attributes: TO_CHANNELS },
      { operator: 'ReduceMax', inputs: [tensor], outputs: [greatest], attributes: TO_CHANNELS },
    ];
  });
  const outputs = reductions.map(({ outputs: [name] }): OnnxValue => ({ name: name!, shape: [`${name}/count`] }));
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
    else if (!relus.has(node) && !writer.addMove(node)) writer.nodes.push(node);
  }
  const nodes = withoutUnread(writer.nodes, model.outputs);
  return { ...model, nodes, initializers: [...model.initializers, ...writer.initializers] };
}

/** Without the numbers of bytes that are read as bytes alone: runtimes would compute them. */
function withoutUnread(nodes: readonly OnnxNode[], outputs: readonly OnnxValue[]): OnnxNode[] {
  const read = new Set([...nodes.flatMap(({ inputs }) => inputs), ...outputs.map(({ name }) => name)]);
  return nodes.filter((node) => node.operator !== 'DequantizeLinear' || read.has(node.outputs[0]!));
}

/** A convolution, the ReLU that alone reads it, and the name of what comes out. */
type Convolution = {
  node: OnnxNode;
  relu?: OnnxNode;
  result: string;
  /** What a chosen convolution reads of the result: itself, or all that it is moved into and joined with. */
  whole?: string;
  /** Whether sigmoid takes all that is read of the result. */
  isSquashed: boolean;
};

function convolutions({ nodes, outputs }: OnnxModel, chosen: ConvolutionChoice): Convolution[] {
  const readers = new Map<string, OnnxNode[]>();
  for (const node of nodes) {
    for (const name of new Set(node.inputs)) readers.set(name, [...(readers.get(name) ?? []), node]);
  }
  const shown = new Set(outputs.map(({ name }) => name));
  const found = nodes.filter((node) => isOfPictures(node) && chosen(node.outputs[0]!));
  const read = new Set(found.map(({ inputs }) => inputs[0]!));
  const onlyReader = (name: string): OnnxNode | undefined => {
    const [reader, ...others] = readers.get(name) ?? [];
    return others.length === 0 && !shown.has(name) ? reader : undefined;
  };
  const wholeOf = (name: string): string | undefined => {
    if (read.has(name)) return name;
    const reader = onlyReader(name);
    return reader && ON_BYTES.includes(reader.operator) ? wholeOf(reader.outputs[0]!) : undefined;
  };
  const isSquashed = (name: string): boolean => {
    const reader = onlyReader(name);
    if (!reader) return false;
    return reader.operator === 'Sigmoid' || (MOVING.includes(reader.operator) && isSquashed(reader.outputs[0]!));
  };
  return found.map((node): Convolution => {
    const [name] = node.outputs as [string];
    const reader = onlyReader(name);
    const relu = reader?.operator === 'Relu' ? reader : undefined;
    const result = relu ? relu.outputs[0]! : name;
    return { node, relu, result, whole: wholeOf(result), isSquashed: isSquashed(result) };
  });
}

/** Convolutions of volumes stay as they are. */
function isOfPictures({ operator, attributes = {} }: OnnxNode): boolean {
  const { kernel_shape: kernel } = attributes;
  return operator === 'Conv' && !(kernel && 'ints' in kernel && kernel.ints.length !== 2);
}

/** Where a tensor's values lie on the 256 steps of uint8. */
type Steps = { step: number; zero: number };

/** A tensor on steps: as bytes, and as the numbers that these stand for. */
type Rounded = { bytes: string; numbers: string; steps: Steps };

/** Steps for a whole tensor; 0 is one of them. */
function stepsOf({ least, greatest }: OnnxRange): Steps {
  const [low, high] = [Math.min(...least, 0), Math.max(...greatest, 0)];
  const step = Math.max((high - low) / STEPS, LEAST_STEP);
  return { step, zero: Math.round(-low / step) };
}

/** Of each channel the number that the first of its steps stands for, and a step: [C] each. */
function stepsByChannel({ least, greatest }: OnnxRange, isSquashed: boolean): { first: number[]; steps: number[] } {
  const first = least.map((low) => (isSquashed ? -END_OF_SIGMOID : low));
  const last = isSquashed ? first.map((low) => -low) : greatest;
  return { first, steps: last.map((high, i) => Math.max((high - first[i]!) / STEPS, LEAST_STEP)) };
}

class QuantizedNodes {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  /** Tensors that are there on steps alone. */
  readonly #rounded = new Map<string, Rounded>();
  /** Rounded copies of others. */
  readonly #copies = new Map<string, Rounded>();
  readonly #ranges: ReadonlyMap<string, OnnxRange>;

  constructor(ranges: ReadonlyMap<string, OnnxRange>) {
    this.#ranges = ranges;
  }

  addConvolution(convolution: Convolution): void {
    const range = this.#rangeOf(convolution.result);
    const { whole } = convolution;
    if (whole !== undefined) this.#addRounded(convolution, stepsOf(this.#rangeOf(whole)));
    else if (range.least.length > FEW_CHANNELS) this.#addRounded(convolution, stepsOf(range));
    else this.#addLevelled(convolution, range);
  }

  /** Does what a node does on bytes. @returns whether that can be: all that goes in is there on the same steps */
  addMove({ operator, inputs, outputs, attributes }: OnnxNode): boolean {
    if (!ON_BYTES.includes(operator)) return false;
    const tensors = inputs.slice(0, operator === 'Concat' ? inputs.length : 1);
    const known = tensors.flatMap((name) => this.#rounded.get(name) ?? []);
    const { steps } = known[0] ?? {};
    const isAlike = known.every((each) => each.steps.step === steps?.step && each.steps.zero === steps.zero);
    if (!steps || known.length < tensors.length || !isAlike || (operator === 'Relu' && steps.zero > 0)) return false;
    const [name] = outputs as [string];
    const all = [...known.map(({ bytes }) => bytes), ...inputs.slice(tensors.length)];
    const moved = operator === 'Relu' ? all[0]! : this.#node(operator, all, `${name}/bytes`, attributes);
    this.#rounded.set(name, this.#widen(moved, steps, name));
    return true;
  }

  /** Every channel of the result fills the steps from 0 to 255: moved and stretched before it is rounded, and put back behind. */
  #addLevelled(convolution: Convolution, range: OnnxRange): void {
    const { node, relu, result, isSquashed } = convolution;
    const [input, kernel, bias] = node.inputs as [string, string, string?];
    const { first, steps } = stepsByChannel(range, isSquashed);
    const level = `${result}/level`;
    const counts = steps.map((step) => 1 / step);
    const stretched = this.#node(
      'Mul',
      [kernel, this.#byChannel(`${level}/kernel_counts`, counts, 3)],
      `${level}/stretched`,
    );
    const start = this.#byChannel(`${level}/start`, first);
    const moved = this.#node(bias ? 'Sub' : 'Neg', bias ? [bias, start] : [start], `${level}/moved`);
    const shift = this.#node('Mul', [moved, this.#byChannel(`${level}/shift_counts`, counts)], `${level}/moved_bias`);
    const between = { node: { ...node, inputs: [input, stretched, shift] }, relu, result: level };
    this.#addRounded(between, { step: 1, zero: 0 }, first.length);
    const spread = this.#node('Mul', [level, this.#byChannel(`${level}/channel_steps`, steps, 2)], `${level}/above`);
    this.#node('Add', [spread, this.#byChannel(`${level}/first`, first, 2)], result);
  }

  #addRounded(
    { node, relu, result }: Pick<Convolution, 'node' | 'relu' | 'result'>,
    steps: Steps,
    channels = this.#rangeOf(result).least.length,
  ): void {
    const { attributes, inputs } = node;
    const [input, kernel, bias] = inputs as [string, string, string?];
    const { group } = attributes ?? {};
    const isWhole = !(group && 'int' in group && group.int > 1);
    const extra = isWhole ? -channels & (CHANNELS_AT_ONCE - 1) : 0;
    const rounded = this.#rounded.get(input) ?? this.#copies.get(input) ?? this.#copy(input);
    const filled = extra > 0 ? this.#fill(kernel, [0, 0, 0, 0, extra, 0, 0, 0], `${result}/kernel`) : kernel;
    const ofWeights = this.#stepsOfChannels(filled, result);
    const weights = this.#roundKernel(filled, ofWeights, result);
    const filledBias = bias && extra > 0 ? this.#fill(bias, [0, extra], `${result}/shift`) : bias;
    const { step } = rounded.steps;
    const shift = filledBias ? [this.#roundBias(filledBias, { steps: ofWeights, step, place: result })] : [];
    const exact = `${result}/exact`;
    const sum = relu ? `${result}/sum` : exact;
    this.#node('Conv', [rounded.numbers, weights, ...shift], sum, attributes);
    if (relu) this.#node('Relu', [sum], exact);
    if (extra === 0) {
      this.#rounded.set(result, this.#round(exact, steps, result));
      return;
    }
    const all = this.#round(exact, steps, `${result}/filled`);
    const [from, to, axis] = [0, channels, 1].map((value, i) => this.#ints(`${result}/cut_${i}`, [value]));
    const bytes = this.#node('Slice', [all.bytes, from!, to!, axis!], `${result}/bytes`);
    this.#rounded.set(result, this.#widen(bytes, steps, result));
  }

  /** Zeros behind a kernel's or bias' channels. */
  #fill(tensor: string, pads: readonly number[], name: string): string {
    return this.#node('Pad', [tensor, this.#ints(`${name}_pads`, pads)], name);
  }

  #copy(tensor: string): Rounded {
    const copy = this.#round(tensor, stepsOf(this.#rangeOf(tensor)), `${tensor}/rounded`);
    this.#copies.set(tensor, copy);
    return copy;
  }

  /** Rounds a tensor to bytes, and gives the numbers that they stand for the name `numbers`. */
  #round(tensor: string, steps: Steps, numbers: string): Rounded {
    const inputs = [tensor, ...this.#scale(steps, `${numbers}/on`)];
    return this.#widen(this.#node('QuantizeLinear', inputs, `${numbers}/bytes`), steps, numbers);
  }

  /** The numbers that bytes stand for. */
  #widen(bytes: string, steps: Steps, numbers: string): Rounded {
    this.#node('DequantizeLinear', [bytes, ...this.#scale(steps, numbers)], numbers);
    return { bytes, numbers, steps };
  }

  #scale({ step, zero }: Steps, place: string): string[] {
    return [
      this.#constant(`${place}/step`, Float32Array.of(step)),
      this.#constant(`${place}/zero`, Uint8Array.of(zero)),
    ];
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

  /** What a tensor's elements are expected to be. */
  #rangeOf(tensor: string): OnnxRange {
    const range = this.#ranges.get(tensor);
    if (!range || ![...range.least, ...range.greatest].every(Number.isFinite)) {
      throw new RangeError(`the range of the tensor '${tensor}' is not known`);
    }
    const least = range.least.map((low) => low - MARGIN * Math.abs(low));
    return { least, greatest: range.greatest.map((high) => high + MARGIN * Math.abs(high)) };
  }

  #node(operator: string, inputs: readonly string[], output: string, attributes?: OnnxNode['attributes']): string {
    this.nodes.push({ operator, inputs, outputs: [output], ...(attributes && { attributes }) });
    return output;
  }

  #ints(name: string, values: readonly number[]): string {
    this.initializers.push({ name, shape: [values.length], data: BigInt64Array.from(values, BigInt) });
    return name;
  }

  /** A number for each channel, followed by so many dimensions of 1. */
  #byChannel(name: string, values: readonly number[], ones = 0): string {
    this.initializers.push({ name, shape: [values.length, ...Array(ones).fill(1)], data: Float32Array.from(values) });
    return name;
  }

  /** A number without dimensions. */
  #constant(name: string, data: OnnxData): string {
    this.initializers.push({ name, shape: [], data });
    return name;
  }
}
