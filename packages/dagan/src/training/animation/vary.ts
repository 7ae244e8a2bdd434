// The variations that a training asks of every batch, one after the other.
import type { AnimationTrainingConfig } from './config.js';
import type { FramePair } from './pair.js';
import { reshapePairs } from './reshape.js';
import { swayPairs } from './sway.js';

/** A batch with some of its faces bent, and then some heads moved, as the configuration says. */
export function variedPairs(
  batch: FramePair,
  { reshape, sway }: Pick<AnimationTrainingConfig, 'reshape' | 'sway'>,
): FramePair {
  const reshaped = reshape ? reshapePairs(batch, reshape) : batch;
  return sway ? swayPairs(reshaped, sway) : reshaped;
}
