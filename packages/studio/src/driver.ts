// What drives a portrait, as the animation reads it: a clip, or a motion template.
import type { Picture } from 'dagan/media/portable';
import type { DrivingFrame, DrivingKeypoints } from './engine/api.js';
import type { SaveOrder } from './media/media-worker.js';
import type { DrivenBy } from './result-player.js';
import type { Settings } from './settings.js';

/** A frame of it. */
export type DriverFrame = {
  /** What the engine is told of it. */
  order: Pick<DrivingFrame, 'frame' | 'square' | 'watch' | 'number'> | Pick<DrivingKeypoints, 'keypoints' | 'hasFace'>;
  /** The square that the networks see; null where there is no picture. */
  picture: Picture | null;
  /** Seconds. */
  timestamp: number;
  duration: number;
};

/** What is known of it, of the part that is used. */
export type DriverFacts = {
  /** Where it is known. */
  frameCount: number | undefined;
  /** Frames a second, where that is constant. */
  frameRate: number | undefined;
  /** The sound that goes along. */
  sound: SaveOrder['sound'];
  /** Whether it is one picture, which shows a pose and no change. */
  isStill: boolean;
};

/** What motion is measured from; undefined is the first frame. */
export type Anchor = Pick<DrivingFrame, 'frame' | 'square'> | Pick<DrivingKeypoints, 'keypoints'> | undefined;

export type AnchorOrder = {
  settings: Pick<Settings, 'motion' | 'reference'>;
  signal: AbortSignal;
  /** What is being done. */
  onStep(text: string): void;
};

export type Driver = {
  /** Of its file. */
  readonly name: string;
  /** The clip, as it can be shown again; null if it is none. */
  readonly shown: DrivenBy | null;
  /** Whether its frames have pictures. */
  readonly hasPictures: boolean;
  facts(): Promise<DriverFacts>;
  /** Asked for when the engine has the portrait. */
  anchor(order: AnchorOrder): Promise<Anchor>;
  /** The frames that are used, or one of every so many of them. One reading at a time. */
  frames(every?: number): AsyncGenerator<DriverFrame>;
  /** What the last reading has shown to be wrong with it. */
  readonly warnings: readonly string[];
  /** Keeps it of use while others may put another one in its place. @returns what ends that */
  hold(): () => void;
};
