// Stands in for `node:test` where Node's test files run in a browser.
export { test } from 'vitest';
