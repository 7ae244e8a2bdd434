// What a pipeline tells while it works. Whoever listens prints it, shows it, or leaves it.
import type { Absence } from '../animation/face-watch.js';
import type { CodedProblem, InputRole } from '../errors.js';
import type { Square } from '../faces/framing.js';

/** What is good to know, or what the result suffers from, and the values that tell it. */
export type NoticeValues = {
  /** The model is ready; `description` of what runs it. */
  engine: { description: string };
  /** There are no trained weights. */
  untrained: Record<never, never>;
  /** A model is exported, once. */
  exporting: { folder: string };
  /** The square around a face is used. */
  'face-square': { path: string; role: InputRole; square: Square; width: number; height: number; outside: number };
  /** The square around the centre is used. */
  'centre-square': { path: string; role: InputRole; square: Square; width: number; height: number };
  /** A part of the square that was given, 0 to 1, lies outside. */
  'square-reaches-out': {
    path: string;
    role: InputRole;
    square: Square;
    width: number;
    height: number;
    outside: number;
  };
  /** There are several faces, and the largest is used; `face` is its number from the left. */
  'other-faces': { path: string; role: InputRole; face: number; faces: number };
  /** The face is missing in a part of the clip, 0 to 1. */
  'face-missing': { path: string; missing: number };
  /** Some frames do not show the face. Of a driver: the portrait rests there; of a portrait that moves: other frames stay there. */
  'face-absent': { path: string; absences: readonly Absence[] };
  /** The face is only so many pixels high. */
  'small-face': { path: string; height: number };
  /** Motion is measured from this frame, found by faces or by keypoints. */
  'reference-frame': { path: string; frame: number; by: 'face' | 'keypoints' };
  /** The portrait is a clip, whose own motion goes on. */
  'moving-portrait': { path: string };
  /** The portrait's face is turned clockwise by so many degrees, -180 to 180. */
  'turned-face': { path: string; degrees: number };
  /** Players may not show a video as wide as this one. */
  'wide-video': { most: number };
  /** A raw video has become so many training clips, and so many parts of it were left out. */
  'video-done': { path: string; clips: number; dropped: number };
  /** It could not be prepared; what is wrong as a code, where it has one. */
  'video-failed': { path: string; problem?: CodedProblem };
  /** Clips of another video have the name that its own would get. */
  'name-taken': { path: string; name: string };
  /** A codec's warning about a file. */
  codec: Record<never, never>;
};

export type NoticeCode = keyof NoticeValues;

/** One thing told; `message` is a line for people that names no way to change it. */
export type Notice = {
  [Code in NoticeCode]: { type: 'notice' | 'warning'; code: Code; message: string; values: NoticeValues[Code] };
}[NoticeCode];

/** How far a piece of work is. `total`, where known, may be an estimate; `ended` comes once. */
export type ProgressEvent = { type: 'progress'; label: string; done: number; total?: number; ended: boolean };

export type PipelineEvent = Notice | ProgressEvent;

/** How far a piece of work is, for the one who does it. */
export type Progress = {
  /** Tells how many frames are done. */
  update(done: number): void;
  end(): void;
};

/** Tells a listener, if there is one. */
export class Teller {
  readonly #listener: (event: PipelineEvent) => void;

  constructor(listener: (event: PipelineEvent) => void = () => {}) {
    this.#listener = listener;
  }

  /** Something good to know. */
  notice<Code extends NoticeCode>(code: Code, message: string, values: NoticeValues[Code]): void {
    this.#listener({ type: 'notice', code, message, values } as Notice);
  }

  /** Something that the result suffers from. */
  warn<Code extends NoticeCode>(code: Code, message: string, values: NoticeValues[Code]): void {
    this.#listener({ type: 'warning', code, message, values } as Notice);
  }

  /** Begins to tell how far a piece of work is. @param total frames to come, as far as known */
  progress(label: string, total: number | undefined): Progress {
    let last = 0;
    const tell = (done: number, ended: boolean): void =>
      this.#listener({ type: 'progress', label, done, total, ended });
    tell(0, false);
    return {
      update: (done) => {
        last = done;
        tell(done, false);
      },
      end: () => tell(last, true),
    };
  }
}
