// Weights that a training of the animation model starts from: a model to be refined, a face-depth network that stage 1 has
// taught.
import { type nn, readStateDict } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { withCode } from '../../errors.js';
import type { AnimationModel, SystemConfig } from '../../models/animation-model.js';
import type { DepthConfig } from '../../models/depth-network.js';
import { loadDepthFile } from '../../models/files/depth-file.js';
import { stageOf } from '../../models/files/formats.js';
import { located } from '../../models/files/located.js';
import { loadModel, type ModelFiles } from '../../models/files/model-file.js';
import { below, readNamed } from '../../models/files/names.js';

/** What is said of weights of other networks. */
const MISFIT = 'does not fit the networks to be trained';

/** What weights are loaded into: networks in training. */
export type Startable = {
  readonly model: Pick<AnimationModel, 'depthNetwork'>;
  /** Null for systems without. */
  readonly discriminator: nn.Module | null;
  loadModel(model: nn.StateDict): void;
};

export type StartingModel = {
  config: SystemConfig;
  /** Fills generator, keypoint detector and depth network, and the discriminator if the file has one that fits. */
  load(trainee: Startable): void;
};

/**
 * A model to refine: a file of ours, a checkpoint of a training (its averaged model), or published weights.
 *
 * @throws CheckpointError, naming the file, if it cannot be read
 */
export function startingModel(files: ModelFiles): StartingModel {
  using file = openCheckpoint(files.checkpoint);
  if (stageOf(file) === 'depth') {
    const error = new CheckpointError(files.checkpoint, 'holds face depth alone');
    throw withCode(error, 'depth-alone', { path: files.checkpoint });
  }
  const judge = readStateDict(below('discriminator.', readNamed(file)));
  const discriminator = judge.size > 0 ? judge : null;
  const { model } = loadModel(files);
  return {
    config: model.config,
    load: (trainee) => {
      located(files.checkpoint, MISFIT, () => trainee.loadModel(model.stateDict()));
      const { discriminator: target } = trainee;
      if (discriminator && target && fits(discriminator, target)) target.loadStateDict(discriminator);
    },
  };
}

function fits(weights: nn.StateDict, module: nn.Module): boolean {
  const own = module.stateDict();
  return (
    own.size === weights.size && [...own].every(([name, { shape }]) => weights.get(name)?.shape.join() === shape.join())
  );
}

/** Files that hold a face-depth network: one, or encoder and decoder in one each as published. */
export type DepthFiles = { depth: string } | { depthEncoder: string; depthDecoder: string };

export type StartingDepth = {
  config: DepthConfig;
  /**
   * Fills the depth network, which animation training leaves as it is.
   * @throws CheckpointError, naming the files, if it has other sizes
   */
  load(trainee: Startable): void;
};

/**
 * A face-depth network under our names or the published ones, by itself or with what it was trained or used with.
 *
 * @throws CheckpointError, naming the file, if it holds no such network
 */
export function startingDepth(files: DepthFiles): StartingDepth {
  const paths: readonly [string, ...string[]] =
    'depth' in files ? [files.depth] : [files.depthEncoder, files.depthDecoder];
  const { network, config, poseNetwork } = loadDepthFile(...paths);
  poseNetwork?.dispose();
  return {
    config,
    load: (trainee) => {
      const target = trainee.model.depthNetwork;
      if (!target) throw new RangeError('this model uses no face depth: leave out its depth network');
      located(paths.join(', '), MISFIT, () => target.loadStateDict(network.stateDict()));
      network.dispose();
    },
  };
}
