// Compiles the native addon against a LibTorch, doing only what changed since the last time.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { aptLine, findLibTorch, type LibTorch, NCCL_HEADER } from './find-libtorch.js';
import { defaultOutputDirectory, nativeDirectory } from './paths.js';

/** Options of {@link compileAddon}. */
export type CompileOptions = {
  /** Directory that receives `libtorch.node`, `libtorch.json` and the objects; default: `build/` of this package. */
  out?: string;
  /** LibTorch to compile against; default: what {@link findLibTorch} finds. */
  libtorch?: LibTorch;
  /** Directory with the C++ sources; default: `native/` of this package. */
  sources?: string;
  /** Environment: `CXX`, `CXXFLAGS`, `LDFLAGS`; default: this process's own. */
  env?: NodeJS.ProcessEnv;
  /** Compilers that run at the same time; default: 2, or 1 on a single core. Each needs about 1.5 GB of memory. */
  jobs?: number;
  /** Receives progress lines; default: silence. */
  log?: (line: string) => void;
  /** Also log the full command lines; default: false. */
  verbose?: boolean;
};

/** What {@link compileAddon} did. */
export type CompileResult = {
  /** The addon's file. */
  addon: string;
  /** Names of the sources that were compiled; empty when nothing had changed. */
  compiled: string[];
  /** Whether the addon was linked anew. */
  linked: boolean;
  /** Wall-clock seconds. */
  seconds: number;
  /** The LibTorch it was compiled against. */
  libtorch: LibTorch;
};

/** What `libtorch.json` beside the addon says about it. */
export type BuildRecord = {
  /** Hash of everything that went into the addon: equal keys mean that nothing has to be done. */
  key: string;
  /** First line of the compiler's `--version`. */
  compiler: string;
  /** Preprocessor definitions, as `NAME` or `NAME=VALUE`. */
  defines: string[];
  /** The LibTorch it was compiled against. */
  libtorch: LibTorch;
};

/** A C++ compiler: the command with its leading arguments, and the first line of its `--version`. */
export type Compiler = {
  command: string[];
  version: string;
};

/** The addon could not be built; the message shows the compiler's first errors and a remedy. */
export class CompileError extends Error {
  override name = 'CompileError';
}

/**
 * Finds the C++ compiler: `CXX` when it is set (which then decides alone), else `g++`, else `clang++`.
 * @throws {CompileError} when there is none, with the line that installs one.
 */
export function findCompiler(env: NodeJS.ProcessEnv = process.env): Compiler {
  const asked = env.CXX?.trim();
  const candidates = asked ? [asked.split(/\s+/)] : [['g++'], ['clang++']];
  for (const command of candidates) {
    const run = spawnSync(command[0]!, [...command.slice(1), '--version'], { encoding: 'utf8', env });
    if (!run.error && run.status === 0) return { command, version: run.stdout.split('\n')[0]!.trim() };
  }
  if (asked) throw new CompileError(`CXX=${asked} is not a compiler that runs: unset CXX or name one.`);
  const remedy = process.platform === 'darwin' ? 'xcode-select --install' : aptLine(['g++']);
  throw new CompileError(`No C++ compiler found (looked for g++ and clang++). Install one: ${remedy}`);
}

/** Reads the record beside an addon; undefined when there is none or it is unreadable. */
export async function readBuildRecord(out: string = defaultOutputDirectory): Promise<BuildRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(out, 'libtorch.json'), 'utf8')) as BuildRecord;
  } catch {
    return undefined;
  }
}

/**
 * Compiles every `*.cc` of the addon and links `libtorch.node`. Objects are kept in `<out>/<hash of flags>/` under a name
 * that holds the hash of their source and of all headers, so that an object that exists is an object that is current. The
 * addon replaces the old one only after it was linked and loaded in a process of its own.
 * @throws {CompileError} with the compiler's first errors, the file and a remedy.
 * @throws {LibTorchError} when there is no usable LibTorch.
 */
