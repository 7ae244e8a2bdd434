// The terms that training minimises: of the animation networks (Eq. 10 of the paper) and of the depth network (Eq. 5).
export * from './adversarial.js';
export * from './attention-focus.js';
export * from './enlarged-parts.js';
export * from './equivariance.js';
export * from './feature-matching.js';
export * from './keypoint-distance.js';
export * from './landmark.js';
export * from './mesh-motion.js';
export * from './objective.js';
export * from './perceptual.js';
export * from './photometric.js';
export * from './pixel.js';
export * from './pyramid.js';
export * from './reprojection.js';
export * from './smoothness.js';
export * from './ssim.js';
