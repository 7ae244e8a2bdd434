// Weights outside of the graph: a graph whose named constants are those of a file that stands beside it.
import type { TensorRecord } from '../checkpoint/checkpoint.js';
import { type Graph, type GraphNode, GraphValue, mapValues } from './graph.js';
import { addCast, halves } from './half.js';
import { TraceError } from './recording.js';

/**
 * The graph with its named constants in the types in which a file holds tensors of these names: where the file has float16
 * for float32, they are widened in front of the first computation.
 *
 * @throws TraceError if a tensor of the file is no constant of that name, by shape or type
 */
export function storedAs(graph: Graph, records: ReadonlyMap<string, TensorRecord>): Graph {
  const widened = new Map<GraphValue, GraphValue>();
  const nodes: GraphNode[] = [];
  const stored = (value: GraphValue, module: GraphNode['module']): GraphValue => {
    const record = value.data && value.name !== undefined ? records.get(value.name) : undefined;
    if (!record) return value;
    if (record.shape.join() !== value.shape.join()) {
      throw new TraceError(
        `${value.name} is [${value.shape.join(', ')}] and cannot be taken from a file that holds [${record.shape.join(', ')}]`,
      );
    }
    if (record.dtype === value.dtype) return value;
    if (record.dtype !== 'float16' || value.dtype !== 'float32') {
      throw new TraceError(
        `${value.name} is ${value.dtype} and cannot be taken from a file that holds ${record.dtype}`,
      );
    }
    const known = widened.get(value);
    if (known) return known;
    const half = new GraphValue(value.shape, 'float16', halves(value), value.name);
    const exact = addCast(half, 'float32', module, nodes);
    widened.set(value, exact);
    return exact;
  };
  for (const node of graph.nodes) {
    const args = mapValues(node.arguments, (value) => stored(value, node.module));
    nodes.push({ ...node, arguments: args });
  }
  const outputs = [...graph.outputs].map(
    ([name, value]) => [name, stored(value, { path: '', kind: 'outputs' })] as const,
  );
  return { ...graph, nodes, outputs: new Map(outputs) };
}
