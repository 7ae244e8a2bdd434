// The operator door: any ATen operator, by the name that LibTorch's dispatcher knows.
import { addon, type Handle, type NativeOperator, type NativeValue } from './native.js';
import { Tensor, tensorOf } from './tensor.js';

/** What an operator accepts. Dtypes, memory formats, layouts and devices go by their names. */
export type Argument = Tensor | number | bigint | boolean | string | null | undefined | readonly Argument[];

/** What an operator returns; several results come as an array. */
export type Result = Tensor | number | boolean | string | null | Result[];

const operators = new Map<string, NativeOperator>();

function lookup(name: string): NativeOperator {
  let operator = operators.get(name);
  if (!operator) {
    operator = addon().lookup(name);
    operators.set(name, operator);
  }
  return operator;
}

function toNative(value: Argument): NativeValue {
  if (value instanceof Tensor) return value.handle;
  if (Array.isArray(value)) return value.map(toNative);
  return value as NativeValue;
}

/** A handle that went in comes back as the Tensor that brought it (operators that work in place). */
function fromNative(value: NativeValue, args: readonly Argument[]): Result {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return value.map((entry) => fromNative(entry, args));
  if (typeof value !== 'object') return value as Result;
  const given = args.find((arg) => arg instanceof Tensor && !arg.disposed && arg.handle === value);
  return given instanceof Tensor ? given : tensorOf(value as Handle);
}

/** Stands at the operator door while a network is recorded. */
export type CallObserver = {
  /** What to return without running the operator; undefined to run it. */
  instead(name: string, args: readonly Argument[]): Tensor | undefined;
  /** Is told of every call that succeeded: the operator, its schema, its arguments by position, what came back. */
  called(name: string, schema: string, args: readonly Argument[], result: Result): void;
};

let observer: CallObserver | null = null;

/** Runs `body` under the eyes of `next`, and of nobody else; null for nobody at all. */
export function observeCalls<T>(next: CallObserver | null, body: () => T): T {
  const before = observer;
  observer = next;
  try {
    return body();
  } finally {
    observer = before;
  }
}

/** Whether calls are being recorded, for code whose fastest form on LibTorch is not the one to record. */
export function isTracing(): boolean {
  return observer !== null;
}

/**
 * Names of all operators that `call` takes. LibTorch has more: those that are internal to it, that are derivatives of
 * others, or that are known to crash on wrong arguments are not offered.
 */
export function operatorNames(): string[] {
  return addon().operatorNames();
}

/**
 * Runs an operator, such as `call('aten::add.Tensor', [a, b, 2])`. Positions follow the schema; `undefined` and what is
 * left out at the end take the schema's defaults; `named` gives arguments by the schema's names.
 *
 * @throws TypeError if an argument has the wrong type or has been disposed; Error, naming the operator, the shapes and
 * the dtypes, if LibTorch refuses.
 */
export function call(name: string, args: readonly Argument[], named: Readonly<Record<string, Argument>> = {}): Result {
  const operator = lookup(name);
  const values = [...args];
  for (const [key, value] of Object.entries(named)) {
    const position = operator.arguments.indexOf(key);
    if (position < 0) throw new TypeError(`${name}: has no argument '${key}' (${operator.schema})`);
    if (values[position] !== undefined) throw new TypeError(`${name}: argument '${key}' is given twice`);
    values[position] = value;
  }
  const result =
    observer?.instead(name, values) ?? fromNative(addon().call(operator.index, Array.from(values, toNative)), values);
  observer?.called(name, operator.schema, values, result);
  return result;
}

/** Runs an operator that returns one tensor. */
export function run(name: string, args: readonly Argument[], named?: Readonly<Record<string, Argument>>): Tensor {
  const result = call(name, args, named);
  if (!(result instanceof Tensor)) throw new TypeError(`${name}: does not return one tensor`);
  return result;
}

/** Runs an operator that returns several tensors, or a list of them. */
export function runMany(name: string, args: readonly Argument[], named?: Readonly<Record<string, Argument>>): Tensor[] {
  const result = call(name, args, named);
  if (!Array.isArray(result)) throw new TypeError(`${name}: does not return several tensors`);
  return result as Tensor[];
}

/** The schema of an operator in LibTorch's notation. Throws if there is no such operator. */
export function schemaOf(name: string): string {
  return lookup(name).schema;
}
