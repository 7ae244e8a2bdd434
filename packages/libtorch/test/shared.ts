// Finds the reference data that may lie beside a checkout of this repository.
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';

/** `shared/` beside the repository, seen from the compiled file packages/libtorch/dist/test/shared.js. */
const SHARED = fileURLToPath(new URL('../../../../../shared/', import.meta.url));

/** For the `skip` option of tests that need reference data: false where it is there, else the reason for not running. */
export const sharedMissing: string | false = fs.existsSync(SHARED)
  ? false
  : 'not run: the reference data (a folder "shared" beside the repository) is absent';

/** Path of a file of the reference data, as `fixtures/networks.safetensors`. */
export function sharedPath(name: string): string {
  return `${SHARED}${name}`;
}
