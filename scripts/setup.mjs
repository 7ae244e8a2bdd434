// Set-up from a fresh clone to a compiled project: npm packages, LibTorch, TypeScript, the studio's page, the native addon. Does
// only what is missing.
// Usage: node scripts/setup.mjs [--tests] [--without-libtorch]
//   --tests: also Chromium, in which the studio is tested
//   --without-libtorch: no LibTorch, and so no compiler. Exported models run all the same (ONNX Runtime), also the default one, if
//   it is such; training, evaluation, export and published weights need LibTorch

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

checkNode();
installNpmPackages();
compileTypeScript();
buildStudio();
if (process.argv.includes('--without-libtorch')) say('ready, without LibTorch');
else await prepareNative();
if (process.argv.includes('--tests')) await prepareChromium();

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 15))
    stop(`Node ${process.versions.node} is too old: install Node 20.15 or newer.`);
}

/** Runs `npm ci` unless node_modules already holds what package-lock.json names. */
function installNpmPackages() {
  const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const stampFile = join(root, 'node_modules', '.dagan-lock');
  const stamp = createHash('sha256').update(lockText).digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  if (!holdsPackages(JSON.parse(lockText))) {
    say('installing npm packages');
    // The scripts need the development packages, whatever NODE_ENV and npm's settings leave out.
    const run = spawnSync(
      'npm',
      ['ci', '--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund'],
      {
        cwd: root,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    if (run.error || run.status !== 0) {
      stop(
        `npm ci failed:\n${npmErrors(run)}\nCheck that npm works and that its registry can be reached, then run this again.`,
      );
    }
  }
  writeFileSync(stampFile, stamp);
}

/** npm gives its reason first and its manual after. */
function npmErrors(run) {
  const errors = `${run.stderr ?? ''}`.split('\n').filter((line) => /^npm (error|ERR!) \S/.test(line));
  return errors.length > 0 ? errors.slice(0, 8).join('\n') : tail(run);
}

/** Compares npm's own record of what it installed with the lock file. */
function holdsPackages(lock) {
  const recordFile = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(recordFile)) return false;
  const installed = JSON.parse(readFileSync(recordFile, 'utf8')).packages;
  const fits = (allowed, value) => !allowed || allowed.includes(value);
  return Object.entries(lock.packages).every(([path, entry]) => {
    if (!path.includes('node_modules/')) return true;
    if (entry.link) return existsSync(join(root, path));
    if (entry.optional && !(fits(entry.os, process.platform) && fits(entry.cpu, process.arch) && !entry.libc))
      return true;
    return installed[path]?.version === entry.version && existsSync(join(root, path));
  });
}

function compileTypeScript() {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const run = spawnSync(process.execPath, [tsc, '-b'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (run.status !== 0) stop(`TypeScript does not compile:\n${tail(run)}`);
}

/** Builds the studio's page, unless it is newer than all it is made of. */
function buildStudio() {
  const studio = join(root, 'packages', 'studio');
  const page = join(studio, 'dist', 'page', 'index.html');
  const sources = [
    ...['src', 'index.html', 'vite.config.ts', 'package.json'].map((name) => join(studio, name)),
    ...['dagan', 'libtorch'].map((name) => join(root, 'packages', name, 'dist', 'src')),
    ...['examples', 'package-lock.json'].map((name) => join(root, name)),
  ];
  if (existsSync(page) && statSync(page).mtimeMs > Math.max(...sources.map(newest))) return;
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const run = spawnSync(process.execPath, [vite, 'build', '--logLevel', 'warn'], {
    cwd: studio,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (run.status !== 0) stop(`the studio's page cannot be built:\n${tail(run)}`);
}

/** When a file, or the last changed one of a folder, was changed. */
function newest(path) {
  const facts = statSync(path);
  if (!facts.isDirectory()) return facts.mtimeMs;
  return Math.max(facts.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

/** Installs Chromium where it is missing and that is allowed; where not, the tests that need it say so. */
async function prepareChromium() {
  const { findChromium } = await import(new URL('../packages/studio/dist/test/chromium.js', import.meta.url).href);
  try {
    findChromium();
    return;
  } catch {
    // missing
  }
  const apt = aptCommand();
  if (!apt)
    return warn('Chromium is missing, in which the studio is tested. On Debian and Ubuntu: apt-get install chromium');
  say('installing chromium with apt-get');
  const problem = installPackages(apt, ['chromium']);
  if (problem)
    warn(`apt-get failed (${problem.trim().split('\n').at(-1)}). To install by hand: apt-get install chromium`);
}

/** Finds LibTorch and a compiler, installs Debian's where they are missing and that is allowed, and compiles the addon. */
async function prepareNative() {
  const build = await import(new URL('../packages/libtorch/dist/src/build/index.js', import.meta.url).href);
  let found = look(build);
  const wanted = [...found.required, ...found.advised].filter((name) => !isInstalled(name));
  if (wanted.length > 0) {
    const apt = aptCommand();
    if (apt) {
      say(`installing ${wanted.join(' ')} with apt-get`);
      const problem = installPackages(apt, wanted);
      if (problem && found.required.length > 0)
        stop(`apt-get failed:\n${problem}\nInstall by hand: ${build.aptLine(wanted)}`);
      if (problem)
        warn(`apt-get failed (${problem.trim().split('\n').at(-1)}). To install by hand: ${build.aptLine(wanted)}`);
      else found = look(build);
    } else if (found.required.length > 0) {
      stop(`${found.problem}\nOn Debian and Ubuntu this installs all that is missing: ${build.aptLine(wanted)}`);
    } else {
      warn(`${wanted.join(', ')} missing. On Debian and Ubuntu: ${build.aptLine(wanted)}`);
    }
  }
  if (found.problem) stop(found.problem);
  if (found.libtorch.blas.kind === 'reference') {
    warn('matrix products use the reference BLAS, 30 to 50 times slower than OpenBLAS.');
    if (isInstalled('libopenblas0-openmp')) {
      warn(
        'OpenBLAS is installed but not chosen: sudo update-alternatives --config libblas.so.3-$(uname -m)-linux-gnu',
      );
    }
  }
  try {
    const result = await build.compileAddon({ libtorch: found.libtorch, log: say });
    const { version, origin } = found.libtorch;
    say(
      `ready: LibTorch ${version} (${origin}), addon ${result.linked ? `built in ${result.seconds.toFixed(0)} s` : 'is current'}`,
    );
  } catch (error) {
    if (error.name !== 'CompileError') throw error;
    stop(error.message);
  }
}

/**
 * What is there and which Debian packages are missing: `required` to work at all, `advised` for speed and for several
 * processes. `problem` is the line for people when something required is missing.
 */
function look(build) {
  const found = { libtorch: undefined, required: [], advised: [], problem: undefined };
  try {
    build.findCompiler();
  } catch (error) {
    found.problem = error.message;
    if (!process.env.CXX) found.required.push('g++');
  }
  try {
    found.libtorch = build.findLibTorch();
    if (found.libtorch.origin === 'system' && process.platform === 'linux') {
      if (found.libtorch.blas.kind === 'reference') found.advised.push('libopenblas0-openmp');
      if (!found.libtorch.distributed.gloo) found.advised.push('libgloo-dev');
    }
  } catch (error) {
    if (error.name !== 'LibTorchError') throw error;
    found.problem = error.message;
    if (error.notFound) found.required.push('libtorch-dev', 'libgloo-dev', 'libopenblas0-openmp');
  }
  return found;
}

function isInstalled(name) {
  const run = spawnSync('dpkg', ['-s', name], { encoding: 'utf8' });
  return run.status === 0 && run.stdout.includes('Status: install ok installed');
}

/** The words that run apt-get with the rights to install, or undefined where that is not possible without asking. */
function aptCommand() {
  if (spawnSync('apt-get', ['--version'], { stdio: 'ignore' }).status !== 0) return undefined;
  if (process.getuid?.() === 0) return ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return sudo.status === 0 ? ['sudo', '-n', 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'] : undefined;
}

/** Installs; returns what apt-get said when it failed. */
function installPackages([command, ...words], names) {
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
    if (run.status !== 0 && step[0] === 'install') return tail(run);
  }
  return undefined;
}

function tail(run) {
  const text = run.error ? run.error.message : `${run.stdout}${run.stderr}`;
  return text.trim().split('\n').slice(-20).join('\n');
}

function say(line) {
  console.log(`[setup] ${line.trim()}`);
}

function warn(line) {
  console.warn(`[setup] warning: ${line}`);
}

function stop(message) {
  console.error(`[setup] ${message}`);
  process.exit(1);
}
