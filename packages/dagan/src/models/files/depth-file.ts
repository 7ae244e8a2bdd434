// The face-depth network by itself, from the files in which it may stand.
import { type nn, readStateDict, saveStateDict, type Tensor, tidy } from '@dagan/libtorch';
import { type CheckpointFile, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { type DepthConfig, DepthNetwork } from '../depth-network.js';
import { type PoseConfig, PoseNetwork } from '../pose-network.js';
import { DEPTH_FORMAT } from './formats.js';
import { inferDepthConfig, inferPoseConfig } from './infer-config.js';
import { ArchitectureError, located } from './located.js';
import { type ModelMetadata, weightsHash } from './model-file.js';
import { below, missingTensor, type NamedTensors, readNamed, strangers } from './names.js';

export type DepthFile = {
  network: DepthNetwork;
  config: DepthConfig;
  /** The network that tells the camera, where stage 1 of the training left it in the file. */
  poseNetwork: PoseNetwork | null;
  poseConfig: PoseConfig | null;
  metadata: ModelMetadata;
};

/**
 * Reads the face-depth network of a file: of a whole model, of a training, or one by itself, under our names or the
 * published ones. Its depth and width are read off the tensors. Published encoders and decoders stand in files of their
 * own; name them all, in any order.
 *
 * @throws CheckpointError, naming the file, if it cannot be read or holds no such network
 */
export function loadDepthFile(...paths: readonly [string, ...string[]]): DepthFile {
  const files: CheckpointFile[] = [];
  try {
    for (const path of paths) files.push(openCheckpoint(path));
    const metadata: ModelMetadata = Object.assign({}, ...files.map((file) => file.metadata));
    const tensors = readNamed(...files);
    const problem = 'holds no face-depth network that can be used';
    const read = (): DepthFile => {
      const config = inferDepthConfig(tensors);
      if (!config) throw new ArchitectureError(`${problem}: ${missingTensor(LANDMARK, strangers(tensors))}`);
      const network = filled(new DepthNetwork(config), below('depth_network.', tensors));
      const pose = inferPoseConfig(tensors);
      const poseConfig = pose && { ...pose, ...motionScaleOf(metadata) };
      const poseNetwork = poseConfig && filled(new PoseNetwork(poseConfig), below('pose_network.', tensors));
      return { network, config, poseNetwork, poseConfig, metadata };
    };
    return located(paths.join(', '), problem, read, strangers(tensors));
  } finally {
    for (const file of files) file.close();
  }
}

/** Without this tensor there is no depth network in a file. */
const LANDMARK = 'depth_network.encoder.encoder.conv1.weight';

/** Fills a network, ready for use. */
function filled<T extends nn.Module>(network: T, tensors: NamedTensors): T {
  tidy(() => network.loadStateDict(readStateDict(tensors)));
  network.eval().requiresGrad_(false);
  return network;
}

/** How the pose head's output is scaled, which no tensor tells, by the configuration in a file's metadata. */
function motionScaleOf({ config }: ModelMetadata): Pick<PoseConfig, 'motionScale'> {
  if (config === undefined) return {};
  try {
    const motionScale: unknown = JSON.parse(config)?.pose?.motionScale;
    if (motionScale === undefined) return {};
    if (typeof motionScale === 'number' && motionScale > 0) return { motionScale };
    throw new RangeError(`the motion scale of the pose network is ${motionScale}`);
  } catch (error) {
    throw new ArchitectureError(`has a damaged configuration in its metadata: ${(error as Error).message}`);
  }
}

/** What a depth network's file says of the networks in it. */
export type DepthFileConfig = {
  depth: DepthConfig;
  /** Of the pose network; null if it is not in the file. */
  pose: PoseConfig | null;
  /** Side of the pictures that they were trained on, where it is known. */
  size?: number;
};

/**
 * Writes a depth network, and the pose network if there is one, as a file that `dagan train animation --depth` takes, whole or
 * not at all.
 *
 * @param state tensors whose names begin with `depth_network.` and `pose_network.`
 */
export function saveDepthFile(
  path: string,
  state: ReadonlyMap<string, Tensor>,
  config: DepthFileConfig,
  metadata: ModelMetadata = {},
): void {
  saveStateDict(path, state, {
    ...metadata,
    format: DEPTH_FORMAT,
    architecture: 'dagan-depth',
    config: JSON.stringify(config),
    sha256: weightsHash(state),
  });
}
