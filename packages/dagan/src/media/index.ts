/** Images and video in and out. This entry is for Node; `portable.ts` has what runs in browsers too. */

export { type Clip, type ClipFrame, type ClipOptions, openClip } from './clip.js';
export { type ClipWriter, type ClipWriterOptions, createClipWriter } from './clip-writer.js';
export {
  type ContentCredentials,
  type ContentSigner,
  openContentSigner,
  readCredentials,
} from './content-credentials.js';
export { MediaError } from './errors.js';
export { PICTURE_EXTENSIONS, readPicture, writePicture } from './images.js';
export type { Quality } from './messages.js';
export { checkPicture, createPicture, cropPicture, type Picture, type Rectangle, rotatePicture } from './picture.js';
export { DIGITAL_SOURCE_TYPES, type MediaMetadata, type Origin, syntheticMetadata } from './provenance.js';
export { readMetadata } from './provenance-reader.js';
export { type PictureTransform, resizePicture, transformPicture } from './resize.js';
