// Command line of the builder: finds LibTorch and compiles the addon. `node dist/src/build/main.js [--out DIR] [--jobs N] [--verbose]`

import { parseArgs } from 'node:util';
import { CompileError, compileAddon } from './compile.js';
import { findLibTorch, LibTorchError } from './find-libtorch.js';

const { values } = parseArgs({
  options: { out: { type: 'string' }, jobs: { type: 'string' }, verbose: { type: 'boolean' } },
});

try {
  const jobs = values.jobs === undefined ? undefined : Number(values.jobs);
  if (jobs !== undefined && !(Number.isInteger(jobs) && jobs >= 1)) {
    throw new CompileError(`--jobs ${values.jobs} is not a whole number from 1.`);
  }
  const libtorch = findLibTorch();
  console.log(
    `LibTorch ${libtorch.version} (${libtorch.origin}, ${libtorch.libraryDirs[0]}); ${libtorch.cudaWhy}; BLAS: ${libtorch.blas.kind}`,
  );
  if (libtorch.distributed.why) console.log(`Process groups: ${libtorch.distributed.why}`);
  const result = await compileAddon({ libtorch, out: values.out, jobs, verbose: values.verbose, log: console.log });
  console.log(result.linked ? `built ${result.addon} in ${result.seconds.toFixed(1)} s` : `${result.addon} is current`);
} catch (error) {
  if (!(error instanceof CompileError || error instanceof LibTorchError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
