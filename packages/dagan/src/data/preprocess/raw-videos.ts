// Which raw videos and stills to prepare, and whom each shows.
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { basename, extname, join, relative, sep } from 'node:path';
import { MediaError, toMediaError } from '../../media/errors.js';
import { PICTURE_EXTENSIONS } from '../../media/pictures/images.js';

/** A video or still to prepare. */
export type RawVideo = {
  path: string;
  /** The person shown. */
  identity: string;
  /** `identity#video`, unlike that of any other: clips' names begin with it. */
  name: string;
  /** Whether it is a single picture. */
  still?: true;
  /** Length and date of the file: whether it is still the same one. */
  bytes: number;
  modified: number;
};

/** What raw videos end in. */
export const RAW_EXTENSIONS: readonly string[] = ['.mp4', '.m4v', '.mov', '.webm', '.mkv', '.ts', '.gif'];

/** GIFs are taken for videos, other pictures for stills. */
const isStill = (path: string): boolean =>
  PICTURE_EXTENSIONS.includes(extname(path).toLowerCase()) && !RAW_EXTENSIONS.includes(extname(path).toLowerCase());

/** What to look for. */
export type RawVideoOptions = {
  /** The person that all of them show. */
  identity?: string;
  /** Whether pictures are taken too, as stills. Default false. */
  stills?: boolean;
};

/**
 * The videos (and stills) behind files and folders, which are searched with all that is in them, in the order of their names.
 *
 * The identity of a video is, in this order: `identity` if given; what stands before the first `#` of its name; the
 * first folder that it lies in below the folder that was named; its name without ending. Characters other than
 * letters, digits, `.`, `_` and `-` become `-`.
 *
 * @throws MediaError if something is missing or a folder holds no video
 */
export function findRawVideos(
  inputs: readonly string[],
  { identity, stills = false }: RawVideoOptions = {},
): RawVideo[] {
  const found = inputs.flatMap((input) => {
    const videos = filesBehind(input, stills);
    if (videos.length === 0) {
      const wanted = stills ? 'videos or pictures' : `videos (${RAW_EXTENSIONS.join(' ')})`;
      throw new MediaError(input, `holds no ${wanted}`);
    }
    return videos.map((path) => ({ path, below: path === input ? '' : relative(input, path) }));
  });
  // What videos are called must not depend on whether stills are taken.
  found.sort((a, b) => Number(stills && isStill(a.path)) - Number(stills && isStill(b.path)));
  const paths = new Set<string>();
  const names = new Set<string>();
  const videos: RawVideo[] = [];
  for (const { path, below } of found) {
    if (paths.has(path)) continue;
    paths.add(path);
    const stem = basename(path, extname(path));
    const folders = below.split(sep).slice(0, -1);
    const [tagged, rest] =
      stem.indexOf('#') > 0 ? [stem.slice(0, stem.indexOf('#')), stem.slice(stem.indexOf('#') + 1)] : [];
    const person = clean(identity ?? tagged ?? folders[0] ?? stem);
    const video = clean([...folders.slice(1), rest ?? stem].join('-'));
    let name = `${person}#${video}`;
    for (let i = 2; names.has(name); i++) name = `${person}#${video}-${i}`;
    names.add(name);
    const { size, mtimeMs } = statSync(path);
    videos.push({
      ...{ path, identity: person, name },
      ...(stills && isStill(path) && { still: true }),
      ...{ bytes: size, modified: Math.round(mtimeMs) },
    });
  }
  return videos;
}

function filesBehind(input: string, stills: boolean): string[] {
  try {
    if (!statSync(input).isDirectory()) return [input];
    return folderFiles(input, stills);
  } catch (error) {
    throw toMediaError(input, error, 'cannot be read');
  }
}

function folderFiles(folder: string, stills: boolean): string[] {
  const entries: Dirent[] = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'));
  return entries
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      const isFolder = entry.isSymbolicLink() ? statSync(path).isDirectory() : entry.isDirectory();
      if (isFolder) return folderFiles(path, stills);
      const wanted = RAW_EXTENSIONS.includes(extname(path).toLowerCase()) || (stills && isStill(path));
      return wanted ? [path] : [];
    });
}

function clean(name: string): string {
  return name.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[.-]+|-+$/g, '') || 'unnamed';
}
