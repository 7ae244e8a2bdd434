// Finds the LibTorch to compile against: `LIBTORCH`, the one inside a Python `torch`, or the system's.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Where a LibTorch came from. */
export type LibTorchOrigin = 'LIBTORCH' | 'python' | 'system';

/** A LibTorch that can be compiled against, and what it offers. */
export type LibTorch = {
  /** How it was found: the variable `LIBTORCH`, an importable Python `torch`, or the system's packages. */
  origin: LibTorchOrigin;
  /** Version as its header states it, for example `1.13.0` or `2.11.0`. */
  version: string;
  /** Directories for `-I`. */
  includeDirs: string[];
  /** Directories for `-L` and, unless the system's loader searches them anyway, for the addon's rpath. */
  libraryDirs: string[];
  /** Libraries to link by name (`-l`), in link order. */
  libraries: string[];
  /** Whether its strings are the C++11 ones: the value for `_GLIBCXX_USE_CXX11_ABI`. */
  cxx11Abi: boolean;
  /** Whether its CUDA half is there with everything that it needs, so that it is linked. */
  cuda: boolean;
  /** Why CUDA is or is not used, for people. */
  cudaWhy: string;
  /** Which backends of c10d can be compiled in. */
  distributed: { gloo: boolean; nccl: boolean; why: string };
  /** The BLAS that matrix products use. */
  blas: Blas;
};

/** The BLAS behind a LibTorch: `reference` is 30 to 50 times slower at matrix products than the others. */
export type Blas = {
  /** `built-in` when LibTorch carries its own (MKL or OpenBLAS inside the library), `unknown` where it cannot be told. */
  kind: 'openblas' | 'mkl' | 'blis' | 'atlas' | 'reference' | 'built-in' | 'unknown';
  /** The file that the loader picks, symbolic links followed. */
  path?: string;
};

/** What {@link findLibTorch} looks at; the defaults are this process's own. */
export type FindOptions = {
  /** Environment variables: `LIBTORCH`, `LIBTORCH_USE_PYTORCH`, `PYTHON`. */
  env?: NodeJS.ProcessEnv;
  /** `process.platform` of the target. */
  platform?: NodeJS.Platform;
  /** Pairs of directories (headers, libraries) that are searched for the system's LibTorch. */
  systemPlaces?: SystemPlace[];
};

/** One place where a system keeps headers and libraries. */
export type SystemPlace = {
  include: string;
  lib: string;
};

/** No LibTorch, or one that cannot be used; the message says what to do. */
export class LibTorchError extends Error {
  override name = 'LibTorchError';
  /** True when nothing was asked for and nothing was found: installing the system's package helps. */
  readonly notFound: boolean;

  constructor(message: string, notFound = false) {
    super(message);
    this.notFound = notFound;
  }
}

/** The packages of Debian and Ubuntu that a full build needs. */
export const debianPackages: readonly string[] = ['libtorch-dev', 'libgloo-dev', 'libopenblas0-openmp', 'g++'];

/** The command that installs `packages` on Debian and Ubuntu. */
export function aptLine(packages: readonly string[] = debianPackages): string {
  return `sudo apt-get install -y --no-install-recommends ${packages.join(' ')}`;
}

/**
 * Finds LibTorch. A variable that is set decides alone: when it names something unusable that is an error, never a silent
 * fall back to another LibTorch.
 * @throws {LibTorchError} when `LIBTORCH` or Python's `torch` is asked for but unusable, or nothing is found at all.
 */
