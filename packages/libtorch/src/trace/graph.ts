// A recorded network: operators on values whose sizes may depend on free dimensions.
import type { DType, TensorData } from '../dtype.js';
import type { ModulePlace } from './recording.js';
import { type FreeDimension, FreeSize, type Size } from './size.js';

/** A tensor of the graph: an input, a constant, or a node's result. */
export class GraphValue {
  constructor(
    readonly shape: readonly Size[],
    readonly dtype: DType,
    /** Elements of a constant, in row-major order. */
    readonly data?: TensorData,
    /** What the modules call it. */
    readonly name?: string,
  ) {}
}

/** An argument of an operator by its position in the schema; what is missing at the end takes the schema's default. */
export type GraphArgument = GraphValue | Size | boolean | string | null | undefined | readonly GraphArgument[];

export type GraphNode = {
  /** As LibTorch's dispatcher knows it: 'aten::add.Tensor'. */
  operator: string;
  arguments: readonly GraphArgument[];
  outputs: readonly GraphValue[];
  module: ModulePlace;
};

export type Graph = {
  dimensions: readonly FreeDimension[];
  inputs: ReadonlyMap<string, GraphValue>;
  outputs: ReadonlyMap<string, GraphValue>;
  /** In an order in which they can be computed. */
  nodes: readonly GraphNode[];
};

/** All values among arguments. */
export function valuesIn(args: readonly GraphArgument[]): GraphValue[] {
  return args.flatMap((arg) => {
    if (arg instanceof GraphValue) return [arg];
    return isList(arg) ? valuesIn(arg) : [];
  });
}

/** The arguments with every value replaced by what `replace` gives for it. */
export function mapValues(args: readonly GraphArgument[], replace: (value: GraphValue) => GraphValue): GraphArgument[] {
  return args.map((arg) => {
    if (arg instanceof GraphValue) return replace(arg);
    return isList(arg) ? mapValues(arg, replace) : arg;
  });
}

export const isList = (arg: GraphArgument): arg is readonly GraphArgument[] => Array.isArray(arg);

export const isSize = (arg: GraphArgument): arg is Size => typeof arg === 'number' || arg instanceof FreeSize;
