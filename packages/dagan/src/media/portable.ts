/** The part of `media` that runs in browsers as in Node: pixels, and video through a codec library that is brought along. */

export type { Mediabunny } from './codecs.js';
export { pictureToI420, rgbaToPicture } from './color.js';
export { firstLine, MediaError } from './errors.js';
export type { ClipInfo, DecodeJob, SoundRange } from './messages.js';
export { checkPicture, createPicture, cropPicture, type Picture, type Rectangle, rotatePicture } from './picture.js';
export { DIGITAL_SOURCE_TYPES, type MediaMetadata, syntheticMetadata, xmpBox, xmpPacket } from './provenance.js';
export type { FrameReader, ReaderEvents, ReaderFrame } from './reader.js';
export { type PictureTransform, resizePicture, transformPicture } from './resize.js';
export { checkReadableSize } from './size-limit.js';
export { openVideoFrames, videoInput } from './video-frames.js';
export { openVideoSink, takesXmp, type VideoContainer, type VideoSinkOptions } from './video-sink.js';
export type { FrameSink } from './writer.js';
