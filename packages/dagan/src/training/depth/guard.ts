// Watches stage 1 for the known ways in which self-supervised depth collapses, and says what to do about it.
import type { DepthStatistics } from './objective.js';

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
      'Space the frames wider (`spacing`), or leave clips without motion out',
  },
  {
    symptom: 'identity-pose',
    holds: ({ motion }) => motion < 0.15,
    says: ({ motion }) =>
      `the networks move the picture by ${motion.toFixed(2)} pixels although it changes: the pose network has settled on a ` +
      'camera at rest. Space the frames so that they move by 2 to 5 pixels (`spacing`), or begin anew with another `seed` or half the `learningRate`',
  },
  {
    symptom: 'flat-disparity',
    holds: ({ relief }) => relief < 0.02,
    says: ({ relief }) =>
      `disparity is flat, it varies by ${percent(relief)} of its mean: rotation alone explains the frames. Use clips in ` +
      'which the head turns or the camera moves sideways, or a smaller weight of smoothness (`smoothness`)',
  },
  {
    symptom: 'runaway-focal',
    holds: ({ focalX, focalY }) => Math.min(focalX, focalY) < 0.25 || Math.max(focalX, focalY) > 8,
    says: ({ focalX, focalY }) =>
      `the focal length is ${focalX.toFixed(2)} widths and ${focalY.toFixed(2)} heights of the picture, which no camera ` +
      'for faces has: the clips do not determine it. Lower the rate of the intrinsics (`intrinsicsRate`), or begin from the focal length of your camera (`focal`)',
  },
  {
    symptom: 'nothing-learns',
    holds: ({ learning }) => learning < 0.03,
    says: ({ learning }) =>
      `only ${percent(learning)} of the pixels learn, the others look best unmoved: frames are too close to each other or ` +
      'too far apart. Change `spacing`, or do without automasking to begin with (`warmup`)',
  },
];

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

/** What a guard knows of the steps so far, as JSON can hold it. */
export type DepthGuardState = {
  /** Running means of the statistics, over some 50 steps; null before the first step. */
  mean: DepthStatistics | null;
  steps: number;
  /** The symptom that holds. */
  current: DepthSymptom | null;
};

/** Follows the statistics of the steps; a warning comes when a symptom begins, and again only after it has been gone. */
export class DepthGuard {
  /** A guard that gets another one's goes on in its place. */
  state: DepthGuardState = { mean: null, steps: 0, current: null };

  /** @param patience steps before the first warning */
  constructor(readonly patience = PATIENCE) {}

  /** Takes in a step. Returns a warning if a collapse has begun, else null. */
  update(statistics: DepthStatistics): DepthWarning | null {
    const before = this.state.mean ?? statistics;
    const names = Object.keys(statistics) as (keyof DepthStatistics)[];
    const entries = names.map((name) => [name, MEMORY * before[name] + (1 - MEMORY) * statistics[name]] as const);
    const mean = Object.fromEntries(entries) as DepthStatistics;
    const steps = this.state.steps + 1;
    const found = steps < this.patience ? undefined : SYMPTOMS.find(({ holds }) => holds(mean));
    const news = found && found.symptom !== this.state.current;
    this.state = { mean, steps, current: found?.symptom ?? null };
    return news ? { symptom: found.symptom, message: found.says(mean) } : null;
  }
}
