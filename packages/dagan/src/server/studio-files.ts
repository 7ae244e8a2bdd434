// The studio over HTTP: its built page, and exported models beside it. Files are read, nothing is taken in.
import type { Stats } from 'node:fs';
import { lstat, realpath, stat } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join, sep } from 'node:path';
import { nameBelow } from '../media/below.js';
import { CompressedFiles, type FileToSend, refuse, sendFile } from './send-file.js';

/** An exported model. */
export type StudioModel = {
  /** For people. */
  name: string;
  folder: string;
  /** Names of its files that are served. Whatever else lies in the folder stays private. */
  files: readonly string[];
};

export type StudioFolders = {
  /** Folder of the built page. */
  page: string;
  /** At least one. The first is served as `model/`, the second as `model-2/`, ...; `models.json` lists them. */
  models: readonly StudioModel[];
};

/** The list of models, which the page reads. */
const LIST = '/models.json';

/** Address of a model below the page. */
const addressOf = (index: number): string => (index === 0 ? 'model/' : `model-${index + 1}/`);

/** What the names of files end in that the page's build has compressed. */
const PACKED = '.br';

/** Answers requests for the page and the model. */
export class StudioFiles {
  readonly #page: string;
  /** By the beginnings of their addresses. */
  readonly #models: ReadonlyMap<string, StudioModel>;
  readonly #compressed: CompressedFiles | undefined;

  private constructor(page: string, models: ReadonlyMap<string, StudioModel>, compressed: CompressedFiles | undefined) {
    this.#page = page;
    this.#models = models;
    this.#compressed = compressed;
  }

  /** @param compressing whether what becomes smaller goes compressed; what the build has compressed goes so to everybody */
  static async open({ page, models }: StudioFolders, compressing: boolean): Promise<StudioFiles> {
    const found = await Promise.all(
      models.map(async (model, i) => {
        const real = { ...model, folder: await realpath(model.folder) };
        return [`/${addressOf(i)}`, real] as const;
      }),
    );
    return new StudioFiles(await realpath(page), new Map(found), compressing ? new CompressedFiles() : undefined);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      return refuse(response, 405, 'files are only read here');
    }
    if (request.url === LIST) return this.#list(response);
    const file = await this.#find(request.url ?? '/');
    if (!file) return refuse(response, 404, 'no such file');
    await sendFile(file, request, response, this.#compressed);
  }

  /** The models by name and address. */
  #list(response: ServerResponse): void {
    const list = [...this.#models].map(([address, { name }]) => ({ name, folder: address.slice(1) }));
    const headers = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-cache' };
    response.writeHead(200, headers).end(`${JSON.stringify(list)}\n`);
  }

  /** The file that an address means: inside of one of the folders, links followed. */
  async #find(url: string): Promise<FileToSend | undefined> {
    try {
      const path = decodeURIComponent(new URL(url, 'http://studio').pathname);
      if (path.includes('\0')) return undefined;
      const [, first] = /^(\/[^/]*\/)/.exec(path) ?? [];
      const model = first === undefined ? undefined : this.#models.get(first);
      const folder = model?.folder ?? this.#page;
      const name = model ? path.slice(first!.length) : path === '/' ? 'index.html' : path.slice(1);
      if (model && !model.files.includes(name)) return undefined;
      const below = nameBelow(name);
      if (below === undefined) return undefined;
      const found = await realpath(join(folder, below));
      if (!found.startsWith(folder + sep)) return undefined;
      const facts = await stat(found);
      // Files in assets/ carry a hash of what they hold in their names.
      const fixed = !model && name.startsWith('assets/');
      if (!facts.isFile() || name.endsWith(PACKED)) return undefined;
      return { path: found, facts, fixed, packed: model ? undefined : await packedOf(found, facts) };
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
