// Where the files of the networks lie that look at faces: the package @dagan/faces.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { packageFolder } from './package-folder.js';

const PACKAGE = '@dagan/faces';

/** Of a checkout whose packages were installed before it had this one. */
const CHECKOUT = fileURLToPath(new URL('../../../../weights/faces/', import.meta.url));

/** The path of a file of the package. @throws Error that names both if it is not there */
export function faceModelPath(file: string): string {
  const path = join(packageFolder(PACKAGE, import.meta.url) ?? CHECKOUT, file);
  if (existsSync(path)) return path;
  throw new Error(`${file} of the npm package ${PACKAGE} is not there; install the packages anew (npm install)`);
}
