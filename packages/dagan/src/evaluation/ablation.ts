// The ablation: trains the rows of Table 4 one after the other under one budget, then evaluates them side by side.
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LibtorchEngine } from '../animation/engines/libtorch.js';
import type { FramePairBatch } from '../data/loader.js';
import { writeWhole } from '../media/files.js';
import { loadModel } from '../models/files/model-file.js';
import type { PerceptualNetwork } from '../models/perceptual/vgg19.js';
import type { AnimationTrainingConfig } from '../training/animation/config.js';
import { type DepthFiles, startingDepth } from '../training/animation/start-weights.js';
import { trainAnimation } from '../training/animation/trainer.js';
import type { BatchProvider } from '../training/batches/batches.js';
import type { TrainingRun } from '../training/loop/training-run.js';
import type { TrainingPlace } from '../training/ranks/ranks.js';
import { savedConfig } from '../training/run/run-folder.js';
import { TrainingSetupError } from '../training/run/setup-error.js';
import { type AblationResult, ablationHtml, ablationMarkdown } from './ablation-report.js';
import { type AblationPlan, type AblationRow, ablationConfig } from './ablation-rows.js';
import { type Contestant, modelContestant } from './contestants.js';
import { type EvaluateOptions, evaluate } from './evaluate.js';

/** What is trained and evaluated, and where. */
export type AblationOptions = {
  rows: readonly AblationRow[];
  plan: AblationPlan;
  /** Frames to learn from. */
  pairs: BatchProvider<FramePairBatch>;
  perceptual: PerceptualNetwork;
  /** A trained face-depth network; null for rows whose depth knows nothing, to try things. */
  depth: DepthFiles | null;
  place: TrainingPlace;
  /** Folder for the results, which is made: `runs/`, `self/`, `cross/`, `ablation.json`, `.md` and `.html`. */
  output: string;
  /** How a row's run is kept, shown and ended. */
  runOf: (row: AblationRow, folder: string) => Omit<TrainingRun<FramePairBatch>, 'data' | 'folder' | 'place'>;
  /** How the models are evaluated, for both protocols. */
  evaluation: Pick<
    EvaluateOptions,
    'data' | 'instruments' | 'portraits' | 'every' | 'limit' | 'seed' | 'program' | 'onProgress'
  >;
  /** Told which row is trained next. */
  onRow?: (row: AblationRow, number: number) => void;
};

export type AblationOutcome = {
  /** Steps of the row that was trained last. */
  step: number;
  interrupted: boolean;
  /** Null if interrupted, and in ranks other than 0. */
  result: AblationResult | null;
};

/**
 * Runs the ablation, or goes on with it: rows that are trained stay as they are, figures that are measured too.
 *
 * @throws TrainingSetupError if a row has been trained on another budget
 */
export async function ablate(options: AblationOptions): Promise<AblationOutcome> {
  const { rows, output, place } = options;
  const configs = rows.map((row) => ablationConfig(row, options.plan));
  for (const [i, config] of configs.entries()) checkSaved(config, folderOf(output, rows[i]!));
  for (const [i, row] of rows.entries()) {
    options.onRow?.(row, i + 1);
    const folder = folderOf(output, row);
    const { step, interrupted } = await trainAnimation({
      ...options.runOf(row, folder),
      ...{ config: configs[i]!, folder, place, perceptual: options.perceptual, data: options.pairs },
      start: (trainee) => {
        if (options.depth && trainee.model.depthNetwork) startingDepth(options.depth).load(trainee);
      },
    });
    if (interrupted) return { step, interrupted, result: null };
  }
  return { step: options.plan.steps, interrupted: false, result: await compare(options) };
}

const folderOf = (output: string, { preset }: AblationRow): string => join(output, 'runs', preset);

function checkSaved(config: AnimationTrainingConfig, folder: string): void {
  const saved = savedConfig<AnimationTrainingConfig>(folder, 'animation');
  if (!saved || isDeepStrictEqual(saved, JSON.parse(JSON.stringify(config)))) return;
  throw new TrainingSetupError(
    `${folder} was trained on another budget (${saved.steps} steps of ${saved.batchSize} at ${saved.phases.at(-1)?.size} ` +
      'pixels, or other settings): rows compare on one budget only; name another folder',
  );
}

/** Evaluates all rows by both protocols and writes the reports. */
async function compare(options: AblationOptions): Promise<AblationResult | null> {
  const { rows, plan, output, place, evaluation } = options;
  const { size } = plan;
  const parameters: number[] = [];
  const contestants = rows.map((row): Contestant => {
    const { model, metadata } = loadModel({ checkpoint: join(folderOf(output, row), 'model.safetensors') });
    parameters.push(model.parameters().reduce((sum, { numel }) => sum + numel, 0));
    const engine = new LibtorchEngine(model, { size, device: place.device });
    const facts = { model: row.label, steps: metadata.training_steps ?? '', weights: `sha256 ${metadata.sha256}` };
    return modelContestant(engine, { name: row.label, identity: `${metadata.sha256} ${place.device}`, facts });
  });
  try {
    const by = (protocol: 'self' | 'cross') =>
      evaluate({
        ...evaluation,
        ...{ contestants, size, protocol, group: place.group, output: join(output, protocol) },
        ...(protocol === 'self' && { portraits: undefined }),
      });
    const [self, cross] = [await by('self'), await by('cross')];
    if (!self || !cross) return null;
    const result: AblationResult = {
      format: 'dagan-ablation-1',
      program: evaluation.program ?? 'dagan',
      plan,
      trainedDepth: options.depth !== null,
      rows: rows.map(({ preset, label, paper }, i) => ({ preset, label, parameters: parameters[i]!, paper })),
      self,
      cross,
    };
    await writeWhole(join(output, 'ablation.json'), Buffer.from(`${JSON.stringify(result, null, 2)}\n`));
    await writeWhole(join(output, 'ablation.md'), Buffer.from(ablationMarkdown(result)));
    await writeWhole(join(output, 'ablation.html'), Buffer.from(ablationHtml(result)));
    return result;
  } finally {
    for (const contestant of contestants) contestant.dispose();
  }
}