export function findLibTorch(options: FindOptions = {}): LibTorch {
  const env = options.env ?? process.env;
  const platform = options.platform ?? process.platform;
  const asked = env.LIBTORCH?.trim();
  if (asked) return describe('LIBTORCH', inDirectory(resolve(asked), `LIBTORCH=${asked}`, platform), platform);
  if (isSet(env.LIBTORCH_USE_PYTORCH)) {
    const python = env.PYTHON?.trim() || 'python3';
    const root = pythonTorch(python);
    return describe('python', inDirectory(root, `Python's torch (${root})`, platform), platform);
  }
  for (const place of options.systemPlaces ?? systemPlaces(platform)) {
    if (!versionHeader(place.include) || !libraryFile(place.lib, 'torch_cpu', platform)) continue;
    return describe('system', { include: place.include, lib: place.lib, root: place.include }, platform);
  }
  const install =
    platform === 'darwin'
      ? 'install it with `brew install pytorch`'
      : `install Debian's or Ubuntu's with \`${aptLine(['libtorch-dev', 'libgloo-dev', 'libopenblas0-openmp'])}\``;
  throw new LibTorchError(
    `No LibTorch found: ${install}, or set LIBTORCH to an unpacked LibTorch (a directory with include/ and lib/), ` +
      'or set LIBTORCH_USE_PYTORCH=1 to use the one inside an installed Python torch.',
    true,
  );
}

type Location = {
  include: string;
  lib: string;
  root: string;
};

function isSet(value: string | undefined): boolean {
  return value !== undefined && !['', '0', 'false', 'no', 'off'].includes(value.trim().toLowerCase());
}

/** Checks that `root` looks like an unpacked LibTorch and says exactly what is missing when it does not. */
function inDirectory(root: string, label: string, platform: NodeJS.Platform): Location {
  const wanted =
    'a directory that holds include/torch and lib/, as in the LibTorch archive or in a Python torch package';
  if (!existsSync(root)) throw new LibTorchError(`${label} does not exist: it must be ${wanted}.`);
  if (!statSync(root).isDirectory()) throw new LibTorchError(`${label} is not a directory: it must be ${wanted}.`);
  const include = join(root, 'include');
  const lib = join(root, 'lib');
  if (!versionHeader(include)) {
    throw new LibTorchError(
      `${label} is not a LibTorch: it has no include/torch/csrc/api/include/torch/version.h; it must be ${wanted}.`,
    );
  }
  if (!libraryFile(lib, 'torch_cpu', platform)) {
    throw new LibTorchError(
      `${label} is not a LibTorch: it has no lib/${libraryName('torch_cpu', platform)}; it must be ${wanted}.`,
    );
  }
  return { include, lib, root };
}

/** Directory of an importable `torch`, without importing it (which takes seconds). */
function pythonTorch(python: string): string {
  const code =
    'import importlib.util as u; s = u.find_spec("torch"); print(list(s.submodule_search_locations)[0] if s else "")';
  const run = spawnSync(python, ['-c', code], { encoding: 'utf8', timeout: 30_000 });
  if (run.error) {
    throw new LibTorchError(
      `LIBTORCH_USE_PYTORCH is set, but the interpreter ${python} cannot be run (${run.error.message}): set PYTHON to one that can.`,
    );
  }
  const root = run.stdout.trim();
  if (run.status !== 0 || !root) {
    throw new LibTorchError(
      `LIBTORCH_USE_PYTORCH is set, but ${python} has no torch: install it there, set PYTHON to another interpreter, or unset LIBTORCH_USE_PYTORCH.`,
    );
  }
  return root;
}

function systemPlaces(platform: NodeJS.Platform): SystemPlace[] {
  const places = (prefix: string, libs: string[]): SystemPlace[] =>
    libs.map((lib) => ({ include: join(prefix, 'include'), lib: join(prefix, lib) }));
  if (platform === 'darwin') return [...places('/opt/homebrew', ['lib']), ...places('/usr/local', ['lib'])];
  const multiarch = `${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch}-linux-gnu`;
  return [...places('/usr/local', ['lib']), ...places('/usr', [`lib/${multiarch}`, 'lib64', 'lib'])];
}

function libraryName(name: string, platform: NodeJS.Platform): string {
  return platform === 'darwin' ? `lib${name}.dylib` : `lib${name}.so`;
}

function libraryFile(directory: string, name: string, platform: NodeJS.Platform): string | undefined {
  const file = join(directory, libraryName(name, platform));
  return existsSync(file) ? file : undefined;
}

/** The header that states the version: it moved to `headeronly/` in LibTorch 2.9. */
function versionHeader(include: string): string | undefined {
  const places = ['torch/headeronly/version.h', 'torch/csrc/api/include/torch/version.h'];
  return places.map((place) => join(include, place)).find((file) => existsSync(file));
}

