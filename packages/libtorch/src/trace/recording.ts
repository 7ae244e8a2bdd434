// One forward pass, recorded at the operator door: which operator ran on which tensors, in which module.

import { zeros } from '../creation.js';
import type { DType } from '../dtype.js';
import { Module } from '../nn/module.js';
import { type Argument, type CallObserver, observeCalls, type Result, run } from '../operator.js';
import { keep } from '../scope.js';
import { Tensor } from '../tensor.js';
import { costlyResult } from './costly.js';

/** Something cannot be recorded or has no form in ONNX. The message names the operator and the module it ran in. */
export class TraceError extends Error {
  override readonly name = 'TraceError';
}

/** Place of a tensor among the values of a recording. */
export class ValueReference {
  constructor(readonly index: number) {}
}

/** An argument as it was given, with tensors by reference. */
export type RecordedArgument =
  | ValueReference
  | number
  | boolean
  | string
  | null
  | undefined
  | readonly RecordedArgument[];

export type RecordedNode = {
  operator: string;
  arguments: readonly RecordedArgument[];
  outputs: readonly number[];
  /** Path and class of the module whose method made the call. */
  module: ModulePlace;
};

/** Where in the tree of modules something happened: "generator.decoder", "ResidualDecoder". */
export type ModulePlace = { path: string; kind: string };

export type RecordedValue = {
  shape: readonly number[];
  dtype: DType;
  /** Whether it follows from the inputs; else it is the same in every pass with these sizes. */
  depends: boolean;
  /** Name of an input, or of a parameter or buffer of the modules. */
  name?: string;
  /** The elements of what does not depend on the inputs, where they were asked for. */
  tensor?: Tensor;
};

export type Recording = {
  values: readonly RecordedValue[];
  nodes: readonly RecordedNode[];
  inputs: ReadonlyMap<string, number>;
  outputs: ReadonlyMap<string, number>;
};

