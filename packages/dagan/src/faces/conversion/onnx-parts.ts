// Nodes and constants of an ONNX graph that is being put together.
import type { OnnxAttribute, OnnxData, OnnxModel, OnnxNode } from './onnx-writer.js';

export class OnnxParts {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxModel['initializers'][number][] = [];
  #helpers = 0;

  /** Adds an operation whose result has a given name. */
  node(operator: string, inputs: string[], output: string, attributes?: OnnxNode['attributes']): void {
    this.nodes.push({ operator, inputs, outputs: [output], attributes });
  }

  /** Adds an operation and returns the name of its result. */
  op(operator: string, inputs: string[], attributes?: Record<string, OnnxAttribute>): string {
    const output = `helper-${this.#helpers++}`;
    this.node(operator, inputs, output, attributes);
    return output;
  }

  /** Adds a constant and returns its name. */
  constant(shape: readonly number[], data: OnnxData): string {
    const name = `constant-${this.initializers.length}`;
    this.initializers.push({ name, shape, data });
    return name;
  }

  /** A list of whole numbers as a constant. */
  integers(values: readonly number[]): string {
    return this.constant([values.length], BigInt64Array.from(values, BigInt));
  }
}
