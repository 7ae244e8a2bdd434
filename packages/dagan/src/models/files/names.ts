// Names of tensors, translated once: where a file is read. Behind this door every tensor is called as our networks call it,
// whoever wrote the file.
import { CheckpointError, type CheckpointFile, type TensorRecord } from '@dagan/libtorch/checkpoint';
import { MARIONETTE_NAMES } from '../marionette/names.js';
import { MESHG_LIKE_NAMES } from '../meshg-like/names.js';
import { MONKEY_NET_NAMES } from '../monkey-net/names.js';
import { NEURALHEAD_NAMES } from '../neuralhead/names.js';
import { OSFV_NAMES } from '../osfv/names.js';
import type { NameRow, SystemNames } from '../system.js';
import { X2FACE_NAMES } from '../x2face/names.js';
import { stageOf } from './formats.js';

/** DaGAN's and the first-order model's, and what other systems call alike. */
const ROWS: readonly NameRow[] = [
  ['keypoint_detector.', 'kp_detector.'],
  ['depth_network.encoder.encoder.', 'depth_encoder.encoder.'],
  // The published decoder is one list: two convolutions per level, then the four heads.
  ...[0, 1, 2, 3, 4].flatMap((level): [string, string][] => [
    [`depth_network.decoder.levels.${level}.before.conv.`, `depth_decoder.decoder.${2 * level}.conv.conv.`],
    [`depth_network.decoder.levels.${level}.after.conv.`, `depth_decoder.decoder.${2 * level + 1}.conv.conv.`],
  ]),
  ...[0, 1, 2, 3].map((scale): [string, string] => [
    `depth_network.decoder.disparity_heads.${scale}.`,
    `depth_decoder.decoder.${10 + scale}.`,
  ]),
  ['depth_network.decoder.', 'depth_decoder.decoder.'],
  ['pose_network.pose_encoder.encoder.', 'pose_encoder.encoder.'],
  ['pose_network.pose.net.', 'pose.net.'],
  ['generator.depth_first.', 'generator.src_first.'],
  ['generator.depth_down_blocks.', 'generator.src_down_blocks.'],
  ['generator.attention.', 'generator.AttnModule.'],
  ['generator.decoder.bottleneck.#.', 'generator.bottleneck.r#.'],
  ['generator.decoder.up_blocks.', 'generator.up_blocks.'],
  ['generator.decoder.final.', 'generator.final.'],
  ['generator.decoder.middle.#.conv#.', 'generator.decoder.G_middle_#.conv_#.'],
  ['generator.decoder.middle.#.norm#.', 'generator.decoder.G_middle_#.norm_#.'],
  ['generator.decoder.up.#.conv#.', 'generator.decoder.up_#.conv_#.'],
  ['generator.decoder.up.#.norm#.', 'generator.decoder.up_#.norm_#.'],
  ['generator.decoder.up.#.conv_shortcut.', 'generator.decoder.up_#.conv_s.'],
  ['generator.decoder.up.#.norm_shortcut.', 'generator.decoder.up_#.norm_s.'],
  ['generator.decoder.image.', 'generator.decoder.conv_img.'],
];

/** The names of the other systems. A row that one of them adds must not match what another calls differently. */
const OTHERS: readonly SystemNames[] = [
  X2FACE_NAMES,
  MONKEY_NET_NAMES,
  MESHG_LIKE_NAMES,
  NEURALHEAD_NAMES,
  MARIONETTE_NAMES,
];

/** Systems of whose tensors some are called here as DaGAN's are, and otherwise where they are published. */
const ALIKE: readonly SystemNames[] = [OSFV_NAMES];

const rowsOf = (systems: readonly SystemNames[]): NameRow[] => systems.flatMap(({ rows }) => [...rows]);

/** What only one system has comes before what many call alike. */
const TABLE: readonly NameRow[] = [...rowsOf(OTHERS), ...rowsOf(ALIKE), ...ROWS];

/** What training in parallel, compiling and savers put in front of names, in any number and order. */
const WRAPPERS = /(^|\.)(?:(?:module|state_dict|_orig_mod|model)\.)+/g;

/** A name without wrappers; a few published names have such a part of their own. */
function unwrapped(name: string): string {
  return name.replace(WRAPPERS, '$1');
}

/** Replaces what a name begins with by the first row that matches; other names stay. */
function translator(rows: readonly (readonly [from: string, to: string])[]): (name: string) => string {
  const patterns = rows.map(([from, to]) => {
    let group = 0;
    const source = from.replaceAll('.', '\\.').replaceAll('#', '(\\d+)');
    return [new RegExp(`^${source}`), to.replaceAll('#', () => `$${++group}`)] as const;
  });
  return (name) => {
    const row = patterns.find(([pattern]) => pattern.test(name));
    return row ? name.replace(...row) : name;
  };
}

/** The published name of one of our tensors; of those that two systems call alike here that of DaGAN. */
export const publishedName = translator([...rowsOf(OTHERS), ...ROWS, ...rowsOf(ALIKE)]);

/** The published name of a tensor of a system. */
export const publishedNameIn = ({ rows }: SystemNames): ((name: string) => string) => translator([...rows, ...ROWS]);

const translateUnwrapped = translator(TABLE.map(([ours, published]) => [unwrapped(published), ours]));

/** Our name of a published tensor. Names that are ours already, or of something else, stay. */
export const ownName = (name: string): string => translateUnwrapped(unwrapped(name));

