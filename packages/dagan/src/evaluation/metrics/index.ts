// The metrics, one file each: pure functions of pictures, points, embeddings, poses and units.
export * from './aed.js';
export * from './akd.js';
export * from './attention-use.js';
export * from './aucon.js';
export * from './csim.js';
export * from './expression-transfer.js';
export * from './l1.js';
export * from './mask-use.js';
export * from './missing.js';
export * from './perceptual.js';
export * from './prmse.js';
export * from './psnr.js';
export * from './regions.js';
export * from './ssim.js';
