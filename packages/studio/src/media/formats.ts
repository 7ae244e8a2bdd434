// Which kinds of file this browser can write.
import type { VideoContainer } from 'dagan/media/portable';
import type { VideoCodec } from 'mediabunny';

/** A kind of video, and how its pictures are coded. */
export type VideoFormat = {
  container: Extract<VideoContainer, 'mp4' | 'webm'>;
  codec: Extract<VideoCodec, 'avc' | 'vp9' | 'vp8'>;
  /** For people. */
  label: string;
  mimeType: string;
};

/** A kind of animated picture, which has no sound. */
export type AnimationFormat = { container: 'gif' | 'webp'; label: string; mimeType: string };

export type SavedFormat = VideoFormat | AnimationFormat;

export const isVideo = (format: SavedFormat): format is VideoFormat => 'codec' in format;

/** All kinds, the best understood by players first. */
export const SAVED_FORMATS: readonly SavedFormat[] = [
  { container: 'mp4', codec: 'avc', label: 'MP4 (H.264)', mimeType: 'video/mp4' },
  { container: 'webm', codec: 'vp9', label: 'WebM (VP9)', mimeType: 'video/webm' },
  { container: 'webm', codec: 'vp8', label: 'WebM (VP8)', mimeType: 'video/webm' },
  { container: 'gif', label: 'GIF', mimeType: 'image/gif' },
  { container: 'webp', label: 'WebP (animated)', mimeType: 'image/webp' },
];
