// Animation without an engine: runs in Node and in browsers.
export * from './animate.js';
export * from './crop.js';
export * from './engine.js';
export * from './face-track.js';
export * from './paste-back.js';
export * from './reference-frame.js';
export * from './smoothing.js';
export * from './transfer.js';
