// Which frames are learned from, and in which order: an endless sequence of samples, each a function of its position.
import { createHash } from 'node:crypto';
import {
  type Augmentation,
  type AugmentationOptions,
  augmentationSettings,
  drawAugmentation,
  UNCHANGED,
} from './augmentation.js';
import { identitiesOf } from './dataset.js';
import { EXPRESSION_SIGNALS, expressionDistance } from './face-cues.js';
import type { FrameClip, PreparedDataset } from './prepare.js';
import { Random } from './random.js';

/** Which frames of a clip form a sample. */
export type FrameChoice =
  /** Two different frames, as the animation model learns from. */
  | { kind: 'random' }
  /**
   * Frames at equal distance in time, as the depth network learns from: `spacing` frames apart (default 1), which may
   * depend on the clip. In a clip that is too short for it they are as far apart as it allows.
   */
  | { kind: 'neighbours'; spacing?: number | ((clip: FrameClip) => number) };

export type SamplingOptions = {
  seed: number;
  /** Frames in a sample. */
  count: 2 | 3;
  frames: FrameChoice;
  /** How often every identity comes in an epoch. Default 1. */
  numRepeats?: number;
  /** Default: the published recipe. `false` for evaluation. */
  augmentation?: AugmentationOptions | false;
  /**
   * The expressions of every clip by its name (`expressionsOf`). With them, and with augmentation, the second of two random
   * frames is the one of a few whose expression and turn differ most: most frames of a talking clip have nearly the same mouth.
   */
  expressions?: ReadonlyMap<string, Float32Array>;
  /** How many portraits there are that move, and the share of them among the samples. Default: none. */
  portraits?: { count: number; share: number };
};

/** Among how many frames the one with another expression is looked for. */
const CANDIDATES = 4;

/** A sample of a clip. */
export type ClipSample = {
  clip: FrameClip;
  /** Numbers of the frames, in the order in which they are handed out: ascending unless time is flipped. */
  frames: number[];
  augmentation: Augmentation;
};

/** A sample of a portrait that moves. */
export type PortraitSample = {
  /** Its number among the portraits. */
  portrait: number;
  /** Of the random numbers that move it. */
  key: readonly number[];
  augmentation: Augmentation;
};

/** One sample. */
export type Sample = ClipSample | PortraitSample;

/**
 * Samples by identity: an epoch is every identity `numRepeats` times in random order, each time with one of its clips,
 * drawn evenly. So a person with a hundred clips counts as much as one with a single clip. Epoch follows epoch without
 * end.
 *
 * A sample depends on the data, the seed, the number of the epoch and the place in it, and on nothing that was drawn
 * before. Augmentation does not change which frames are chosen.
 */
export class SampleSequence {
  /** Samples in an epoch. */
  readonly epochLength: number;
  readonly #options: SamplingOptions;
  readonly #augmentation: Required<AugmentationOptions> | undefined;
  readonly #clips: FrameClip[][];
  readonly #dataset: PreparedDataset;
  #order: { epoch: number; places: Uint32Array } | undefined;

  constructor(dataset: PreparedDataset, options: SamplingOptions) {
    const { numRepeats = 1, seed, augmentation = {} } = options;
    if (!Number.isInteger(numRepeats) || numRepeats < 1) {
      throw new RangeError(`numRepeats must be a positive integer, not ${numRepeats}`);
    }
    if (!Number.isSafeInteger(seed)) throw new RangeError(`the seed must be an integer, not ${seed}`);
    this.#dataset = dataset;
    this.#options = options;
    for (const clip of dataset.clips) {
      const spacing = this.#spacing(clip);
      if (Number.isInteger(spacing) && spacing >= 1) continue;
      throw new RangeError(`the spacing of neighbours must be a positive integer, not ${spacing} (${clip.name})`);
    }
    this.#augmentation = augmentation ? augmentationSettings(augmentation) : undefined;
    const identities = identitiesOf(dataset);
    const clips = new Map(identities.map((identity): [string, FrameClip[]] => [identity, []]));
    for (const clip of dataset.clips) clips.get(clip.identity)?.push(clip);
    this.#clips = [...clips.values()];
    this.epochLength = this.#clips.length * numRepeats;
  }

  /** What the sequence depends on, as a short text: equal for equal sequences, with very high probability only then. */
  get fingerprint(): string {
    const { seed, count, frames, numRepeats = 1, portraits } = this.#options;
    const clips = this.#dataset.clips.map((clip) => [clip.identity, clip.name, clip.frames]);
    const choice = this.#byExpression ? [frames, CANDIDATES, EXPRESSION_SIGNALS] : frames;
    const text = JSON.stringify([seed, count, choice, numRepeats, clips, ...(portraits ? [portraits] : [])]);
    return createHash('sha256').update(text).digest('hex').slice(0, 32);
  }

  /** The sample at a position, counted from 0 over all epochs. */
  at(position: number): Sample {
    const epoch = Math.floor(position / this.epochLength);
    const index = position % this.epochLength;
    const { seed, portraits } = this.#options;
    const augmentation = this.#augmentation
      ? drawAugmentation(new Random('augmentation', seed, epoch, index), this.#augmentation)
      : UNCHANGED;
    if (portraits) {
      const random = new Random('portrait', seed, epoch, index);
      if (random.chance(portraits.share)) {
        return { portrait: random.below(portraits.count), key: [seed, epoch, index], augmentation };
      }
    }
    const clips = this.#clips[this.#place(epoch, index) % this.#clips.length]!;
    const random = new Random('sample', seed, epoch, index);
    const clip = clips[random.below(clips.length)]!;
    const frames = this.#chooseFrames(clip, random);
    return { clip, frames: augmentation.reverse ? frames.reverse() : frames, augmentation };
  }

  #place(epoch: number, index: number): number {
    if (this.#order?.epoch !== epoch) {
      const places = Uint32Array.from({ length: this.epochLength }, (_, place) => place);
      this.#order = { epoch, places: new Random('order', this.#options.seed, epoch).shuffle(places) };
    }
    return this.#order.places[index]!;
  }

  #chooseFrames(clip: FrameClip, random: Random): number[] {
    const { frames: choice, count } = this.#options;
    if (choice.kind === 'random') {
      const first = random.below(clip.frames);
      const second = this.#otherFrame(clip, first, random);
      return [Math.min(first, second), Math.max(first, second)];
    }
    const spacing = Math.min(this.#spacing(clip), Math.floor((clip.frames - 1) / (count - 1)));
    const first = random.below(clip.frames - spacing * (count - 1));
    return Array.from({ length: count }, (_, i) => first + i * spacing);
  }

  get #byExpression(): boolean {
    return this.#options.expressions !== undefined && this.#augmentation !== undefined;
  }

  /** A random other frame; by expression, the one of several that differs most. */
  #otherFrame(clip: FrameClip, first: number, random: Random): number {
    const draw = (): number => {
      const other = random.below(clip.frames - 1);
      return other >= first ? other + 1 : other;
    };
    const expressions = this.#byExpression ? this.#options.expressions?.get(clip.name) : undefined;
    if (!expressions) return draw();
    const distance = (frame: number): number => expressionDistance(expressions, first, frame);
    return Array.from({ length: CANDIDATES }, draw).reduce((best, other) =>
      distance(other) > distance(best) ? other : best,
    );
  }

  /** How far apart a clip's neighbours are, if it is long enough. */
  #spacing(clip: FrameClip): number {
    const { frames } = this.#options;
    if (frames.kind === 'random' || frames.spacing === undefined) return 1;
    return typeof frames.spacing === 'function' ? frames.spacing(clip) : frames.spacing;
  }
}
