// Weights that a training starts from: a model to be refined, a face-depth network that stage 1 has taught.
import { nn, readStateDict, type Tensor } from '@dagan/libtorch';
import { CheckpointError, type CheckpointFile, openCheckpoint } from '@dagan/libtorch/checkpoint';
import type { ModelConfig } from '../models/config.js';
import { loadModel, type ModelFiles } from '../models/model-file.js';
import { publishedName } from '../models/published-names.js';
import type { AnimationTrainingConfig } from './animation-config.js';
import type { AnimationState } from './animation-state.js';
import { TRAINING_FORMAT } from './checkpoints.js';

/** Runs `body`; what does not fit names the file. */
function located<T>(path: string, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (!(error instanceof nn.StateDictError)) throw error;
    throw new CheckpointError(path, `does not fit the networks to be trained: ${error.message}`);
  }
}

/** The tensors below a prefix, without it. */
function below(file: CheckpointFile, prefix: string): Map<string, Tensor> {
  const records = [...file.tensors].filter(([name]) => name.startsWith(prefix));
  return readStateDict(new Map(records.map(([name, record]) => [name.slice(prefix.length), record])));
}

export type StartingModel = {
  config: ModelConfig;
  /** Fills generator, keypoint detector and depth network, and the discriminator if the file has one that fits. */
  load(state: AnimationState): void;
};

/**
 * A model to refine: a file of ours, a checkpoint of a training (its averaged model), or published weights.
 *
 * @throws CheckpointError, naming the file, if it cannot be read
 */
export function startingModel(files: ModelFiles): StartingModel {
  using file = openCheckpoint(files.checkpoint);
  const judge = below(file, 'discriminator.');
  const discriminator = judge.size > 0 ? judge : null;
  let config: ModelConfig;
  let weights: Map<string, Tensor>;
  if (file.metadata.format === TRAINING_FORMAT) {
    config = (JSON.parse(file.metadata.config ?? '') as AnimationTrainingConfig).model;
    weights = new Map([...below(file, 'model.'), ...below(file, 'average.')]);
  } else {
    const { model } = loadModel(files);
    [config, weights] = [model.config, model.stateDict()];
  }
  return {
    config,
    load: (state) => {
      located(files.checkpoint, () => state.loadModel(weights));
      if (discriminator && fits(discriminator, state.discriminator)) state.discriminator.loadStateDict(discriminator);
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

/**
 * Fills the depth network, which animation training leaves as it is. Its tensors may have our names or the published ones,
 * with or without what stands before the network's own.
 *
 * @throws CheckpointError, naming the file, if it holds no such network or one of other sizes
 */
export function loadDepthNetwork(state: AnimationState, files: DepthFiles): void {
  const network = state.model.depthNetwork;
  if (!network) throw new RangeError('this model uses no face depth: leave out its depth network');
  const paths = 'depth' in files ? [files.depth] : [files.depthEncoder, files.depthDecoder];
  const found = new Map<string, Tensor>();
  for (const [i, path] of paths.entries()) {
    using file = openCheckpoint(path);
    const part = paths.length === 1 ? '' : i === 0 ? 'depth_encoder.' : 'depth_decoder.';
    for (const [name, value] of readStateDict(file.tensors)) {
      const plain = name.replace(/(^|\.)module\./, '$1');
      found.set(part && !plain.startsWith(part) ? part + plain : plain, value);
    }
  }
  const own = [...network.stateDict()];
  const weights = own.flatMap(([name]): [string, Tensor][] => {
    const ours = `depth_network.${name}`;
    const value = [ours, `model.${ours}`, name, publishedName(ours)].map((each) => found.get(each)).find(Boolean);
    return value ? [[name, value]] : [];
  });
  if (weights.length === 0)
    throw new CheckpointError(paths[0]!, 'holds no face-depth network (no tensor depth_network.encoder...)');
  located(paths.join(', '), () => network.loadStateDict(new Map(weights)));
}