/** Version stated by the text of `version.h`, for example `2.11.0`. */
export function parseVersionHeader(text: string): string | undefined {
  const parts = ['MAJOR', 'MINOR', 'PATCH'].map(
    (part) => new RegExp(`^#define\\s+TORCH_VERSION_${part}\\s+(\\d+)`, 'm').exec(text)?.[1],
  );
  return parts.every((part) => part !== undefined) ? parts.join('.') : undefined;
}

/** Looks closer at a LibTorch that is there: version, ABI, CUDA, BLAS, c10d. */
function describe(origin: LibTorchOrigin, location: Location, platform: NodeJS.Platform): LibTorch {
  const { include, lib, root } = location;
  const header = versionHeader(include)!;
  const version = parseVersionHeader(readFileSync(header, 'utf8'));
  if (!version)
    throw new LibTorchError(`${header} does not state a version: this LibTorch is damaged, install it again.`);
  const [major, minor] = version.split('.').map(Number) as [number, number];
  if (major < 1 || (major === 1 && minor < 13)) {
    throw new LibTorchError(
      `LibTorch ${version} in ${root} is too old: 1.13 or newer is needed. Set LIBTORCH to a newer one.`,
    );
  }
  const cpu = loads(libraryFile(lib, 'torch_cpu', platform)!, platform);
  if (cpu.missing.length > 0) {
    throw new LibTorchError(
      `${libraryName('torch_cpu', platform)} of LibTorch ${version} in ${root} cannot be loaded, it needs ${cpu.missing.join(', ')}. ` +
        missingLibrariesRemedy(cpu.missing, root),
    );
  }
  const cuda = findCuda(lib, platform);
  const found: LibTorch = {
    origin,
    version,
    includeDirs: [include, join(include, 'torch/csrc/api/include'), ...(cuda.usable ? cuda.includeDirs(root) : [])],
    libraryDirs: [lib],
    libraries: [...(cuda.usable ? ['torch_cuda', 'c10_cuda'] : []), 'torch_cpu', 'c10'],
    cxx11Abi: platform === 'darwin' || usesCxx11Abi(libraryFile(lib, 'c10', platform)),
    cuda: cuda.usable,
    cudaWhy: cuda.why,
    distributed: { gloo: false, nccl: false, why: '' },
    blas: blasOf(cpu.resolved),
  };
  found.distributed = findDistributed(found, include, origin);
  return found;
}

function missingLibrariesRemedy(missing: readonly string[], root: string): string {
  const nvidia = missing.filter((name) => /^lib(cu|nccl|nv)/.test(name));
  if (nvidia.length === 0) return 'Install the packages that hold them.';
  return (
    "This is a CUDA build: NVIDIA's Python packages (nvidia-cuda-runtime, nvidia-cuda-cupti, ...; same CUDA version) hold them, " +
    `unpacked beside it in ${join(dirname(root), 'nvidia')}. A CPU build of LibTorch does without.`
  );
}

type Loads = {
  /** Needed libraries that the loader does not find. */
  missing: string[];
  /** Needed libraries and the files that the loader picks. */
  resolved: Map<string, string>;
};

