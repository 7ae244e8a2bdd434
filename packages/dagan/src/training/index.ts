// Training of the animation model (Section 3.5 of the paper).
export * from './animation-config.js';
export * from './animation-objective.js';
export * from './animation-state.js';
export * from './animation-step.js';
export * from './animation-trainer.js';
export * from './checkpoints.js';
export * from './dataset-pairs.js';
export * from './evaluation.js';
export * from './event-file.js';
export * from './frame-pairs.js';
export * from './launch-ranks.js';
export * from './observers.js';
export * from './presets.js';
export * from './run-log.js';
export * from './schedule.js';
export * from './start-weights.js';
export * from './tensorboard.js';
