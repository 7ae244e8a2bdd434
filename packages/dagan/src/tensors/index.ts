// The ground floor: what pictures, maps and keypoints are as tensors, and the coordinates that they live in.
export * from './grid.js';
export * from './keypoint-set.js';
export * from './pictures.js';
export * from './values.js';
export * from './warp.js';
