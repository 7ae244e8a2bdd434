// A folder of portraits made ready for motion: each is scaled, its mesh is found, and both are kept in one file, so that
// this is done once.
import { mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { FaceAnalyzer } from '../../faces/analyzer.js';
import { MIN_MESH_SCORE } from '../../faces/mesh.js';
import { MediaError, toMediaError } from '../../media/errors.js';
import { abandon, beginFile, commitFile, writeAll } from '../../media/files.js';
import { decodeImage, pictureToSharp, readPicture } from '../../media/pictures/images.js';
import type { Picture } from '../../media/pictures/picture.js';
import { transformPicture } from '../../media/pictures/resize.js';
import { cacheError } from '../cache-error.js';
import { listFrames } from '../frame-folder.js';
import { indexBytes, readExactly, readIndexed } from '../indexed-file.js';
import { squareTransform } from '../prepare.js';
import { type FaceSurface, REFINED_POINTS } from './face-surface.js';
import { MovingPortrait } from './moving-portrait.js';

/** Portraits that can be read at once, in any order. Plain data, which threads can be given; the meshes are shared. */
export type PreparedPortraits = {
  folder: string;
  /** Width and height of the pictures. */
  size: number;
  /** The file that holds them. */
  store: string;
  /** In the order of their names. */
  portraits: readonly { name: string; start: number; length: number }[];
  /** [portraits, 478, 3]: the refined mesh of each, in pixels of its picture. */
  meshes: Float32Array;
  /** Pictures that cannot be used, and why. */
  leftOut: readonly { name: string; reason: string }[];
};

export type PortraitOptions = {
  /** Width and height of the pictures; of those that are not square the middle is taken. */
  size: number;
  /** Where the file is kept; it can be removed at any time but during a run. Default: `.dagan-frames` in the folder. */
  cacheFolder?: string;
  /** Told after every picture that is looked at. */
  onProgress?: (progress: { done: number; total: number; name: string }) => void;
  /** Told, in one line, what is left out. */
  onWarning?: (text: string) => void;
  /** Ends the work between two pictures. */
  signal?: AbortSignal;
};

/** What is known of one picture of the folder. */
type Entry = {
  name: string;
  /** Of the picture's file. */
  bytes: number;
  modified: number;
} & (
  | {
      /** Where the scaled picture lies in the store. */
      start: number;
      length: number;
    }
  | { reason: string }
);

/**
 * What a store says of itself at its end. Before it lie the pictures, then the meshes of those that have one (float32, little
 * endian).
 */
type StoreIndex = { size: number; meshes: number; entries: Entry[] };

const MAGIC = 'DAGANPO1';
const MESH_BYTES = REFINED_POINTS * 3 * 4;

/** Another face of at least this part of the largest one's width makes a picture no portrait. */
const OTHER_FACE = 0.4;

/** As sharp as it needs to be and decoded in a third of the time of lossless WebP. */
const JPEG = { quality: 95, chromaSubsampling: '4:4:4' } as const;

/** How many pictures a warning names. */
const NAMED = 3;

/**
 * Prepares the pictures of a folder (not of those below it). What has been found before is taken from the store as long as
 * a picture's file has the same length and date. Pictures that cannot be read, without a face, or with several are left out
 * with a warning. Processes may prepare the same folder at the same time.
 *
 * @throws MediaError if the folder cannot be read or holds no portrait, or the store cannot be written
 */
export async function preparePortraits(folder: string, options: PortraitOptions): Promise<PreparedPortraits> {
  const { size, onProgress, onWarning, signal } = options;
  if (!Number.isInteger(size) || size < 16) throw new RangeError(`size must be an integer from 16, not ${size}`);
  const names = await listFrames(folder);
  if (names.length === 0) throw new MediaError(folder, 'holds no pictures');
  const cache = options.cacheFolder ?? join(folder, '.dagan-frames');
  const path = join(cache, `portraits-${size}.store`);
  const stamps = await Promise.all(names.map((name) => stampOf(folder, name)));
  let store = await readStore(path, size);
  if (!store || !isCurrent(store.index.entries, stamps)) {
    await mkdir(cache, { recursive: true }).catch((error: unknown) => {
      throw cacheError(cache, error);
    });
    await writeStore({ path, folder, size, stamps, former: store, onProgress, signal });
    store = await readStore(path, size);
    if (!store) throw new MediaError(path, 'cannot be read back; is another program changing it?');
  }
  const { entries } = store.index;
  const portraits = entries.flatMap((entry) => ('start' in entry ? [entry] : []));
  const leftOut = entries.flatMap((entry) => ('reason' in entry ? [entry] : []));
  if (portraits.length === 0) {
    throw new MediaError(
      folder,
      `none of its ${names.length} pictures is a portrait; the first: ${leftOut[0]?.reason}`,
    );
  }
  if (leftOut.length > 0) {
    const some = leftOut.slice(0, NAMED).map(({ name, reason }) => `${name} (${reason})`);
    const more = leftOut.length > NAMED ? ', ...' : '';
    onWarning?.(`${folder}: ${leftOut.length} of ${names.length} pictures left out: ${some.join(', ')}${more}`);
  }
  return {
    folder,
    size,
    store: path,
    portraits: portraits.map(({ name, start, length }) => ({ name, start, length })),
    meshes: store.meshes,
    leftOut: leftOut.map(({ name, reason }) => ({ name, reason })),
  };
}

/**
 * One of the portraits, ready to move.
 *
 * @throws MediaError if the store is missing or damaged
 */
export async function readPortrait(
  { store, portraits, meshes }: PreparedPortraits,
  index: number,
  surface: FaceSurface,
): Promise<MovingPortrait> {
  const { start, length } = portraits[index]!;
  const remedy = 'the cache of portraits has changed during the run; start again to have it made anew';
  let picture: Picture;
  try {
    await using file = await open(store);
    picture = await decodeImage(sharp(await readExactly(file, start, length)));
  } catch (error) {
    throw toMediaError(store, error, `cannot be read (${remedy})`);
  }
  const mesh = meshes.subarray(index * REFINED_POINTS * 3, (index + 1) * REFINED_POINTS * 3);
  return new MovingPortrait(picture, mesh, surface);
}

type Stamp = Pick<Entry, 'name' | 'bytes' | 'modified'>;

async function stampOf(folder: string, name: string): Promise<Stamp> {
  const path = join(folder, name);
  const { size, mtimeMs } = await stat(path).catch((error: unknown) => {
    throw toMediaError(path, error, 'cannot be read');
  });
  return { name, bytes: size, modified: Math.round(mtimeMs) };
}

function isSame(entry: Stamp | undefined, stamp: Stamp): boolean {
  return entry?.name === stamp.name && entry.bytes === stamp.bytes && entry.modified === stamp.modified;
}

function isCurrent(entries: readonly Entry[], stamps: readonly Stamp[]): boolean {
  return entries.length === stamps.length && entries.every((entry, i) => isSame(entry, stamps[i]!));
}

type Store = { path: string; index: StoreIndex; meshes: Float32Array };

async function writeStore({
  path,
  folder,
  size,
  stamps,
  former,
  onProgress,
  signal,
}: {
  path: string;
  folder: string;
  size: number;
  stamps: readonly Stamp[];
  former: Store | undefined;
} & Pick<PortraitOptions, 'onProgress' | 'signal'>): Promise<void> {
  const known = new Map(former?.index.entries.map((entry) => [entry.name, entry]));
  const formerMeshes = new Map(
    former?.index.entries.filter((entry) => 'start' in entry).map(({ name }, i) => [name, i * MESH_BYTES]),
  );
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const part = await beginFile(path);
  try {
    await using file = await open(part, 'w');
    await using old = former && (await open(former.path));
    const entries: Entry[] = [];
    const meshes: Uint8Array[] = [];
    let start = 0;
    for (const [i, stamp] of stamps.entries()) {
      signal?.throwIfAborted();
      const { name } = stamp;
      const before = known.get(name);
      if (before && isSame(before, stamp) && 'reason' in before) entries.push(before);
      else {
        let bytes: Buffer;
        if (before && isSame(before, stamp) && 'start' in before && old) {
          bytes = await readExactly(old, before.start, before.length);
          const at = formerMeshes.get(name)!;
          meshes.push(new Uint8Array(former.meshes.buffer, at, MESH_BYTES));
        } else {
          const found = await look(analyzer, join(folder, name), size);
          if ('reason' in found) {
            entries.push({ ...stamp, reason: found.reason });
            onProgress?.({ done: i + 1, total: stamps.length, name });
            continue;
          }
          bytes = await pictureToSharp(found.picture).jpeg(JPEG).toBuffer();
          meshes.push(new Uint8Array(found.mesh.buffer));
        }
        await writeAll(file, bytes);
        entries.push({ ...stamp, start, length: bytes.length });
        start += bytes.length;
      }
      onProgress?.({ done: i + 1, total: stamps.length, name });
    }
    const index: StoreIndex = { size, meshes: start, entries };
    await writeAll(file, Buffer.concat([...meshes, indexBytes(index, MAGIC)]));
  } catch (error) {
    await abandon(part);
    if (error instanceof Error && error === signal?.reason) throw error;
    throw cacheError(path, error);
  }
  await commitFile(part, path);
}

/** Looks at a picture: its face, if it has one and no other. */
async function look(
  analyzer: FaceAnalyzer,
  path: string,
  size: number,
): Promise<{ picture: Picture; mesh: Float32Array } | { reason: string }> {
  let picture: Picture;
  try {
    picture = transformPicture(await readPicture(path), squareTransform(size));
  } catch (error) {
    if (error instanceof MediaError) return { reason: error.reason };
    throw error;
  }
  const [face, other] = await analyzer.detect(picture);
  if (!face) return { reason: 'no face found' };
  if (other && other.box.width > OTHER_FACE * face.box.width) return { reason: 'several faces' };
  const { points, score } = await analyzer.mesh(picture, face);
  return score < MIN_MESH_SCORE ? { reason: 'no face found' } : { picture, mesh: Float32Array.from(points) };
}

/** Reads index and meshes; nothing if there is no whole store of that size. */
function readStore(path: string, size: number): Promise<Store | undefined> {
  return readIndexed(path, MAGIC, async (index: StoreIndex, file, end) => {
    const count = index.entries.filter((entry) => 'start' in entry).length;
    if (index.size !== size || index.meshes + count * MESH_BYTES !== end) return undefined;
    const meshes = new Float32Array(new SharedArrayBuffer(count * MESH_BYTES));
    new Uint8Array(meshes.buffer).set(await readExactly(file, index.meshes, count * MESH_BYTES));
    return { path, index, meshes };
  });
}