export async function compileAddon(options: CompileOptions = {}): Promise<CompileResult> {
  const started = performance.now();
  const env = options.env ?? process.env;
  const out = resolve(options.out ?? defaultOutputDirectory);
  const sources = resolve(options.sources ?? nativeDirectory);
  const log = options.log ?? (() => {});
  const compiler = findCompiler(env);
  const found = options.libtorch ?? findLibTorch({ env });
  const libtorch = withWholeHeaders(found, compiler, env);
  if (libtorch !== found) log(libtorch.distributed.why);
  const defines = definesFor(libtorch);
  const flags = [...compileFlags(libtorch, defines), ...words(env.CXXFLAGS)];
  const linking = [...linkFlags(libtorch), ...words(env.LDFLAGS)];

  const flagsKey = hash([
    compiler.command.join(' '),
    compiler.version,
    ...withoutPlaces(flags),
    await identity(libtorch),
  ]);
  const objects = join(out, flagsKey);
  const units = await translationUnits(sources, objects);
  const key = hash([flagsKey, ...linking, ...units.map((unit) => basename(unit.object))]);
  const addon = join(out, 'libtorch.node');
  const finish = (compiled: string[], linked: boolean): CompileResult => ({
    addon,
    compiled,
    linked,
    seconds: (performance.now() - started) / 1000,
    libtorch,
  });
  if (existsSync(addon) && (await readBuildRecord(out))?.key === key) return finish([], false);

  await mkdir(objects, { recursive: true });
  const pending = units.filter((unit) => !existsSync(unit.object));
  if (pending.length > 0) {
    log(
      `compiling ${pending.length} of ${units.length} files against LibTorch ${libtorch.version} (${libtorch.origin})`,
    );
  }
  const runner = new Runner(env, options.verbose ? log : () => {});
  await runner.inParallel(pending, options.jobs ?? Math.min(2, availableParallelism()), async (unit) => {
    const began = performance.now();
    const part = partName(unit.object);
    const result = await runner.run([...compiler.command, ...flags, '-c', unit.source, '-o', part]);
    if (result.code !== 0) {
      await rm(part, { force: true });
      const report = join(objects, `${basename(unit.source)}.log`);
      await writeFile(report, result.output);
      throw new CompileError(explain(basename(unit.source), result, { libtorch, compiler, report }));
    }
    await rename(part, unit.object);
    log(`  ${basename(unit.source)} ${((performance.now() - began) / 1000).toFixed(1)} s`);
  });
  await removeStaleObjects(objects, units);

  const part = partName(addon);
  try {
    const result = await runner.run([...compiler.command, ...units.map((unit) => unit.object), ...linking, '-o', part]);
    if (result.code !== 0) {
      const report = join(objects, 'link.log');
      await writeFile(report, result.output);
      throw new CompileError(explain('libtorch.node', result, { libtorch, compiler, report }));
    }
    const problem = loadProblem(part, env);
    if (problem) {
      throw new CompileError(
        `The addon was built against LibTorch ${libtorch.version} in ${libtorch.libraryDirs.join(', ')}, but does not load: ${problem}\n` +
          'Headers and libraries may be of different versions: install LibTorch again, or name another one with LIBTORCH.',
      );
    }
    await rename(part, addon);
  } finally {
    await rm(part, { force: true });
  }
  const record: BuildRecord = { key, compiler: compiler.version, defines, libtorch };
  const recordFile = join(out, 'libtorch.json');
  await writeFile(partName(recordFile), `${JSON.stringify(record, null, 2)}\n`);
  await rename(partName(recordFile), recordFile);
  return finish(
    pending.map((unit) => basename(unit.source)),
    true,
  );
}

/**
 * Loads an addon in a process of its own with every symbol bound at once, and tells what is wrong; undefined when it loads.
 * A missing symbol would otherwise end the process only when a function that needs it is called.
 */
