// Half precision: which parts of a graph compute in 16 bits, and weights stored in 16 bits everywhere.
import type { TensorData } from '../dtype.js';
import { tensor } from '../tensor.js';
import { type Graph, type GraphNode, GraphValue, mapValues } from './graph.js';
import { TraceError } from './recording.js';

/** Constants with fewer elements stay in float32 where the computation is in float32: they weigh nothing. */
const WORTH_STORING_IN_HALF = 256;

const CAST = 'aten::to.device';

/**
 * The graph with float16 in place of float32 for the results of the nodes that `inHalf` chooses. Inputs and outputs of the
 * graph stay float32. All larger constants are stored in float16, also those of the other nodes.
 */
export function computeInHalf(graph: Graph, inHalf: (node: GraphNode) => boolean): Graph {
  const pass = new HalfPass();
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

  add(node: GraphNode, inHalf: boolean, nodes: GraphNode[]): void {
    const outputs = node.outputs.map((value) => {
      const half = inHalf && value.dtype === 'float32';
      const now = half ? new GraphValue(value.shape, 'float16') : value;
      this.#now.set(value, now);
      return now;
    });
    const convert = (value: GraphValue): GraphValue =>
      inHalf ? this.#inHalf(value, node.module, nodes) : this.inFloat(value, node.module, nodes);
    nodes.push({ ...node, arguments: mapValues(node.arguments, convert), outputs });
  }

  /** The value, in float32 if it has become float16. */
  inFloat(old: GraphValue, module: GraphNode['module'], nodes: GraphNode[]): GraphValue {
    const value = this.#now.get(old) ?? old;
    const stored = value.dtype === 'float32' && value.data && value.data.length >= WORTH_STORING_IN_HALF;
    if (stored) return this.#cast(this.#storedInHalf(value), 'float32', module, nodes);
    return value.dtype === 'float16' ? this.#cast(value, 'float32', module, nodes) : value;
  }

  #inHalf(old: GraphValue, module: GraphNode['module'], nodes: GraphNode[]): GraphValue {
    const value = this.#now.get(old) ?? old;
    if (value.dtype !== 'float32') return value;
    return value.data ? this.#storedInHalf(value) : this.#cast(value, 'float16', module, nodes);
  }

  #cast(value: GraphValue, dtype: 'float16' | 'float32', module: GraphNode['module'], nodes: GraphNode[]): GraphValue {
    let converted = this.#casts.get(value);
    if (!converted) {
      converted = new GraphValue(value.shape, dtype);
      nodes.push({ operator: CAST, arguments: [value], outputs: [converted], module });
      this.#casts.set(value, converted);
    }
    return converted;
  }

  readonly #stored = new Map<GraphValue, GraphValue>();

  /** A constant's elements rounded to float16. */
  #storedInHalf(value: GraphValue): GraphValue {
    let stored = this.#stored.get(value);
    if (!stored) {
      stored = new GraphValue(value.shape, 'float16', halves(value), value.name);
      this.#stored.set(value, stored);
    }
    return stored;
  }
}

function halves({ data, shape, name }: GraphValue): TensorData {
  using exact = tensor(data!, { shape: shape as number[] });
  using rounded = exact.to({ dtype: 'float16' });
  using finite = rounded.isFinite().all();
  if (finite.item() === 0) throw new TraceError(`${name ?? 'a constant'} has values that float16 cannot hold`);
  return rounded.toTypedArray();
}
