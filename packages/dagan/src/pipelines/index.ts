// What commands do, as library calls: from files to files, told as events, stopped by a signal. For Node.
export { DaganError, type InputRole, type ProblemCode, type ProblemValues } from '../errors.js';
export * from './animate-clip.js';
export * from './animate-clips.js';
export * from './attention-rows.js';
export { type ChosenEngine, chooseEngine, type EngineChoice, type EngineUse } from './choose-engine.js';
export type { ModelChoice, ModelFileChoice } from './choose-model.js';
export { type DescribeOptions, describeFile } from './describe-file.js';
export * from './draw-attention.js';
export * from './draw-depth.js';
export * from './draw-keypoints.js';
export * from './estimate-depth.js';
export * from './events.js';
export { type DrawnFrame, figureMetadata, writeFigure } from './figure.js';
export type { CropChoice } from './find-faces.js';
export * from './inspect.js';
export * from './inspection-sheet.js';
export { BATCH_FORMATS, type BatchFormat, type Pair, type Plan, planPairs } from './pairs.js';
export { type FramedSquare, type SquareOptions, SquareReader, Squares } from './squares.js';
