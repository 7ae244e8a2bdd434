// Scopes that free tensors: garbage collection does not see native memory in time.
import { Tensor } from './tensor.js';

const scopes: Tensor[][] = [];

/** Called for every tensor that is made; the innermost scope will free it. */
export function track(tensor: Tensor): void {
  scopes.at(-1)?.push(tensor);
}

function collect(value: unknown, found: Set<Tensor>): void {
  if (value instanceof Tensor) found.add(value);
  else if (Array.isArray(value)) for (const entry of value) collect(entry, found);
  else if (value instanceof Map) for (const entry of value.values()) collect(entry, found);
  else if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype) {
    for (const entry of Object.values(value)) collect(entry, found);
  }
}

/**
 * Runs `body` and frees every tensor that was made in it, except those that it returns (alone, or inside arrays, Maps
 * and plain objects) and those that were given to `keep`. What is returned belongs to the scope around, if there is one.
 */
export function tidy<T>(body: () => T): T {
  const scope: Tensor[] = [];
  scopes.push(scope);
  const survivors = new Set<Tensor>();
  try {
    const result = body();
    if (result instanceof Promise) throw new TypeError('tidy runs synchronous code only: the body returned a Promise');
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
