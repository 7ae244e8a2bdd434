// The track of a face through a video, cut where the face is lost, jumps or has drifted away, and what of it makes a
// clip.

import { fitSquare, squareForFaces, squareOfFace } from '../../faces/framing.js';
import { type Box, overlap, unionOf } from '../../faces/geometry.js';
import type { Rectangle } from '../../media/pictures/picture.js';

/** A face seen in one frame. */
export type FaceSample = {
  /** Number of the frame in the video. */
  frame: number;
  /** Around the face's mesh, in pixels of the video. */
  box: Box;
  /** x, y of a few points of the face, for the measure of its motion. */
  marks: readonly number[];
};

/** Why a track ended. */
export type TrackEnd = 'end of the video' | 'lost' | 'jumped' | 'drifted' | 'cut';

/** A face followed without a break. */
export type FaceTrack = {
  /** In the order of their frames. */
  samples: readonly FaceSample[];
  /** First frame, and the one before which it ends. */
  start: number;
  end: number;
  endedBy: TrackEnd;
};

/** Between two samples a face overlaps itself more than this, else it is another one. */
const SAME_FACE = 0.4;

/** A face that overlaps its first box less than this has drifted away (as VoxCeleb's preparation has it). */
const DRIFTED = 0.25;

/** Makes tracks out of samples, which come in the order of their frames. */
export class TrackBuilder {
  readonly #finished: FaceTrack[] = [];
  #open: FaceSample[] = [];

  /** A face was seen. Returns whether it continues the track there was. */
  seen(sample: FaceSample): boolean {
    const [first, last] = [this.#open[0], this.#open.at(-1)];
    if (!first || !last) {
      this.#open = [sample];
      return false;
    }
    const jumped = overlap(last.box, sample.box) < SAME_FACE;
    if (!jumped && overlap(first.box, sample.box) >= DRIFTED) {
      this.#open.push(sample);
      return true;
    }
    this.#close(last.frame + 1, jumped ? 'jumped' : 'drifted');
    this.#open = [sample];
    return false;
  }

  /** No face was seen: the track, if there is one, ended with its last sample. */
  lost(): void {
    const last = this.#open.at(-1);
    if (last) this.#close(last.frame + 1, 'lost');
  }

  /** A new shot begins with this frame. */
  cut(frame: number): void {
    this.#close(frame, 'cut');
  }

  /** The video has so many frames. */
  finish(frames: number): FaceTrack[] {
    this.#close(frames, 'end of the video');
    return this.#finished;
  }

  #close(end: number, endedBy: TrackEnd): void {
    const first = this.#open[0];
    if (first) this.#finished.push({ samples: this.#open, start: first.frame, end, endedBy });
    this.#open = [];
  }
}

/** What a track must be to be kept. */
export type ClipRules = {
  /** Seconds that a clip lasts at least and at most; longer tracks become several clips. */
  minSeconds: number;
  maxSeconds: number;
  /** Least side of the square, in pixels of the video. */
  minSide: number;
};

/** A clip to be cut out of a video. */
export type ClipPlan = {
  start: number;
  end: number;
  crop: Rectangle;
  /** Width and height of the face's mesh as parts of the square's side, in the middle of all frames. */
  faceWidth: number;
  faceHeight: number;
  /** Root mean square way of the face's points from their mean place, in heights of the face. */
  motion: number;
};

/** A part of a video that is not used. */
export type DroppedPart = {
  start: number;
  end: number;
  reason: 'too short' | 'too small' | 'leaves the picture' | 'moves too far';
  /** With the figures. */
  detail: string;
};

/** The square of a moving face may be so much larger than that of the same face keeping still. */
const MOST_ROOM = 1.8;

/** The face may fill so much of the square's height where the picture allows no larger one. */
const LARGEST_FACE = 0.8;

