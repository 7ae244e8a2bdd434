// Which portraits and clips to animate, and where each result goes.
import { existsSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { access, constants, lstat, mkdir } from 'node:fs/promises';
import { basename, dirname, extname, join, relative, resolve, sep } from 'node:path';
import { DaganError } from '../errors.js';
import { cutName } from '../media/files.js';
import { leftOutWarning } from '../media/pictures/foreign-kinds.js';
import { PICTURE_EXTENSIONS } from '../media/pictures/images.js';
import { containerOf } from '../media/process/clip-writer.js';
import { motionNames } from './motion-file.js';
import { isMotionName } from './motion-format.js';
import { isPictureOutput } from './output.js';

/** One animation to make. Without a driver the head turns to angles of choice. */
export type Pair = { portrait: string; driving?: string; output: string };

/** All animations that are asked for together. */
export type Plan = {
  pairs: Pair[];
  /** Whether the output is a folder of results rather than one result. */
  batch: boolean;
  /** What the folders of inputs hold that is not taken. */
  warnings: string[];
};

/** Formats of a batch's results, and what their names end in; `png` makes a folder of frames per animation. */
export const BATCH_FORMATS = ['mp4', 'mov', 'webm', 'mkv', 'gif', 'webp', 'png'] as const;
export type BatchFormat = (typeof BATCH_FORMATS)[number];

export const CLIP_EXTENSIONS = ['.mp4', '.m4v', '.mov', '.webm', '.mkv', '.ts', '.gif'];

const extensionIn = (path: string, extensions: readonly string[]): boolean =>
  extensions.includes(extname(path).toLowerCase());

/** Whether a name is that of a clip; a GIF counts as one. */
export const isClipName = (path: string): boolean => extensionIn(path, CLIP_EXTENSIONS);

/** Whether an input is a clip or a folder rather than a picture. Throws a DaganError if it is not there. */
export const isClipInput = (path: string): boolean => isFolder(path) || isClipName(path);

/** Whether a name is that of a picture that is no clip. */
export const isPictureName = (path: string): boolean => extensionIn(path, PICTURE_EXTENSIONS) && !isClipName(path);

/** Whether a path is that of a picture or a clip, or a folder, which may hold frames. Throws a DaganError if it is not there. */
export const isMediaName = (path: string): boolean => isFolder(path) || isClipName(path) || isPictureName(path);

const natural = new Intl.Collator('en', { numeric: true });

function entries(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort(natural.compare)
    .map((name) => join(folder, name));
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    throw new DaganError('no-file', `${path}: no such file or folder`, { path });
  }
}

/** The portraits behind an argument: a file is itself, a folder all its pictures. */
function portraitsOf(path: string): { files: string[]; many: boolean } {
  if (!isFolder(path)) return { files: [path], many: false };
  const files = entries(path).filter(isPictureName);
  if (files.length === 0) {
    const leftOut = leftOutWarning(readdirSync(path)) ?? 'a portrait is png, jpg, webp, ...';
    throw new DaganError('bad-inputs', `${path}: a folder without pictures; ${leftOut}`, { path });
  }
  return { files, many: true };
}

/** Whether a name is that of a clip or of a motion template. */
const isDriverName = (path: string): boolean => isClipName(path) || isMotionName(path);

/** The clips behind an argument: a folder of pictures is one clip, a folder of clips, templates or such folders many. */
function clipsOf(path: string): { files: string[]; many: boolean } {
  if (!existsSync(path) && motionNames().includes(path)) return { files: [path], many: false };
  if (!isFolder(path)) return { files: [path], many: false };
  const inside = entries(path);
  const clips = inside.filter(isDriverName);
  if (clips.length > 0) return { files: clips, many: true };
  if (inside.some(isPictureName)) return { files: [path], many: false };
  const sequences = inside.filter((entry) => isFolder(entry) && entries(entry).some(isPictureName));
  if (sequences.length > 0) return { files: sequences, many: true };
  const message = `${path}: a folder without clips (${CLIP_EXTENSIONS.join(' ')}), motion templates or frames`;
  throw new DaganError('bad-inputs', message, { path });
}

/**
 * Makes the plan. Of two inputs the first is the portrait and the second the clip. Of more, the first is a portrait, the
 * last a clip, and those between are told apart by their names' endings. A single one is a portrait, or a folder of them.
 *
 * @param format of several results; default mp4
 * @throws DaganError, before anything has been written
 */
export async function planPairs(inputs: readonly string[], output: string, format?: BatchFormat): Promise<Plan> {
  if (inputs.length === 0) throw new DaganError('unclear-inputs', 'name a portrait and a driving clip', {});
  const between = inputs.slice(1, -1);
  for (const input of between) {
    if (!isFolder(input) && (isPictureName(input) || isDriverName(input))) continue;
    const order = 'Of more than two inputs, folders and unusual files come first (portraits) or last (clips)';
    throw new DaganError('unclear-inputs', `is ${input} a portrait or a clip? ${order}`, { path: input });
  }
  const portraits = [inputs[0]!, ...between.filter(isPictureName)].map(portraitsOf);
  const clips = inputs.length === 1 ? [] : [...between.filter(isDriverName), inputs.at(-1)!].map(clipsOf);
  const batch = inputs.length > 2 || [...portraits, ...clips].some(({ many }) => many);
  const drivers = clips.length === 0 ? [undefined] : clips.flatMap(({ files }) => files);
  const combinations = portraits
    .flatMap(({ files }) => files)
    .flatMap((portrait) => drivers.map((driving) => ({ portrait, driving })));
  if (!batch && format !== undefined) {
    throw new DaganError('format-of-one', `one animation takes its format from its name, not ${format}`, { format });
  }
  const pairs = batch
    ? batchPairs(combinations, output, format ?? 'mp4')
    : combinations.map((pair) => ({ ...pair, output }));
  for (const { portrait, driving, output: target } of pairs) {
    guardInputs(target, [portrait, ...(driving === undefined ? [] : [driving]), ...inputs]);
  }
  if (batch) await makeFolder(output);
  else await checkTarget(output);
  const folders = [inputs[0]!, ...between].filter(isFolder); // a folder of frames is warned of where it is read
  const warnings = folders.flatMap((folder) => {
    const leftOut = leftOutWarning(readdirSync(folder));
    return leftOut === undefined ? [] : [`${folder}: ${leftOut}`];
  });
  return { pairs, batch, warnings };
}

