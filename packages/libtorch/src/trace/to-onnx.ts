// From a graph of ATen operators to an ONNX model, by a table with one function per operator.
import type { OnnxExternalData, OnnxModel, OnnxNode, OnnxValue } from '../onnx/writer.js';
import { type Graph, type GraphNode, type GraphValue, valuesIn } from './graph.js';
import { type DimensionSource, type Lowering, OnnxBuilder, onnxType } from './lowering/builder.js';
import { ELEMENTWISE } from './lowering/elementwise.js';
import { PICTURES } from './lowering/pictures.js';
import { SHAPES } from './lowering/shapes.js';
import { describePlace, TraceError } from './recording.js';
import { FreeSize, ratio, type Size } from './size.js';

/** Version of the ONNX operators that the table writes. */
const OPSET = 17;

const LOWERINGS: ReadonlyMap<string, Lowering> = new Map(Object.entries({ ...ELEMENTWISE, ...SHAPES, ...PICTURES }));

/** ATen operators that have a form in ONNX here. */
export function exportableOperators(): string[] {
  return [...LOWERINGS.keys()].sort();
}

export type OnnxOptions = {
  name?: string;
  /** Where named constants lie in a file beside the model's; small ones are in the model all the same. */
  external?: ReadonlyMap<string, OnnxExternalData>;
};

/**
 * The ONNX model of a graph. Inputs that nothing depends on are left out; what is computed twice is computed once, what
 * is not needed not at all. Free dimensions get names that tell their size, such as 'height/4'.
 *
 * @throws TraceError naming operator and module where an operator has no form in ONNX
 */
export function toOnnx(graph: Graph, { name = 'network', external = new Map() }: OnnxOptions = {}): OnnxModel {
  const used = new Set([...graph.nodes.flatMap((node) => valuesIn(node.arguments)), ...graph.outputs.values()]);
  const inputs = [...graph.inputs].filter(([, value]) => used.has(value));
  const reserved = [...graph.inputs.keys(), ...graph.outputs.keys()];
  const builder = new OnnxBuilder(dimensionSources(graph, inputs), reserved, external);
  for (const [inputName, value] of inputs) builder.define(value, inputName);
  for (const node of graph.nodes) lower(builder, node);
  for (const [outputName, value] of graph.outputs) {
    builder.nodes.push({ operator: 'Identity', inputs: [builder.name(value)], outputs: [outputName] });
  }
  const nodes = withoutIdentities(
    needed(builder.nodes, [...graph.outputs.keys()]),
    inputs.map(([inputName]) => inputName),
  );
  const read = new Set(nodes.flatMap((node) => node.inputs));
  const describe = ([valueName, { shape, dtype }]: readonly [string, GraphValue]): OnnxValue => ({
    name: valueName,
    shape: shape.map((size) => (typeof size === 'number' ? size : `${size}`)),
    type: onnxType(dtype),
  });
  return {
    name,
    opset: OPSET,
    inputs: inputs.filter(([inputName]) => read.has(inputName)).map(describe),
    outputs: [...graph.outputs].map(describe),
    initializers: builder.initializers.filter((constant) => read.has(constant.name)),
    nodes,
  };
}

function lower(builder: OnnxBuilder, { operator, arguments: args, outputs, module }: GraphNode): void {
  const where = `${operator}, run in ${describePlace(module)},`;
  const lowering = LOWERINGS.get(operator);
  if (!lowering) throw new TraceError(`${where} has no form in ONNX yet; add one to the table of lowerings`);
  builder.place = module;
  try {
    const results = [lowering(builder, args, outputs)].flat();
    for (const [i, value] of outputs.entries()) builder.define(value, results[i]!);
  } catch (error) {
    if (error instanceof TraceError) throw new TraceError(`${where} ${error.message}`);
    throw error;
  }
}

/** Where each free dimension can be read at run time. */
function dimensionSources(
  { dimensions }: Graph,
  inputs: readonly (readonly [string, GraphValue])[],
): Map<string, DimensionSource> {
  const places = inputs.flatMap(([input, { shape }]) => shape.map((size, axis) => ({ input, axis, size })));
  const sources = new Map<string, DimensionSource>();
  for (const { name } of dimensions) {
    const itself: Size = FreeSize.of([[name, 1]], 1);
    for (const { input, axis, size } of places) {
      const factor = ratio(size, itself);
      if (factor === null || sources.has(name)) continue;
      if (Number.isInteger(factor) || Number.isInteger(1 / factor)) sources.set(name, { input, axis, factor });
    }
  }
  return sources;
}

/** The nodes that lead to what is wanted. */
function needed(nodes: readonly OnnxNode[], wanted: readonly string[]): OnnxNode[] {
  const names = new Set(wanted);
  const found: OnnxNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.outputs.some((name) => names.has(name))) continue;
    for (const name of node.inputs) names.add(name);
    found.push(node);
  }
  return found.reverse();
}

/** Gives results their outputs' names directly, where a node makes them and no other output has them. */
function withoutIdentities(nodes: readonly OnnxNode[], inputs: readonly string[]): OnnxNode[] {
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  const kept = nodes.filter(({ operator, inputs: [from], outputs: [to] }) => {
    if (operator !== 'Identity' || !made.has(from!) || inputs.includes(from!) || renamed.has(from!)) return true;
    renamed.set(from!, to!);
    return false;
  });
  const rename = (name: string): string => renamed.get(name) ?? name;
  return kept.map((node) => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }));
}
