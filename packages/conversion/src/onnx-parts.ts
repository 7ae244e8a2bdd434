// Nodes and constants of an ONNX graph that is being put together.
import {
  ONNX_TYPES,
  type OnnxAttribute,
  type OnnxData,
  type OnnxInitializer,
  type OnnxNode,
} from '@dagan/libtorch/onnx';
import { narrow } from './half-precision.js';

/** Shorter constants are stored as they are: the operation that widens one takes more bytes than it saves. */
const WORTH_NARROWING = 128;

export class OnnxParts {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
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

  /**
   * Adds a constant and returns its name. Numbers that half precision holds exactly, as most weights were published, are
   * stored so and widened when the model is loaded: the same results from half the bytes.
   */
  constant(shape: readonly number[], data: OnnxData, name = `constant-${this.initializers.length}`): string {
    const halves = data instanceof Float32Array && data.length >= WORTH_NARROWING ? narrow(data) : undefined;
    if (!halves) {
      this.initializers.push({ name, shape, data });
      return name;
    }
    const stored = `${name}/float16`;
    this.initializers.push({ name: stored, shape, data: halves });
    this.node('Cast', [stored], name, { to: { int: ONNX_TYPES.float32 } });
    return name;
  }

  /** A list of whole numbers as a constant. */
  integers(values: readonly number[]): string {
    return this.constant([values.length], BigInt64Array.from(values, BigInt));
  }
}
