// What the program and its media processes say to each other.
import type { Edit } from '../formats/edit-list.js';
import type { PictureTransform } from '../pictures/resize.js';
import type { MediaMetadata } from '../provenance/provenance.js';

/** Part of a file's sound that goes with a clip, in seconds of the file as it is presented. */
export type SoundRange = {
  path: string;
  /** Where the clip's first frame is shown. */
  start: number;
  /** Where the clip's last frame ends; absent if the clip runs to the end of its file. */
  end?: number;
  /** Whether the clip begins with the file's first frame, so that the sound's lead-in belongs to it. */
  fromBeginning: boolean;
  /** Length of the clip's pictures, where known. */
  duration?: number;
  /** Which parts of the track are heard, and when; `start` and `end` are times of that presentation. */
  edits: readonly Edit[];
};

/** What is known of a clip when it has been opened. */
export type ClipInfo = {
  kind: 'video' | 'animation' | 'folder' | 'image';
  /** Size of the frames handed out (rotation, square pixels and the transform applied). */
  width: number;
  height: number;
  /** Size as the file is shown, before the transform. */
  sourceWidth: number;
  sourceHeight: number;
  /** Average frames per second. */
  frameRate: number;
  /** Whether all frames lie on the grid of `frameRate`. */
  constantFrameRate: boolean;
  /** Number of frames in the range: exact for animations, folders and indexed files, else an estimate. */
  frameCount?: number;
  /** Length of the range in seconds. */
  duration?: number;
  /** The sound that goes with the frames. */
  sound?: SoundRange;
};

/** What a decoding process is started with. */
export type DecodeJob = {
  path: string;
  start: number;
  end?: number;
  every?: number;
  frameRate?: number;
  transform?: PictureTransform;
};

/** What of a clip one iteration reads, where it is something else than what the clip was opened for. */
export type DecodePart = Pick<DecodeJob, 'start' | 'end' | 'every' | 'transform'>;

/** Orders to a decoding process. `run` tells the iterations over one clip apart. */
export type DecodeOrder =
  | { type: 'start'; run: number; credit: number; part?: DecodePart }
  | { type: 'credit'; run: number };

/** Reports of a decoding process. */
export type DecodeReport =
  | { type: 'opened'; info: ClipInfo }
  | { type: 'frame'; run: number; width: number; height: number; data: Uint8Array; timestamp: number; duration: number }
  | { type: 'progress' }
  | { type: 'warning'; text: string }
  | { type: 'end'; run: number }
  | { type: 'failure'; path: string; reason: string; refusal?: string };

/** What an encoding process is started with. `part` is the file or folder to fill. */
export type EncodeJob = {
  path: string;
  part: string;
  container: Container;
  width: number;
  height: number;
  frameRate?: number;
  quality: Quality;
  /** Frames bring how opaque their pixels are. */
  alpha?: boolean;
  metadata?: MediaMetadata;
  sound?: SoundRange;
};

/** What can be written. */
export type Container = 'mp4' | 'mov' | 'webm' | 'mkv' | 'gif' | 'webp' | 'folder';

/** Containers written through the video library. */
export type VideoContainer = Exclude<Container, 'gif' | 'webp' | 'folder'>;

/** How much of the picture an encoder keeps. */
export type Quality = 'low' | 'medium' | 'high' | 'very-high';

/** Orders to an encoding process. */
export type EncodeOrder =
  | { type: 'frame'; data: Uint8Array; alpha?: Uint8Array; timestamp: number; duration: number }
  | { type: 'finish' };

/** Reports of an encoding process. */
export type EncodeReport =
  | { type: 'opened' }
  | { type: 'taken' }
  | { type: 'progress' }
  | { type: 'finished' }
  | { type: 'warning'; text: string }
  | { type: 'failure'; path: string; reason: string; refusal?: string };
