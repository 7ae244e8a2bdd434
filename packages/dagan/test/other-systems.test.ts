// What can be known here of other systems: names of files as Windows has them, no calls that only some systems know on the way of
// the embedded engine, and the workflow that tries them.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, resolve, win32 } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { prepareAddon } from '@dagan/libtorch/build';
import { parse } from 'yaml';
import { nameBelow } from '../src/media/below.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
const sources = join(root, 'packages', 'dagan', 'src');

test('names below a folder have forward slashes, and lead nowhere else: not upwards, not to a root, not to a drive', () => {
  for (const [given, name] of [
    ['train/anna#1.mp4', 'train/anna#1.mp4'],
    ['train\\anna#1.mp4', 'train/anna#1.mp4'],
    ['.\\train\\.\\anna\\', 'train/anna'],
    ['train/../test/b.mp4', 'test/b.mp4'],
    ['..b/c', '..b/c'],
  ] as const) {
    assert.equal(nameBelow(given, win32), name, given);
  }
  const outside = ['', '.', '..', '..\\secret', '../secret', 'a\\..\\..\\secret', '\\secret', '/secret', 'C:\\secret'];
  for (const given of [...outside, 'C:secret', '\\\\server\\share\\secret', '//server/share/secret']) {
    assert.equal(nameBelow(given, win32), undefined, given);
  }
  // Elsewhere a backslash is a letter like any other.
  assert.equal(nameBelow('a\\b', posix), 'a\\b');
  assert.equal(nameBelow('C:secret', posix), 'C:secret');
  for (const given of ['', '.', '..', '../secret', 'a/../../secret', '/secret']) {
    assert.equal(nameBelow(given, posix), undefined, given);
  }
});

/** Files that the embedded engine's commands lead to. */
function onTheWay(): string[] {
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    for (const [, name] of text.matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g))
      visit(resolve(dirname(file), `${name}.ts`));
  };
  for (const name of ['animate', 'motion', 'studio', 'serve', 'info', 'models'])
    visit(join(sources, 'cli', `${name}.ts`));
  return [...seen];
}

/** What works on some systems alone. */
const FOREIGN = {
  'a place of one system': /['"`]\/(?:dev|tmp|usr|etc|bin|var|opt)\//,
  'the processes of Linux': /['"`]\/proc\//,
  'a shell':
    /\b(?:spawn|spawnSync|execFile|execFileSync)\(\s*['"](?:sh|bash|env|which|ldd|uname)['"]|\bexecSync\(|shell: true/,
  'the user of Unix':
    /\bprocess\.(?:getuid|geteuid|getgid|setuid|setgid|umask)\b|\bprocess\.env\.(?:HOME|USER|TMPDIR)\b/,
  'rights of Unix': /\b(?:chmod|chown|mkfifo)(?:Sync)?\(/,
  'an address of a file as its name': /import\.meta\.url\)?\.pathname/,
} as const;

/** Where it is meant, with what happens on other systems. */
const MEANT: Readonly<Record<string, string>> = {
  'processor.ts': 'the processors that Linux lists; elsewhere another way is taken',
  'animation/engines/prepared-graphs.ts': 'likewise; elsewhere graphs are loaded as they are',
};

test('on the way of the embedded engine nothing is called that only some systems know', () => {
  const files = onTheWay();
  assert.ok(files.length > 150, `${files.length} files`);
  const found = files.flatMap((file) => {
    const name = relative(sources, file).replaceAll('\\', '/');
    const text = readFileSync(file, 'utf8').replace(/^\s*(?:\/\/|\/?\*).*$/gm, '');
    const kinds = Object.entries(FOREIGN).filter(([, pattern]) => pattern.test(text));
    return name in MEANT ? [] : kinds.map(([kind]) => `${name}: ${kind}`);
  });
  assert.deepEqual(found, []);
  for (const name of Object.keys(MEANT)) assert.ok(files.includes(join(sources, name)), `${name} is not on the way`);
});

test('calls of one system are known when they are seen', () => {
  for (const [kind, code] of [
    ['a place of one system', "readFile('/tmp/x')"],
    ['the processes of Linux', "readFileSync('/proc/cpuinfo')"],
    ['a shell', "spawn('sh', ['-c', x])"],
    ['the user of Unix', 'process.getuid?.()'],
    ['rights of Unix', 'await chmod(path, 0o700)'],
    ['an address of a file as its name', "new URL('x', import.meta.url).pathname"],
  ] as const) {
    assert.match(code, FOREIGN[kind]);
  }
});

test('on Windows the set-up says what runs there, and what does not', async () => {
  await assert.rejects(prepareAddon({ platform: 'win32' }), /LibTorch is not used on Windows: exported models.*WSL/);
});

test('ONNX Runtime, pictures and codecs come with programs for the systems that the README names', () => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, object>;
  };
  const runtime = join(root, 'node_modules', 'onnxruntime-node', 'bin', 'napi-v6');
  for (const system of ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64', 'win32-arm64']) {
    const [platform, processor] = system.split('-') as [string, string];
    assert.ok(readdirSync(join(runtime, platform, processor)).includes('onnxruntime_binding.node'), system);
    assert.ok(lock.packages[`node_modules/@img/sharp-${system}`], system);
    const codecs = Object.keys(lock.packages).filter((name) =>
      name.startsWith(`node_modules/@seydx/node-av-${system}`),
    );
    assert.ok(codecs.length > 0, system);
  }
  assert.ok(!existsSync(join(runtime, 'darwin', 'x64')), 'the README says that Macs with Intel processors have none');
});

type Workflow = {
  jobs: Record<string, { strategy: { matrix: Record<string, string[]> }; steps: { run?: string; uses?: string }[] }>;
};

test('the workflow for three systems calls what is there, and downloads from no address of its own', () => {
  const text = readFileSync(join(root, '.github', 'workflows', 'systems.yml'), 'utf8');
  const { jobs } = parse(text) as Workflow;
  const { strategy, steps } = jobs.embedded!;
  for (const system of ['ubuntu', 'macos', 'windows']) {
    assert.ok(
      strategy.matrix.system!.some((name) => name.startsWith(system)),
      system,
    );
  }
  assert.doesNotMatch(text, /https?:/);
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  for (const { run, uses } of steps) {
    if (run === undefined) {
      assert.match(uses!, /^actions\//);
      continue;
    }
    const [, script] = /^npm run (?:-s )?(\S+)/.exec(run) ?? [];
    const [, file, names] = /^node (\S+)(.*)$/.exec(run) ?? [];
    if (script) assert.ok(scripts[script], run);
    else assert.ok(file && existsSync(join(root, file)), run);
    if (file !== 'scripts/test.mjs') continue;
    for (const name of names!.trim().split(' ')) {
      assert.ok(existsSync(join(root, 'packages', 'dagan', 'test', `${name}.test.ts`)), name);
    }
  }
});
