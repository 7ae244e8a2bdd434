// Images and video in and out. This entry is for Node; `portable.ts` has what runs in browsers too.

export { MediaError } from './errors.js';
export { PICTURE_EXTENSIONS, readPicture, writePicture } from './pictures/images.js';
export {
  checkPicture,
  createPicture,
  cropPicture,
  type Picture,
  type Rectangle,
  rotatePicture,
} from './pictures/picture.js';
export { type PictureTransform, resizePicture, transformPicture } from './pictures/resize.js';
export { type Clip, type ClipFrame, type ClipOptions, openClip } from './process/clip.js';
export { type ClipWriter, type ClipWriterOptions, createClipWriter } from './process/clip-writer.js';
export type { Quality } from './process/messages.js';
export {
  type ContentCredentials,
  type ContentSigner,
  openContentSigner,
  readCredentials,
} from './provenance/content-credentials.js';
export { DIGITAL_SOURCE_TYPES, type MediaMetadata, type Origin, syntheticMetadata } from './provenance/provenance.js';
export { readMetadata } from './provenance/provenance-reader.js';
