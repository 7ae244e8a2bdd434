// What moves a portrait, as the pipeline knows it: a clip, a single picture, a motion template, or angles of the head alone.
import type { DrivenFrame, DrivingOptions } from '../animation/animate.js';
import type { ClipRange } from '../animation/clip-face.js';
import type { Analysis, Engine } from '../animation/engine.js';
import type { Absence } from '../animation/face-watch.js';
import type { Playback } from '../animation/motion-template.js';
import type { Look } from '../animation/reference-frame.js';
import type { Picture } from '../media/pictures/picture.js';
import type { Clip, ClipFrame } from '../media/process/clip.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { Teller } from './events.js';
import type { FaceFinder } from './find-faces.js';
import type { Timed } from './frame-rate.js';
import type { HeadTurn } from './head-turn.js';
import type { CropChoice } from './told-squares.js';

/** A driving frame: the square that the networks see, when it is shown and how often. */
export type DriverFrame = Timed<ClipFrame>;

/** The frame that shows the portrait's own pose. */
export type ReferenceFrame = 'auto' | 'first' | number;

export type DriverOptions = ClipRange &
  Playback & {
    crop: CropChoice;
    motion?: 'relative' | 'absolute';
    referenceFrame?: ReferenceFrame;
    /** Without a file that drives: how the head turns. */
    turn?: HeadTurn;
    signal?: AbortSignal;
  };

/** What moves a portrait, ready to be read. */
export type Driver = AsyncDisposable & {
  readonly path: string | undefined;
  /** How motion is to be taken over where nobody has said it: a single picture shows no change that could be repeated. */
  readonly motion: 'relative' | 'absolute';
  /** Frames per second of what comes out; undefined where frames keep times of their own. */
  readonly frameRate: number | undefined;
  /** Frames to come, as far as known. */
  readonly frameCount: number | undefined;
  /** The clip whose sound goes along. */
  readonly sound: Clip | undefined;
  /** Whether it is one picture. */
  readonly isStill: boolean;
  /** Whether how the portrait looks decides which frame motion is measured from. */
  readonly searches: boolean;
  /** Frames so far that do not show the face. */
  readonly absences: readonly Absence[];
  /** Looks for the face that drives, which needs no portrait; `look` takes up what it finds, or what went wrong. */
  search(signal?: AbortSignal): Promise<void>;
  /**
   * Finds the face that drives, for one portrait or for several, one after the other.
   *
   * @param portrait how the portrait's face looks, where that is known
   * @returns the frame from which motion is measured, where that is found by how it looks or by its number
   */
  look(portrait: Look | undefined): Promise<Picture | undefined>;
  /** The keypoints from which motion is measured; undefined for those of the first frame. */
  anchor(engine: Engine, portrait: Analysis, choice: AnchorChoice): Promise<KeypointSet | undefined>;
  /** What drives, frame by frame, in batches; after `look` and `anchor`. */
  frames(engine: Engine, options: Pick<DrivingOptions, 'withDisparity'>): AsyncGenerator<DrivenFrame<DriverFrame>[]>;
};

/** What motion is measured from: the frame that `look` has found for the portrait; `model` is the hash of its weights. */
export type AnchorChoice = { reference: Picture | undefined; model: string | undefined };

/** What a driver finds faces with, and tells of it. */
export type DriverTools = { faces: FaceFinder; tell: Teller; onWarning: (text: string) => void };
