// Portraits that move: a folder of pictures as training data with known motion.

export {
  type ExpressionTrackOptions,
  ExpressionTracks,
  type MeshTrack,
  type PackedExpressions,
} from './expression-tracks.js';
export { type FaceSurface, loadFaceSurface } from './face-surface.js';
export { type FacialAction, MadeUpExpressions } from './made-up-expressions.js';
export { type HeadShift, MovingPortrait, type PortraitFrame, type PortraitMotion, UNMOVED } from './moving-portrait.js';
export { drawPair, type ExpressionSource } from './portrait-pair.js';
export { type PortraitOptions, type PreparedPortraits, preparePortraits, readPortrait } from './portrait-store.js';
