// The packages as a user of npm gets them: packed, installed into an empty folder, and used there.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { openClip } from '../src/media/index.js';
import { temporaryFolder } from './media-fixtures.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../../../', import.meta.url));
const example = (name: string): string => join(root, 'examples', name);

/** Folders of the packages that are published. */
const PACKAGES = ['packages/libtorch', 'packages/dagan', 'weights/faces', 'weights/starter'];

const folder = await temporaryFolder();
const app = join(folder, 'app');
const tarballs = await pack();

/** The packages as the registry would have them. */
async function pack(): Promise<string[]> {
  const target = join(folder, 'tarballs');
  await mkdir(target);
  for (const path of PACKAGES) {
    await run('npm', ['pack', '--ignore-scripts', '--pack-destination', target], { cwd: join(root, path) });
  }
  return (await readdir(target)).map((name) => join(target, name));
}

/** A command of the installed packages, without the variables that a checkout is tested with. */
async function inApp(command: string, words: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const { DAGAN_WEIGHTS: _, DAGAN_LIBTORCH_ADDON: __, ...env } = process.env;
  return run(command, words, { cwd: app, env: { ...env, NO_COLOR: '1' }, maxBuffer: 1 << 26 });
}

test('from tarballs in an empty folder a portrait is animated, with nothing compiled', {
  timeout: 600_000,
}, async () => {
  await mkdir(app);
  assert.equal(tarballs.length, PACKAGES.length);
  await writeFile(join(app, 'package.json'), '{ "private": true, "type": "module" }');
  await inApp('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev', ...tarballs]);

  const words = ['animate', example('portrait.png'), example('driving.mp4'), '--end', '4', '-o', 'out.mp4'];
  const { stdout, stderr } = await inApp('npx', ['--no-install', 'dagan', ...words]);
  assert.match(stdout, /^out\.mp4: 4 frames of 256 x 256/);
  assert.match(stderr, /ONNX Runtime/);
  await using clip = await openClip(join(app, 'out.mp4'));
  assert.equal(clip.frameCount, 4);

  const doctor = await inApp('npx', ['--no-install', 'dagan', 'doctor']);
  assert.match(doctor.stdout, /Weights .*starter/);
  assert.match(doctor.stdout, /LibTorch .*\n *-> npx dagan setup/);
  const program = `
    import { animateClip } from 'dagan/pipelines';
    import * as checkpoint from '@dagan/libtorch/checkpoint';
    console.log(typeof animateClip, typeof checkpoint.openCheckpoint);`;
  assert.equal((await inApp(process.execPath, ['--input-type=module', '-e', program])).stdout, 'function function\n');
});

/**
 * Gives the installed package the objects of this checkout. They are named by the hashes of their source, headers and flags, so
 * `dagan setup` takes them only if what was packed is what they were compiled from, and compiles the rest.
 */
async function copyObjects(): Promise<void> {
  const build = join(root, 'packages', 'libtorch', 'build');
  const target = join(app, 'node_modules', '@dagan', 'libtorch', 'build');
  for (const entry of await readdir(build, { withFileTypes: true })) {
    if (entry.isDirectory()) await cp(join(build, entry.name), join(target, entry.name), { recursive: true });
  }
}

test('there `dagan setup` makes LibTorch usable, and models train', { timeout: 1_800_000 }, async () => {
  await copyObjects();
  const setup = await inApp('npx', ['--no-install', 'dagan', 'setup', '--no-install']);
  assert.match(setup.stdout, /^ready: LibTorch \d+\.\d+.*, addon built in \d+ s\n$/);
  const program = "import { buildInfo, tensor } from '@dagan/libtorch'; console.log(tensor([1, 2]).sum().item());";
  assert.equal((await inApp(process.execPath, ['--input-type=module', '-e', program])).stdout, '3\n');
  const { stdout } = await inApp('npx', ['--no-install', 'dagan', 'info', join('node_modules', '@dagan', 'starter')]);
  assert.match(stdout, /starter/);

  await mkdir(join(app, 'clips', 'train'), { recursive: true });
  await copyFile(example('driving.mp4'), join(app, 'clips', 'train', 'driving.mp4'));
  const words = ['train', 'animation', '--data', 'clips', '--preset', 'debug', '--depth', 'untrained', '-o', 'run'];
  const train = (...more: string[]) => inApp('npx', ['--no-install', 'dagan', ...words, '--steps', '1', ...more]);
  // The package with the perceptual network's weights is 35 MB that animation has no use for.
  await assert.rejects(train(), ({ stderr }: { stderr: string }) => {
    assert.match(stderr, /npm install nsfwjs@\d+\.\d+\.\d+ --legacy-peer-deps/);
    return true;
  });
  const { stdout: made } = await train('--weight', 'perceptual=0', '--evaluate-every', '0');
  assert.match(made, /run\/model\.safetensors/);
});

test('package.json of each package says what tools look for', async () => {
  for (const path of [...PACKAGES, 'packages/studio']) {
    const { messages, pkg } = await publint({ pkgDir: join(root, path), strict: true });
    assert.deepEqual(
      messages.map((message) => `${path}: ${formatMessage(message, pkg)}`),
      [],
    );
    const { repository } = JSON.parse(await readFile(join(root, path, 'package.json'), 'utf8'));
    assert.equal(repository.directory, path);
  }
});

test('the types of each sub-path are found by TypeScript, as Node and bundlers look for them', async () => {
  const attw = join(root, 'node_modules', '.bin', 'attw');
  const typed = tarballs.filter((path) => !/faces|starter/.test(path)); // weights have no types
  assert.equal(typed.length, 2);
  for (const path of typed) {
    // Told by the exit code: a package for ES modules alone has no other entries.
    await run(attw, [path, '--profile', 'esm-only', '--no-color', '--format', 'ascii']);
  }
});
