// Several animations, one after the other, with one engine.
import { type AnimationResult, ClipAnimator, type ClipSettings, type Listening } from './animate-clip.js';
import type { EngineChoice } from './choose-engine.js';
import type { Pair } from './pairs.js';

/** What became of one of several pairs; `number` counts from 1. */
export type PairOutcome = { pair: Pair; number: number; of: number } & (
  | { result: AnimationResult }
  | { error: unknown }
);

export type AnimateClipsOptions = ClipSettings &
  EngineChoice &
  Listening & {
    /** Told of each pair when it is done, or has failed. */
    onOutcome?: (outcome: PairOutcome) => void;
  };

/**
 * Animates one pair after the other (`planPairs` makes them of files and folders); one that fails does not stop the rest.
 *
 * @returns all outcomes, in order
 * @throws if there is no engine, without which no pair can succeed; the signal's reason if it was aborted
 */
export async function animateClips(
  pairs: readonly Pair[],
  { onOutcome, ...options }: AnimateClipsOptions,
): Promise<PairOutcome[]> {
  await using animator = new ClipAnimator(options);
  const outcomes: PairOutcome[] = [];
  for (const [i, pair] of pairs.entries()) {
    const place = { pair, number: i + 1, of: pairs.length };
    let outcome: PairOutcome;
    try {
      outcome = { ...place, result: await animator.animate(pair, `[${i + 1}/${pairs.length}] ${pair.output}`) };
    } catch (error) {
      if (animator.engineFailed || options.signal?.aborted) throw error;
      outcome = { ...place, error };
    }
    outcomes.push(outcome);
    onOutcome?.(outcome);
  }
  return outcomes;
}
