// Layers, named as in `torch.nn`.
export * from './containers.js';
export * from './conv.js';
export * as init from './init.js';
export * from './module.js';
export * from './norm.js';
export * from './spectral-norm.js';
export * from './sync-batch-norm.js';
