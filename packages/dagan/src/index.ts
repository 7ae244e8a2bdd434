// What is promised: the names that most programs need, one by one. All others are in sub-paths, one for each room
// (`dagan/models`, `dagan/training`, ...).

// Frame by frame.
export { type AnimatedFrame, type AnimateOptions, animate } from './animation/animate.js';
export { ClipFace } from './animation/clip-face.js';
export { cutSquare } from './animation/crop.js';
export type { Analysis, Engine } from './animation/engine.js';
export { LibtorchEngine, loadLibtorchEngine } from './animation/engines/libtorch.js';
export { loadOnnxRuntimeEngine } from './animation/engines/onnx-runtime.js';
export { MeshGuidedEngine } from './animation/mesh-keypoints.js';
export { MotionTransfer } from './animation/motion.js';
export { PasteBack } from './animation/paste-back.js';
// From files to a file.
export { DaganError, type ProblemCode } from './errors.js';
// Measuring.
export { modelContestant } from './evaluation/contestants.js';
export { evaluate } from './evaluation/evaluate.js';
export { Instruments } from './evaluation/instruments.js';
export { summaryTable } from './evaluation/summary.js';
// The model and its files.
export { exportModel } from './export/export-model.js';
export { FaceAnalyzer, type FaceMeasurement } from './faces/analyzer.js';

// Pictures and clips.
export { MediaError } from './media/errors.js';
export { readPicture, writePicture } from './media/pictures/images.js';
export { createPicture, cropPicture, type Picture } from './media/pictures/picture.js';
export { resizePicture } from './media/pictures/resize.js';
export { type Clip, openClip } from './media/process/clip.js';
export { type ClipWriter, createClipWriter } from './media/process/clip-writer.js';
export { readMetadata } from './media/provenance/provenance-reader.js';
export { MODEL_PRESETS, type ModelConfig } from './models/config/config.js';
export { ConfigError } from './models/config/config-check.js';
export { DaGAN } from './models/dagan.js';
export { loadModel, saveModel } from './models/files/model-file.js';
export { prepareForInference } from './models/inference/inference.js';
// Training.
export { perceptualNetwork } from './models/perceptual/perceptual-network.js';
export { type AnimateClipOptions, type AnimationResult, animateClip } from './pipelines/animate-clip.js';
export { animateClips } from './pipelines/animate-clips.js';
export type { PipelineEvent } from './pipelines/events.js';
export { inspectPair } from './pipelines/inspect.js';
export type { KeypointSet } from './tensors/keypoint-set.js';
export { pictureToTensor, tensorToPictures } from './tensors/pictures.js';
export type { AnimationTrainingConfig } from './training/animation/config.js';
export { TRAINING_PRESETS, trainingPreset } from './training/animation/presets.js';
export { type AnimationRun, trainAnimation } from './training/animation/trainer.js';
export { datasetPairs, datasetTriplets } from './training/batches/dataset-batches.js';
export { type DepthTrainingConfig, depthTraining } from './training/depth/config.js';
export { type DepthRun, trainDepth } from './training/depth/trainer.js';
export type { TrainingOutcome } from './training/loop/training-run.js';
export type { TrainingObserver } from './training/run/observers.js';
