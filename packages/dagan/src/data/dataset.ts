// A data set: clips in a folder, each with the identity of the person it shows.
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, posix } from 'node:path';
import { MediaError, toMediaError } from '../media/errors.js';
import { PICTURE_EXTENSIONS } from '../media/pictures/images.js';
import { type ClipFacts, readClipIndex, readClipList } from './dataset-index.js';
import { Random } from './random.js';

/** A clip that may be learned from. */
export type TrainingClip = {
  /** Path below the data set's root, with `/` between its parts, as `train/anna_01.mp4`. */
  name: string;
  /** Where it lies. */
  path: string;
  /** A video file, or a folder whose pictures are the frames. */
  kind: 'video' | 'folder';
  /** The person shown; see `openDataset`. */
  identity: string;
  /** Class of licence or quality, from the index. */
  tier?: string;
  /** How much the face moves, from the index. */
  motion?: number;
};

/** Clips of at least one identity. */
export type Dataset = {
  root: string;
  /** In the order of their names. */
  clips: readonly TrainingClip[];
};

/** Which clips of a folder belong to the data set. */
export type DatasetOptions = {
  /** The folder below the root that is scanned. Default `train`. */
  split?: string;
  /**
   * A list of the clips instead of a split: a text file with one path below the root per line, or a `.csv` file with a
   * column `file` and, if wanted, `identity` and `tier`.
   */
  list?: string;
  /** Only clips of these tiers. */
  tiers?: readonly string[];
  /** Only clips of these identities. */
  identities?: readonly string[];
};

const VIDEO_EXTENSIONS = ['.mp4', '.m4v', '.mov', '.webm', '.mkv', '.ts', '.gif'];

const hasExtension = (name: string, extensions: readonly string[]) => extensions.includes(extname(name).toLowerCase());

/**
 * Finds the clips of a data set, without opening them. Below `root/train` (or another split) a clip is a video file, or a
 * folder with pictures and no video file; folders of clips may be nested. Symbolic links stand for what they lead to. A
 * root that has neither `train` nor `test` but clips of its own is a training set as it is. Names that begin with a dot
 * are left out.
 *
 * The identity of a clip is, in this order: what the list or `root/index.json` says (an array of objects with `file`
 * and, if wanted, `id` or `identity`, `tier` and `motion`); what stands before the first `#` of its name, as VoxCeleb's
 * clips are called (`id10270#5r0dWxy17C8#...`); the first folder that it lies in below the root, not counting `train`,
 * `test` and the split; its name without ending and number (`anna_01.mp4` shows `anna`).
 *
 * Throws a `MediaError` if a file is not what it should be, a clip of the list is missing, a link leads nowhere or in a
 * circle, or no clip is left.
 */
export async function openDataset(root: string, options: DatasetOptions = {}): Promise<Dataset> {
  const { split = 'train', list, tiers, identities } = options;
  const facts = await readClipIndex(join(root, 'index.json'));
  const found = list === undefined ? await clipsOfSplit(root, split) : await clipsOfList(root, list, facts);
  const all = found
    .map(({ name, kind }): TrainingClip => {
      const { identity = identityOf(name, split), tier, motion } = facts.get(name) ?? {};
      return { name, path: join(root, name), kind, identity, tier, motion };
    })
    .sort(byName);
  const where = list ?? root;
  if (all.length === 0) {
    throw new MediaError(
      list ?? join(root, split),
      `holds no clips (${VIDEO_EXTENSIONS.join(' ')}, folders of frames)`,
    );
  }
  if (identities) {
    const known = new Set(all.map(({ identity }) => identity));
    const unknown = identities.find((identity) => !known.has(identity));
    if (unknown !== undefined) throw new MediaError(where, `has no clip of the identity '${unknown}'`);
  }
  const clips = all.filter(
    ({ tier, identity }) =>
      (!tiers || (tier !== undefined && tiers.includes(tier))) && (!identities || identities.includes(identity)),
  );
  if (clips.length === 0) {
    const tiersThere = [...new Set(all.map(({ tier }) => tier ?? 'none'))].sort().join(', ');
    throw new MediaError(where, `none of its ${all.length} clips is chosen: they are of tier ${tiersThere}`);
  }
  return { root, clips };
}

/** The identities of a data set, sorted. */
export function identitiesOf({ clips }: { clips: readonly { identity: string }[] }): string[] {
  return [...new Set(clips.map(({ identity }) => identity))].sort();
}

/**
 * Splits a data set by identity: a fraction of them (at least one, and at least one stays) is held out for validation.
 * The choice depends on the seed and on the identities' names alone. Throws a `RangeError` for a fraction outside (0, 1),
 * a `MediaError` if there is only one identity.
 */
