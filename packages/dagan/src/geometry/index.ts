// Camera geometry of face-depth learning, and the deformations of the equivariance losses.
export * from './disparity.js';
export * from './pose.js';
export * from './projection.js';
export * from './thin-plate-spline.js';
export * from './view-synthesis.js';
