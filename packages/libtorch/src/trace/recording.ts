// One forward pass, recorded at the operator door: which operator ran on which tensors, in which module.

import { zeros } from '../creation.js';
import type { DType } from '../dtype.js';
import type { Handle } from '../native.js';
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
  /** Whether it is a tensor of the modules or follows from some. */
  ofModules: boolean;
  /** Name of an input, or of a parameter or buffer of the modules. */
  name?: string;
  /** The elements of what does not depend on the inputs. */
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

/** What was done to the tensors of modules before passes: recordings of these begin with it. Holds tensors. */
export class Preparation {
  /**
   * @param indices places of the tensors among the values, by their handles
   * @param names of the tensors that the modules had before, likewise
   */
  constructor(
    readonly modules: Module,
    readonly values: readonly RecordedValue[],
    readonly nodes: readonly RecordedNode[],
    readonly indices: ReadonlyMap<Handle, number>,
    readonly names: ReadonlyMap<Handle, string>,
  ) {}

  dispose(): void {
    for (const { tensor } of this.values) tensor?.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Runs `prepare`, which replaces tensors of modules by others that follow from them (as merging a normalisation into a
 * convolution does), and records how. Traces that are given the result compute it from the tensors as they were before.
 *
 * @throws TraceError if an operator changes a tensor in place
 */
export function recordPreparation(modules: Module, prepare: () => void): Preparation {
  const recorder = new Recorder(modules);
  recorder.run(() => {
    prepare();
    return {};
  });
  return recorder.preparation(modules);
}

/**
 * Runs `body` on inputs by name and records what it does. Its outputs must come from operators. Convolutions and matrix
 * products of what depends on the inputs are not computed: nothing of a recording depends on their values.
 *
 * @param modules whose methods tell where a call was made, and whose tensors have names
 * @param before what was done to their tensors; then the names are those that the tensors had before that
 * @throws TraceError if an operator changes a tensor in place
 */
export function record(
  inputs: Readonly<Record<string, Tensor>>,
  body: () => Readonly<Record<string, Tensor>>,
  modules: Module | undefined,
  before?: Preparation,
): Recording {
  const recorder = new Recorder(modules, before);
  for (const [name, tensor] of Object.entries(inputs)) recorder.input(name, tensor);
  return recorder.run(body);
}

/** Frees the tensors that a recording holds, but for those of the preparation that it begins with. */
export function disposeRecording({ values }: Pick<Recording, 'values'>, before?: Preparation): void {
  for (const { tensor } of values.slice(before?.values.length ?? 0)) tensor?.dispose();
}

class Recorder implements CallObserver {
  readonly #values: RecordedValue[];
  readonly #nodes: RecordedNode[];
  readonly #inputs = new Map<string, number>();
  /** Handles outlive tensor objects: a parameter takes over that of the tensor that it is made from. */
  readonly #indices: Map<Handle, number>;
  readonly #names: ReadonlyMap<Handle, string>;
  readonly #modules: Module | undefined;
  readonly #before: Preparation | undefined;
  #places: ModulePlace[] = [];

  constructor(modules: Module | undefined, before?: Preparation) {
    this.#modules = modules;
    this.#before = before;
    this.#values = [...(before?.values ?? [])];
    this.#nodes = [...(before?.nodes ?? [])];
    this.#indices = new Map(before?.indices);
    this.#names =
      before?.names ?? new Map([...(modules?.stateDict() ?? [])].map(([name, tensor]) => [tensor.handle, name]));
  }

  input(name: string, tensor: Tensor): void {
    this.#inputs.set(name, this.#add(tensor, { depends: true, ofModules: false, name }));
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
      disposeRecording({ values: this.#values }, this.#before);
      throw error;
    } finally {
      restore();
    }
  }

  /** What a run without inputs has done. */
  preparation(modules: Module): Preparation {
    return new Preparation(modules, this.#values, this.#nodes, this.#indices, this.#names);
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
    const index = this.#indices.get(tensor.handle);
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
    if (results.length === 0 || results.every(({ handle }) => this.#indices.has(handle))) return; // nothing new
    const recorded = Array.from(args, (arg) => this.#argument(arg)); // what is left out in between too
    const from = referencesIn(recorded).map(({ index }) => this.#values[index]!);
    const depends = from.some((value) => value.depends);
    const ofModules = from.some((value) => value.ofModules);
    const outputs = results.map((tensor) => this.#add(tensor, { depends, ofModules }));
    this.#nodes.push({ operator, arguments: recorded, outputs, module: place });
  }

  #argument(value: Argument): RecordedArgument {
    if (value instanceof Tensor) return this.#reference(value);
    if (Array.isArray(value)) return value.map((entry) => this.#argument(entry));
    return typeof value === 'bigint' ? Number(value) : (value as RecordedArgument);
  }

  #reference(tensor: Tensor): ValueReference {
    const known = this.#indices.get(tensor.handle);
    if (known !== undefined) return new ValueReference(known);
    const name = this.#names.get(tensor.handle);
    return new ValueReference(this.#add(tensor, { depends: false, ofModules: name !== undefined, name }));
  }

  #add(tensor: Tensor, origin: Pick<RecordedValue, 'depends' | 'ofModules' | 'name'>): number {
    const { shape, dtype, handle } = tensor;
    // The tensor itself may be freed before its elements are wanted.
    const alias = origin.depends ? undefined : observeCalls(null, () => keep(run('aten::detach', [tensor])));
    this.#values.push({ shape, dtype, ...origin, tensor: alias });
    this.#indices.set(handle, this.#values.length - 1);
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