/** What names of our networks' tensors begin with. */
const NETWORKS: readonly string[] = [
  ...['generator.', 'keypoint_detector.', 'depth_network.', 'pose_network.'],
  ...[...OTHERS, ...ALIKE].flatMap(({ parts }) => parts),
];

/** Tensors by which a part is known that stands in a file of its own without saying which part it is. */
const BARE_PARTS = [
  { landmark: 'kp.weight', prefix: 'keypoint_detector.' },
  { landmark: 'dense_motion_network.mask.weight', prefix: 'generator.' },
  { landmark: 'fc_exp.weight', prefix: 'he_estimator.' },
  { landmark: 'encoder.encoder.conv1.weight', prefix: 'depth_network.' },
  { landmark: 'encoder.conv1.weight', channels: 3, prefix: 'depth_encoder.' },
  { landmark: 'encoder.conv1.weight', channels: 6, prefix: 'pose_encoder.' },
  { landmark: 'decoder.0.conv.conv.weight', prefix: 'depth_decoder.' },
  { landmark: 'net.0.weight', prefix: 'pose.' },
];

/** What this module looks at of an open checkpoint. */
export type NamedFile = Pick<CheckpointFile, 'path' | 'metadata' | 'tensors'>;

/** Tensors in files by our names. Each record's own `name` is what its file calls it. */
export type NamedTensors = ReadonlyMap<string, TensorRecord>;

/**
 * The tensors of files under our names: files of ours, published ones, files of one part without the part's name, all with
 * or without what frameworks put in front. Of an animation training's checkpoint it is the averaged model. Tensors of later
 * files take the place of those of earlier ones; those of no network of ours are there as well, under the names that they have.
 *
 * @throws CheckpointError if a file has two tensors for one name
 */
export function readNamed(...files: readonly NamedFile[]): Map<string, TensorRecord> {
  return new Map(files.flatMap((file) => [...namedIn(file)]));
}

function namedIn(file: NamedFile): Map<string, TensorRecord> {
  const bare = [...file.tensors].map(([name, record]) => [unwrapped(name), record] as const);
  const prefix = barePrefix(new Map(bare));
  const named = new Map<string, TensorRecord>();
  for (const [name, record] of bare) {
    const own = ownName(prefix + name);
    const other = named.get(own);
    if (other) throw new CheckpointError(file.path, `has two tensors for ${own}: ${other.name} and ${record.name}`);
    named.set(own, flattened(own, record));
  }
  if (stageOf(file) !== 'animation') return named;
  const rest = [...named].filter(([name]) => !name.startsWith('average.'));
  return new Map([...rest, ...below('average.', named)]);
}

/** What names of kernels begin with whose published form has a depth of 1. */
const FLATTENED: readonly string[] = OTHERS.flatMap(({ flattened: prefixes = [] }) => prefixes);

/** The record of a kernel without a depth of 1: the same elements in the same order. */
function flattened(own: string, record: TensorRecord): TensorRecord {
  const { name, dtype, shape, byteLength, offset } = record;
  if (shape.length !== 5 || shape[2] !== 1 || !FLATTENED.some((prefix) => own.startsWith(prefix))) return record;
  const flat = { name, dtype, shape: shape.filter((_, axis) => axis !== 2), byteLength, read: () => record.read() };
  return offset === undefined ? flat : { ...flat, offset };
}

/** What belongs before the names of a file that holds one part alone. */
function barePrefix(tensors: NamedTensors): string {
  const part = BARE_PARTS.find(({ landmark, channels }) => {
    const shape = tensors.get(landmark)?.shape;
    return shape && (channels === undefined || shape[1] === channels);
  });
  return part?.prefix ?? '';
}

/** What stands below a prefix, without it. */
export function below<T>(prefix: string, named: ReadonlyMap<string, T>): Map<string, T> {
  return new Map(
    [...named].flatMap(([name, value]): [string, T][] =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value]] : [],
    ),
  );
}

/** What stands below a prefix, under whole names. */
export function within<T>(prefix: string, named: ReadonlyMap<string, T>): Map<string, T> {
  return new Map([...named].filter(([name]) => name.startsWith(prefix)));
}

/** What belongs to no network of ours, under its names. */
export function strangers<T>(named: ReadonlyMap<string, T>): Map<string, T> {
  return new Map([...named].filter(([name]) => !NETWORKS.some((prefix) => name.startsWith(prefix))));
}

/**
 * Says that a tensor is missing, what published files call it, and which of the names that nothing was found for ends alike:
 * often the tensor is there, below a prefix that nobody expected.
 *
 * @param unused tensors that belong to nothing
 */
export function missingTensor(name: string, unused: ReadonlyMap<string, { name: string }>): string {
  const published = publishedName(name);
  const alike = nameAlike(name, unused);
  const also = published === name ? '' : ` (published: ${published})`;
  return `${name}${also} is missing${alike === undefined ? '' : `; the file has ${alike}`}`;
}

/** A name that ends as one of ours does, or its published form, all but the first part. */
export function nameAlike(name: string, unused: ReadonlyMap<string, { name: string }>): string | undefined {
  const ends = [name, publishedName(name)].map((each) => each.slice(each.indexOf('.') + 1));
  const isAlike = (found: string): boolean => ends.some((end) => found === end || found.endsWith(`.${end}`));
  return [...unused.values()].find((record) => isAlike(record.name))?.name;
}
