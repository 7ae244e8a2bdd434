// Turns the nested containers of a pickle into tensors and other values with dotted names.
import type { Scalar } from './checkpoint.js';
import { StorageView, TensorView } from './torch-objects.js';
import { PickleError, PyGlobal, type PyValue } from './unpickle.js';

/** Containers within containers that are followed. */
const MAX_DEPTH = 64;
/** Values that are followed; lists that share their parts can mean more of them than any memory holds. */
const MAX_VALUES = 2 ** 20;
/** Characters of all names and texts together; the same text may be meant many times. */
const MAX_CHARACTERS = 2 ** 26;

/** The leaves of a pickle by name. */
export type Leaves = {
  readonly tensors: Map<string, TensorView>;
  readonly scalars: Map<string, Scalar>;
};

/**
 * Names every leaf by the keys and list positions on the way to it, joined by dots; a value at the top has the name ''.
 * Byte strings become text with one character a byte, names of types and devices their text, and empty containers nothing.
 * @throws PickleError if two leaves get the same name, or the values are nested too deeply or too many
 */
export function flatten(root: PyValue): Leaves {
  const leaves: Leaves = { tensors: new Map(), scalars: new Map() };
  let values = 0;
  let characters = 0;

  const add = <T>(map: Map<string, T>, name: string, leaf: T): void => {
    if (leaves.tensors.has(name) || leaves.scalars.has(name)) throw new PickleError(`has two values named "${name}"`);
    map.set(name, leaf);
  };
  const count = (length: number): void => {
    characters += length;
    if (values > MAX_VALUES || characters > MAX_CHARACTERS) {
      throw new PickleError(`holds more than ${MAX_VALUES} values, or the same ones over and over`);
    }
  };
  const visit = (value: PyValue, name: string, depth: number): void => {
    values += 1;
    count(name.length);
    if (depth > MAX_DEPTH) throw new PickleError(`nests containers deeper than ${MAX_DEPTH}, or within themselves`);
    const inner = (key: string | number) => (name === '' ? `${key}` : `${name}.${key}`);

    if (value instanceof Map) {
      for (const [key, item] of value) visit(item, inner(keyName(key)), depth + 1);
    } else if (Array.isArray(value) || value instanceof Set) {
      let index = 0;
      for (const item of value) visit(item, inner(index++), depth + 1);
    } else if (value instanceof TensorView) {
      add(leaves.tensors, name, value);
    } else if (value instanceof StorageView) {
      add(leaves.tensors, name, new TensorView(value.storage, value.start, [value.length], [1]));
    } else if (value instanceof PyGlobal) {
      add(leaves.scalars, name, value.name);
    } else if (value instanceof Uint8Array) {
      count(value.length);
      add(leaves.scalars, name, Buffer.from(value).toString('latin1'));
    } else if (typeof value === 'bigint') {
      const digits = value.toString();
      count(digits.length);
      add(leaves.scalars, name, digits);
    } else if (value === null || typeof value !== 'object') {
      add(leaves.scalars, name, value);
    } else {
      add(leaves.scalars, name, value.constructor.name);
    }
  };
  visit(root, '', 0);
  return leaves;
}

function keyName(key: PyValue): string {
  if (key === null) return 'None';
  if (typeof key === 'object') throw new PickleError('has a dictionary key that is neither text nor a number');
  return String(key);
}
