// Watches stage 1 for the known ways in which self-supervised depth collapses, and says what to do about it.
import type { DepthStatistics } from './depth-objective.js';

export type DepthSymptom = 'static-pairs' | 'identity-pose' | 'flat-disparity' | 'runaway-focal' | 'nothing-learns';

export type DepthWarning = { symptom: DepthSymptom; message: string };

/** Weight of the past in the running means: they look back about 50 steps. */
const MEMORY = 0.98;

/** Steps before anything is judged: untrained networks look like collapsed ones, for long. */
const PATIENCE = 1000;

/** The first symptom that holds explains those after it. */
const SYMPTOMS: readonly {
  symptom: DepthSymptom;
  holds: (s: DepthStatistics) => boolean;
  says: (s: DepthStatistics) => string;
}[] = [
  {
    symptom: 'static-pairs',
    holds: ({ change }) => change < 0.008,
    says: ({ change }) =>
      `neighbouring frames differ by ${percent(change)} only: depth cannot be seen without motion. ` +
      'Space the frames wider, or leave clips without motion out',
  },
  {
    symptom: 'identity-pose',
    holds: ({ motion }) => motion < 0.15,
    says: ({ motion }) =>
      `the networks move the picture by ${motion.toFixed(2)} pixels although it changes: the pose network has settled on a ` +
      'camera at rest. Space the frames so that they move by 2 to 5 pixels, or begin anew with another seed or half the learning rate',
  },
  {
    symptom: 'flat-disparity',
    holds: ({ relief }) => relief < 0.02,
    says: ({ relief }) =>
      `disparity is flat, it varies by ${percent(relief)} of its mean: rotation alone explains the frames. Use clips in ` +
      'which the head turns or the camera moves sideways, or a smaller weight of smoothness',
  },
  {
    symptom: 'runaway-focal',
    holds: ({ focalX, focalY }) => Math.min(focalX, focalY) < 0.25 || Math.max(focalX, focalY) > 8,
    says: ({ focalX, focalY }) =>
      `the focal length is ${focalX.toFixed(2)} widths and ${focalY.toFixed(2)} heights of the picture, which no camera ` +
      'for faces has: the clips do not determine it. Lower `intrinsicsRate`, or begin from the focal length of your camera',
  },
  {
    symptom: 'nothing-learns',
    holds: ({ learning }) => learning < 0.03,
    says: ({ learning }) =>
      `only ${percent(learning)} of the pixels learn, the others look best unmoved: frames are too close to each other or ` +
      'too far apart. Change their spacing, or switch automasking off to begin with',
  },
];

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** Follows the statistics of the steps; a warning comes when a symptom begins, and again only after it has been gone. */
export class DepthGuard {
  #mean: DepthStatistics | null = null;
  #steps = 0;
  #current: DepthSymptom | null = null;

  /** @param patience steps before the first warning */
  constructor(readonly patience = PATIENCE) {}

  /** Takes in a step. Returns a warning if a collapse has begun, else null. */
  update(statistics: DepthStatistics): DepthWarning | null {
    const before = this.#mean ?? statistics;
    const names = Object.keys(statistics) as (keyof DepthStatistics)[];
    const entries = names.map((name) => [name, MEMORY * before[name] + (1 - MEMORY) * statistics[name]] as const);
    const mean = Object.fromEntries(entries) as DepthStatistics;
    this.#mean = mean;
    this.#steps += 1;
    if (this.#steps < this.patience) return null;
    const found = SYMPTOMS.find(({ holds }) => holds(mean));
    const news = found && found.symptom !== this.#current;
    this.#current = found?.symptom ?? null;
    return news ? { symptom: found.symptom, message: found.says(mean) } : null;
  }
}
