// The networks of the paper, their configuration, and their files.
export * from './anti-alias.js';
export * from './attention.js';
export * from './config.js';
export * from './dagan.js';
export * from './dense-motion.js';
export * from './depth-decoder.js';
export * from './depth-network.js';
export * from './formula-weights.js';
export * from './generator.js';
export * from './hourglass.js';
export * from './infer-config.js';
export * from './keypoint-detector.js';
export * from './keypoints.js';
export * from './model-file.js';
export * from './published-names.js';
export * from './resnet.js';
export * from './warp.js';
