// The command line in the hands of programs and shells: lines of JSON, exit codes, options from a file, completion, models.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readPicture, saveModel, writePicture } from '../src/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { makeMp4, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
await writePicture(path('face.png'), scene(90, 70, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 3 });

type Line = { type: string; [key: string]: unknown };
const linesOf = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

test('with --json everything is a line of JSON: what is told, the result, and what went wrong with its exit code', async () => {
  const words = [
    'animate',
    'face.png',
    'talk.mp4',
    '--checkpoint',
    'quick.safetensors',
    '--crop',
    'none',
    '--size',
    '64',
  ];
  const run = await dagan(folder, [...words, '--reference-frame', 'first', '-o', 'out.mp4', '--json']);
  assert.deepEqual([run.code, run.stderr], [0, '']);
  const lines = linesOf(run.stdout);
  const square = lines.find(({ code }) => code === 'centre-square')!;
  assert.deepEqual([square.type, (square.values as { role: string }).role], ['notice', 'portrait']);
  const { type, output, frames, width, stages } = lines.at(-1)!;
  assert.deepEqual([type, output, frames, width], ['result', 'out.mp4', 3, 64]);
  assert.ok((stages as { drive: number }).drive > 0);
  const failed = await dagan(folder, [
    'animate',
    'nobody.png',
    'talk.mp4',
    '-o',
    'x.mp4',
    '--json',
    '--checkpoint',
    'no.pth',
  ]);
  assert.deepEqual([failed.code, failed.stderr], [1, '']);
  const error = linesOf(failed.stdout).at(-1)!;
  assert.deepEqual([error.type, error.exitCode], ['error', 1]);
  assert.match(error.message as string, /no\.pth: no such file/);
  const info = await dagan(folder, ['info', 'quick.safetensors', '--json']);
  const facts = Object.fromEntries(linesOf(info.stdout)[0]!.facts as [string, string][]);
  assert.match(facts.file!, /^quick\.safetensors: safetensors/);
  const doctor = linesOf((await dagan(folder, ['doctor', '--json'])).stdout)[0]!;
  assert.ok((doctor.findings as { subject: string }[]).some(({ subject }) => subject === 'Node'));
});

test('options come from a YAML file, and those on the command line count more', async () => {
  writeFileSync(
    path('my.yaml'),
    'checkpoint: quick.safetensors\ncrop: none\nreference-frame: first\nsize: 64\nsound: false\nmotion: { pose: 1 }\nadapt-scale: true\n',
  );
  const words = ['animate', 'face.png', 'talk.mp4', '--config', 'my.yaml', '--end', '1'];
  const run = await dagan(folder, [...words, '-o', 'small/', '--size', '32']);
  assert.equal(run.code, 0, run.stderr);
  assert.equal((await readPicture(path('small', '000000.png'))).width, 32);
  for (const [text, code, said] of [
    ['sizes: 3', 1, /my\.yaml: `dagan animate` has no option 'sizes'/],
    ['size: large', 2, /option '--size <n>' argument 'large' is invalid/],
    ['- size', 1, /my\.yaml: must hold options/],
    ['a: [', 1, /my\.yaml: cannot be read as YAML/],
  ] as const) {
    writeFileSync(path('my.yaml'), text);
    const refused = await dagan(folder, [...words, '-o', 'no/']);
    assert.equal(refused.code, code, text);
    assert.match(refused.stderr, said);
  }
});

test('shells complete commands, options and files', async () => {
  const { stdout } = await dagan(folder, ['completion', 'bash']);
  writeFileSync(path('completion.bash'), stdout);
  const complete = (...words: string[]): string[] => {
    const typed = words.map((word) => `'${word}'`).join(' ');
    const script = `source completion.bash; COMP_WORDS=(${typed}); COMP_CWORD=${words.length - 1}; _dagan; echo "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', script], { cwd: folder, encoding: 'utf8' }).trim().split(' ');
  };
  assert.deepEqual(complete('dagan', 'anim'), ['animate']);
  assert.deepEqual(complete('dagan', 'animate', '--back'), ['--background']);
  assert.deepEqual(complete('dagan', 'animate', 'tal'), ['talk.mp4']);
  assert.ok(complete('dagan', 'train', 'de').includes('depth'));
  const fish = await dagan(folder, ['completion', 'fish']);
  assert.match(fish.stdout, /^complete -c dagan -n '__fish_seen_subcommand_from motion' -l reference-frame$/m);
});

test('models are listed, and one of which a byte has changed is named', async () => {
  mkdirSync(path('weights'));
  copyFileSync(path('quick.safetensors'), path('weights', 'default.safetensors'));
  const starter = fileURLToPath(new URL('../../../../weights/starter', import.meta.url));
  cpSync(starter, path('weights', 'starter'), { recursive: true });
  const here = { DAGAN_WEIGHTS: path('weights') };
  const listed = linesOf((await dagan(folder, ['models', '--json'], here)).stdout);
  assert.deepEqual(
    listed.map(({ name, isDefault }) => [name, isDefault]),
    [
      ['quick', true],
      ['starter-256', false],
    ],
  );
  const sound = await dagan(folder, ['models', 'verify'], here);
  assert.equal(sound.code, 0, sound.stderr);
  assert.equal(sound.stdout.trim().split('\n').length, 2);
  const bytes = readFileSync(path('weights', 'default.safetensors'));
  bytes[bytes.length - 5]! ^= 1;
  writeFileSync(path('weights', 'default.safetensors'), bytes);
  const damaged = await dagan(folder, ['models', 'verify'], here);
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /default\.safetensors: is damaged/);
  assert.match(damaged.stdout, /starter: sound/);
});
