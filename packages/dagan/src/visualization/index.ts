// What the networks see, as pictures. Runs in Node and in browsers.
export { resizeMap } from '../tensors/values.js';
export * from './attention.js';
export * from './camera.js';
export * from './colors.js';
export * from './drawing.js';
export * from './keypoints.js';
export * from './maps.js';
export * from './ply.js';
export * from './rasterizer.js';
export * from './surface.js';
