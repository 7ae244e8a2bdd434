// What is generated and compared: a source, what drives it, and which driving frame counts as the source's own pose.
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, extname, join, relative } from 'node:path';
import { type Dataset, listFolder, openDataset, type TrainingClip } from '../data/dataset.js';
import { readClipIndex } from '../data/dataset-index.js';
import { Random } from '../data/random.js';
import { MediaError } from '../media/errors.js';
import { framesIn } from '../media/formats/folder-reader.js';
import { PICTURE_EXTENSIONS } from '../media/pictures/images.js';
import type { Protocol } from './measures.js';
import { type FrameReference, readPairList } from './pair-list.js';

/** One source with one driving clip or frame. */
export type EvaluationCase = {
  /** Names it in tables, the same wherever the data lie. */
  name: string;
  source: FrameReference;
  /** A clip (all its frames), a frame of a clip, or a picture. */
  driving: FrameReference & { kind: 'clip' | 'frame' };
  /** The driving frame from which relative motion is measured: a listed one, or null for the clip's first. */
  reference: FrameReference | null;
  /** The frame of the driving clip that is the source itself, which is not scored. */
  sourceFrame: number | null;
};

/** Which cases there are. */
export type CaseOptions = {
  protocol: Protocol;
  /** A list of pairs instead of clips; see `readPairList`. */
  pairs?: string;
  /** Cross-identity: a folder of portraits as sources. Default: first frames of clips of other people. */
  portraits?: string;
  /** Cross-identity: sources for each driving clip. Default 1. */
  sources?: number;
  /** At most so many cases, drawn by the seed. */
  limit?: number;
  seed?: number;
};

/**
 * The cases of a folder of clips, in the order of their names: its `test` folder if it has one, else itself. `self`: a
 * clip's first frame and the clip. `cross`: every clip with sources of other people, drawn by the seed.
 *
 * @throws MediaError if there are none, or something is not what it should be
 */
export async function findCases(root: string, options: CaseOptions): Promise<EvaluationCase[]> {
  const { protocol, pairs, seed = 0, limit } = options;
  const all = await (pairs !== undefined
    ? listedCases(root, pairs)
    : protocol === 'self'
      ? selfCases(root)
      : crossCases(root, options));
  if (limit === undefined || limit >= all.length) return all;
  const rank = new Map(all.map(({ name }) => [name, new Random('evaluation case', seed, name).next()]));
  const chosen = [...all].sort((a, b) => rank.get(a.name)! - rank.get(b.name)!).slice(0, limit);
  return all.filter((each) => chosen.includes(each));
}

/** The clips to evaluate on. */
async function clipsOf(root: string): Promise<Dataset> {
  const names = (await listFolder(root, '')).filter(({ folder }) => folder).map(({ name }) => name);
  if (names.includes('test')) return openDataset(root, { split: 'test' });
  if (names.includes('train')) {
    throw new MediaError(
      root,
      `holds clips to train on and no folder 'test'; to evaluate on the former, name ${join(root, 'train')}`,
    );
  }
  return openDataset(root);
}

async function selfCases(root: string): Promise<EvaluationCase[]> {
  const { clips } = await clipsOf(root);
  return clips.map(({ name, path }) => ({
    name,
    source: { path, frame: 0 },
    driving: { path, frame: null, kind: 'clip' },
    reference: null,
    sourceFrame: 0,
  }));
}

/** Somebody to be animated; `identity` is null for a portrait of whom nothing is known. */
type Candidate = { name: string; identity: string | null; reference: FrameReference };

async function crossCases(root: string, options: CaseOptions): Promise<EvaluationCase[]> {
  const { portraits, sources = 1, seed = 0 } = options;
  const { clips } = await clipsOf(root);
  const candidates = portraits === undefined ? firstFrames(clips) : await portraitsOf(portraits, root);
  return clips.flatMap((clip) => {
    const others = candidates.filter(({ identity }) => identity !== clip.identity);
    if (others.length === 0) {
      throw new MediaError(
        root,
        `shows '${clip.identity}' alone; cross-identity needs other people: name a folder of portraits`,
      );
    }
    const drawn = new Random('source', seed, clip.name).shuffle(others).slice(0, sources);
    return drawn.map(({ name, reference }) => ({
      name: `${name} by ${clip.name}`,
      source: reference,
      driving: { path: clip.path, frame: null, kind: 'clip' as const },
      reference: null,
      sourceFrame: null,
    }));
  });
}

const firstFrames = (clips: readonly TrainingClip[]): Candidate[] =>
  clips.map(({ name, identity, path }) => ({ name, identity, reference: { path, frame: 0 } }));

/** The pictures of a folder. Whom they show is known if the data set's index tells. */
async function portraitsOf(folder: string, root: string): Promise<Candidate[]> {
  const facts = await readClipIndex(join(root, 'index.json'));
  const names = await readdir(folder).catch(() => {
    throw new MediaError(folder, 'cannot be read as a folder of portraits');
  });
  const pictures = names.filter((name) => isPicture(name) && !name.startsWith('.')).sort();
  if (pictures.length === 0) throw new MediaError(folder, `holds no portraits (${PICTURE_EXTENSIONS.join(' ')})`);
  return pictures.map((name) => {
    const path = join(folder, name);
    const identity = facts.get(relative(root, path).replaceAll('\\', '/'))?.identity ?? null;
    return { name, identity, reference: { path, frame: null } };
  });
}

const isPicture = (name: string): boolean => PICTURE_EXTENSIONS.includes(extname(name).toLowerCase());

async function listedCases(root: string, list: string): Promise<EvaluationCase[]> {
  const nameOf = ({ path, frame }: FrameReference): string => {
    const name = relative(root, path).replaceAll('\\', '/');
    return frame === null ? name : `${name}/${frame}`;
  };
  const cases: EvaluationCase[] = [];
  for (const { line, source, driving, reference } of await readPairList(list, root)) {
    if (source.frame === null && (await stat(source.path)).isDirectory()) {
      throw new MediaError(list, `line ${line}: the source ${nameOf(source)} is a folder; a frame is needed`);
    }
    const whole = driving.frame === null && !isPicture(basename(driving.path));
    cases.push({
      name: `${nameOf(source)} by ${nameOf(driving)}`,
      source: !isPicture(source.path) && source.frame === null ? { ...source, frame: 0 } : source,
      driving: { ...driving, kind: whole ? 'clip' : 'frame' },
      reference,
      sourceFrame: whole ? await frameWithin(source, driving.path) : null,
    });
  }
  return cases;
}

/** The number of a frame in a clip, which may be a folder of frames; null if it is of another one. */
async function frameWithin({ path, frame }: FrameReference, clip: string): Promise<number | null> {
  if (path === clip) return frame ?? 0;
  if (frame !== null || dirname(path) !== clip) return null;
  const number = (await framesIn(clip)).indexOf(basename(path));
  return number < 0 ? null : number;
}
