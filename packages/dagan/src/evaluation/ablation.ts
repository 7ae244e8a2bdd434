// The ablation: trains the rows of Table 4 one after the other under one budget, then evaluates them side by side.
import { join } from 'node:path';
import type { FramePairBatch } from '../data/loader.js';
import { writeWhole } from '../media/files.js';
import type { BatchProvider } from '../training/batches/batches.js';
import { type AblationResult, ablationHtml, ablationMarkdown } from './ablation-report.js';
import { type AblationPlan, type AblationRow, ablationConfig } from './ablation-rows.js';
import { type ContestOptions, type ContestOutcome, type Entrant, measureEntrants, trainEntrants } from './contest.js';

/** What is trained and evaluated, and where. */
export type AblationOptions = ContestOptions & {
  rows: readonly AblationRow[];
  plan: AblationPlan;
  /** Frames to learn from. */
  pairs: BatchProvider<FramePairBatch>;
  /** Folder for the results, which is made: `runs/`, `self/`, `cross/`, `ablation.json`, `.md` and `.html`. */
  output: string;
  /** Told which row is trained next. */
  onRow?: (row: AblationRow, number: number) => void;
};

/**
 * Runs the ablation, or goes on with it: rows that are trained stay as they are, figures that are measured too.
 *
 * @throws TrainingSetupError if a row has been trained on another budget
 */
export async function ablate(options: AblationOptions): Promise<ContestOutcome<AblationResult>> {
  const { rows, plan, pairs, output, depth, evaluation, onRow } = options;
  const entrants = rows.map((row): Entrant => {
    const folder = join(output, 'runs', row.preset);
    return { label: row.label, folder, config: ablationConfig(row, plan), pairs };
  });
  const trained = await trainEntrants(entrants, options, (_entrant, number) => onRow?.(rows[number - 1]!, number));
  if (trained.interrupted) return { ...trained, result: null };
  const measured = await measureEntrants(entrants, options, { size: plan.size, output });
  if (!measured) return { ...trained, result: null };
  const { self, cross, parameters } = measured;
  const result: AblationResult = {
    format: 'dagan-ablation-1',
    program: evaluation.program ?? 'dagan',
    plan,
    trainedDepth: depth !== null,
    rows: rows.map(({ preset, label, paper }, i) => ({ preset, label, parameters: parameters[i]!, paper })),
    self,
    cross,
  };
  await writeWhole(join(output, 'ablation.json'), Buffer.from(`${JSON.stringify(result, null, 2)}\n`));
  await writeWhole(join(output, 'ablation.md'), Buffer.from(ablationMarkdown(result)));
  await writeWhole(join(output, 'ablation.html'), Buffer.from(ablationHtml(result)));
  return { ...trained, result };
}