/** Asks the system's loader what `library` needs, without running any of its code. */
function loads(library: string, platform: NodeJS.Platform): Loads {
  if (platform !== 'linux') return { missing: [], resolved: new Map() };
  const run = spawnSync('ldd', [library], { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  return parseLdd(run.stdout ?? '');
}

/** Reads what `ldd` prints: `libx.so.1 => /path (0x...)` or `libx.so.1 => not found`. */
export function parseLdd(output: string): Loads {
  const missing = new Set<string>();
  const resolved = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [, name, target] = /^\s*(\S+) => (not found|\S+)/.exec(line) ?? [];
    if (!name || !target) continue;
    if (target === 'not found') missing.add(name);
    else resolved.set(name, target);
  }
  return { missing: [...missing], resolved };
}

/** The BLAS that a LibTorch gets from the loader now, which may have changed since it was found. */
export function currentBlas(
  libtorch: Pick<LibTorch, 'libraryDirs'>,
  platform: NodeJS.Platform = process.platform,
): Blas {
  const library = libraryFile(libtorch.libraryDirs[0] ?? '', 'torch_cpu', platform);
  return library ? blasOf(loads(library, platform).resolved) : { kind: 'unknown' };
}

/** Tells the BLAS from the files that the loader picks for LibTorch's CPU library. */
export function blasOf(resolved: ReadonlyMap<string, string>): Blas {
  const entry = [...resolved].find(([name]) => /^lib(blas|cblas|openblas|mkl_rt|blis)/.test(name));
  if (!entry) return { kind: resolved.size > 0 ? 'built-in' : 'unknown' };
  const path = existsSync(entry[1]) ? realpathSync(entry[1]) : entry[1];
  const kinds = ['openblas', 'mkl', 'blis', 'atlas'] as const;
  return {
    kind: kinds.find((kind) => path.includes(kind)) ?? (/libblas\.so/.test(path) ? 'reference' : 'unknown'),
    path,
  };
}

function findCuda(lib: string, platform: NodeJS.Platform) {
  const library = libraryFile(lib, 'torch_cuda', platform);
  if (!library) return { usable: false, why: 'this LibTorch is a CPU build', includeDirs: () => [] };
  const { missing } = loads(library, platform);
  if (missing.length > 0) {
    return {
      usable: false,
      why: `its CUDA half is left out, the loader does not find ${missing.join(', ')}`,
      includeDirs: () => [],
    };
  }
  return { usable: true, why: 'its CUDA half is linked', includeDirs: cudaIncludeDirs };
}

/** Directories with the CUDA runtime's, NCCL's and their like's headers: those of NVIDIA's Python packages beside torch, the toolkit's. */
function cudaIncludeDirs(root: string): string[] {
  const nvidia = join(dirname(root), 'nvidia');
  const packages = existsSync(nvidia) ? readdirSync(nvidia).map((name) => join(nvidia, name, 'include')) : [];
  const toolkits = [process.env.CUDA_HOME, '/usr/local/cuda'].filter((home) => home !== undefined);
  return [...packages, ...toolkits.map((home) => join(home, 'include'))].filter((directory) => existsSync(directory));
}

/** Whether the library's own symbols use the C++11 strings; the old ones are mangled as `Ss`. */
function usesCxx11Abi(c10: string | undefined): boolean {
  if (!c10) return true;
  const symbols = readFileSync(c10);
  const error = '_ZN3c105ErrorC2ENS_14SourceLocationE';
  return symbols.includes(`${error}NSt7__cxx11`) || !symbols.includes(`${error}Ss`);
}

/** LibTorch's own header of its NCCL process group. */
export const NCCL_HEADER = 'torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp';

function findDistributed(found: LibTorch, include: string, origin: LibTorchOrigin): LibTorch['distributed'] {
  const has = (file: string) =>
    [...found.includeDirs, '/usr/include', '/usr/local/include'].some((directory) => existsSync(join(directory, file)));
  const c10d = join(include, 'torch/csrc/distributed/c10d');
  const why: string[] = [];
  // Gloo's headers are not part of PyPI's packages; the system's serve, as no object of Gloo's own crosses into the addon.
  const gloo = existsSync(join(c10d, 'ProcessGroupGloo.hpp')) && has('gloo/transport/device.h');
  if (!gloo) {
    why.push(
      existsSync(join(c10d, 'ProcessGroupGloo.hpp'))
        ? `Gloo's headers are missing${origin === 'system' ? `: ${aptLine(['libgloo-dev'])}` : ''}`
        : 'this LibTorch has no Gloo process group',
    );
  }
  const nccl = found.cuda && existsSync(join(include, NCCL_HEADER)) && has('nccl.h') && has('cuda_runtime_api.h');
  if (!nccl) why.push(found.cuda ? "NCCL's or the CUDA runtime's headers are missing" : 'NCCL needs CUDA');
  return { gloo, nccl, why: why.join('; ') };
}
