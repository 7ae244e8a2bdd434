// Names of files below a folder, as lists, indices and addresses give them: with forward slashes on every system.
import systemPath, { type PlatformPath, posix } from 'node:path';

/**
 * A path below a folder, written with forward slashes and without detours; undefined where it leads elsewhere: upwards, from a
 * root, or on Windows from a drive. Where the system separates by backslashes, these count as well.
 *
 * @param path of the system; another one than this system's for tests
 */
export function nameBelow(given: string, path: PlatformPath = systemPath): string | undefined {
  const name = posix.normalize(given.replaceAll(path.sep, '/')).replace(/\/$/, '');
  const elsewhere = path.parse(name).root !== '' || name === '..' || name.startsWith('../');
  return given === '' || name === '.' || elsewhere ? undefined : name;
}