/** What is to be cut out of a video along its tracks, and what is left out and why. */
export function planClips(
  tracks: readonly FaceTrack[],
  video: { width: number; height: number; frameRate: number },
  rules: ClipRules,
): { clips: ClipPlan[]; dropped: DroppedPart[] } {
  const clips: ClipPlan[] = [];
  const dropped: DroppedPart[] = [];
  for (const track of tracks) {
    for (const part of partsOf(track, video.frameRate, rules.maxSeconds)) {
      const plan = planClip(part, video, rules);
      if ('crop' in plan) clips.push(plan);
      else dropped.push(plan);
    }
  }
  return { clips, dropped };
}

/** Equal parts of a track that are not too long. */
function partsOf(track: FaceTrack, frameRate: number, maxSeconds: number): Omit<FaceTrack, 'endedBy'>[] {
  const { start, end, samples } = track;
  const count = Math.max(1, Math.ceil((end - start) / frameRate / maxSeconds - 1e-6));
  const bounds = Array.from({ length: count + 1 }, (_, index) => start + Math.round(((end - start) * index) / count));
  return bounds.slice(1).map((until, index) => {
    const from = bounds[index]!;
    // The sample before the part, too: between samples the face is on its way from one to the other.
    const before = samples.findLastIndex(({ frame }) => frame <= from);
    const after = samples.findIndex(({ frame }) => frame >= until);
    return { start: from, end: until, samples: samples.slice(Math.max(0, before), after < 0 ? undefined : after + 1) };
  });
}

function planClip(
  { start, end, samples }: Omit<FaceTrack, 'endedBy'>,
  video: { width: number; height: number; frameRate: number },
  { minSeconds, minSide }: ClipRules,
): ClipPlan | DroppedPart {
  const drop = (reason: DroppedPart['reason'], detail: string): DroppedPart => ({ start, end, reason, detail });
  const seconds = (end - start) / video.frameRate;
  if (seconds < minSeconds - 1e-6) return drop('too short', `${seconds.toFixed(2)} s`);
  const boxes = smoothed(samples.map(({ box }) => box));
  const square = squareForFaces(boxes);
  const still = median(boxes.map((box) => squareOfFace(box).side));
  const room = square.side / still;
  if (room > MOST_ROOM) return drop('moves too far', `needs ${room.toFixed(2)} times the square of a still face`);
  const crop = fitSquare(square, unionOf(boxes), video.width, video.height);
  const [side, left, top] = [square.side, square.left, square.top].map(Math.round);
  const place = `${side} x ${side} at (${left}, ${top})`;
  if (!crop) return drop('leaves the picture', place);
  const [faceWidth, faceHeight] = [
    median(boxes.map(({ width }) => width)) / crop.width,
    median(boxes.map(({ height }) => height)) / crop.width,
  ];
  if (faceHeight > LARGEST_FACE) return drop('leaves the picture', `${place}; there is room for ${crop.width}`);
  if (crop.width < minSide) return drop('too small', `the square has ${crop.width} pixels a side`);
  return {
    start,
    end,
    crop,
    faceWidth,
    faceHeight,
    motion: motionOf(samples, median(boxes.map(({ height }) => height))),
  };
}

/** Boxes without what a single one of them does alone: each number is the median of three in a row. */
function smoothed(boxes: readonly Box[]): Box[] {
  const around = (index: number, key: keyof Box): number =>
    median(boxes.slice(Math.max(0, index - 1), index + 2).map((box) => box[key]));
  return boxes.map((box, index) => {
    if (index === 0 || index === boxes.length - 1) return box;
    return {
      left: around(index, 'left'),
      top: around(index, 'top'),
      width: around(index, 'width'),
      height: around(index, 'height'),
    };
  });
}

/** The motion measure of a clip: see `ClipPlan`. */
export function motionOf(samples: readonly Pick<FaceSample, 'marks'>[], faceHeight: number): number {
  const length = samples[0]?.marks.length ?? 0;
  let squares = 0;
  for (let at = 0; at < length; at++) {
    const mean = samples.reduce((sum, { marks }) => sum + marks[at]!, 0) / samples.length;
    squares += samples.reduce((sum, { marks }) => sum + (marks[at]! - mean) ** 2, 0) / samples.length;
  }
  return Math.sqrt(squares / Math.max(1, length / 2)) / faceHeight;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
