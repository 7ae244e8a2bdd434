// The library: networks and their files, animation and the engine that runs it, images and video, pictures of what the networks see.
export * from './animation/engines/index.js';
export * from './animation/index.js';
export * from './data/index.js';
export * from './media/index.js';
export * from './models/index.js';
export * from './visualization/index.js';
