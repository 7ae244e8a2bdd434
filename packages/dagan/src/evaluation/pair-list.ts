// Lists of pairs as the DaGAN authors publish them, read wherever the data lie.
//
// Three layouts are known, all with absolute paths of the authors' machine: `source,driving,frame` (vox_evaluation.csv,
// vox_cross_id_evaluation.csv, celeV_cross_id_evaluation.csv: one source and one driving frame, and nothing in the third
// column), `source,driving,best_frame` (the frame of the driving clip that is nearest to the source), and
// `source_frame,driving_video` (vox_cross_id_animate.csv: a whole driving clip).
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { csvFields } from '../data/dataset-index.js';
import { MediaError, toMediaError } from '../media/errors.js';

/** A picture file (`frame` null), or a frame of a clip. */
export type FrameReference = { path: string; frame: number | null };

/** A line of a list. */
export type ListedPair = {
  line: number;
  source: FrameReference;
  /** A frame, or with `frame` null a picture or a whole clip. */
  driving: FrameReference;
  /** The frame that has the source's pose, if the list says so. */
  reference: FrameReference | null;
};

/**
 * Reads a list of pairs. Paths are looked for below `root`, the first folders being left out until one is there; a frame
 * `clip.mp4/0000012.png` is frame 12 of `clip.mp4` where that is a video.
 *
 * @throws MediaError that names the line that is wrong
 */
export async function readPairList(path: string, root: string): Promise<ListedPair[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw toMediaError(path, error, 'cannot be read as a list of pairs');
  });
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const header = csvFields(lines[0] ?? '').map((name) => name.trim().toLowerCase());
  const column = (...names: string[]): number => header.findIndex((name) => names.includes(name));
  const [source, driving, best] = [
    column('source', 'source_frame'),
    column('driving', 'driving_video'),
    column('best_frame'),
  ];
  if (source < 0 || driving < 0) {
    throw new MediaError(path, `line 1 must name the columns source and driving, not ${header.join(', ')}`);
  }
  const pairs: ListedPair[] = [];
  for (const [index, content] of lines.entries()) {
    if (index === 0 || content.trim() === '') continue;
    const line = index + 1;
    const fields = csvFields(content).map((field) => field.trim());
    const find = async (at: number): Promise<FrameReference> => {
      const found = await locate(root, fields[at] ?? '');
      if (found) return found;
      throw new MediaError(path, `line ${line}: '${fields[at] ?? ''}' is not below ${root}`);
    };
    const reference = best >= 0 && fields[best] ? await find(best) : null;
    pairs.push({ line, source: await find(source), driving: await find(driving), reference });
  }
  if (pairs.length === 0) throw new MediaError(path, 'lists no pairs');
  return pairs;
}

/** Where a listed path lies below a root. */
async function locate(root: string, listed: string): Promise<FrameReference | undefined> {
  const parts = listed.split(/[/\\]/).filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..')) return undefined;
  for (let skipped = 0; skipped < parts.length; skipped++) {
    const path = join(root, ...parts.slice(skipped));
    if (await stat(path).catch(() => null)) return { path, frame: null };
    const clip = parts.slice(skipped, -1);
    const number = /^(\d+)\.\w+$/.exec(parts.at(-1)!)?.[1];
    if (clip.length === 0 || number === undefined) continue;
    const found = await stat(join(root, ...clip)).catch(() => null);
    if (found?.isFile()) return { path: join(root, ...clip), frame: Number(number) };
  }
  return undefined;
}
