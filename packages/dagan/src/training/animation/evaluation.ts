// Reconstruction of held-out pairs: the driving frame rebuilt from the source and the driving frame's own keypoints; and what the
// motion field does to expressions, which answers long before frames are painted well.
import { noGrad, tidy } from '@dagan/libtorch';
import { type ChangeSums, NO_CHANGES } from '../../faces/change-sums.js';
import {
  FIELD_SIGNALS,
  type FieldSignal,
  type FieldTransfer,
  fieldTransfer,
  fieldTransferFigures,
} from '../../faces/field-transfer.js';
import { TRAVELLING_POINTS } from '../../faces/landmarks.js';
import type { Frame } from '../../models/animation-model.js';
import { batchOn, freeBatch } from '../batches/batches.js';
import { RankMeans } from '../ranks/rank-means.js';
import type { TrainingPlace } from '../ranks/ranks.js';
import type { FramePair } from './pair.js';

export type ReconstructionResult = {
  /** Mean absolute difference of colours in [0, 1]. */
  l1: number;
  /** The same of the source as it is: what copying it instead would give. */
  copied: number;
  /** Peak signal-to-noise ratio in dB, the mean over pictures. */
  psnr: number;
  /** Pictures compared. */
  samples: number;
} & Partial<FieldResult & Guided<FieldResult>>;

/** What rebuilds driving frames, and, where some pairs are guided in training, what moves them so. */
export type Reconstructs = {
  reconstruct(pair: FramePair): { generated: Pick<Frame, 'prediction' | 'deformation'> };
  readonly config?: { readonly guided?: number };
  move?(pair: FramePair, guided: number): { generated: Pick<Frame, 'deformation'> };
};

/** The same with the semantic keypoints on their landmarks. */
type Guided<Result> = { [Name in keyof Result & string as `guided.${Name}`]: Result[Name] };

/** How much of the driver's change of expression the motion field brings about (`fieldTransferFigures`); where faces are told of. */
export type FieldResult = Record<FieldSignal | 'meshDistance' | 'meshUnmoved', number>;

/**
 * Compares over the pairs of all ranks. The batches are freed.
 *
 * @param pairs this rank's batches
 * @throws TrainingSetupError if there are no pairs
 */
export async function evaluateReconstruction(
  objective: Reconstructs,
  pairs: AsyncIterable<FramePair>,
  place: TrainingPlace,
): Promise<ReconstructionResult> {
  const results = new RankMeans(['l1', 'copied', 'psnr']);
  const fields = new RankMeans(FIELD_SUMS);
  const guided = new RankMeans(FIELD_SUMS);
  const guides = (objective.config?.guided ?? 0) > 0;
  let told = false;
  for await (const batch of pairs) {
    tidy(() =>
      noGrad(() => {
        const { source, driving, landmarks } = batchOn(batch, place.device);
        const pair = { source, driving, ...(landmarks && { landmarks }) };
        const { prediction, deformation } = objective.reconstruct(pair).generated;
        const difference = prediction.to({ dtype: 'float32' }).sub(driving);
        const absolute = difference.abs().mean([1, 2, 3]).toFloat32Array(); // [N]
        const copied = source.sub(driving).abs().mean([1, 2, 3]).toFloat32Array(); // [N]
        const squared = difference.square().mean([1, 2, 3]).toFloat32Array(); // [N]
        if (landmarks && deformation) {
          told = true;
          const [to, from] = [landmarks.select(1, 1), landmarks.select(1, 0)]; // [N, P, 3]
          fields.add(flattened(fieldTransfer(deformation, to, from, TRAVELLING_POINTS)));
          if (guides) {
            const field = objective.move!(pair, 1).generated.deformation!;
            guided.add(flattened(fieldTransfer(field, to, from, TRAVELLING_POINTS)));
          }
        }
        for (const [i, error] of squared.entries()) {
          results.add({ l1: absolute[i]!, copied: copied[i]!, psnr: -10 * Math.log10(Math.max(error, 1e-10)) });
        }
      }),
    );
    freeBatch(batch);
  }
  const { means, samples } = results.over(place);
  const found = told ? fieldResult(fields.over(place).means) : {};
  const led = told && guides ? Object.entries(fieldResult(guided.over(place).means)) : [];
  return { ...means, samples, ...found, ...Object.fromEntries(led.map(([name, value]) => [`guided.${name}`, value])) };
}

const SIGNALS = Object.keys(FIELD_SIGNALS) as FieldSignal[];
const CHANGES = Object.keys(NO_CHANGES) as (keyof ChangeSums)[];
const DISTANCES = ['points', 'distance', 'unmoved'] as const;

/** The sums of a field's transfer by flat names, as ranks add them up. */
const FIELD_SUMS = [...SIGNALS.flatMap((signal) => CHANGES.map((sum) => `${signal}.${sum}`)), ...DISTANCES];

function flattened(transfer: FieldTransfer): Record<string, number> {
  const changes = SIGNALS.flatMap((signal) =>
    CHANGES.map((sum) => [`${signal}.${sum}`, transfer.signals[signal][sum]] as const),
  );
  return Object.fromEntries([...changes, ...DISTANCES.map((name) => [name, transfer[name]] as const)]);
}

/** From the means of the sums, whose ratios are those of the sums. */
function fieldResult(means: Readonly<Record<string, number>>): Partial<FieldResult> {
  const changesOf = (signal: FieldSignal): ChangeSums =>
    Object.fromEntries(CHANGES.map((sum) => [sum, means[`${signal}.${sum}`]])) as ChangeSums;
  const { points, distance, unmoved } = means as Record<(typeof DISTANCES)[number], number>;
  const signals = Object.fromEntries(SIGNALS.map((signal) => [signal, changesOf(signal)])) as Record<
    FieldSignal,
    ChangeSums
  >;
  const {
    distance: meshDistance,
    unmoved: meshUnmoved,
    ...transfers
  } = fieldTransferFigures({
    ...{ signals, points, distance, unmoved },
  });
  const figures = Object.entries({ ...transfers, meshDistance, meshUnmoved });
  return Object.fromEntries(figures.filter((entry): entry is [string, number] => entry[1] !== null));
}
