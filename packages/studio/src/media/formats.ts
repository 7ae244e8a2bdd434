// Which kinds of video this browser can write.
import type { VideoContainer } from 'dagan/media/portable';
import type { VideoCodec } from 'mediabunny';

/** A kind of file, and how its pictures are coded. */
export type SavedFormat = {
  container: Extract<VideoContainer, 'mp4' | 'webm'>;
  codec: Extract<VideoCodec, 'avc' | 'vp9' | 'vp8'>;
  /** For people. */
  label: string;
  mimeType: string;
};

/** All kinds, the best understood by players first. */
export const SAVED_FORMATS: readonly SavedFormat[] = [
  { container: 'mp4', codec: 'avc', label: 'MP4 (H.264)', mimeType: 'video/mp4' },
  { container: 'webm', codec: 'vp9', label: 'WebM (VP9)', mimeType: 'video/webm' },
  { container: 'webm', codec: 'vp8', label: 'WebM (VP8)', mimeType: 'video/webm' },
];
