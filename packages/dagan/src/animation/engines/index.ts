// Engines for Node.
export * from './libtorch.js';
