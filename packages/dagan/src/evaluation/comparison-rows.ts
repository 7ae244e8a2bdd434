// The systems that are compared, and how each is trained on the one budget.
import type { ObjectiveWeights } from '../losses/objective.js';
import { systemOf } from '../models/files/systems.js';
import type { AnimationTrainingConfig } from '../training/animation/config.js';
import { trainingOf } from '../training/animation/objectives.js';
import type { SystemTrainingConfig } from '../training/animation/system-config.js';
import { smallTrainings } from '../training/animation/system-presets.js';
import { ABLATION_ROWS, type AblationPlan, ablationConfig } from './ablation-rows.js';
import { PAPER_ROWS } from './paper-tables.js';

/** The budget that every system gets, with every seed. */
export type ComparisonPlan = Omit<AblationPlan, 'seed'> & {
  /** Each system is trained once with each. */
  seeds: readonly number[];
};

/** The models of DaGAN's own kind that the paper's Tables 1 to 3 have. */
const HOSTS = ['dagan', 'fomm'];

/** Names of all systems that can be compared, DaGAN first: the small trainings, without `-small`. */
export const comparedSystems = (): string[] => [...HOSTS, ...smallTrainings().keys()];

/** As the paper calls a system; a label of our own says whose it is. */
export function systemLabel(name: string): string {
  const { label } = PAPER_ROWS[name] ?? { label: name };
  return name.endsWith('-like') ? `${label}-like (ours)` : label;
}

/**
 * The training of a system: its small preset with everything that decides effort set to the plan's. Steps, batches, sizes,
 * schedule, widths and how samples are varied are the same for all. What it learns by is the system's own: its losses, of whose
 * weights the plan's take effect where it has them, and its learning rate, unless the plan says one.
 *
 * @throws TrainingSetupError for a size that the networks cannot see
 */
export function comparisonConfig(name: string, plan: AblationPlan): AnimationTrainingConfig | SystemTrainingConfig {
  const host = ABLATION_ROWS.find(({ preset }) => preset === name && HOSTS.includes(name));
  if (host) return ablationConfig(host, plan);
  const preset = smallTrainings().get(name);
  if (!preset) throw new RangeError(`there is no system '${name}'; known are ${comparedSystems().join(', ')}`);
  const shared = ablationConfig(ABLATION_ROWS[0]!, plan);
  const { steps, batchSize, precision, seed, clipNorm, schedule, augmentation, reshape, sway, phases } = shared;
  const model = systemOf(preset.model).sized?.(preset.model, plan) ?? preset.model;
  return {
    ...preset,
    ...{ steps, batchSize, precision, seed, clipNorm, schedule, augmentation, reshape, sway, phases },
    learningRate: plan.learningRate ?? preset.learningRate,
    model: model as SystemTrainingConfig['model'],
    weights: { ...preset.weights, ...ownWeights(preset, plan.weights) },
  };
}

/** Those weights whose losses a system has. */
function ownWeights(
  { model }: SystemTrainingConfig,
  weights: Partial<ObjectiveWeights> = {},
): Partial<ObjectiveWeights> {
  const own: readonly string[] = trainingOf(model).terms;
  return Object.fromEntries(Object.entries(weights).filter(([term]) => own.includes(term)));
}
