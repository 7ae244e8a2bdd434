// Lists of modules, named by position.
import { Module } from './module.js';

/** Modules in an array; their names are 0, 1, 2, ... */
export class ModuleList<M extends Module> extends Module {
  readonly #modules: readonly M[];

  constructor(modules: readonly M[]) {
    super();
    this.#modules = modules;
  }

  override children(): [string, Module][] {
    return this.#modules.map((module, i) => [`${i}`, module]);
  }

  get length(): number {
    return this.#modules.length;
  }

  /** The module at a position; negative counts from the end. */
  at(index: number): M {
    const module = this.#modules.at(index);
    if (!module) throw new RangeError(`there are ${this.#modules.length} modules, none at ${index}`);
    return module;
  }

  [Symbol.iterator](): Iterator<M> {
    return this.#modules[Symbol.iterator]();
  }
}

/** Modules by name, in the order given. */
export class ModuleDict<M extends Module> extends Module {
  readonly #modules: ReadonlyMap<string, M>;

  constructor(modules: Iterable<readonly [string, M]>) {
    super();
    this.#modules = new Map(modules);
  }

  override children(): [string, Module][] {
    return [...this.#modules];
  }

  get(name: string): M {
    const module = this.#modules.get(name);
    if (!module) throw new RangeError(`there is no module '${name}' (${[...this.#modules.keys()].join(', ')})`);
    return module;
  }

  entries(): IterableIterator<[string, M]> {
    return this.#modules.entries();
  }

  values(): IterableIterator<M> {
    return this.#modules.values();
  }
}
