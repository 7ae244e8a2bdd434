// From forward passes to a graph: the passes at several sizes are laid on top of each other, so that what differs between
// them can be told as a function of the sizes.
import { noGrad } from '../autograd.js';
import type { TensorData } from '../dtype.js';
import type { Module } from '../nn/module.js';
import { tidy } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { type Graph, type GraphArgument, type GraphNode, GraphValue } from './graph.js';
import {
  describePlace,
  disposeRecording,
  type Preparation,
  type RecordedArgument,
  type RecordedNode,
  type Recording,
  record,
  referencesIn,
  TraceError,
  ValueReference,
} from './recording.js';
import { cornerOf, evaluated, type FreeDimension, interpolate, type Size } from './size.js';

export type TraceOptions = {
  /** Dimensions that may have any size when the graph is used, each with two sizes to try; none if not given. */
  dimensions?: readonly FreeDimension[];
  /** Modules that run in the body, so that errors can say where an operator ran and constants get names. */
  modules?: Module;
  /**
   * What was done to the tensors of the modules before (`recordPreparation`). Then the graph holds these tensors as they
   * were, under their names, and computes all that follows from them: what runs the graph folds it when it loads it.
   */
  preparation?: Preparation;
};

/** What is traced: tensors by name from sizes of the free dimensions, and a function of them. */
export type Traceable = {
  inputs: (sizes: Readonly<Record<string, number>>) => Record<string, Tensor>;
  body: (inputs: Readonly<Record<string, Tensor>>) => Record<string, Tensor>;
};

/**
 * Records a function of tensors as a graph.
 *
 * What does not depend on the inputs is captured: parameters by reference to their values now, and everything that is
 * computed from them alone is computed once, unless a `preparation` is given. Numbers, also those read off shapes, are constants unless they change with a
 * free dimension; then they must be a sum of products of dimensions (as `height*width/16` is), which is found out by
 * running the function at all combinations of the sizes to try, and checked beyond them. The function must run the same
 * operators at all sizes, and must not look into tensors that depend on its inputs.
 *
 * @throws TraceError naming operator and module, where that does not hold
 */
export function trace(
  { inputs, body }: Traceable,
  { dimensions = [], preparation, modules = preparation?.modules }: TraceOptions = {},
): Graph {
  const recordAt = (sizes: Record<string, number>): Recording =>
    noGrad(() =>
      tidy(() => {
        const given = inputs(sizes);
        return record(given, () => body(given), modules, preparation);
      }),
    );
  const recordings: Recording[] = [];
  try {
    const corners = Array.from({ length: 2 ** dimensions.length }, (_, corner) => cornerOf(dimensions, corner));
    const checks = dimensions.map(({ name, low, high }) => ({ ...corners[0]!, [name]: 2 * high - low }));
    for (const sizes of [...corners, ...checks]) recordings.push(recordAt(sizes));
    return new Unification(recordings, dimensions, checks, preparation !== undefined).graph();
  } finally {
    for (const recording of recordings) disposeRecording(recording, preparation);
  }
}

class Unification {
  readonly #first: Recording;
  readonly #values: GraphValue[] = [];
  readonly #all: readonly Recording[];
  readonly #dimensions: readonly FreeDimension[];
  readonly #checks: readonly Record<string, number>[];
  readonly #keepsModules: boolean;

  /**
   * @param all passes at the corners of the dimensions' box, then those of `checks`
   * @param checks sizes at which numbers must be what the corners predict: beyond the box in one dimension each
   * @param keepsModules whether what follows from the tensors of modules stays a computation
   */
  constructor(
    all: readonly Recording[],
    dimensions: readonly FreeDimension[],
    checks: readonly Record<string, number>[],
    keepsModules: boolean,
  ) {
    this.#all = all;
    this.#dimensions = dimensions;
    this.#checks = checks;
    this.#keepsModules = keepsModules;
    this.#first = all[0]!;
  }

