// The documentation as text: lines that fit a screen and a diff, links that lead somewhere, a first page that stays short.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

/** Folders that hold pages. */
const FOLDERS = [
  ...['.', 'docs', 'examples', 'weights', 'weights/faces', 'weights/starter'],
  ...['libtorch', 'dagan', 'studio'].map((name) => `packages/${name}`),
];

const pages = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(root, folder, name)),
).map((path) => ({ path, name: relative(root, path), text: readFileSync(path, 'utf8') }));

/** The anchors of a page's headings, as pages on the web get them. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map((match) =>
    match[1]!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

test('lines of the documentation have at most 120 characters, but for rows of tables', () => {
  assert.ok(pages.length > 20, `${pages.length} pages`);
  const long = pages.flatMap(({ name, text }) =>
    text.split('\n').flatMap((line, i) => (line.length > 120 && !line.startsWith('|') ? [`${name}:${i + 1}`] : [])),
  );
  assert.deepEqual(long, []);
});

test('links of the documentation lead to files and headings that are there', () => {
  const lost = pages.flatMap(({ path, name, text }) =>
    [...text.matchAll(/\]\(\s*([^)\s]*)\s*\)/g)].flatMap(([, link]) => {
      const [file, anchor] = link!.split('#') as [string, string?];
      if (/^[a-z]+:/.test(file)) return [];
      const target = file === '' ? path : join(dirname(path), file);
      if (!existsSync(target)) return [`${name}: ${link}`];
      const found = anchor === undefined || anchorsOf(readFileSync(target, 'utf8')).includes(anchor);
      return found ? [] : [`${name}: ${link}`];
    }),
  );
  assert.deepEqual(lost, []);
});

test('the page on training begins with what a newcomer needs and stays within 250 lines', () => {
  const { text } = pages.find(({ name }) => name === join('docs', 'training.md'))!;
  assert.ok(text.trimEnd().split('\n').length <= 250);
});
