// Where an installed package lies.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The folder of a package, seen from a module; undefined if it is not installed. The package must let its package.json be asked for.
 *
 * @param from the module's URL
 * @param path below the package's folder
 */
export function packageFolder(name: string, from: string, path = ''): string | undefined {
  try {
    return join(dirname(createRequire(from).resolve(`${name}/package.json`)), path);
  } catch {
    return undefined;
  }
}