  graph(): Graph {
    const { nodes, values, inputs, outputs } = this.#first;
    this.#requireSameNodes();
    const makers = new Map(nodes.flatMap((node) => node.outputs.map((index) => [index, node] as const)));
    const folded = this.#foldable(makers);
    const needed = new Set(outputs.values());
    const kept: [number, RecordedNode][] = [];
    for (const [position, node] of [...nodes.entries()].reverse()) {
      if (!node.outputs.some((index) => needed.has(index) && !folded.has(index))) continue;
      for (const { index } of referencesIn(node.arguments)) needed.add(index);
      kept.push([position, node]);
    }
    kept.reverse();
    for (const [index, value] of values.entries()) {
      const place = makers.get(index);
      const shape = value.shape.map((_, axis) =>
        this.#size((recording) => recording.values[index]!.shape[axis]!, place),
      );
      const constant = needed.has(index) && (folded.has(index) || (!value.depends && !place));
      this.#values.push(new GraphValue(shape, value.dtype, constant ? this.#data(index) : undefined, value.name));
    }
    const named = (places: ReadonlyMap<string, number>) =>
      new Map([...places].map(([name, index]) => [name, this.#values[index]!]));
    return {
      dimensions: this.#dimensions,
      inputs: named(inputs),
      outputs: named(outputs),
      nodes: kept.map(([position, node]) => this.#node(position, node)),
    };
  }

  /** The passes must differ in numbers alone. */
  #requireSameNodes(): void {
    for (const [i, node] of this.#first.nodes.entries()) {
      for (const other of this.#all.slice(1)) {
        const same = other.nodes[i];
        const equal = same?.operator === node.operator && wiring(same) === wiring(node);
        if (!equal) throw differentNodes(node, same);
      }
    }
    const longer = this.#all.find(({ nodes }) => nodes.length > this.#first.nodes.length);
    if (longer) throw differentNodes(longer.nodes[this.#first.nodes.length]!, undefined);
  }

  /** Results that are the same in every pass, because neither inputs nor free dimensions go into them. */
  #foldable(makers: ReadonlyMap<number, RecordedNode>): Set<number> {
    const found = new Set<number>();
    for (const [position, node] of this.#first.nodes.entries()) {
      const fixed = node.outputs.every((index) => {
        const { depends, ofModules } = this.#first.values[index]!;
        return !depends && !(ofModules && this.#keepsModules);
      });
      const constant = referencesIn(node.arguments).every(({ index }) => found.has(index) || !makers.has(index));
      const numbers = new Set(this.#all.map(({ nodes }) => JSON.stringify(nodes[position]!.arguments)));
      if (fixed && constant && numbers.size === 1) for (const index of node.outputs) found.add(index);
    }
    return found;
  }

  /** The elements of a captured tensor, which must be the same in all passes. */
  #data(index: number): TensorData {
    const { tensor, name } = this.#first.values[index]!;
    const data = tensor!.toTypedArray();
    if (name !== undefined) return data;
    for (const { values } of this.#all.slice(1)) {
      const other = values[index]!;
      if (sameBytes(data, other.tensor!.toTypedArray())) continue;
      throw new TraceError(
        `a tensor of shape [${other.shape}] is made outside of operators and differs between passes, so it cannot be recorded`,
      );
    }
    return data;
  }

  #node(position: number, node: RecordedNode): GraphNode {
    const others = this.#all.map(({ nodes }) => nodes[position]!.arguments);
    return {
      operator: node.operator,
      arguments: node.arguments.map((_, i) =>
        this.#argument(
          others.map((args) => args[i]),
          node,
        ),
      ),
      outputs: node.outputs.map((index) => this.#values[index]!),
      module: node.module,
    };
  }

  /** One argument from what it was in all passes. */
  #argument(versions: readonly RecordedArgument[], node: RecordedNode): GraphArgument {
    const [first] = versions;
    if (first instanceof ValueReference) return this.#values[first.index]!;
    if (Array.isArray(first)) {
      const lists = versions as readonly (readonly RecordedArgument[])[];
      return first.map((_, i) =>
        this.#argument(
          lists.map((list) => list[i]),
          node,
        ),
      );
    }
    if (typeof first === 'number') return this.#number(versions as readonly number[], node);
    return first as boolean | string | null | undefined;
  }

  #size(sizeIn: (recording: Recording) => number, node: RecordedNode | undefined): Size {
    return this.#number(this.#all.map(sizeIn), node);
  }

  /** A number as a function of the free dimensions. @param versions at the corners, then in the check */
  #number(versions: readonly number[], node: RecordedNode | undefined): Size {
    const where = node ? `${node.operator}, run in ${describePlace(node.module)},` : 'an input';
    if (versions.every((version) => version === versions[0])) return versions[0]!;
    const corners = versions.length - this.#checks.length;
    const size = versions.every(Number.isInteger)
      ? interpolate(this.#dimensions, versions.slice(0, corners))
      : undefined;
    const holds = this.#checks.every(
      (sizes, i) => size !== undefined && evaluated(size, sizes) === versions[corners + i],
    );
    if (size === undefined || !holds) {
      throw new TraceError(
        `${where} has a number that is no sum of products of the free dimensions: ${versions.join(', ')}`,
      );
    }
    return size;
  }
}

function differentNodes(node: RecordedNode, other: RecordedNode | undefined): TraceError {
  const instead = other ? `${other.operator} in ${describePlace(other.module)}` : 'nothing';
  return new TraceError(
    `what runs depends on the sizes: ${node.operator} in ${describePlace(node.module)} at one size, ${instead} at another`,
  );
}

/** What a node's arguments and results are, without the numbers. */
function wiring({ arguments: args, outputs }: RecordedNode): string {
  const shape = (arg: RecordedArgument): unknown => {
    if (arg instanceof ValueReference) return arg;
    if (Array.isArray(arg)) return arg.map(shape);
    return typeof arg === 'number' ? 'number' : arg;
  };
  return JSON.stringify([args.map(shape), outputs]);
}

function sameBytes(a: TensorData, b: TensorData): boolean {
  const bytes = ({ buffer, byteOffset, byteLength }: TensorData) => Buffer.from(buffer, byteOffset, byteLength);
  return bytes(a).equals(bytes(b));
}
