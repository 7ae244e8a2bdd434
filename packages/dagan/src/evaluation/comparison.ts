// The comparison of systems: trains each under one budget, evaluates all side by side, and sets their figures beside those of
// the paper's Tables 1 to 3.
import { join } from 'node:path';
import type { FramePairBatch } from '../data/loader.js';
import { writeWhole } from '../media/files.js';
import type { SystemConfig } from '../models/animation-model.js';
import { systemOf } from '../models/files/systems.js';
import { prepareForInference } from '../models/inference/inference.js';
import { type ModelOperations, modelOperations } from '../models/inference/operations.js';
import type { BatchProvider } from '../training/batches/batches.js';
import { TrainingSetupError } from '../training/run/setup-error.js';
import { type ComparisonResult, comparisonHtml, comparisonMarkdown } from './comparison-report.js';
import { type ComparisonPlan, comparisonConfig, systemLabel } from './comparison-rows.js';
import { type ContestOptions, type ContestOutcome, type Entrant, measureEntrants, trainEntrants } from './contest.js';

/** What is compared, and where. */
export type ComparisonOptions = ContestOptions & {
  /** Names out of `comparedSystems`. */
  systems: readonly string[];
  plan: ComparisonPlan;
  /** Frames to learn from, with a seed of the plan. */
  pairsOf: (seed: number) => Promise<BatchProvider<FramePairBatch>>;
  /** Folder for the results, which is made: `runs/`, `self/`, `cross/`, `comparison.json`, `.md` and `.html`. */
  output: string;
  /** Told which model is trained next, of how many. */
  onEntrant?: (entrant: Entrant, number: number, total: number) => void;
};

/**
 * Runs the comparison, or goes on with it: models that are trained stay as they are, figures that are measured too.
 *
 * @throws TrainingSetupError if a system cannot be trained at the plan's size, or has been trained on another budget
 */
export async function compareSystems(options: ComparisonOptions): Promise<ContestOutcome<ComparisonResult>> {
  const { systems, plan, pairsOf, output, depth, evaluation, onEntrant } = options;
  const { seeds, ...budget } = plan;
  const configOf = (name: string, seed: number) => comparisonConfig(name, { ...budget, seed });
  const models = systems.map((name) => {
    const { model, weights } = configOf(name, seeds[0]!);
    return { name, label: systemLabel(name), ...sizeUp(name, model, plan.size), weights };
  });
  const entrants: Entrant[] = [];
  for (const seed of seeds) {
    const pairs = await pairsOf(seed);
    for (const { name, label } of models) {
      const folder = join(output, 'runs', name, `seed-${seed}`);
      const own = seeds.length > 1 ? `${label}, seed ${seed}` : label;
      entrants.push({ label: own, folder, config: configOf(name, seed), pairs });
    }
  }
  const trained = await trainEntrants(entrants, options, (entrant, number) =>
    onEntrant?.(entrant, number, entrants.length),
  );
  if (trained.interrupted) return { ...trained, result: null };
  const measured = await measureEntrants(entrants, options, { size: plan.size, output });
  if (!measured) return { ...trained, result: null };
  const { self, cross } = measured;
  const result: ComparisonResult = {
    ...{ format: 'dagan-comparison-1', program: evaluation.program ?? 'dagan', plan, trainedDepth: depth !== null },
    ...{ systems: models, self, cross },
  };
  await writeWhole(join(output, 'comparison.json'), Buffer.from(`${JSON.stringify(result, null, 2)}\n`));
  await writeWhole(join(output, 'comparison.md'), Buffer.from(comparisonMarkdown(result)));
  await writeWhole(join(output, 'comparison.html'), Buffer.from(comparisonHtml(result)));
  return { ...trained, result };
}

/** How large a model is. @throws TrainingSetupError if it does not take pictures of that size */
function sizeUp(name: string, config: SystemConfig, size: number): { parameters: number; operations: ModelOperations } {
  using model = systemOf(config).build(config);
  if (size % model.sizeMultiple !== 0) {
    throw new TrainingSetupError(
      `pictures of ${size} pixels do not fit ${name}: multiples of ${model.sizeMultiple} do`,
    );
  }
  const parameters = model.parameters().reduce((sum, { numel }) => sum + numel, 0);
  return { parameters, operations: modelOperations(prepareForInference(model), size) };
}
