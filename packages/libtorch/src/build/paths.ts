// Where the native addon's sources lie and where the builder puts the result.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Root directory of this package, seen from `dist/src/build/`. */
export const packageRoot: string = fileURLToPath(new URL('../../../', import.meta.url));

/** Directory of the addon's C++ sources. */
export const nativeDirectory: string = join(packageRoot, 'native');

/** Directory that {@link compileAddon} writes to unless it is told another. */
export const defaultOutputDirectory: string = join(packageRoot, 'build');
