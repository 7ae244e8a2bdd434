// Animation without an engine: runs in Node and in browsers.
export * from './animate.js';
export * from './engine.js';
export * from './transfer.js';