export function loadProblem(addon: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const code = 'process.dlopen({ exports: {} }, process.argv[1], require("node:os").constants.dlopen.RTLD_NOW)';
  const run = spawnSync(process.execPath, ['-e', code, addon], { encoding: 'utf8', env });
  if (run.status === 0) return undefined;
  const lines = (run.stderr ?? '').split('\n');
  return (
    lines.find((line) => /^\s*(\w*Error|terminate called)/.test(line))?.trim() ??
    `the process ended with ${run.signal ?? run.status}`
  );
}

/** One source file and the object that belongs to its present content. */
type Unit = {
  source: string;
  object: string;
};

async function translationUnits(sources: string, objects: string): Promise<Unit[]> {
  const names = existsSync(sources) ? (await readdir(sources)).sort() : [];
  const read = async (name: string) => readFile(join(sources, name), 'utf8');
  const headers = await Promise.all(names.filter((name) => /\.(h|hpp)$/.test(name)).map(read));
  const units = await Promise.all(
    names
      .filter((name) => name.endsWith('.cc'))
      .map(async (name) => ({
        source: join(sources, name),
        object: join(objects, `${name.slice(0, -3)}-${hash([await read(name), ...headers])}.o`),
      })),
  );
  if (units.length === 0) throw new CompileError(`${sources} holds no C++ sources (*.cc): the checkout is incomplete.`);
  return units;
}

async function removeStaleObjects(directory: string, units: readonly Unit[]): Promise<void> {
  const current = new Set(units.map((unit) => basename(unit.object)));
  const stale = (await readdir(directory)).filter((name) => name.endsWith('.o') && !current.has(name));
  await Promise.all(stale.map((name) => rm(join(directory, name), { force: true })));
}

/** What tells two LibTorch installations of the same version and place apart: size and time of the library. */
async function identity(libtorch: LibTorch): Promise<string> {
  const suffix = process.platform === 'darwin' ? 'dylib' : 'so';
  const library = await stat(join(libtorch.libraryDirs[0]!, `libtorch_cpu.${suffix}`));
  return `${libtorch.version} ${library.size} ${library.mtimeMs}`;
}

function definesFor(libtorch: LibTorch): string[] {
  const { gloo, nccl } = libtorch.distributed;
  return [
    `_GLIBCXX_USE_CXX11_ABI=${libtorch.cxx11Abi ? 1 : 0}`,
    'NAPI_VERSION=8',
    'NAPI_CPP_EXCEPTIONS',
    'NODE_ADDON_API_DISABLE_DEPRECATED',
    ...(gloo || nccl ? ['USE_DISTRIBUTED', 'USE_C10D'] : []),
    ...(gloo ? ['USE_C10D_GLOO'] : []),
    ...(nccl ? ['USE_C10D_NCCL'] : []),
  ];
}

/**
 * Leaves NCCL out where only some of NVIDIA's headers are there: their packages hold a part each, and which of them a
 * LibTorch includes differs between versions, so the preprocessor is asked.
 */
function withWholeHeaders(libtorch: LibTorch, compiler: Compiler, env: NodeJS.ProcessEnv): LibTorch {
  if (!libtorch.distributed.nccl) return libtorch;
  const flags = [...compileFlags(libtorch, definesFor(libtorch)), ...words(env.CXXFLAGS)];
  const question = ['-M', '-x', 'c++', '-include', NCCL_HEADER, '/dev/null'];
  const [command, ...leading] = compiler.command;
  const run = spawnSync(command!, [...leading, ...flags, ...question], {
    encoding: 'utf8',
    env: { ...env, LC_ALL: 'C' },
  });
  const missing = run.status === 0 ? undefined : missingHeader(run.stderr ?? '');
  if (!missing) return libtorch;
  const why = `NCCL is left out, of NVIDIA's headers ${missing} is missing`;
  const { distributed } = libtorch;
  return {
    ...libtorch,
    distributed: { ...distributed, nccl: false, why: [distributed.why, why].filter(Boolean).join('; ') },
  };
}

