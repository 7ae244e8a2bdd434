// Module: networks as trees of objects, whose tensors have names.
import type { DType, MemoryFormat } from '../dtype.js';
import { keep } from '../scope.js';
import { Tensor } from '../tensor.js';

/** A tensor that training changes. No scope frees it. */
export class Parameter extends Tensor {
  /** Takes over `data` (which is disposed of) as a leaf that requires a gradient. */
  constructor(data: Tensor) {
    super(data.detach().release());
    data.dispose();
    this.requiresGrad_();
    keep(this);
  }
}

/** Named tensors, as a checkpoint holds them. */
export type StateDict = ReadonlyMap<string, Tensor>;

/** A module's tensors do not fit a state dict. `message` gives the counts and the first few names. */
export class StateDictError extends Error {
  override readonly name = 'StateDictError';
  constructor(
    message: string,
    readonly missing: readonly string[],
    readonly unexpected: readonly string[],
    readonly wrongShape: readonly string[],
  ) {
    super(message);
  }
}

/** `downBlocks` -> `down_blocks`: state dicts use the names that the field's files use. */
const snakeCase = (name: string): string => name.replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const summary = (what: string, names: readonly string[]): string[] =>
  names.length === 0
    ? []
    : [`${names.length} ${what}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`];

/**
 * A network or a part of one. Tensors and modules that a subclass keeps in public fields become its parameters, buffers
 * and children, in the order of the fields: a `Parameter` is trained, any other `Tensor` is a buffer. What is derived and
 * should not be saved belongs into a private `#field`.
 */
export abstract class Module {
  /** Whether layers such as batch norm behave as in training. Set it through `train()` and `eval()`. */
  training = true;

  /** Children by the names that state dicts use. Overridden where a file's names cannot be derived from the fields. */
  children(): [string, Module][] {
    return Object.entries(this).flatMap(([name, value]) => (value instanceof Module ? [[snakeCase(name), value]] : []));
  }

  /** Name of an own parameter or buffer in state dicts. Overridden where files call it otherwise than the field. */
  protected tensorName(field: string): string {
    return snakeCase(field);
  }

  /** Own parameters and buffers by field name. */
  #ownTensors(): [string, Tensor][] {
    return Object.entries(this).flatMap(([name, value]) => (value instanceof Tensor ? [[name, value]] : []));
  }

  /** This module and all modules below it, by path. */
  *namedModules(prefix = ''): Generator<[string, Module]> {
    yield [prefix, this];
    for (const [name, child] of this.children()) yield* child.namedModules(prefix ? `${prefix}.${name}` : name);
  }

  /** All parameters and buffers, as saved in a checkpoint. The tensors stay the module's own. */
  stateDict(prefix = ''): Map<string, Tensor> {
    const state = new Map<string, Tensor>();
    for (const [path, module] of this.namedModules(prefix)) {
      for (const [field, value] of module.#ownTensors()) {
        const name = module.tensorName(field);
        state.set(path ? `${path}.${name}` : name, value);
      }
    }
    return state;
  }

  /** All parameters by path. */
  namedParameters(prefix = ''): Map<string, Parameter> {
    const found = new Map<string, Parameter>();
    for (const [name, value] of this.stateDict(prefix)) if (value instanceof Parameter) found.set(name, value);
    return found;
  }

  /** All parameters, each once, also where several names lead to it. */
  parameters(): Parameter[] {
    return [...new Set(this.namedParameters().values())];
  }

  /**
   * Copies tensors into this module, converted to the dtype and device that it has.
   *
   * @throws StateDictError, before anything is changed, if names are missing, unexpected or of another shape
   */
  loadStateDict(state: StateDict): void {
    copyState(state, this.stateDict());
  }

  /** Sets the behaviour of all layers below to that of training, or of use. Returns the module. */
  train(training = true): this {
    for (const [, module] of this.namedModules()) module.training = training;
    return this;
  }

  eval(): this {
    return this.train(false);
  }

  /** Lets autograd record the parameters (or not, to freeze them). Returns the module. */
  requiresGrad_(required = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad_(required);
    return this;
  }

  /** Drops all gradients. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.setGrad(null);
  }

  /**
   * Converts parameters and buffers: floating-point ones to `dtype`, all to `device`, 4-D ones to `memoryFormat`.
   * Replaces the tensors, so make optimisers afterwards. Returns the module.
   */
  to({ dtype, device, memoryFormat }: { dtype?: DType; device?: string; memoryFormat?: MemoryFormat }): this {
    for (const [, module] of this.namedModules()) {
      for (const [name, value] of module.#ownTensors()) {
        const floating = value.dtype.includes('float');
        using detached = value.detach();
        const converted = detached.to({
          ...(floating && dtype ? { dtype } : {}),
          ...(device ? { device } : {}),
          ...(value.ndim === 4 && memoryFormat ? { memoryFormat } : {}),
        });
        const replacement = value instanceof Parameter ? new Parameter(converted) : keep(converted);
        if (!value.requiresGrad && value instanceof Parameter) replacement.requiresGrad_(false);
        Object.assign(module, { [name]: replacement });
        value.dispose();
      }
    }
    return this;
  }

  /** Frees all parameters and buffers; the module cannot be used afterwards. */
  dispose(): void {
    for (const value of this.stateDict().values()) value.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Copies tensors into others of the same names and shapes, converted to the dtype and device that these have.
 * @throws StateDictError, before anything is changed, if names are missing, unexpected or of another shape
 */
export function copyState(from: StateDict, into: StateDict): void {
  const missing = [...into.keys()].filter((name) => !from.has(name));
  const unexpected = [...from.keys()].filter((name) => !into.has(name));
  const wrongShape = [...into].flatMap(([name, target]) => {
    const given = from.get(name)?.shape;
    return given && given.join() !== target.shape.join() ? [`${name} is [${given}] instead of [${target.shape}]`] : [];
  });
  const problems = [
    ...summary('tensors are missing', missing),
    ...summary('tensors are unexpected', unexpected),
    ...summary('tensors have another shape', wrongShape),
  ];
  if (problems.length > 0) throw new StateDictError(problems.join('; '), missing, unexpected, wrongShape);
  for (const [name, target] of into) {
    using data = target.detach(); // which autograd lets change in place
    data.copy_(from.get(name)!);
  }
}
