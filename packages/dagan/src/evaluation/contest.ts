// Models that are trained one after the other under one budget, and then measured side by side: what the ablation and the
// comparison of systems are made of.
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LibtorchEngine } from '../animation/engines/libtorch.js';
import { MeshGuidedEngine } from '../animation/mesh-keypoints.js';
import type { FramePairBatch } from '../data/loader.js';
import { FaceAnalyzer } from '../faces/analyzer.js';
import { loadModel } from '../models/files/model-file.js';
import { systemOf } from '../models/files/systems.js';
import type { PerceptualNetwork } from '../models/perceptual/vgg19.js';
import type { AnimationTrainingConfig } from '../training/animation/config.js';
import { type DepthFiles, startingDepth } from '../training/animation/start-weights.js';
import type { SystemTrainingConfig } from '../training/animation/system-config.js';
import { trainAnimation } from '../training/animation/trainer.js';
import type { BatchProvider } from '../training/batches/batches.js';
import type { TrainingRun } from '../training/loop/training-run.js';
import type { TrainingPlace } from '../training/ranks/ranks.js';
import { savedConfig } from '../training/run/run-folder.js';
import { TrainingSetupError } from '../training/run/setup-error.js';
import { type Contestant, modelContestant } from './contestants.js';
import { type EvaluateOptions, evaluate } from './evaluate.js';
import type { EvaluationResult } from './summary.js';

/** A model that takes part. */
export type Entrant = {
  /** Its column in reports. */
  label: string;
  /** Its run's folder. */
  folder: string;
  config: AnimationTrainingConfig | SystemTrainingConfig;
  /** Frames to learn from. */
  pairs: BatchProvider<FramePairBatch>;
};

/** What all of them have in common. */
export type ContestOptions = {
  perceptual: PerceptualNetwork;
  /** A trained face-depth network for the models that use one; null for networks that know nothing, to try things. */
  depth: DepthFiles | null;
  place: TrainingPlace;
  /** How a run is kept, shown and ended. */
  runOf: (folder: string) => Omit<TrainingRun<FramePairBatch>, 'data' | 'folder' | 'place'>;
  /** How the models are evaluated, for both protocols. */
  evaluation: Pick<
    EvaluateOptions,
    'data' | 'instruments' | 'portraits' | 'every' | 'limit' | 'seed' | 'program' | 'onProgress'
  >;
};

export type ContestOutcome<Result> = {
  /** Steps of the model that was trained last. */
  step: number;
  interrupted: boolean;
  /** Null if interrupted, and in ranks other than 0. */
  result: Result | null;
};

/**
 * Trains the models, or goes on with it: those that are trained stay as they are.
 *
 * @param onEntrant told who is trained next
 * @throws TrainingSetupError if one has been trained on another budget; nothing is trained then
 */
export async function trainEntrants(
  entrants: readonly Entrant[],
  { perceptual, depth, place, runOf }: ContestOptions,
  onEntrant?: (entrant: Entrant, number: number) => void,
): Promise<{ step: number; interrupted: boolean }> {
  for (const entrant of entrants) checkSaved(entrant);
  let step = 0;
  for (const [i, entrant] of entrants.entries()) {
    onEntrant?.(entrant, i + 1);
    const { config, folder, pairs } = entrant;
    const outcome = await trainAnimation({
      ...runOf(folder),
      ...{ config, folder, place, perceptual, data: pairs },
      start: (trainee) => {
        if (depth && trainee.model.depthNetwork) startingDepth(depth).load(trainee);
      },
    });
    step = outcome.step;
    if (outcome.interrupted) return { step, interrupted: true };
  }
  return { step, interrupted: false };
}

function checkSaved({ config, folder }: Entrant): void {
  const saved = savedConfig<Entrant['config']>(folder, 'animation');
  if (!saved || isDeepStrictEqual(saved, JSON.parse(JSON.stringify(config)))) return;
  throw new TrainingSetupError(
    `${folder} was trained on another budget (${saved.steps} steps of ${saved.batchSize} at ${saved.phases.at(-1)?.size} ` +
      'pixels, or other settings): rows compare on one budget only; name another folder',
  );
}

/** Both protocols' results, and how many weights each model has. */
export type ContestResult = { self: EvaluationResult; cross: EvaluationResult; parameters: number[] };

/**
 * Evaluates trained models by both protocols, into `self/` and `cross/` of a folder; figures that are measured stay.
 *
 * @param size side of the pictures in pixels
 * @returns null in ranks other than 0
 */
export async function measureEntrants(
  entrants: readonly Entrant[],
  { place, evaluation }: ContestOptions,
  { size, output }: { size: number; output: string },
): Promise<ContestResult | null> {
  const parameters: number[] = [];
  const mesh = entrants.some(({ config }) => systemOf(config.model).meshPoints);
  await using faces = mesh ? await FaceAnalyzer.load({ mesh: 'refined' }) : null;
  const contestants: Contestant[] = [];
  const enter = ({ label, folder }: Entrant): Contestant => {
    const { model, metadata } = loadModel({ checkpoint: join(folder, 'model.safetensors') });
    parameters.push(model.parameters().reduce((sum, { numel }) => sum + numel, 0));
    const own = new LibtorchEngine(model, { size, device: place.device });
    const engine = faces && own.motion.meshPoints ? new MeshGuidedEngine(own, faces) : own;
    const facts = { model: label, steps: metadata.training_steps ?? '', weights: `sha256 ${metadata.sha256}` };
    return modelContestant(engine, { name: label, identity: `${metadata.sha256} ${place.device}`, facts });
  };
  try {
    for (const entrant of entrants) contestants.push(enter(entrant));
    const by = (protocol: 'self' | 'cross') =>
      evaluate({
        ...evaluation,
        ...{ contestants, size, protocol, group: place.group, output: join(output, protocol) },
        ...(protocol === 'self' && { portraits: undefined }),
      });
    const [self, cross] = [await by('self'), await by('cross')];
    return self && cross && { self, cross, parameters };
  } finally {
    for (const contestant of contestants) contestant.dispose();
  }
}
