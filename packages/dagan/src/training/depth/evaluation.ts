// Photometric error on held-out frames: how well depth, motion and camera rebuild frames of people that were not learned from.
import { noGrad, type Tensor, tidy } from '@dagan/libtorch';
import { photometricError } from '../../losses/photometric.js';
import type { Picture } from '../../media/pictures/picture.js';
import { batchOn, freeBatch } from '../batches/batches.js';
import { keepingRandomNumbers } from '../loop/random-state.js';
import { RankMeans } from '../ranks/rank-means.js';
import type { TrainingPlace } from '../ranks/ranks.js';
import type { DepthObjective, FrameTriple } from './objective.js';
import { depthSheet } from './pictures.js';
import type { DepthRecipe } from './recipe.js';

export type RebuildingResult = {
  /** Photometric error as the recipe judges it after its warm-up. Lower is better. */
  photometric: number;
  /** The same of the neighbours as they are: what a network that has learned nothing comes to. */
  unmoved: number;
  /** Focal length over the picture's width and height. */
  focalX: number;
  focalY: number;
  /** Targets rebuilt. */
  samples: number;
};

/**
 * Judges over the batches of all ranks, which are freed.
 *
 * @param triples this rank's batches
 * @throws TrainingSetupError if there are none
 */
export async function evaluateDepth(
  objective: DepthObjective,
  triples: AsyncIterable<FrameTriple>,
  place: TrainingPlace,
  { drawing }: { drawing: boolean },
): Promise<{ result: RebuildingResult; sheet: Picture | null }> {
  const results = new RankMeans(['photometric', 'unmoved', 'focalX', 'focalY']);
  let sheet: Picture | null = null;
  for await (const batch of triples) {
    keepingRandomNumbers(place.device, () =>
      tidy(() =>
        noGrad(() => {
          const moved = framesFor(objective.recipe, batchOn(batch, place.device));
          const { terms, seen, statistics } = objective.forward(moved);
          const values = {
            photometric: terms.photometric.item(),
            unmoved: unmovedError(objective, moved),
            focalX: statistics.focalX.item(),
            focalY: statistics.focalY.item(),
          };
          results.add(values, moved.target.size(0));
          if (drawing) sheet ??= depthSheet(moved, seen);
        }),
      ),
    );
    freeBatch(batch);
  }
  const { means, samples } = results.over(place);
  return { result: { ...means, samples }, sheet };
}

/** The frames of a batch that the recipe takes. */
export function framesFor(recipe: DepthRecipe, { previous, target, next }: FrameTriple): FrameTriple {
  return recipe.frames === 3 ? { previous, target, next } : { target, next };
}

/** Error of the neighbour that is most like the target at every pixel. */
function unmovedError({ recipe }: DepthObjective, { previous, target, next }: FrameTriple): number {
  const error = (source: Tensor) => photometricError(source, target, recipe.photometric);
  const after = error(next);
  return (previous ? after.minimum(error(previous)) : after).mean().item();
}
