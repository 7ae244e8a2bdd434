// From raw videos to training clips.

export { type HeadMotion, HeadPath } from './head-motion.js';
export { type PoolOutcome, PreprocessPool } from './pool.js';
export { processStill } from './process-still.js';
export { type MadeClip, type PreprocessSettings, processVideo, type VideoResult } from './process-video.js';
export { findRawVideos, RAW_EXTENSIONS, type RawVideo, type RawVideoOptions } from './raw-videos.js';
export { type PreprocessTotals, REPORT, RecordStore, reportOf, totalsOf, type VideoRecord } from './records.js';
export { ShotCuts } from './shot-cuts.js';
export {
  type ClipPlan,
  type ClipRules,
  type DroppedPart,
  type FaceSample,
  type FaceTrack,
  planClips,
  TrackBuilder,
} from './tracks.js';
