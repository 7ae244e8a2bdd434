// What is fuzzed: for each target files that are right, and what is done with a damaged one. Whatever comes, the end must be a
// result or an error that names the file in one line.
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { damaged, damagedJson, pick } from './mutate.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = (path) => import(new URL(`../../packages/${path}`, import.meta.url).href);
const portrait = join(root, 'examples', 'portrait.png');

/** Targets by name: `prepare(folder)` makes what is needed once and returns `run(random, keep)`; `keep(name, bytes)` writes an input. */
export const TARGETS = {
  async pictures() {
    const { readPicture } = await built('dagan/dist/src/media/index.js');
    const small = sharp(portrait).resize(48, 40);
    const kinds = ['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'];
    const seeds = await Promise.all(kinds.map((kind) => small.clone().toFormat(kind).toBuffer()));
    return async (random, keep) => {
      const at = Math.floor(random() * kinds.length);
      await readPicture(await keep(`picture.${kinds[at]}`, damaged(seeds[at], random)));
    };
  },

  async clips(folder) {
    const { createClipWriter, openClip, readPicture, resizePicture } = await built('dagan/dist/src/media/index.js');
    const picture = resizePicture(await readPicture(portrait), 64, 48);
    const kinds = ['mp4', 'mov', 'webm', 'mkv', 'gif', 'webp'];
    const seeds = [];
    for (const kind of kinds) {
      const path = join(folder, `whole.${kind}`);
      const writer = await createClipWriter(path, { width: 64, height: 48, frameRate: 25 });
      for (let i = 0; i < 6; i++) await writer.add(picture);
      await writer.finish();
      seeds.push(await readFile(path));
    }
    return async (random, keep) => {
      const at = Math.floor(random() * kinds.length);
      const clip = await openClip(await keep(`clip.${kinds[at]}`, damaged(seeds[at], random)));
      try {
        for await (const _frame of clip.frames());
      } finally {
        await clip.close();
      }
    };
  },

  async checkpoints(folder) {
    const { openCheckpoint, writeSafetensors } = await built('libtorch/dist/src/checkpoint/index.js');
    const own = join(folder, 'own.safetensors');
    const data = new Float32Array(12);
    writeSafetensors(own, [{ name: 'a.weight', dtype: 'float32', shape: [3, 4], data }], { format: 'x', config: '{}' });
    const fixtures = join(root, 'packages', 'libtorch', 'test', 'fixtures');
    const names = (await readdir(fixtures)).filter((name) => name.endsWith('.pth'));
    const seeds = await Promise.all([own, ...names.map((name) => join(fixtures, name))].map((path) => readFile(path)));
    return async (random, keep) => {
      const file = openCheckpoint(await keep('model.pth', damaged(pick(random, seeds), random)));
      for (const record of file.tensors.values()) record.read();
    };
  },

  async exported(folder) {
    const [{ formulaModel, SMALL_WITHOUT_DEPTH }, { exportModel, readManifest, exportedFiles, checkExportedFile }] =
      await Promise.all([built('dagan/dist/test/cli-run.js'), built('dagan/dist/src/export/index.js')]);
    const whole = join(folder, 'whole');
    await exportModel(formulaModel(SMALL_WITHOUT_DEPTH), whole);
    const names = await readdir(whole);
    const copy = join(folder, 'copy');
    await cp(whole, copy, { recursive: true });
    return async (random, keep) => {
      const name = random() < 0.6 ? 'manifest.json' : pick(random, names);
      const bytes = await readFile(join(whole, name));
      const changed = name === 'manifest.json' ? damagedJson(bytes.toString(), random) : damaged(bytes, random);
      await keep(name, changed);
      await writeFile(join(copy, name), changed);
      try {
        for (const file of exportedFiles(readManifest(copy))) checkExportedFile(copy, file);
      } finally {
        await writeFile(join(copy, name), bytes);
      }
    };
  },

  async datasets(folder) {
    const { openDataset, prepareFrames } = await built('dagan/dist/src/data/index.js');
    const picture = await sharp(portrait).resize(32, 32).png().toBuffer();
    const set = join(folder, 'set');
    for (const clip of ['anna#1', 'ben#1']) {
      await mkdir(join(set, 'train', clip), { recursive: true });
      for (let i = 0; i < 3; i++) await writeFile(join(set, 'train', clip, `${i}.png`), picture);
    }
    const entry = (file) => ({ file, identity: file.slice(6, 9), tier: 'A', motion: 0.5 });
    const index = JSON.stringify(['train/anna#1', 'train/ben#1'].map(entry));
    const list = 'file,identity,tier\ntrain/anna#1,anna,A\n"train/ben#1",ben,B\n';
    const whole = { 'index.json': index, 'list.csv': list, 'train/anna#1/1.png': picture };
    const cacheFolder = join(folder, 'cache');
    return async (random, keep) => {
      const name = pick(random, ['index.json', 'index.json', 'list.csv', 'train/anna#1/1.png']);
      const bytes = name === 'index.json' ? damagedJson(index, random) : damaged(Buffer.from(whole[name]), random);
      await keep(basename(name), bytes);
      await writeFile(join(set, 'list.csv'), list);
      await writeFile(join(set, name), bytes);
      try {
        const listed = random() < 0.5 || name === 'list.csv' ? { list: join(set, 'list.csv') } : {};
        await prepareFrames(await openDataset(set, listed), { cacheFolder, size: 32 });
      } finally {
        await writeFile(join(set, name), whole[name]);
      }
    };
  },

  async requests(folder) {
    const { JobQueue, startServer } = await built('dagan/dist/src/server/index.js');
    const [page, model] = [join(folder, 'page'), join(folder, 'model')];
    for (const place of [page, model]) await mkdir(place);
    await writeFile(join(page, 'index.html'), '<!doctype html>');
    await writeFile(join(model, 'manifest.json'), '{}');
    await writeFile(join(model, 'private.txt'), 'SECRET');
    await writeFile(join(folder, 'secret.txt'), 'SECRET');
    const jobs = await JobQueue.open({ folder: join(folder, 'jobs'), limits: { upload: 10_000 } });
    const { url } = await startServer({
      studio: { page, models: [{ name: 'one', folder: model, files: ['manifest.json'] }] },
      jobs,
    });
    const { host, port } = new URL(url);
    const asks = [
      ...[
        '/',
        '/index.html',
        '/model/manifest.json',
        '/../secret.txt',
        '/model/private.txt',
        '/model/..%2fprivate.txt',
      ],
      ...['/%2e%2e/secret.txt', '/model/%00', '//secret.txt', '/\\..\\secret.txt', `/${'a/../'.repeat(50)}secret.txt`],
    ].map((path) =>
      Buffer.from(
        `${pick(Math.random, ['GET', 'HEAD'])} ${path} HTTP/1.1\r\nHost: ${host}\r\nRange: bytes=0-3\r\n` +
          'Accept-Encoding: br, gzip\r\nConnection: close\r\n\r\n',
      ),
    );
    // Its options are refused, so that no job comes of it.
    const form = ['portrait"; filename="../../a.png', 'driving', 'options']
      .map(
        (name, i) =>
          `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${['png', 'nod', '{"size":1}'][i]}\r\n`,
      )
      .join('');
    asks.push(
      Buffer.from(
        `POST /v1/jobs HTTP/1.1\r\nHost: ${host}\r\nContent-Type: multipart/form-data; boundary=b\r\n` +
          `Content-Length: ${form.length + 7}\r\nConnection: close\r\n\r\n${form}--b--\r\n`,
      ),
      ...['/v1/jobs/x', '/v1/jobs/../../secret.txt/result', '/v1/jobs/%2e%2e/events'].map((path) =>
        Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      ),
    );
    return async (random, keep) => {
      const request = damaged(pick(random, asks), random);
      await keep('request.txt', request);
      const answer = await exchange(Number(port), request, 300);
      if (answer.includes('SECRET')) throw new Error('a private file was given away');
      if (answer !== '' && !/^HTTP\/1\.1 [1-4]\d\d /.test(answer)) throw new Error(`answered: ${answer.slice(0, 60)}`);
      const whole = Buffer.from(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      const still = await exchange(Number(port), whole, 30_000);
      if (!still.startsWith('HTTP/1.1 200 '))
        throw new Error(`afterwards the page is not served: ${still.slice(0, 60)}`);
    };
  },
};

/** What comes back for these bytes, within so many milliseconds: a request may not be complete. */
function exchange(port, bytes, limit) {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    const patience = setTimeout(() => socket.destroy(), limit);
    socket.setEncoding('latin1').on('data', (text) => {
      answer += text;
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(patience);
      resolve(answer);
    });
  });
}
