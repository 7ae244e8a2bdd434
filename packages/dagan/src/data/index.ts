// From a folder of clips to batches: find the clips, hold some out, decode once, then load pairs or triplets of frames.
export { type AugmentationOptions, augmentationSettings, type ColorStep, changeColors } from './augmentation.js';
export { type Dataset, type DatasetOptions, holdOut, identitiesOf, openDataset, type TrainingClip } from './dataset.js';
export { type PrepareMeshesOptions, prepareMeshes, readMeshes } from './face-meshes.js';
export {
  type BatchLoader,
  type FramePairBatch,
  type FrameTripletBatch,
  type LoaderOptions,
  type LoaderState,
  openPairLoader,
  openTripletLoader,
  type PairLoader,
  type TripletLoader,
} from './loader.js';
export {
  drawPair,
  type ExpressionSource,
  ExpressionTracks,
  type FaceSurface,
  type HeadShift,
  loadFaceSurface,
  MadeUpExpressions,
  type MeshTrack,
  MovingPortrait,
  type PackedExpressions,
  type PortraitFrame,
  type PortraitMotion,
  type PortraitOptions,
  type PreparedPortraits,
  preparePortraits,
  readPortrait,
} from './portraits/index.js';
export { type FrameClip, type PreparedDataset, type PrepareOptions, prepareFrames } from './prepare.js';
export { Random } from './random.js';
export {
  type ClipSample,
  type FrameChoice,
  type PortraitSample,
  type Sample,
  SampleSequence,
  type SamplingOptions,
} from './samples.js';
