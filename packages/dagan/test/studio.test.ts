// `dagan studio`: what its server gives and refuses, and what the command says when something is missing.
import assert from 'node:assert/strict';
import { mkdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import { type ServerOptions, type StudioFolders, startServer } from '../src/server/index.js';
import { dagan } from './cli-run.js';
import { temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);
for (const name of ['page/assets', 'model', 'empty']) await mkdir(path(name), { recursive: true });
await writeFile(path('page/index.html'), '<!doctype html>');
await writeFile(path('page/assets/a-1.wasm'), 'wasm');
await writeFile(path('model/manifest.json'), '{}');
await writeFile(path('secret.txt'), 'not yours');
await writeFile(path('model/notes.txt'), 'not yours either');
await symlink(path('secret.txt'), path('page/link.txt'));

const model = { name: 'first', folder: path('model'), files: ['manifest.json'] };
const served = { page: path('page'), models: [model] };

const startStudioServer = ({ host, port, ...studio }: StudioFolders & Pick<ServerOptions, 'host' | 'port'>) =>
  startServer({ studio, host, port });

type Answer = { status: number | undefined; headers: NodeJS.Dict<string | string[]>; body: string };

/** Asks for an address as it is written: `fetch` would tidy it. */
function ask(url: string, address: string, { method = 'GET', headers = {} } = {}): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path: address, method, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body }));
    })
      .on('error', reject)
      .end();
  });
}

test('page and model are served on this machine, with the headers for threads and against everything foreign', async () => {
  const { url, close } = await startStudioServer(served);
  assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const { status, headers, body } = await ask(url, '/');
  assert.deepEqual([status, body], [200, '<!doctype html>']);
  assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
  assert.equal(headers['cross-origin-embedder-policy'], 'require-corp');
  assert.match(String(headers['content-security-policy']), /default-src 'none'; script-src 'self' 'wasm-unsafe-eval'/);
  assert.equal(headers['cache-control'], 'no-cache');
  const wasm = await ask(url, '/assets/a-1.wasm?v=1');
  assert.equal(wasm.headers['content-type'], 'application/wasm');
  assert.match(String(wasm.headers['cache-control']), /immutable/);
  assert.equal((await ask(url, '/model/manifest.json')).body, '{}');
  const again = await ask(url, '/', { headers: { 'If-None-Match': String(headers.etag) } });
  assert.deepEqual([again.status, again.body], [304, '']);
  const head = await ask(url, '/', { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '15', '']);
  await close();
});

test('several models are served beside each other, and listed', async (t) => {
  await mkdir(path('other'), { recursive: true });
  await writeFile(path('other/manifest.json'), '{"other":1}');
  const second = { name: 'second', folder: path('other'), files: ['manifest.json'] };
  const { url, close } = await startStudioServer({ ...served, models: [model, second] });
  t.after(close);
  const { headers, body } = await ask(url, '/models.json');
  assert.deepEqual(JSON.parse(body), [
    { name: 'first', folder: 'model/' },
    { name: 'second', folder: 'model-2/' },
  ]);
  assert.match(String(headers['content-type']), /application\/json/);
  assert.equal((await ask(url, '/model/manifest.json')).body, '{}');
  assert.equal((await ask(url, '/model-2/manifest.json')).body, '{"other":1}');
  assert.equal((await ask(url, '/model-3/manifest.json')).status, 404);
});

test('a part of a file is given where one is asked for, and what lies outside is refused', async () => {
  const { url, close } = await startStudioServer(served);
  const whole = '<!doctype html>';
  const { headers } = await ask(url, '/');
  assert.equal(headers['accept-ranges'], 'bytes');
  const parts: [range: string, body: string, where: string][] = [
    ['bytes=2-8', 'doctype', 'bytes 2-8/15'],
    ['bytes=10-', 'html>', 'bytes 10-14/15'],
    ['bytes=-5', 'html>', 'bytes 10-14/15'],
    ['bytes=10-999', 'html>', 'bytes 10-14/15'],
  ];
  for (const [range, body, where] of parts) {
    const part = await ask(url, '/', { headers: { Range: range } });
    assert.deepEqual([part.status, part.body, part.headers['content-range']], [206, body, where], range);
    assert.equal(part.headers['content-length'], String(body.length));
  }
  for (const range of ['bytes=15-', 'bytes=9-3', 'bytes=-0']) {
    const outside = await ask(url, '/', { headers: { Range: range } });
    assert.deepEqual([outside.status, outside.headers['content-range']], [416, 'bytes */15'], range);
  }
  for (const given of [
    { Range: 'bytes=0-1,4-5' },
    { Range: 'lines=1-2' },
    { Range: 'bytes=2-8', 'If-Range': '"older"' },
  ]) {
    const all = await ask(url, '/', { headers: given });
    assert.deepEqual([all.status, all.body], [200, whole], JSON.stringify(given));
  }
  const same = await ask(url, '/', { headers: { Range: 'bytes=2-8', 'If-Range': String(headers.etag) } });
  assert.equal(same.status, 206);
  await close();
});

