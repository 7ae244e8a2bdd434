// The library: networks and their files, losses and training, animation and the engine that runs it, images and video.
export * from './animation/engines/index.js';
export * from './animation/index.js';
export * from './data/index.js';
export * from './evaluation/index.js';
export * from './export/index.js';
export * from './faces/index.js';
export * from './geometry/index.js';
export * from './losses/index.js';
export * from './media/index.js';
export * from './models/index.js';
export * from './tensors/index.js';
export * from './training/index.js';
export * from './visualization/index.js';