/**
 * The C++ that LibTorch's headers are written in, as the compiler's `-std` names it: C++20 from 2.12 on, C++17 before. The
 * headers of 1.13 are not tried with a newer one than they know.
 */
export function languageStandard(version: string): 'c++17' | 'c++20' {
  return isNewer(version, '2.11') ? 'c++20' : 'c++17';
}

/** Where npm put a package of headers, and which one it is. */
type HeaderPackage = { directory: string; version: string };

/** The npm packages whose headers the sources include. */
function headerPackages(): HeaderPackage[] {
  const require = createRequire(import.meta.url);
  const packages = [
    ['node-addon-api', ''],
    ['node-api-headers', 'include'],
  ] as const;
  return packages.map(([name, folder]) => {
    const described = require.resolve(`${name}/package.json`);
    const { version } = require(described) as { version: string };
    return { directory: join(dirname(described), folder), version: `${name} ${version}` };
  });
}

/** Flags with versions of packages in place of their directories: objects stay current when a checkout is moved or copied. */
function withoutPlaces(flags: readonly string[]): string[] {
  const versions = new Map(headerPackages().map(({ directory, version }) => [directory, version]));
  return flags.map((flag) => versions.get(flag) ?? flag);
}

function compileFlags(libtorch: LibTorch, defines: readonly string[]): string[] {
  // As system headers, other people's warnings stay silent. The compiler's own directories must keep their place in its order.
  const own = ['/usr/include', '/usr/local/include'];
  const packages = headerPackages().map(({ directory }) => directory);
  const includes = [...packages, ...libtorch.includeDirs].filter((directory) => !own.includes(directory));
  return [
    `-std=${languageStandard(libtorch.version)}`,
    '-O2',
    '-fPIC',
    '-Wall',
    '-Wextra',
    ...defines.map((define) => `-D${define}`),
    ...includes.flatMap((directory) => ['-isystem', directory]),
  ];
}

function linkFlags(libtorch: LibTorch): string[] {
  const search = libtorch.libraryDirs.map((directory) => `-L${directory}`);
  const rpath = libtorch.origin === 'system' ? [] : libtorch.libraryDirs.map((directory) => `-Wl,-rpath,${directory}`);
  const libraries = libtorch.libraries.map((library) => `-l${library}`);
  if (process.platform === 'darwin')
    return ['-bundle', '-undefined', 'dynamic_lookup', ...search, ...rpath, ...libraries];
  // CUDA's kernels register when their library is loaded; no symbol of it is used, so a linker would drop it as not needed.
  return ['-shared', ...search, ...rpath, '-Wl,--no-as-needed', ...libraries];
}

type RunResult = {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
};

/** Runs commands, some at the same time; the first failure ends the others. */
class Runner {
  readonly #env: NodeJS.ProcessEnv;
  readonly #log: (line: string) => void;
  readonly #running = new Set<ChildProcess>();

  constructor(env: NodeJS.ProcessEnv, log: (line: string) => void) {
    this.#env = { ...env, LC_ALL: 'C' };
    this.#log = log;
  }

