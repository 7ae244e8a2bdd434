// From a machine as it is to a compiled addon: finds LibTorch and a compiler, installs Debian's packages where they are missing and
// that is allowed, and compiles. What `dagan setup` and the repository's set-up do.
import { spawnSync } from 'node:child_process';
import { CompileError, compileAddon, findCompiler } from './compile.js';
import { aptLine, findLibTorch, type LibTorch, LibTorchError } from './find-libtorch.js';

export type PrepareOptions = {
  /** Whether missing Debian packages are installed, where that needs no password. Default true. */
  install?: boolean;
  /** Told of every step, in one line. */
  onStep?: (text: string) => void;
  /** Told of what slows things down. */
  onWarning?: (text: string) => void;
  /** `process.platform` of the machine. */
  platform?: NodeJS.Platform;
};

/** The addon cannot be prepared. The message says what is missing and which command installs it. */
export class PrepareError extends Error {
  override readonly name = 'PrepareError';
}

/** What was found. `problem` is the line for people when something required is missing. */
type Found = { libtorch?: LibTorch; required: string[]; advised: string[]; problem?: string };

/**
 * Finds or installs what the addon needs, and compiles it unless it is current.
 *
 * @returns what it was compiled against, in one line
 * @throws PrepareError
 */
export async function prepareAddon({
  install = true,
  onStep = () => {},
  onWarning = () => {},
  platform = process.platform,
}: PrepareOptions = {}): Promise<string> {
  if (platform === 'win32') {
    throw new PrepareError(
      'LibTorch is not used on Windows: exported models, the default one among them, run without it; for the rest use Linux, ' +
        'for instance inside Windows (WSL)',
    );
  }
  let found = look();
  const wanted = [...found.required, ...found.advised].filter((name) => !isInstalled(name));
  if (wanted.length > 0) {
    const apt = install ? aptCommand() : undefined;
    if (apt) {
      onStep(`installing ${wanted.join(' ')} with apt-get`);
      const problem = installPackages(apt, wanted);
      if (problem && found.required.length > 0) {
        throw new PrepareError(`apt-get failed:\n${problem}\nInstall by hand: ${aptLine(wanted)}`);
      }
      if (problem) onWarning(`apt-get failed (${lastLine(problem)}). To install by hand: ${aptLine(wanted)}`);
      else found = look();
    } else if (found.required.length > 0) {
      throw new PrepareError(
        `${found.problem}\nOn Debian and Ubuntu this installs all that is missing: ${aptLine(wanted)}`,
      );
    } else {
      onWarning(`${wanted.join(', ')} missing. On Debian and Ubuntu: ${aptLine(wanted)}`);
    }
  }
  const { libtorch, problem } = found;
  if (problem !== undefined || !libtorch) throw new PrepareError(problem ?? 'LibTorch was not found');
  if (libtorch.blas.kind === 'reference') {
    onWarning('matrix products use the reference BLAS, 30 to 50 times slower than OpenBLAS.');
    if (isInstalled('libopenblas0-openmp')) {
      onWarning(
        'OpenBLAS is installed but not chosen: sudo update-alternatives --config libblas.so.3-$(uname -m)-linux-gnu',
      );
    }
  }
  try {
    const result = await compileAddon({ libtorch, log: onStep });
    const addon = result.linked ? `built in ${result.seconds.toFixed(0)} s` : 'is current';
    return `LibTorch ${libtorch.version} (${libtorch.origin}), addon ${addon}`;
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    throw new PrepareError(error.message, { cause: error });
  }
}

/** What is there and which Debian packages are missing: `required` to work at all, `advised` for speed and several processes. */
function look(): Found {
  const found: Found = { required: [], advised: [] };
  try {
    findCompiler();
  } catch (error) {
    found.problem = (error as Error).message;
    if (!process.env.CXX) found.required.push('g++');
  }
  try {
    found.libtorch = findLibTorch();
    if (found.libtorch.origin === 'system' && process.platform === 'linux') {
      if (found.libtorch.blas.kind === 'reference') found.advised.push('libopenblas0-openmp');
      if (!found.libtorch.distributed.gloo) found.advised.push('libgloo-dev');
    }
  } catch (error) {
    if (!(error instanceof LibTorchError)) throw error;
    found.problem = error.message;
    if (error.notFound) found.required.push('libtorch-dev', 'libgloo-dev', 'libopenblas0-openmp');
  }
  return found;
}

function isInstalled(name: string): boolean {
  const run = spawnSync('dpkg', ['-s', name], { encoding: 'utf8' });
  return run.status === 0 && run.stdout.includes('Status: install ok installed');
}

/** The words that run apt-get with the rights to install, or undefined where that is not possible without asking. */
export function aptCommand(): [command: string, ...words: string[]] | undefined {
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0) return undefined;
  if (process.getuid?.() === 0) return ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return sudo.status === 0 ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'] : undefined;
}

/** Installs Debian packages; returns what apt-get said when it failed. */
export function installPackages(
  [command, ...words]: readonly [command: string, ...words: string[]],
  names: readonly string[],
): string | undefined {
  const wait = ['-o', 'DPkg::Lock::Timeout=300'];
  const steps = [
    ['update', ...wait],
    ['install', '-y', '--no-install-recommends', ...wait, ...names],
  ];
  for (const step of steps) {
    const run = spawnSync(command, [...words, ...step], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 1 << 28,
    });
    // A failed update alone is no reason to stop: one broken source of many is enough for it, and the install decides.
    if (run.status === 0 || step[0] !== 'install') continue;
    const text = run.error ? run.error.message : `${run.stdout}${run.stderr}`;
    return text.trim().split('\n').slice(-20).join('\n');
  }
  return undefined;
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1)!;
