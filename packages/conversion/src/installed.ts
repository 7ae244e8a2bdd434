// Reads files of installed npm packages.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Source } from './face-models.js';

/**
 * Packages may keep their data from being imported, so the folders are searched where Node.js would look for them.
 *
 * @throws Error that names package, version and file if that version is not installed
 */
export async function readInstalled({ package: name, version, file }: Source): Promise<Uint8Array> {
  for (const root of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const description = await readFile(join(root, name, 'package.json'), 'utf8').catch(() => undefined);
    if (description === undefined || JSON.parse(description).version !== version) continue;
    return readFile(join(root, name, file));
  }
  throw new Error(
    `${file} of the npm package ${name} ${version} is not there: npm install --no-save ${name}@${version}`,
  );
}
