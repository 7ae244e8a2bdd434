// The face-depth network by itself, from the files in which it may stand.
import { nn, readStateDict, saveStateDict, type Tensor } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import { type DepthConfig, DepthNetwork } from '../depth-network.js';
import { type PoseConfig, PoseNetwork } from '../pose-network.js';
import { RESNET_WIDTHS } from '../resnet.js';
import { ArchitectureError, depthConfig } from './infer-config.js';
import { type ModelMetadata, weightsHash } from './model-file.js';
import { publishedName } from './published-names.js';

export type DepthFile = {
  network: DepthNetwork;
  config: DepthConfig;
  /** The network that tells the camera, where stage 1 of the training left it in the file. */
  poseNetwork: PoseNetwork | null;
  poseConfig: PoseConfig | null;
  metadata: ModelMetadata;
};

/** What may stand before the networks' own names. */
const DEPTH_PREFIXES = ['depth_network.', 'model.depth_network.', ''];
const POSE_PREFIXES = ['pose_network.', 'model.pose_network.', ''];

/** Names of tensors that may be parts of these networks; of the rest of a model nothing is read. */
const WANTED = /(^|depth_network\.|depth_|pose_)(encoder|decoder)\.|(^|\.)pose\.net\.|^net\./;

/** What a published part begins with, which stands in a file of its own without saying which part it is. */
const PARTS = [
  { landmark: 'encoder.conv1.weight', channels: 3, prefix: 'depth_encoder.' },
  { landmark: 'encoder.conv1.weight', channels: 6, prefix: 'pose_encoder.' },
  { landmark: 'decoder.0.conv.conv.weight', prefix: 'depth_decoder.' },
  { landmark: 'net.0.weight', prefix: 'pose.' },
];

/**
 * Reads the face-depth network of a file: of a whole model, of a training, or one by itself, under our names or the
 * published ones. Its depth and width are read off the tensors. Published encoders and decoders stand in files of their
 * own; name them all, in any order.
 *
 * @throws CheckpointError, naming the file, if it cannot be read or holds no such network
 */
export function loadDepthFile(...paths: readonly [string, ...string[]]): DepthFile {
  const found = new Map<string, Tensor>();
  let metadata: ModelMetadata = {};
  for (const path of paths) {
    using file = openCheckpoint(path);
    metadata = { ...metadata, ...file.metadata };
    const plain = [...file.tensors].map(([name, record]) => [name.replace(/(^|\.)module\./, '$1'), record] as const);
    const records = new Map(plain.filter(([name]) => WANTED.test(name)));
    const part = PARTS.find(({ landmark, channels }) => {
      const shape = records.get(landmark)?.shape;
      return shape && (channels === undefined || shape[1] === channels);
    });
    for (const [name, value] of readStateDict(records)) found.set((part?.prefix ?? '') + name, value);
  }
  try {
    return { ...readDepth(found), ...readPose(found, metadata), metadata };
  } catch (error) {
    if (!(error instanceof ArchitectureError || error instanceof nn.StateDictError || error instanceof RangeError)) {
      throw error;
    }
    throw new CheckpointError(paths.join(', '), `holds no face-depth network that can be used: ${error.message}`);
  } finally {
    for (const value of found.values()) value.dispose();
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

/** Value of `format` in the metadata of a depth network's file. */
export const DEPTH_FORMAT = 'dagan-depth-1';

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

type Found = ReadonlyMap<string, Tensor>;

function readDepth(found: Found): Pick<DepthFile, 'network' | 'config'> {
  const named = (own: string): Tensor | undefined => {
    const names = [...DEPTH_PREFIXES.map((prefix) => prefix + own), publishedName(`depth_network.${own}`)];
    return names.map((name) => found.get(name)).find((value) => value !== undefined);
  };
  const encoder = [...found.keys()].flatMap(
    (name) => /(?:^|[._])(encoder\.(?:conv1|layer\d).*)$/.exec(name)?.[1] ?? [],
  );
  const shapes = encoder.flatMap((name) => {
    const shape = named(`encoder.${name}`)?.shape;
    return shape ? [[`depth_encoder.${name}`, shape] as const] : [];
  });
  const config = depthConfig(new Map(shapes));
  if (!config) throw new ArchitectureError("there is no tensor 'depth_network.encoder.encoder.conv1.weight'");
  return { network: filled(new DepthNetwork(config), named), config };
}

/** The pose network, where there is one. */
function readPose(found: Found, { config }: ModelMetadata): Pick<DepthFile, 'poseNetwork' | 'poseConfig'> {
  const named = (own: string): Tensor | undefined =>
    POSE_PREFIXES.map((prefix) => found.get(prefix + own)).find((value) => value !== undefined);
  const stem = named('pose_encoder.encoder.conv1.weight');
  if (!stem || !named('pose.net.0.weight')) return { poseNetwork: null, poseConfig: null };
  const layers = named('pose_encoder.encoder.layer1.0.conv3.weight') ? 50 : 18;
  const poseConfig: PoseConfig = { layers, width: stem.size(0) / RESNET_WIDTHS[0], ...motionScaleOf(config) };
  return { poseNetwork: filled(new PoseNetwork(poseConfig), named), poseConfig };
}

/** How the pose head's output is scaled, which no tensor's shape tells, by the configuration in a file's metadata. */
function motionScaleOf(config: string | undefined): Pick<PoseConfig, 'motionScale'> {
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

/** Fills a network with the tensors that are there for its names, ready for use. */
function filled<T extends nn.Module>(network: T, named: (own: string) => Tensor | undefined): T {
  const weights = [...network.stateDict().keys()].flatMap((name) => {
    const value = named(name);
    return value ? [[name, value] as const] : [];
  });
  network.loadStateDict(new Map(weights));
  network.eval().requiresGrad_(false);
  return network;
}