  run(command: readonly string[]): Promise<RunResult> {
    this.#log(`  ${command.join(' ')}`);
    return new Promise((done, failed) => {
      const child = spawn(command[0]!, command.slice(1), { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
      this.#running.add(child);
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.on('error', failed);
      child.on('close', (code, signal) => {
        this.#running.delete(child);
        done({ code, signal, output });
      });
    });
  }

  async inParallel<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
    const queue = [...items];
    const failures: unknown[] = [];
    const worker = async () => {
      for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
        try {
          await work(item);
        } catch (error) {
          failures.push(error);
          queue.length = 0;
          for (const child of this.#running) child.kill();
        }
      }
    };
    await Promise.all(Array.from({ length: Math.max(1, Math.min(limit, items.length)) }, worker));
    if (failures.length > 0) throw failures[0];
  }
}

/** What a failed command had to do with. */
type Circumstances = {
  libtorch: LibTorch;
  compiler: Compiler;
  /** File that holds all of the command's output. */
  report: string;
};

/** The first errors of a compiler's or linker's output, and what to do about the ones that are known. */
function explain(file: string, result: RunResult, circumstances: Circumstances): string {
  const { libtorch, report } = circumstances;
  const lines = result.output.split('\n');
  const errors = lines.filter((line) => /\b(error|undefined reference|cannot find)\b/i.test(line)).slice(0, 5);
  const shown = errors.length > 0 ? errors : lines.filter((line) => line.trim()).slice(0, 5);
  return [
    `${file} cannot be built against LibTorch ${libtorch.version} (${libtorch.origin}):`,
    ...shown.map((line) => `  ${line.trim()}`),
    `Remedy: ${remedy(result, circumstances)}`,
    `Everything that the compiler said is in ${report}.`,
  ].join('\n');
}

function remedy({ output, signal }: RunResult, { libtorch, compiler }: Circumstances): string {
  if (signal || /Killed|out of memory|cannot allocate memory/i.test(output)) {
    return 'the compiler was ended, most likely for want of memory: close other programs, or compile one file at a time (--jobs 1).';
  }
  const header = missingHeader(output);
  if (header?.startsWith('gloo/')) return `install Gloo's headers: ${aptLine(['libgloo-dev'])}`;
  if (header)
    return `the header ${header} is missing: install LibTorch (its development files) again, or name another with LIBTORCH.`;
  const library = /cannot find -l(\S+?):?\s/.exec(`${output} `)?.[1];
  if (library) return `the library lib${library} is missing: install LibTorch again, or name another with LIBTORCH.`;
  if (/No space left on device/.test(output)) return 'make room on the disk.';
  const standard = languageStandard(libtorch.version);
  if (/#error C\+\+\d+ or later/.test(output)) {
    return `LibTorch ${libtorch.version} is written in ${standard}: take the older -std out of CXXFLAGS.`;
  }
  if (/-std=c\+\+\d+/.test(output) && /unrecognized|unknown|invalid value/.test(output)) {
    return `LibTorch ${libtorch.version} is written in ${standard}, which ${compiler.version} does not know: name GCC 11, Clang 14 or a newer one with CXX.`;
  }
  if (isNewer(libtorch.version, NEWEST_TESTED)) {
    return `LibTorch ${libtorch.version} is newer than ${NEWEST_TESTED}, up to which the addon is tested: name an older one with LIBTORCH, or take a newer dagan.`;
  }
  return `LibTorch 1.13 and ${NEWEST_TESTED} are known to compile with GCC 12, and this is ${compiler.version}: name another compiler with CXX, or another LibTorch with LIBTORCH.`;
}

/** The newest LibTorch, major and minor version, that the tests are run with. */
const NEWEST_TESTED = '2.15';

function isNewer(version: string, other: string): boolean {
  const [major, minor] = version.split('.').map(Number) as [number, number];
  const [otherMajor, otherMinor] = other.split('.').map(Number) as [number, number];
  return major > otherMajor || (major === otherMajor && minor > otherMinor);
}

/** The header that a compiler did not find, in GCC's words or Clang's. */
function missingHeader(output: string): string | undefined {
  const [, gcc, clang] = /fatal error: (?:(\S+?): No such file|'(\S+?)' file not found)/.exec(output) ?? [];
  return gcc ?? clang;
}

function partName(file: string): string {
  return `${file}.${process.pid}.part`;
}

function words(text: string | undefined): string[] {
  return text?.trim() ? text.trim().split(/\s+/) : [];
}

function hash(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}
