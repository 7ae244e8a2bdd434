// The studio over HTTP: its built page, and an exported model as `model/`. Files are read, nothing is taken in.
import type { Stats } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { nameBelow } from '../media/below.js';
import { CompressedFiles, type FileToSend, refuse, sendFile } from './send-file.js';

export type StudioFolders = {
  /** Folder of the built page. */
  page: string;
  /** Folder of the exported model; served as `model/`. */
  model: string;
  /** Names of its files that are served. Whatever else lies in the folder stays private. */
  modelFiles: readonly string[];
};

/** What the names of files end in that the page's build has compressed. */
const PACKED = '.br';

/** Answers requests for the page and the model. */
export class StudioFiles {
  readonly #page: string;
  readonly #model: string;
  readonly #modelFiles: ReadonlySet<string>;
  readonly #compressed: CompressedFiles | undefined;

  private constructor({ page, model, modelFiles }: StudioFolders, compressed: CompressedFiles | undefined) {
    this.#page = page;
    this.#model = model;
    this.#modelFiles = new Set(modelFiles);
    this.#compressed = compressed;
  }

  /** @param compressing whether what becomes smaller goes compressed; what the build has compressed goes so to everybody */
  static async open({ page, model, modelFiles }: StudioFolders, compressing: boolean): Promise<StudioFiles> {
    const folders = { page: await realpath(page), model: await realpath(model), modelFiles };
    return new StudioFiles(folders, compressing ? new CompressedFiles() : undefined);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return refuse(response, 405, 'files are only read here');
    }
    const file = await this.#find(request.url ?? '/');
    if (!file) return refuse(response, 404, 'no such file');
    await sendFile(file, request, response, this.#compressed);
  }

  /** The file that an address means: inside of one of the folders, links followed. */
  async #find(url: string): Promise<FileToSend | undefined> {
    try {
      const path = decodeURIComponent(new URL(url, 'http://studio').pathname);
      if (path.includes('\0')) return undefined;
      const isModel = path.startsWith('/model/');
      const folder = isModel ? this.#model : this.#page;
      const name = isModel ? path.slice('/model/'.length) : path === '/' ? 'index.html' : path.slice(1);
      if (isModel && !this.#modelFiles.has(name)) return undefined;
      const below = nameBelow(name);
      if (below === undefined) return undefined;
      const found = await realpath(join(folder, below));
      if (!found.startsWith(folder + sep)) return undefined;
      const facts = await stat(found);
      // Files in assets/ carry a hash of what they hold in their names.
      const fixed = !isModel && name.startsWith('assets/');
      if (!facts.isFile() || name.endsWith(PACKED)) return undefined;
      return { path: found, facts, fixed, packed: isModel ? undefined : await packedOf(found, facts) };
    } catch {
      return undefined;
    }
  }
}

/** A compressed file beside another one, unless it was written before that. */
async function packedOf(path: string, { mtimeMs }: Stats): Promise<FileToSend['packed']> {
  const facts = await lstat(`${path}${PACKED}`).catch(() => undefined);
  return facts?.isFile() && facts.mtimeMs >= mtimeMs ? { path: `${path}${PACKED}`, size: facts.size } : undefined;
}
