// What is written down about the clips of a data set: index.json, and lists of clips as text or CSV.
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { nameBelow } from '../media/below.js';
import { MediaError, shown, systemCode, toMediaError } from '../media/errors.js';

/** What an index or a list says of a clip. */
export type ClipFacts = { identity?: string; tier?: string; motion?: number };

/** A clip of a list. */
export type ListedClip = { name: string; line: number; identity?: string; tier?: string };

/**
 * Reads an index, an array of objects as
 * `{ "file": "train/anna_01.mp4", "id": "anna", "tier": "A", "motion": 0.3 }`; other fields are left alone, `id` may also
 * be called `identity`. A file that is not there is an empty index.
 */
export async function readClipIndex(path: string): Promise<Map<string, ClipFacts>> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return new Map();
    throw toMediaError(path, error, 'cannot be read as an index of clips');
  }
  if (!Array.isArray(parsed)) throw new MediaError(path, 'is not an index of clips, an array of objects');
  const facts = new Map<string, ClipFacts>();
  for (const [number, entry] of parsed.entries()) {
    const field = <Type extends 'string' | 'number'>(name: string, type: Type) => {
      const value: unknown = entry?.[name];
      if (value === undefined || value === null) return undefined;
      if (typeof value !== type) {
        throw new MediaError(path, `entry ${number}: '${name}' must be a ${type}, not ${shown(value)}`);
      }
      return value as Type extends 'string' ? string : number;
    };
    const file = field('file', 'string');
    if (!file) throw new MediaError(path, `entry ${number} has no 'file', the path of its clip below the root`);
    const identity = field('identity', 'string') ?? field('id', 'string');
    facts.set(nameBelow(file) ?? file, { identity, tier: field('tier', 'string'), motion: field('motion', 'number') });
  }
  return facts;
}

/** Reads a list of clips: see `DatasetOptions.list`. Throws a `MediaError` that names the line that is wrong. */
export async function readClipList(path: string): Promise<ListedClip[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw toMediaError(path, error, 'cannot be read as a list of clips');
  }
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const table = extname(path).toLowerCase() === '.csv';
  const header = table ? csvFields(lines[0] ?? '').map((name) => name.trim().toLowerCase()) : ['file'];
  const column = (...names: string[]) => header.findIndex((name) => names.includes(name));
  const [file, identity, tier] = [column('file', 'path'), column('identity', 'id'), column('tier')];
  if (file < 0) throw new MediaError(path, `line 1 has no column 'file' but ${header.join(', ')}`);

  const clips: ListedClip[] = [];
  const seen = new Set<string>();
  for (const [index, content] of lines.entries()) {
    if (content.trim() === '' || (table && index === 0)) continue;
    const line = index + 1;
    const fields = table ? csvFields(content) : [content];
    const given = (fields[file] ?? '').trim();
    const name = nameBelow(given);
    if (name === undefined) {
      throw new MediaError(path, `line ${line}: '${given}' is not a path below the data set's root`);
    }
    if (seen.has(name)) throw new MediaError(path, `line ${line}: ${name} is listed twice`);
    seen.add(name);
    clips.push({
      name,
      line,
      identity: fields[identity]?.trim() || undefined,
      tier: fields[tier]?.trim() || undefined,
    });
  }
  return clips;
}

/** The fields of a line of CSV (RFC 4180), of which the quoted ones may hold commas and doubled quotes. */
export function csvFields(line: string): string[] {
  return [...`,${line}`.matchAll(/,(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(
    ([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? '',
  );
}
