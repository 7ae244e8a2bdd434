// Reading an operator's arguments, each as the type that its schema declares.
import { type GraphArgument, GraphValue, isList, isSize } from '../graph.js';
import { TraceError } from '../recording.js';
import type { Size } from '../size.js';

const wrong = (expected: string): TraceError => new TraceError(`takes only ${expected} here`);

export function value(arg: GraphArgument): GraphValue {
  if (arg instanceof GraphValue) return arg;
  throw wrong('a tensor');
}

export function values(arg: GraphArgument): GraphValue[] {
  if (arg !== undefined && isList(arg)) return arg.map(value);
  throw wrong('a list of tensors');
}

export const optionalValue = (arg: GraphArgument): GraphValue | null => (arg instanceof GraphValue ? arg : null);

/** A number that may follow from free dimensions. */
export function size(arg: GraphArgument, fallback?: Size): Size {
  if (isSize(arg)) return arg;
  if (arg == null && fallback !== undefined) return fallback;
  throw wrong('a number');
}

export function sizes(arg: GraphArgument): Size[] {
  if (arg !== undefined && isList(arg)) return arg.map((entry) => size(entry));
  throw wrong('a list of numbers');
}

/** A number that is the same at all sizes. */
export function number(arg: GraphArgument, fallback?: number): number {
  const found = arg == null ? fallback : arg;
  if (typeof found === 'number') return found;
  throw wrong('a number that does not depend on free dimensions');
}

export function numbers(arg: GraphArgument, fallback?: readonly number[]): number[] {
  if (arg == null && fallback) return [...fallback];
  return sizes(arg).map((entry) => number(entry));
}

export function flag(arg: GraphArgument, fallback: boolean): boolean {
  return typeof arg === 'boolean' ? arg : fallback;
}

/** Numbers for height and width: a list of two, or one for both; `fallback` where none are given. */
export function pair(arg: GraphArgument, fallback: number | readonly [number, number]): [number, number] {
  const list = arg == null ? fallback : typeof arg === 'number' ? arg : numbers(arg);
  const [height, width] =
    typeof list === 'number' ? [list, list] : list.length === 0 ? [fallback, fallback].flat() : list;
  return [height!, width ?? height!];
}

/** A dimension counted from 0; negative ones count from the end. */
export function axis(arg: GraphArgument, rank: number, fallback?: number): number {
  const found = number(arg, fallback);
  return found < 0 ? found + rank : found;
}

/** Refuses what a lowering does not do. */
export function require(condition: boolean, what: string): asserts condition {
  if (!condition) throw wrong(what);
}
