// What a system brings to its training: what is made of a pair, and the terms by which that is judged. The trainee, the loop and the
// command know it by this alone.
import type { nn, Tensor } from '@dagan/libtorch';
import type { ObjectiveTerm } from '../../losses/objective.js';
import type { AnimationModel, Frame } from '../../models/animation-model.js';
import type { PerceptualNetwork } from '../../models/perceptual/vgg19.js';
import type { FramePair } from './pair.js';
import type { SystemTrainingConfig } from './system-config.js';

/** What was made of a pair, and what is said of it. */
export type Judged = {
  frame: Frame;
  /** Unweighted, each []; what has weight 0 may be missing. */
  terms: Partial<Record<ObjectiveTerm, Tensor>>;
  /** The judge's own loss, [], from which the model learns nothing; null without a judge. */
  judgeLoss: (() => Tensor) | null;
};

export type SystemObjective = {
  /** A network that learns beside the model to judge it (a discriminator); null where there is none. */
  readonly judge: nn.Module | null;
  /** The driving frame rebuilt from the source. */
  reconstruct(pair: FramePair): Frame;
  /** The same, judged. The judge is fixed meanwhile, but for its own loss. */
  judged(pair: FramePair): Judged;
  /** Frees the judge and what else it has made; the model stays. */
  dispose(): void;
};

/** What an objective is made of. */
export type ObjectiveSetup = {
  config: SystemTrainingConfig;
  /** Null only if the perceptual term has weight 0. */
  perceptual: PerceptualNetwork | null;
  device: string;
  /** People in the data, of each of whom a judge may know something. */
  people: number;
};

/** How a system is trained. */
export type SystemTraining = {
  /** The terms that may have a weight. */
  readonly terms: readonly ObjectiveTerm[];
  readonly objective: (model: AnimationModel, setup: ObjectiveSetup) => SystemObjective;
};
