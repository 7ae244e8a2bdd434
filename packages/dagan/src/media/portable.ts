// The part of `media` that runs in browsers as in Node: pixels, and video through a codec library that is brought along.

export { firstLine, MediaError } from './errors.js';
export type { Mediabunny } from './formats/codecs.js';
export { gifComment, gifXmp } from './formats/gif-blocks.js';
export type { FrameReader, ReaderEvents, ReaderFrame } from './formats/reader.js';
export { TickedFrames, type Ticks } from './formats/ticked-frames.js';
export { openVideoFrames, videoInput } from './formats/video-frames.js';
export { openVideoSink, takesXmp, type VideoSinkOptions } from './formats/video-sink.js';
export { riffChunk, riffChunks, webpAnimationHeader, webpFrames, webpHeaderLength } from './formats/webp-chunks.js';
export type { FrameSink } from './formats/writer.js';
export { pictureToI420, rgbaToPicture } from './pictures/color.js';
export {
  checkPicture,
  createPicture,
  cropPicture,
  type Picture,
  type Rectangle,
  rotatePicture,
} from './pictures/picture.js';
export { type PictureTransform, resizePicture, transformPicture } from './pictures/resize.js';
export { checkReadableSize } from './pictures/size-limit.js';
export type { ClipInfo, DecodeJob, SoundRange, VideoContainer } from './process/messages.js';
export {
  DIGITAL_SOURCE_TYPES,
  type MediaMetadata,
  metadataText,
  syntheticMetadata,
  xmpBox,
  xmpPacket,
} from './provenance/provenance.js';
