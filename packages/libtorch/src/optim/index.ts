// Optimisers, named as in `torch.optim`.
export * from './adam.js';
export * from './clip.js';
export * from './ema.js';
export * from './gradient-averager.js';
