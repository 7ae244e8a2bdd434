// Animation without an engine: runs in Node and in browsers.
export { analysisSize } from '../faces/framing.js';
export type { KeypointSet } from '../tensors/keypoint-set.js';
export type { ScalarMap, TensorValues } from '../tensors/values.js';
export * from './animate.js';
export * from './attention-row.js';
export * from './clip-face.js';
export * from './controls.js';
export * from './crop.js';
export * from './engine.js';
export * from './face-track.js';
export * from './face-watch.js';
export { growth } from './head-size.js';
export * from './mesh-keypoints.js';
export * from './motion.js';
export * from './paste-back.js';
export * from './reference-frame.js';
export * from './smoothing.js';
export * from './transfer.js';