export function holdOut(
  dataset: Dataset,
  { fraction = 0.1, seed = 0 }: { fraction?: number; seed?: number } = {},
): { training: Dataset; heldOut: Dataset } {
  if (!(fraction > 0 && fraction < 1)) {
    throw new RangeError(`the fraction held out must be inside (0, 1), not ${fraction}`);
  }
  const identities = identitiesOf(dataset);
  if (identities.length < 2) {
    throw new MediaError(dataset.root, `has only the identity '${identities[0]}'; holding one out needs two at least`);
  }
  const rank = new Map(identities.map((identity) => [identity, new Random('hold out', seed, identity).next()]));
  const count = Math.min(identities.length - 1, Math.max(1, Math.round(identities.length * fraction)));
  const held = new Set(identities.sort((a, b) => rank.get(a)! - rank.get(b)!).slice(0, count));
  const part = (inside: boolean): Dataset => ({
    root: dataset.root,
    clips: dataset.clips.filter(({ identity }) => held.has(identity) === inside),
  });
  return { training: part(false), heldOut: part(true) };
}

type FoundClip = Pick<TrainingClip, 'name' | 'kind'>;

function identityOf(name: string, split: string): string {
  const base = posix.basename(name);
  if (base.indexOf('#') > 0) return base.slice(0, base.indexOf('#'));
  const parts = name.split('/');
  const folders = ['train', 'test', split].includes(parts[0]!) ? parts.slice(1, -1) : parts.slice(0, -1);
  if (folders[0] !== undefined) return folders[0];
  const bare = hasExtension(base, VIDEO_EXTENSIONS) ? base.slice(0, -extname(base).length) : base;
  return bare.replace(/(?<=.)_\d+$/, '');
}

async function clipsOfSplit(root: string, split: string): Promise<FoundClip[]> {
  const folders = await listFolder(root, '');
  const names = folders.filter(({ folder }) => folder).map(({ name }) => name);
  if (names.includes(split)) return scan(root, split, true);
  const itself = split === 'train' && !names.includes('test');
  if (itself) {
    const clips = await scan(root, '', true);
    if (clips.length > 0) return clips;
  }
  throw new MediaError(
    root,
    `has no folder '${split}'${itself ? ' and no clips of its own' : ''}; a data set holds its clips in ${split}/ or names them in a list, one path per line`,
  );
}

/**
 * The clips in and below `root/folder`, which is a clip itself if it holds pictures only, except at the top.
 *
 * @param above where the folders around it really lie
 */
async function scan(root: string, folder: string, top = false, above: readonly string[] = []): Promise<FoundClip[]> {
  const entries = await listFolder(root, folder);
  const real = await realpath(join(root, folder));
  if (above.includes(real)) {
    throw new MediaError(join(root, folder), 'is a link to a folder that it lies in: remove it');
  }
  const videos = entries.filter((entry) => !entry.folder && hasExtension(entry.name, VIDEO_EXTENSIONS));
  const pictures = entries.some((entry) => !entry.folder && hasExtension(entry.name, PICTURE_EXTENSIONS));
  if (pictures && videos.length === 0 && !top) return [{ name: folder, kind: 'folder' }];
  const clips: FoundClip[] = videos.map(({ name }) => ({ name: posix.join(folder, name), kind: 'video' }));
  for (const { name } of entries.filter((entry) => entry.folder)) {
    clips.push(...(await scan(root, posix.join(folder, name), false, [...above, real])));
  }
  return clips;
}

/**
 * What lies in `root/folder`, and whether that is a folder or a link to one. Names that begin with a dot are left out.
 *
 * @throws MediaError if it cannot be read, or a link leads nowhere
 */
export async function listFolder(root: string, folder: string): Promise<{ name: string; folder: boolean }[]> {
  const path = join(root, folder);
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown) => {
    throw toMediaError(path, error, 'cannot be read as a folder of clips');
  });
  return Promise.all(
    entries
      .filter(({ name }) => !name.startsWith('.'))
      .map(async (entry) => ({
        name: entry.name,
        folder: entry.isSymbolicLink() ? await leadsToFolder(join(path, entry.name)) : entry.isDirectory(),
      })),
  );
}

async function leadsToFolder(link: string): Promise<boolean> {
  const found = await stat(link).catch((error: unknown) => {
    throw toMediaError(link, error, 'is a link that cannot be followed');
  });
  return found.isDirectory();
}

/** The clips of a list. What the list says of them goes into `facts`. */
async function clipsOfList(root: string, list: string, facts: Map<string, ClipFacts>): Promise<FoundClip[]> {
  const clips: FoundClip[] = [];
  for (const { name, line, ...said } of await readClipList(list)) {
    const found = await stat(join(root, name)).catch((error: unknown) => {
      throw toMediaError(list, error, `line ${line}: ${name} is not below ${root}`);
    });
    if (said.identity !== undefined || said.tier !== undefined) facts.set(name, { ...facts.get(name), ...said });
    clips.push({ name, kind: found.isDirectory() ? 'folder' : 'video' });
  }
  return clips;
}

function byName(a: TrainingClip, b: TrainingClip): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
