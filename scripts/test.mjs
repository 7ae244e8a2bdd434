// Runs the lint and all compiled tests of all packages, and those that run in Chromium; with arguments only the test files whose
// path contains one of them ("browser" are those in Chromium).
// Usage: node scripts/test.mjs [NAME...]

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = process.argv.slice(2);

if (names.length === 0) lint();
const files = testFiles().filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
if (files.length === 0)
  stop(names.length > 0 ? `no test file's path contains ${names.join(' or ')}` : 'no test file found');
runTests(files);

function lint() {
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const colors = process.stdout.isTTY ? 'force' : 'off';
  const check = spawnSync(process.execPath, [biome, 'ci', `--colors=${colors}`, '.'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (check.status !== 0) stop('the lint found problems; `npm run format` repairs many of them');
}

/**
 * Those in Chromium, and compiled tests that still have a source: `dist` keeps the output of files that were deleted since. The
 * longest come first, so that in the end no core waits for another.
 */
function testFiles() {
  const inBrowser = relative(root, fileURLToPath(new URL('test-browser.mjs', import.meta.url)));
  const compiled = readdirSync(join(root, 'packages'))
    .map((name) => join('packages', name))
    .filter((directory) => existsSync(join(root, directory, 'test')))
    .flatMap((directory) =>
      readdirSync(join(root, directory, 'test'), { recursive: true })
        .filter((file) => file.endsWith('.test.ts'))
        .map((file) => join(directory, 'dist', 'test', `${file.slice(0, -'.ts'.length)}.js`)),
    )
    .sort();
  const isLong = (file) => file.startsWith(join('packages', 'studio'));
  return [inBrowser, ...compiled.filter(isLong), ...compiled.filter((file) => !isLong(file))];
}

/** Two files at a time, each in a process of its own. They share the cores: threads that wait for one hold all others up. */
function runTests(files) {
  const cache = mkdtempSync(join(tmpdir(), 'dagan-tests-')); // exported and prepared graphs: the user's own stay as they are
  process.env.XDG_CACHE_HOME = cache;
  process.on('exit', () => rmSync(cache, { recursive: true, force: true }));
  process.env.OMP_NUM_THREADS ??= `${Math.max(1, Math.floor(availableParallelism() / 2))}`;
  const missing = files.filter((file) => !existsSync(join(root, file)));
  if (missing.length > 0) stop(`not compiled: ${missing.join(', ')}; run \`npm run setup\``);
  process.chdir(root);
  let tests = 0;
  let failures = 0;
  run({ files: files.map((file) => join(root, file)), concurrency: 2 })
    .on('test:pass', (event) => {
      if (event.details?.type !== 'suite') tests++;
    })
    .on('test:fail', (event) => {
      tests++;
      if (event.todo === undefined || event.todo === false) failures++;
    })
    .on('end', () => {
      if (failures > 0) process.exitCode = 1;
      if (tests === 0) stop('no test was run');
    })
    .compose(new spec())
    .pipe(process.stdout);
}

function stop(message) {
  console.error(`[test] ${message}`);
  process.exit(1);
}