test('to other machines what becomes smaller goes compressed, as the browser asks; a part never', async (t) => {
  await writeFile(path('page/large.js'), 'let a = 1;\n'.repeat(5000));
  await writeFile(path('model/weights.safetensors'), 'a'.repeat(5000));
  const models = [{ ...model, files: ['weights.safetensors'] }];
  const { url, close } = await startStudioServer({ ...served, models, host: '127.0.0.2' });
  t.after(close);
  for (const [accepted, encoding] of [
    ['gzip, deflate, br', 'br'],
    ['gzip;q=0.5', 'gzip'],
    ['br;q=0, identity', undefined],
  ] as const) {
    const given = { 'Accept-Encoding': accepted };
    const { headers } = await ask(url, '/large.js', { headers: given });
    assert.equal(headers['content-encoding'], encoding, accepted);
    assert.equal(headers.vary, 'Accept-Encoding');
    assert.equal(Number(headers['content-length']) < 500, encoding !== undefined);
    const text = await (await fetch(new URL('large.js', url), { headers: given })).text();
    assert.equal(text.length, 55_000, 'what arrives is the file');
  }
  const headers = { 'Accept-Encoding': 'br' };
  assert.equal((await ask(url, '/model/weights.safetensors', { headers })).headers['content-encoding'], undefined);
  const part = await ask(url, '/large.js', { headers: { ...headers, Range: 'bytes=0-2' } });
  assert.deepEqual([part.status, part.body, part.headers['content-encoding']], [206, 'let', undefined]);

  const here = await startStudioServer(served);
  t.after(() => here.close());
  assert.equal((await ask(here.url, '/large.js', { headers })).headers['content-encoding'], undefined);
});

test('what the page’s build has compressed goes so to whoever takes it, unless the file is newer', async (t) => {
  const text = 'let b = 2;\n'.repeat(3000);
  await writeFile(path('page/built.js'), text);
  const packed = brotliCompressSync(text);
  await writeFile(path('page/built.js.br'), packed);
  const { url, close } = await startStudioServer(served);
  t.after(close);
  const headers = { 'Accept-Encoding': 'gzip, br' };
  const whole = await ask(url, '/built.js', { method: 'HEAD', headers });
  assert.equal(whole.headers['content-encoding'], 'br');
  assert.equal(Number(whole.headers['content-length']), packed.length);
  assert.match(String(whole.headers['content-type']), /javascript/);
  assert.equal(whole.headers.vary, 'Accept-Encoding');
  assert.equal(await (await fetch(new URL('built.js', url), { headers })).text(), text);
  assert.equal((await ask(url, '/built.js', { headers: {} })).body, text, 'as it is for others');
  const part = await ask(url, '/built.js', { headers: { ...headers, Range: 'bytes=0-2' } });
  assert.deepEqual([part.status, part.body, part.headers['content-encoding']], [206, 'let', undefined]);
  assert.equal((await ask(url, '/built.js.br')).status, 404, 'it has no address of its own');
  const later = new Date(Date.now() + 60_000);
  await utimes(path('page/built.js'), later, later);
  assert.equal((await ask(url, '/built.js', { headers })).headers['content-encoding'], undefined);
});

test('nothing but the page and the named files of the model is given away, nothing is taken in, and foreign names are turned away', async () => {
  const { url, close } = await startStudioServer(served);
  const outside = [
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/model/../../secret.txt',
    '/model/%2e%2e/secret.txt',
    '/link.txt',
    '/model/notes.txt',
    '/model/./notes.txt',
  ];
  for (const address of [...outside, '/assets', '/model/', '/%00', '/%zz', '/nothing.js', '//']) {
    const { status, body } = await ask(url, address);
    assert.deepEqual([status, body], [404, 'no such file\n'], address);
  }
  const post = await ask(url, '/', { method: 'POST' });
  assert.deepEqual([post.status, post.headers.allow], [405, 'GET, HEAD']);
  assert.equal((await ask(url, '/', { headers: { Host: 'elsewhere.example' } })).status, 403);
  assert.equal((await ask(url, '/', { headers: { Host: `localhost:${new URL(url).port}` } })).status, 200);
  await close();
});

test('on an address of its own the server answers to that address and port alone, on all addresses to any name', async (t) => {
  // Where there is no network, another one of this machine's own.
  const outward = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const host = outward.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.2';
  const { url, close } = await startStudioServer({ ...served, host });
  t.after(close);
  const { port } = new URL(url);
  const status = async (name: string) => (await ask(url, '/', { headers: { Host: name } })).status;
  assert.equal(url, `http://${host}:${port}/`);
  assert.equal((await ask(url, '/')).status, 200);
  assert.equal(await status(`${host}:${port}`), 200);
  for (const name of [host, `${host}:${Number(port) ^ 1}`, `elsewhere.example:${port}`, `localhost:${port}`, '[']) {
    assert.equal(await status(name), 403, name);
  }

  const everywhere = await startStudioServer({ ...served, host: '0.0.0.0' });
  t.after(() => everywhere.close());
  const { port: other } = new URL(everywhere.url);
  const named = await ask(`http://127.0.0.1:${other}/`, '/', { headers: { Host: 'studio.example' } });
  assert.equal(named.status, 200);
});

test('the command says what is missing or taken, and what to do', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  await assert.rejects(startStudioServer({ ...served, port }), /port \d+ is taken/);
  await assert.rejects(startStudioServer({ ...served, host: '192.0.2.1' }), /this machine has no such address/);
  taken.close();

  const failures: [string[], RegExp, number][] = [
    [['--checkpoint', 'missing'], /missing: no such file or folder/, 1],
    [['--checkpoint', 'empty'], /empty: holds no manifest\.json, so it is no exported model/, 1],
    [['--checkpoint', 'model'], /manifest\.json/, 1],
    [['--port', 'many'], /It must be a whole number from 0 to 65535/, 2],
  ];
  for (const [words, message, code] of failures) {
    const result = await dagan(folder, ['studio', ...words]);
    assert.match(result.stderr, message);
    assert.equal(result.code, code, words.join(' '));
  }
});
