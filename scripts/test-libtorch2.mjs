// Tests the addon against a LibTorch 2.x beside the system's: builds a second addon and runs the tests of the binding and of
// the networks' parity with it, then measures animation and training with the system's and with this one. Takes the LibTorch in LIBTORCH, else the one inside PyPI's torch package, which pip fetches.
// Usage: node scripts/test-libtorch2.mjs [TORCH_VERSION] [--cache DIR]

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

/** Which test files say something about LibTorch: all of the binding's, and those that compare numbers of the networks. */
const relevantTests = ['packages/libtorch/', 'parity'];

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({ allowPositionals: true, options: { cache: { type: 'string' } } });
const version = positionals[0] ?? '2.15.0';
const cache = resolve(values.cache ?? join(root, '.cache', 'libtorch'));

const python = process.env.PYTHON || 'python3';
setUp();
const libtorchDirectory = process.env.LIBTORCH || fetchTorch();
const addon = await build(libtorchDirectory);
const tests = spawnSync(process.execPath, [join(root, 'scripts', 'test.mjs'), ...relevantTests], {
  cwd: root,
  env: { ...process.env, DAGAN_LIBTORCH_ADDON: addon },
  stdio: ['ignore', 'inherit', 'inherit'],
});
if (tests.status !== 0) process.exit(tests.status ?? 1);
compareSpeed();

/** The benchmarks with the system's LibTorch and with the other, one after the other. */
function compareSpeed() {
  const animation = [
    'packages/dagan/dist/src/cli/main.js',
    'bench',
    '--preset',
    'dagan',
    '--engine',
    'published',
    'libtorch',
  ];
  for (const words of [animation, ['benchmarks/dist/training-step.js']]) {
    for (const environment of [{}, { DAGAN_LIBTORCH_ADDON: addon }]) {
      const run = spawnSync(process.execPath, words, {
        cwd: root,
        env: { ...process.env, ...environment },
        stdio: ['ignore', 'inherit', 'inherit'],
      });
      if (run.status !== 0) process.exit(run.status ?? 1);
    }
  }
}

/** The usual set-up, whose addon stays the one of the system's LibTorch. */
function setUp() {
  const { LIBTORCH, LIBTORCH_USE_PYTORCH, ...env } = process.env;
  const setup = spawnSync(process.execPath, [join(root, 'scripts', 'setup.mjs')], {
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (setup.status !== 0) process.exit(1);
}

/** Unpacks PyPI's torch, and of NVIDIA's packages just those that its CPU library asks for; no Python is needed afterwards. */
function fetchTorch() {
  const target = join(cache, `torch-${version}`);
  if (!existsSync(target)) {
    const part = `${target}.part`;
    rmSync(part, { recursive: true, force: true });
    mkdirSync(cache, { recursive: true });
    say(`fetching torch ${version} with pip (about half a gigabyte)`);
    pip(part, ['--no-deps', `torch==${version}`]);
    const needed = cudaRuntimePackages(part);
    if (needed.length > 0) {
      say(`fetching ${needed.join(' ')}`);
      pip(part, needed);
    }
    renameSync(part, target);
  }
  return join(target, 'torch');
}

function pip(target, words) {
  const options = [
    '--disable-pip-version-check',
    '--quiet',
    '--no-compile',
    '--only-binary',
    ':all:',
    '--upgrade',
    '--target',
    target,
  ];
  const run = spawnSync(python, ['-m', 'pip', 'install', ...options, ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  if (run.error || run.status !== 0) {
    rmSync(target, { recursive: true, force: true });
    stop(
      `${python} -m pip could not fetch ${words.at(-1)}: ${run.error?.message ?? run.stderr.trim().split('\n').slice(-3).join('\n')}\n` +
        'Install pip (Debian: python3-pip), name another interpreter with PYTHON, or name an unpacked LibTorch 2.x with LIBTORCH.',
    );
  }
}

/** The requirements, among those torch states, that bring the CUDA runtime and CUPTI: a CUDA build's CPU library needs both. */
function cudaRuntimePackages(directory) {
  const information = readdirSync(directory).find((name) => /^torch-.*\.dist-info$/.test(name));
  const metadata = readFileSync(join(directory, information, 'METADATA'), 'utf8');
  return metadata
    .split('\n')
    .map((line) => /^Requires-Dist: ([\w-]+)(\[[^\]]*\])?\s*(==[\w.]+)/.exec(line))
    .filter((match) => match !== null && /^(cuda-toolkit$|nvidia-cuda-(runtime|cupti)(-|$))/.test(match[1]))
    .map(([, name, , pin]) => (name === 'cuda-toolkit' ? `${name}[cudart,cupti]${pin}` : `${name}${pin}`));
}

async function build(directory) {
  const { compileAddon, findLibTorch } = await import(
    new URL('../packages/libtorch/dist/src/build/index.js', import.meta.url).href
  );
  try {
    const libtorch = findLibTorch({ env: { ...process.env, LIBTORCH: directory } });
    say(`LibTorch ${libtorch.version} in ${directory}; ${libtorch.cudaWhy}`);
    const result = await compileAddon({ libtorch, out: join(cache, `addon-${libtorch.version}`), log: say });
    return result.addon;
  } catch (error) {
    if (!['CompileError', 'LibTorchError'].includes(error.name)) throw error;
    return stop(error.message);
  }
}

function say(line) {
  console.log(`[libtorch2] ${line.trim()}`);
}

function stop(message) {
  console.error(`[libtorch2] ${message}`);
  process.exit(1);
}
