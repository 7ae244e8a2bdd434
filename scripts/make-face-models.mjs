// Makes the files of weights/faces from the npm packages that the networks come in (development dependencies of
// packages/conversion). Anyone gets the same bytes.
// Usage: npm run build && node scripts/make-face-models.mjs
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { makeFaceModels } from '../packages/conversion/dist/src/face-models.js';
import { readInstalled } from '../packages/conversion/dist/src/installed.js';

const folder = fileURLToPath(new URL('../weights/faces/', import.meta.url));
for (const [name, bytes] of await makeFaceModels(readInstalled)) {
  writeFileSync(`${folder}${name}`, bytes);
  console.log(`${name}: ${bytes.length} bytes`);
}
