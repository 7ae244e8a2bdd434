// Scopes that free tensors: garbage collection does not see native memory in time.
import { Tensor } from './tensor.js';

const scopes: Tensor[][] = [];

/** Called for every tensor that is made; the innermost scope will free it. */
export function track(tensor: Tensor): void {
  scopes.at(-1)?.push(tensor);
}

/** What is inside a structure that a body may return. */
function entriesOf(value: object): Iterable<unknown> {
  if (Array.isArray(value)) return value;
  if (value instanceof Map || value instanceof Set) return value.values();
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null ? Object.values(value) : [];
}

/** Adds the tensors that a value holds, and on the way all structures, because these may hold themselves. */
function collect(value: unknown, found: Set<unknown>): void {
  if (typeof value !== 'object' || value === null || found.has(value)) return;
  found.add(value);
  if (value instanceof Tensor) return;
  for (const entry of entriesOf(value)) collect(entry, found);
}

/** Passes on what a body returned, unless that is a Promise: then the body goes on after its scope has ended. */
export function synchronous<T>(scope: string, result: T): T {
  if (!(result instanceof Promise)) return result;
  result.catch(() => {}); // the error below is the one to see
  throw new TypeError(`${scope} runs synchronous code only: the body returned a Promise`);
}

/**
 * Runs `body` and frees every tensor that was made in it, except those that it returns (alone, or inside arrays, Maps,
 * Sets and plain objects) and those that were given to `keep`. What is returned belongs to the scope around, if there is
 * one. If `body` throws, everything made in it is freed.
 */
export function tidy<T>(body: () => T): T {
  const scope: Tensor[] = [];
  scopes.push(scope);
  const survivors = new Set<unknown>();
  try {
    const result = synchronous('tidy', body());
    collect(result, survivors);
    return result;
  } finally {
    scopes.splice(scopes.lastIndexOf(scope), 1);
    for (const tensor of scope) {
      if (tensor.kept || tensor.disposed) continue;
      if (survivors.has(tensor)) track(tensor);
      else tensor.dispose();
    }
  }
}

/** Takes a tensor out of all scopes: it lives until `dispose` is called on it. Returns the tensor. */
export function keep<T extends Tensor>(tensor: T): T {
  tensor.kept = true;
  return tensor;
}
