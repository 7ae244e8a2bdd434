// One raw video to training clips: the first pass follows the face, the second cuts the clips out.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withCode } from '../../errors.js';
import type { FaceAnalyzer } from '../../faces/analyzer.js';
import { analysisSize } from '../../faces/framing.js';
import { scaleBox } from '../../faces/geometry.js';
import type { FaceMesh } from '../../faces/mesh.js';
import { MediaError } from '../../media/errors.js';
import type { PictureTransform } from '../../media/pictures/resize.js';
import { openClip } from '../../media/process/clip.js';
import { createClipWriter } from '../../media/process/clip-writer.js';
import { ShotCuts } from './shot-cuts.js';
import {
  type ClipPlan,
  type ClipRules,
  type DroppedPart,
  type FaceSample,
  type FaceTrack,
  planClips,
  TrackBuilder,
} from './tracks.js';

/** How videos become clips. */
export type PreprocessSettings = ClipRules & {
  /** Side of the clips in pixels. */
  size: number;
  /** Frames per second of the clips; frames are left out or repeated to keep the time. */
  frameRate: number;
  /** `mp4`: H.264 clips. `png`: folders of lossless pictures. */
  format: 'mp4' | 'png';
  /** The face is looked at in every so many frames. */
  every: number;
  /** Length of the clips that are made of stills; without it stills are not taken. */
  stillSeconds?: number;
};

/** A clip that was made. */
export type MadeClip = ClipPlan & {
  /** Path below the data set's root. */
  file: string;
  /** Number of its frames. */
  frames: number;
};

/** What became of a video. */
export type VideoResult = {
  width: number;
  height: number;
  frameRate: number;
  frames: number;
  clips: MadeClip[];
  dropped: DroppedPart[];
  /** Frames in which no face was followed. */
  framesWithoutFace: number;
  warnings: string[];
};

export type ProcessOptions = PreprocessSettings & {
  analyzer: FaceAnalyzer;
  /** The data set's root, and the folder below it that the clips go to. */
  root: string;
  split: string;
  /** The clips' names begin with this: `identity#video`. */
  name: string;
  /** Told of frames that have been worked through; each frame of the video counts once in every pass. */
  onProgress?: (frames: number) => void;
};

/** Seconds that decoding may stand still: all processors may be busy. */
export const TIME_LIMIT = 120;

/** Points of the mesh that tell motion: nose tip, outer eye corners, mouth corners, lips, chin, brows. */
export const MARKS = [1, 33, 263, 61, 291, 13, 14, 152, 105, 334];

/**
 * Makes the clips of a video. Each appears whole or not at all.
 *
 * @throws MediaError if the video cannot be read or a clip cannot be written
 */
export async function processVideo(path: string, options: ProcessOptions): Promise<VideoResult> {
  const warnings: string[] = [];
  const video = await followFace(path, options, (text) => warnings.push(text));
  const { clips, dropped } = planClips(video.tracks, video, options);
  const made: MadeClip[] = [];
  for (const clip of clips) {
    const stem = `${options.name}#${frameNumber(clip.start)}-${frameNumber(clip.end)}`;
    const file = `${options.split}/${stem}${options.format === 'mp4' ? '.mp4' : ''}`;
    try {
      made.push({ ...clip, file, frames: await cutOut(path, clip, join(options.root, file), options) });
    } catch (error) {
      // Without its record the video is done anew, and nothing of it may stay until then.
      for (const { file: earlier } of made) await rm(join(options.root, earlier), { recursive: true, force: true });
      throw error;
    }
  }
  const { width, height, frameRate, frames } = video;
  const followed = video.tracks.reduce((sum, track) => sum + track.end - track.start, 0);
  return { width, height, frameRate, frames, clips: made, dropped, framesWithoutFace: frames - followed, warnings };
}

type FollowedVideo = { width: number; height: number; frameRate: number; frames: number; tracks: FaceTrack[] };

async function followFace(
  path: string,
  { analyzer, every, onProgress }: ProcessOptions,
  onWarning: (text: string) => void,
): Promise<FollowedVideo> {
  const { width, height } = await sizeOf(path);
  const size = analysisSize(width, height);
  await using clip = await openClip(path, { transform: { size }, timeLimit: TIME_LIMIT, onWarning });
  const cuts = new ShotCuts();
  const tracks = new TrackBuilder();
  const [scaleX, scaleY] = [width / size[0], height / size[1]];
  let mesh: FaceMesh | undefined;
  let frame = 0;
  let due = 0;
  for await (const { picture } of clip.frames()) {
    if (cuts.begins(picture)) {
      tracks.cut(frame);
      mesh = undefined;
      due = frame;
    }
    if (frame >= due) {
      mesh = await analyzer.track(picture, mesh);
      due = frame + every;
      if (mesh) {
        tracks.seen(sampleOf(mesh, frame, scaleX, scaleY));
      } else {
        tracks.lost();
      }
    }
    frame++;
    onProgress?.(1);
  }
  return { width, height, frameRate: clip.frameRate, frames: frame, tracks: tracks.finish(frame) };
}

/** A face seen in a frame, in pixels `scaleX` and `scaleY` times as small as the mesh's. */
export function sampleOf({ points, box }: FaceMesh, frame: number, scaleX: number, scaleY: number): FaceSample {
  return {
    frame,
    box: scaleBox(box, scaleX, scaleY),
    marks: MARKS.flatMap((index) => [points[index * 3]! * scaleX, points[index * 3 + 1]! * scaleY]),
  };
}

async function sizeOf(path: string): Promise<{ width: number; height: number }> {
  await using clip = await openClip(path, { timeLimit: TIME_LIMIT });
  if (clip.kind === 'image') {
    throw withCode(new MediaError(path, 'is a single picture, not a video'), 'still-among-videos', { path });
  }
  return { width: clip.sourceWidth, height: clip.sourceHeight };
}

/** Writes one clip and returns the number of its frames. */
async function cutOut(
  path: string,
  { start, end, crop }: ClipPlan,
  target: string,
  { size, frameRate, format, onProgress }: ProcessOptions,
): Promise<number> {
  const transform: PictureTransform = { crop, size: [size, size] };
  await using clip = await openClip(path, { start, end, transform, timeLimit: TIME_LIMIT });
  await using writer = await createClipWriter(format === 'mp4' ? target : `${target}/`, {
    width: size,
    height: size,
    frameRate,
    timeLimit: TIME_LIMIT,
  });
  for await (const { picture, timestamp, duration } of clip.frames()) {
    // The picture is shown in every frame of the clip that begins while it is on.
    while (writer.frameCount / frameRate < timestamp + duration - 0.5 / frameRate) await writer.add(picture);
    onProgress?.(1);
  }
  const frames = writer.frameCount;
  await writer.finish();
  return frames;
}

/** As it stands in the names of clips. */
export function frameNumber(frame: number): string {
  return String(frame).padStart(6, '0');
}