/** An operator that changes an argument has a mark like `(a!)` at it. */
const CHANGES_ARGUMENT = /\([a-z]!/;

/**
 * Runs `body` on inputs by name and records what it does. Its outputs must come from operators. Convolutions and matrix
 * products of what depends on the inputs are not computed: nothing of a recording depends on their values.
 *
 * @param modules whose methods tell where a call was made, and whose tensors have names
 * @throws TraceError if an operator changes a tensor in place
 */
export function record(
  inputs: Readonly<Record<string, Tensor>>,
  body: () => Readonly<Record<string, Tensor>>,
  modules: Module | undefined,
): Recording {
  const recorder = new Recorder(modules);
  for (const [name, tensor] of Object.entries(inputs)) recorder.input(name, tensor);
  return recorder.run(body);
}

/** Frees the tensors that a recording holds. */
export function disposeRecording({ values }: Recording): void {
  for (const { tensor } of values) tensor?.dispose();
}

class Recorder implements CallObserver {
  readonly #values: RecordedValue[] = [];
  readonly #nodes: RecordedNode[] = [];
  readonly #inputs = new Map<string, number>();
  readonly #indices = new Map<Tensor, number>();
  readonly #names: ReadonlyMap<Tensor, string>;
  readonly #modules: Module | undefined;
  #places: ModulePlace[] = [];

  constructor(modules: Module | undefined) {
    this.#modules = modules;
    this.#names = new Map([...(modules?.stateDict() ?? [])].map(([name, tensor]) => [tensor, name]));
  }

  input(name: string, tensor: Tensor): void {
    this.#inputs.set(name, this.#add(tensor, { depends: true, name }));
  }

  run(body: () => Readonly<Record<string, Tensor>>): Recording {
    const restore = this.#modules ? this.#watch(this.#modules) : () => {};
    try {
      const results = observeCalls(this, body);
      const outputs = new Map(
        Object.entries(results).map(([name, tensor]) => [name, this.#reference(tensor).index] as const),
      );
      return { values: this.#values, nodes: this.#nodes, inputs: this.#inputs, outputs };
    } catch (error) {
      disposeRecording({ values: this.#values, nodes: [], inputs: this.#inputs, outputs: new Map() });
      throw error;
    } finally {
      restore();
    }
  }

  /** What costs most of the time need not be computed: zeros of the right shape do. */
  instead(operator: string, args: readonly Argument[]): Tensor | undefined {
    const shape = costlyResult(operator, args);
    const depends = (arg: Argument): boolean => arg instanceof Tensor && this.#value(arg)?.depends === true;
    const like = args.find(depends);
    if (!shape || !(like instanceof Tensor)) return undefined;
    return observeCalls(null, () => zeros(shape, { dtype: like.dtype, device: like.device }));
  }

  #value(tensor: Tensor): RecordedValue | undefined {
    const index = this.#indices.get(tensor);
    return index === undefined ? undefined : this.#values[index];
  }

  called(operator: string, schema: string, args: readonly Argument[], result: Result): void {
    const place = this.#places.at(-1) ?? { path: '', kind: this.#modules?.constructor.name ?? 'a function' };
    if (CHANGES_ARGUMENT.test(schema)) {
      throw new TraceError(
        `${operator} changes a tensor in place, which cannot be recorded; it ran in ${describePlace(place)}`,
      );
    }
    const results = (Array.isArray(result) ? result : [result]).filter((entry) => entry instanceof Tensor);
    if (results.length === 0 || results.every((tensor) => this.#indices.has(tensor))) return; // nothing new
    const recorded = Array.from(args, (arg) => this.#argument(arg)); // what is left out in between too
    const depends = referencesIn(recorded).some(({ index }) => this.#values[index]!.depends);
    const outputs = results.map((tensor) => this.#add(tensor, { depends }));
    this.#nodes.push({ operator, arguments: recorded, outputs, module: place });
  }

  #argument(value: Argument): RecordedArgument {
    if (value instanceof Tensor) return this.#reference(value);
    if (Array.isArray(value)) return value.map((entry) => this.#argument(entry));
    return typeof value === 'bigint' ? Number(value) : (value as RecordedArgument);
  }

  #reference(tensor: Tensor): ValueReference {
    const known = this.#indices.get(tensor);
    return new ValueReference(known ?? this.#add(tensor, { depends: false, name: this.#names.get(tensor) }));
  }

  #add(tensor: Tensor, { depends, name }: Pick<RecordedValue, 'depends' | 'name'>): number {
    const { shape, dtype } = tensor;
    // The tensor itself may be freed before its elements are wanted.
    const alias = depends ? undefined : observeCalls(null, () => keep(run('aten::detach', [tensor])));
    this.#values.push({ shape, dtype, depends, name, tensor: alias });
    this.#indices.set(tensor, this.#values.length - 1);
    return this.#values.length - 1;
  }

  /** Makes every method of every module say where it runs; returns what undoes that. */
  #watch(root: Module): () => void {
    const changed: [Module, string][] = [];
    const seen = new Set<Module>();
    for (const [path, module] of root.namedModules()) {
      if (seen.has(module)) continue;
      seen.add(module);
      const place = { path, kind: module.constructor.name };
      for (const [name, method] of methodsOf(module)) {
        const inPlace = (...args: unknown[]): unknown => {
          this.#places.push(place);
          try {
            return method.apply(module, args);
          } finally {
            this.#places.pop();
          }
        };
        Object.defineProperty(module, name, { value: inPlace, configurable: true, enumerable: false, writable: true });
        changed.push([module, name]);
      }
    }
    return () => {
      for (const [module, name] of changed) Reflect.deleteProperty(module, name);
    };
  }
}

type Method = (this: Module, ...args: unknown[]) => unknown;

/** Methods that a module's class and the classes between it and `Module` define. */
function methodsOf(module: Module): Map<string, Method> {
  const found = new Map<string, Method>();
  for (
    let type: object = Object.getPrototypeOf(module);
    type !== Module.prototype;
    type = Object.getPrototypeOf(type)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(type))) {
      const general = name === 'constructor' || name in Module.prototype;
      if (typeof value === 'function' && !general && !found.has(name)) found.set(name, value as Method);
    }
  }
  return found;
}

/** All references to values in arguments. */
export function referencesIn(args: readonly RecordedArgument[]): ValueReference[] {
  return args.flatMap((arg) => {
    if (arg instanceof ValueReference) return [arg];
    return Array.isArray(arg) ? referencesIn(arg) : [];
  });
}

/** "generator.decoder (ResidualDecoder)" */
export function describePlace({ path, kind }: ModulePlace): string {
  return path === '' ? kind : `${path} (${kind})`;
}
