// What other programs may import: the names of the package itself, one by one, and a sub-path for every room.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const home = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(`${home}${path}`, 'utf8');
const readme = read('README.md');
const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, string | { default: string }> };

/** The names that a file exports, types included. */
function exported(text: string): string[] {
  const lists = [...text.matchAll(/^export (?:type )?\{([^}]*)\} from/gm)].map((match) => match[1]!);
  return lists.flatMap((list) => list.split(',').map((name) => name.trim().replace(/^type /, ''))).sort();
}

test('the package exports a list of names, and the README has the same list', () => {
  const names = exported(read('src/index.ts'));
  assert.ok(names.length > 50 && names.length < 75, `${names.length} names`);
  const promised = /## What is promised\n[\s\S]*?\n\n(\|[\s\S]*?)\n\n/.exec(readme)?.[1] ?? '';
  assert.deepEqual([...promised.matchAll(/`(\w+)`/g)].map((match) => match[1]!).sort(), names);
});

test('at run time these are all there is', async () => {
  const names = exported(read('src/index.ts'));
  const found = Object.keys(await import('../src/index.js'));
  assert.ok(found.length > 40, `${found.length} names`);
  assert.deepEqual(
    found.filter((name) => !names.includes(name)),
    [],
  );
});

test('every room with a door has a sub-path, every sub-path leads to a file, and the README names it', () => {
  const rooms = readdirSync(`${home}src`, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('/index.ts'))
    .map((path) => `./${path.slice(0, -'/index.ts'.length)}`);
  const paths = Object.keys(exports);
  assert.deepEqual(
    rooms.filter((room) => !paths.includes(room)),
    [],
  );
  for (const [path, target] of Object.entries(exports)) {
    assert.ok(existsSync(`${home}${typeof target === 'string' ? target : target.default}`), path);
    if (path !== './package.json') assert.ok(readme.includes(`\`dagan${path.slice(1)}\``), `the README lacks ${path}`);
  }
});
