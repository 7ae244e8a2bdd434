// How the source files depend on each other: nothing imports what stands above it, and files do not import each other in
// circles.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/**
 * The floors of this package, the ground first: a file may import from its own floor and from those below. The longest path
 * counts. docs/architecture.md has the same list with reasons.
 */
const FLOORS = [
  'version.ts',
  'onnx-runtime.ts',
  'package-folder.ts',
  'user-cache.ts',
  'processor.ts',
  'face-models.ts',
  'media',
  'errors.ts',
  'threads',
  'tensors',
  'geometry',
  'models',
  'models/perceptual',
  'models/files',
  'losses',
  'faces',
  'visualization',
  'export',
  'animation',
  'animation/engines',
  'data',
  'data/preprocess',
  'training/run',
  'training/ranks',
  'training/batches',
  'training/loop',
  'training/depth',
  'training/animation',
  'evaluation',
  'pipelines',
  'server',
  'cli',
];

/** What other packages import. Doors lead to every floor; the linter keeps files of the package from going through them. */
const DOORS = /^onnx\.ts$|(^|\/)(index|portable)\.ts$/;

type Import = { from: string; to: string };

/** All imports between files of a folder, those of types as well, by paths below it. */
function importsBelow(folder: string): Import[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const known = new Set(files.map((name) => name.replaceAll(sep, '/')));
  const found = [...known].flatMap((from) => {
    const text = readFileSync(join(folder, from), 'utf8');
    const names = text.matchAll(
      /^(?:import|export)\s[^;'"]*?from\s+'(\.[^']+)'|^import '(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm,
    );
    return [...names].map((match) => {
      const path = resolve(folder, dirname(from), (match[1] ?? match[2] ?? match[3])!);
      return { from, to: relative(folder, path).replaceAll(sep, '/').replace(/\.js$/, '.ts') };
    });
  });
  return found.filter(({ to }) => known.has(to));
}

/** Groups of files each of which leads to every other one of its group: Tarjan's strongly connected components. */
function circles(imports: readonly Import[]): string[][] {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to]);
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const open: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): void => {
    order.set(file, order.size);
    lowest.set(file, order.get(file)!);
    open.push(file);
    for (const target of targets.get(file) ?? []) {
      if (!order.has(target)) visit(target);
      else if (!open.includes(target)) continue;
      lowest.set(file, Math.min(lowest.get(file)!, lowest.get(target)!));
    }
    if (lowest.get(file) !== order.get(file)) return;
    const group = open.splice(open.indexOf(file));
    if (group.length > 1) found.push(group.sort());
  };
  for (const file of targets.keys()) if (!order.has(file)) visit(file);
  return found;
}

const dagan = importsBelow(here('../../src'));

/** Number of a file's floor. */
function floorOf(file: string): number {
  const fits = FLOORS.filter((floor) => file === floor || file.startsWith(`${floor}/`));
  assert.ok(fits.length > 0, `${file} stands on no floor: add its folder to FLOORS and to docs/architecture.md`);
  return FLOORS.indexOf(fits.reduce((a, b) => (b.length > a.length ? b : a)));
}

test('nothing imports what stands above it', () => {
  assert.ok(dagan.length > 1000, `${dagan.length} imports`);
  const climbing = dagan.filter(({ from, to }) => !DOORS.test(from) && !DOORS.test(to) && floorOf(from) < floorOf(to));
  assert.deepEqual(
    climbing.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test('files do not import each other in circles, not even for types', () => {
  assert.deepEqual(circles(dagan), []);
  assert.deepEqual(circles(importsBelow(here('../../../studio/src'))), []);
});

test('in the binding, operators make tensors that run operators, in scopes that hold tensors: no other circle', () => {
  const libtorch = importsBelow(here('../../../libtorch/src'));
  assert.ok(libtorch.length > 100, `${libtorch.length} imports`);
  assert.deepEqual(circles(libtorch), [['operator.ts', 'scope.ts', 'tensor.ts']]);
});

test('circles and climbing imports are found where there are some', () => {
  const imports = [
    { from: 'a.ts', to: 'b.ts' },
    { from: 'b.ts', to: 'c.ts' },
    { from: 'c.ts', to: 'a.ts' },
    { from: 'c.ts', to: 'd.ts' },
    { from: 'd.ts', to: 'e.ts' },
    { from: 'e.ts', to: 'd.ts' },
    { from: 'e.ts', to: 'f.ts' },
  ];
  assert.deepEqual(circles(imports).sort(), [
    ['a.ts', 'b.ts', 'c.ts'],
    ['d.ts', 'e.ts'],
  ]);
  assert.ok(floorOf('models/files/names.ts') > floorOf('models/dagan.ts'));
  assert.ok(floorOf('training/run/observers.ts') < floorOf('cli/main.ts'));
});

test('the documentation has the same floors', () => {
  const text = readFileSync(here('../../../../docs/architecture.md'), 'utf8');
  const list = /## Floors\n[\s\S]*?```\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
  const floors = list
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s/, 1)[0]!);
  assert.deepEqual(floors, FLOORS);
});
