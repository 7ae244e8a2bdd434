// Set-up from a fresh clone to a compiled project: npm packages, LibTorch, TypeScript, the studio's page, the native addon. Does
// only what is missing.
// Usage: node scripts/setup.mjs [--tests] [--without-libtorch] [--example]
//   --tests: also Chromium, in which the studio is tested
//   --example: what an animation by the default model needs, and no more: neither LibTorch nor the studio's page
//   --without-libtorch: no LibTorch, and so no compiler. Exported models run all the same (ONNX Runtime), also the default one, if
//   it is such; training, evaluation, export and published weights need LibTorch

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const forExample = process.argv.includes('--example');
checkNode();
installNpmPackages();
compileTypeScript(forExample ? ['packages/dagan'] : []);
if (!forExample) buildStudio();
if (forExample || process.argv.includes('--without-libtorch')) say('ready, without LibTorch');
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
    // On Windows npm is a script, which takes a shell.
    const run = spawnSync('npm ci --include=dev --include=optional --ignore-scripts --no-audit --no-fund', {
      cwd: root,
      encoding: 'utf8',
      shell: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
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

/** @param projects with what they refer to; none are all */
function compileTypeScript(projects) {
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const run = spawnSync(process.execPath, [tsc, '-b', ...projects], {
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
    ...['examples/portrait.png', 'examples/driving.mp4', 'weights/faces', 'package-lock.json'].map((name) =>
      join(root, name),
    ),
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
  const build = await import(new URL('../packages/libtorch/dist/src/build/index.js', import.meta.url).href);
  const apt = build.aptCommand();
  if (!apt)
    return warn('Chromium is missing, in which the studio is tested. On Debian and Ubuntu: apt-get install chromium');
  say('installing chromium with apt-get');
  const problem = build.installPackages(apt, ['chromium']);
  if (problem)
    warn(`apt-get failed (${problem.trim().split('\n').at(-1)}). To install by hand: apt-get install chromium`);
}

/** Finds LibTorch and a compiler, installs Debian's where they are missing and that is allowed, and compiles the addon. */
async function prepareNative() {
  const build = await import(new URL('../packages/libtorch/dist/src/build/index.js', import.meta.url).href);
  try {
    say(`ready: ${await build.prepareAddon({ onStep: say, onWarning: warn })}`);
  } catch (error) {
    if (error.name !== 'PrepareError') throw error;
    stop(error.message);
  }
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
