// Stands in for `node:assert/strict` where Node's test files run in a browser: the functions that those files use.
import { expect } from 'vitest';

function assert(value: unknown, message?: string): asserts value {
  expect(value, message).toBeTruthy();
}

assert.ok = assert;

assert.equal = (actual: unknown, expected: unknown, message?: string): void => {
  expect(actual, message).toBe(expected);
};

assert.deepEqual = (actual: unknown, expected: unknown, message?: string): void => {
  expect(actual, message).toStrictEqual(expected);
};

assert.throws = (body: () => unknown, expected?: RegExp | (new (...words: never[]) => Error)): void => {
  if (expected === undefined) expect(body).toThrow();
  else expect(body).toThrow(expected as RegExp);
};

export default assert;
