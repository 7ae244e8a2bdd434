// Half precision: which parts of a graph compute in 16 bits.
import type { TensorData } from '../dtype.js';
import { tensor } from '../tensor.js';
import { type Graph, type GraphNode, GraphValue, mapValues, valuesIn } from './graph.js';
import { type ModulePlace, TraceError } from './recording.js';

const CAST = 'aten::to.device';

/** Adds a conversion of a value to a graph's nodes and returns its result. */
export function addCast(
  value: GraphValue,
  dtype: 'float16' | 'float32',
  module: ModulePlace,
  nodes: GraphNode[],
): GraphValue {
  const converted = new GraphValue(value.shape, dtype);
  nodes.push({ operator: CAST, arguments: [value], outputs: [converted], module });
  return converted;
}

/** A constant's elements rounded to float16. @throws TraceError if there are some that float16 cannot hold */
export function halves({ data, shape, name }: GraphValue): TensorData {
  using exact = tensor(data!, { shape: shape as number[] });
  using rounded = exact.to({ dtype: 'float16' });
  using finite = rounded.isFinite().all();
  if (finite.item() === 0) throw new TraceError(`${name ?? 'a constant'} has values that float16 cannot hold`);
  return rounded.toTypedArray();
}

/**
 * The graph with float16 in place of float32 for the results of the nodes that `inHalf` chooses. Inputs and outputs of the
 * graph stay float32, and so does what is computed from constants alone until it meets one of these nodes. Constants that
 * have names keep their type and are converted; others are rounded.
 */
export function computeInHalf(graph: Graph, inHalf: (node: GraphNode) => boolean): Graph {
  const pass = new HalfPass(graph);
  const nodes: GraphNode[] = [];
  for (const node of graph.nodes) pass.add(node, inHalf(node), nodes);
  const outputs = [...graph.outputs].map(([name, value]) => {
    const place = { path: '', kind: 'outputs' };
    return [name, pass.inFloat(value, place, nodes)] as const;
  });
  return { ...graph, nodes, outputs: new Map(outputs) };
}

class HalfPass {
  /** What each value of the old graph has become. */
  readonly #now = new Map<GraphValue, GraphValue>();
  /** Values in the other type, once they were asked for. */
  readonly #casts = new Map<GraphValue, GraphValue>();
  /** Values that follow from the graph's inputs. */
  readonly #moving: Set<GraphValue>;

  constructor({ inputs }: Graph) {
    this.#moving = new Set(inputs.values());
  }

  add(node: GraphNode, inHalf: boolean, nodes: GraphNode[]): void {
    const moves = valuesIn(node.arguments).some((value) => this.#moving.has(value));
    if (moves) for (const value of node.outputs) this.#moving.add(value);
    const changes = inHalf && moves;
    const outputs = node.outputs.map((value) => {
      const half = changes && value.dtype === 'float32';
      const now = half ? new GraphValue(value.shape, 'float16') : value;
      this.#now.set(value, now);
      return now;
    });
    const convert = (value: GraphValue): GraphValue =>
      changes ? this.#inHalf(value, node.module, nodes) : this.inFloat(value, node.module, nodes);
    nodes.push({ ...node, arguments: mapValues(node.arguments, convert), outputs });
  }

  /** The value, in float32 if it has become float16. */
  inFloat(old: GraphValue, module: ModulePlace, nodes: GraphNode[]): GraphValue {
    const value = this.#now.get(old) ?? old;
    return value.dtype === 'float16' ? this.#converted(value, 'float32', module, nodes) : value;
  }

  #inHalf(old: GraphValue, module: ModulePlace, nodes: GraphNode[]): GraphValue {
    const value = this.#now.get(old) ?? old;
    return value.dtype === 'float32' ? this.#converted(value, 'float16', module, nodes) : value;
  }

  #converted(value: GraphValue, dtype: 'float16' | 'float32', module: ModulePlace, nodes: GraphNode[]): GraphValue {
    let converted = this.#casts.get(value);
    if (!converted) {
      const rounded = dtype === 'float16' && value.data && value.name === undefined;
      converted = rounded ? new GraphValue(value.shape, dtype, halves(value)) : addCast(value, dtype, module, nodes);
      this.#casts.set(value, converted);
    }
    return converted;
  }
}
