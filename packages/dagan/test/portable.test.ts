// Parts of the library that browsers load: nothing of Node is among what they import.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

/** What a compiled module of ours imports: the modules of ours that it reaches, and the packages. */
function reached(entry: string): { modules: string[]; packages: string[] } {
  const modules = new Set<string>();
  const packages = new Set<string>();
  const visit = (url: URL): void => {
    if (modules.has(url.href)) return;
    modules.add(url.href);
    const text = readFileSync(url, 'utf8');
    for (const [, from, dynamic] of text.matchAll(
      /^(?:import|export) (?:[\w*{},\s$]+ from )?'([^']+)'|\bimport\(([^)]*)\)/gm,
    )) {
      const name = from ?? dynamic!;
      if (/^\.{1,2}\//.test(name)) visit(new URL(name, url));
      else packages.add(name);
    }
  };
  visit(new URL(entry, import.meta.url));
  return { modules: [...modules], packages: [...packages].sort() };
}

test('animation needs no package at all', () => {
  const { modules, packages } = reached('../src/animation/index.js');
  assert.ok(modules.length > 10, `${modules.length} modules`);
  assert.deepEqual(packages, []);
});

test('the analysis of faces needs its own defaults alone, for which browsers have a stand-in', () => {
  assert.deepEqual(reached('../src/faces/portable.js').packages, ['#faces/defaults']);
  assert.deepEqual(reached('../src/faces/defaults.browser.js'), {
    modules: [new URL('../src/faces/defaults.browser.js', import.meta.url).href],
    packages: [],
  });
});

test('motion templates need the reader of safetensors in memory alone, which needs nothing of Node', () => {
  assert.deepEqual(reached('../src/pipelines/portable.js').packages, ['@dagan/libtorch/checkpoint/portable']);
  assert.deepEqual(reached('../../../libtorch/dist/src/checkpoint/portable.js').packages, []);
});
