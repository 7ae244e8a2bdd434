// Runs the lint and all compiled tests of all packages, and those that run in Chromium; with arguments only the test files whose
// path contains one of them ("browser" are those in Chromium).
// Usage: node scripts/test.mjs [NAME...]

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = process.argv.slice(2);

if (names.length === 0) lint();
const files = testFiles().filter((file) => names.length === 0 || names.some((name) => file.includes(name)));
const inBrowser = names.length === 0 || names.includes('browser');
if (files.length === 0 && !inBrowser)
  stop(names.length > 0 ? `no test file's path contains ${names.join(' or ')}` : 'no test file found');
if (inBrowser) runBrowserTests();
if (files.length > 0) runTests(files);

function lint() {
  const biome = join(root, 'node_modules', '@biomejs', 'biome', 'bin', 'biome');
  const colors = process.stdout.isTTY ? 'force' : 'off';
  const check = spawnSync(process.execPath, [biome, 'ci', `--colors=${colors}`, '.'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (check.status !== 0) stop('the lint found problems; `npm run format` repairs many of them');
}

/** Compiled tests that still have a source: `dist` keeps the output of files that were deleted since. */
function testFiles() {
  return readdirSync(join(root, 'packages'))
    .map((name) => join('packages', name))
    .filter((directory) => existsSync(join(root, directory, 'test')))
    .flatMap((directory) =>
      readdirSync(join(root, directory, 'test'), { recursive: true })
        .filter((file) => file.endsWith('.test.ts'))
        .map((file) => join(directory, 'dist', 'test', `${file.slice(0, -'.ts'.length)}.js`)),
    )
    .sort();
}

/** The studio's engine and the parts of dagan that browsers run, in Chromium. */
function runBrowserTests() {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const words = ['run', '--config', join('packages', 'studio', 'vitest.config.ts')];
  const { status } = spawnSync(process.execPath, [vitest, ...words], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) process.exitCode = 1;
}

/** Two files at a time, each in a process of its own: the tests' own threads use the other cores. */
function runTests(files) {
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