/** Bytes that file systems allow a name. */
const LONGEST_NAME = 255;

/** Gives every combination a name of its own in the folder. */
function batchPairs(combinations: readonly Omit<Pair, 'output'>[], folder: string, format: BatchFormat): Pair[] {
  if (!/[/\\]$/.test(folder) && extname(folder) !== '' && !existsSync(folder)) {
    throw new DaganError('output-not-folder', `several animations go into a folder, and ${folder} is none`, {
      ...{ path: folder, folder: `${folder.slice(0, -extname(folder).length)}/` },
    });
  }
  const stem = (path: string): string => basename(resolve(path), extname(resolve(path)));
  const taken = new Set<string>();
  const ending = format === 'png' ? '' : `.${format}`;
  return combinations.map((pair) => {
    const name = [pair.portrait, pair.driving].flatMap((path) => (path === undefined ? [] : [stem(path)])).join('-');
    const numbered = (i: number): string => {
      const tail = `${i === 1 ? '' : `-${i}`}${ending}`;
      return `${cutName(name, LONGEST_NAME - tail.length)}${tail}`;
    };
    let i = 1;
    while (taken.has(numbered(i))) i++;
    taken.add(numbered(i));
    return { ...pair, output: join(folder, format === 'png' ? `${numbered(i)}/` : numbered(i)) };
  });
}

/**
 * Refuses an output that would replace an input, through whatever links, or lie in an input folder.
 *
 * @throws DaganError
 */
export function guardInputs(output: string, inputs: readonly string[]): void {
  const target = realPath(output);
  for (const input of new Set(inputs)) {
    const source = realPath(input);
    const replaced = source === target || source.startsWith(`${target}${sep}`);
    if (replaced || sameFile(source, target)) {
      throw new DaganError('bad-output', `${output}: would replace the input ${input}; choose another name`, {
        path: output,
      });
    }
  }
  for (const input of inputs) {
    if (existsSync(input) && statSync(input).isDirectory() && relative(realPath(input), dirname(target)) === '') {
      throw new DaganError('bad-output', `${output}: lies in the input folder ${input}; choose another folder`, {
        path: output,
      });
    }
  }
}

/** An absolute path without links, also of a file that is yet to be made. */
function realPath(path: string): string {
  const absolute = resolve(path);
  if (existsSync(absolute)) return realpathSync(absolute);
  const parent = dirname(absolute);
  return parent === absolute ? absolute : join(realPath(parent), basename(absolute));
}

function sameFile(a: string, b: string): boolean {
  if (!existsSync(a) || !existsSync(b)) return false;
  const [first, second] = [statSync(a), statSync(b)];
  return first.ino === second.ino && first.dev === second.dev && !first.isDirectory();
}

/** Checks what can be checked of an output before the work. Whether it may be a picture is known later (`checkOutput`). */
export async function checkTarget(output: string): Promise<void> {
  const container = isPictureOutput(output) ? 'picture' : containerOf(output);
  if (container !== 'folder' && existsSync(output) && statSync(output).isDirectory()) {
    throw new DaganError('bad-output', `${output}: is a folder; give a file name`, { path: output });
  }
  if (container === 'folder' && existsSync(output) && !statSync(output).isDirectory()) {
    throw new DaganError(
      'bad-output',
      `${output}: is a file; a name without an ending stands for a folder of PNG frames`,
      { path: output },
    );
  }
  await checkWritable(output);
}

/** Checks that an output can have its name, and that its folder is there and can be written to. */
export async function checkWritable(output: string): Promise<void> {
  await lstat(output).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENAMETOOLONG') return;
    throw new DaganError('bad-output', `${output}: the name is too long; choose a shorter one`, { path: output });
  });
  const folder = dirname(resolve(output));
  if (!existsSync(folder))
    throw new DaganError('bad-output', `${output}: the folder ${folder} does not exist`, { path: output });
  if (!statSync(folder).isDirectory())
    throw new DaganError('bad-output', `${output}: ${folder} is not a folder`, { path: output });
  await access(folder, constants.W_OK).catch(() => {
    throw new DaganError('bad-output', `${output}: the folder ${folder} cannot be written to`, { path: output });
  });
}

async function makeFolder(folder: string): Promise<void> {
  if (existsSync(folder) && !statSync(folder).isDirectory()) {
    throw new DaganError('bad-output', `${folder}: is a file; several animations go into a folder`, { path: folder });
  }
  await mkdir(folder, { recursive: true }).catch((error: Error) => {
    throw new DaganError('bad-output', `${folder}: cannot be made (${error.message})`, { path: folder });
  });
  await checkWritable(join(folder, 'result'));
}
