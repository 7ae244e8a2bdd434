// `dagan serve`: jobs from a form to a result, what is refused, how they are stopped, and that they outlive the server.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openClip, readMetadata, saveModel, writePicture } from '../src/index.js';
import {
  JobQueue,
  type JobQueueOptions,
  type JobView,
  openApi,
  type ServerOptions,
  startServer,
} from '../src/server/index.js';
import { routes } from '../src/server/routes.js';
import { formulaModel, SMALL_WITHOUT_DEPTH, startDagan } from './cli-run.js';
import { makeMp4, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
await writePicture(path('face.png'), scene(90, 70, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 3 });
await makeMp4(path('long.mp4'), { width: 64, height: 64, frames: 1500 });

const model = { checkpoint: path('quick.safetensors'), threads: 1 };
/** Options of jobs that need no face networks. */
const PLAIN = { crop: 'none', referenceFrame: 'first', size: 64 };

const file = (name: string): Blob => new Blob([readFileSync(path(name))]);

function form(driving: string, options: object = PLAIN): FormData {
  const body = new FormData();
  body.append('portrait', file('face.png'), 'face.png');
  body.append('driving', file(driving), driving);
  body.append('options', JSON.stringify(options));
  return body;
}

type Operation = { responses: Record<string, unknown> };
type Description = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};

/** A server, and how to ask it; every answer must be one that the description names. */
class Client {
  constructor(
    readonly url: string,
    readonly description: Description,
  ) {}

  async ask(address: string, init: RequestInit = {}): Promise<Response> {
    const answer = await fetch(new URL(address, this.url), init);
    const template = address.replace(/(?<=jobs\/)[^/]+/, '{id}');
    const operation = this.description.paths[template]?.[(init.method ?? 'GET').toLowerCase()];
    if (operation)
      assert.ok(`${answer.status}` in operation.responses, `${template}: ${answer.status} is not described`);
    return answer;
  }

  async json<T = JobView>(address: string, init: RequestInit = {}): Promise<T> {
    return (await (await this.ask(address, init)).json()) as T;
  }

  send(body: FormData, headers: Record<string, string> = {}): Promise<JobView> {
    return this.json('/v1/jobs', { method: 'POST', body, headers });
  }

  /** The events of a job until it ends, or as many as asked for. */
  async *events(id: string): AsyncGenerator<{ event: string; data: JobView & { done: number } }> {
    const { body } = await this.ask(`/v1/jobs/${id}/events`);
    let text = '';
    for await (const bytes of body!.pipeThrough(new TextDecoderStream())) {
      text += bytes;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(text.slice(0, end)) ?? [];
        text = text.slice(end + 2);
        if (event !== undefined) yield { event, data: JSON.parse(data!) };
      }
    }
  }

  /** The job once it has finished. */
  async finished(id: string): Promise<JobView> {
    for await (const _ of this.events(id));
    return this.json(`/v1/jobs/${id}`);
  }

  /** Waits until a job has made frames. */
  async working(id: string): Promise<void> {
    for await (const { event, data } of this.events(id)) if (event === 'progress' && data.done > 0) return;
    assert.fail('it finished');
  }
}

let folders = 0;

async function serve(options: Partial<JobQueueOptions> & Pick<ServerOptions, 'token' | 'studio'> = {}) {
  const { token, studio, ...rest } = options;
  const place = rest.folder ?? path(`jobs-${folders++}`);
  const jobs = await JobQueue.open({ model, onFault: console.error, ...rest, folder: place });
  const { url, close } = await startServer({ jobs, token, studio });
  const end = async (): Promise<void> => {
    await close();
    await jobs.close();
  };
  after(end);
  return { client: new Client(url, openApi(jobs.limits) as Description), place, url, jobs, end };
}

const foldersIn = (place: string): string[] => readdirSync(place).filter((name) => name !== 'lock');

test('a portrait and a clip become a job, whose events end with its result, which says that it is synthetic', async () => {
  const { client, place } = await serve();
  const before = await client.send(form('long.mp4')); // it waits for this one until it is watched
  const answer = await client.ask('/v1/jobs', { method: 'POST', body: form('talk.mp4') });
  const { id, driving } = (await answer.json()) as JobView;
  assert.deepEqual([answer.status, answer.headers.get('location'), driving], [202, `/v1/jobs/${id}`, 'talk.mp4']);
  const told: string[] = [];
  for await (const { event, data } of client.events(id)) {
    told.push(event === 'job' ? data.state : event);
    if (told.length === 1) await client.ask(`/v1/jobs/${before.id}`, { method: 'DELETE' });
  }
  assert.deepEqual([told[0], told[1], told.at(-1)], ['queued', 'running', 'done'], told.join());
  assert.ok(told.includes('progress') && told.includes('notice'), told.join());
  const job = await client.json(`/v1/jobs/${id}`);
  assert.deepEqual([job.state, job.result?.frames, job.result?.width, job.attempts], ['done', 3, 64, 1]);
  assert.ok(!JSON.stringify(job).includes(folder), 'nothing is told of this machine');
  const result = await client.ask(`/v1/jobs/${id}/result`);
  assert.equal(result.headers.get('content-type'), 'video/mp4');
  const bytes = Buffer.from(await result.arrayBuffer());
  assert.equal(bytes.length, job.result?.bytes);
  writeFileSync(path('out.mp4'), bytes);
  await using clip = await openClip(path('out.mp4'));
  assert.equal(clip.frameCount, 3);
  assert.equal((await readMetadata(path('out.mp4'))).origin?.system, 'quick');
  const part = await client.ask(`/v1/jobs/${id}/result`, { headers: { Range: 'bytes=4-7' } });
  assert.deepEqual([part.status, await part.text()], [206, 'ftyp']);
  const head = await client.ask(`/v1/jobs/${id}/result`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, `${bytes.length}`]);
  assert.deepEqual(readdirSync(join(place, id)).sort(), ['job.json', 'result.mp4'], 'what was sent is gone');
  const { jobs } = await client.json<{ jobs: JobView[] }>('/v1/jobs');
  assert.deepEqual(
    jobs.map((each) => each.id),
    [id],
  );
  assert.equal((await client.ask(`/v1/jobs/${id}`, { method: 'DELETE' })).status, 204);
  assert.deepEqual(foldersIn(place), []);
});

test('what cannot be a job is refused with a code, and leaves nothing behind', async () => {
  const { client, place, url } = await serve({ limits: { upload: 50_000 } });
  const without = (name: string): FormData => {
    const body = form('talk.mp4');
    body.delete(name);
    return body;
  };
  const changed = (name: string, ...value: [string] | [Blob, string]): FormData => {
    const body = without(name);
    body.append(name, ...(value as [Blob, string]));
    return body;
  };
  const twice = form('talk.mp4');
  twice.append('portrait', file('face.png'), 'face.png');
  const large = new Blob([new Uint8Array(40_000)]);
  const both = changed('portrait', large, 'a.png');
  both.set('driving', large, 'b.mp4');
  const cases: [body: FormData | string | ReadableStream, status: number, code: string][] = [
    [without('portrait'), 400, 'bad-request'],
    [without('driving'), 400, 'bad-request'],
    [twice, 400, 'bad-request'],
    [changed('driving', '../../etc/passwd'), 400, 'bad-request'],
    [changed('driving', path('talk.mp4')), 400, 'bad-request'],
    [changed('other', 'x'), 400, 'bad-request'],
    ['portrait=x', 400, 'bad-request'],
    [changed('portrait', file('face.png'), 'face.exe'), 415, 'unknown-kind'],
    [changed('portrait', file('face.png'), 'nod.motion.safetensors'), 415, 'unknown-kind'],
    [changed('options', '{'), 400, 'bad-options'],
    [changed('options', '{"checkpoint": "/etc/passwd"}'), 400, 'bad-options'],
    [changed('options', '{"background": "/etc/passwd"}'), 400, 'bad-options'],
    [changed('options', '{"size": 100000}'), 400, 'bad-options'],
    [changed('options', '{"crop": {"left": 0, "top": 0, "side": 100000}}'), 400, 'bad-options'],
    [changed('options', '{"start": 5, "end": 5}'), 400, 'bad-options'],
    [both, 413, 'too-large'],
  ];
  for (const [body, status, code] of cases) {
    const answer = await client.ask('/v1/jobs', { method: 'POST', body });
    const { error } = (await answer.json()) as { error: { code: string; message: string } };
    assert.deepEqual([answer.status, error.code], [status, code], error.message);
  }
  const nameless = '--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n';
  const headers = { 'Content-Type': 'multipart/form-data; boundary=b' };
  assert.equal((await client.ask('/v1/jobs', { method: 'POST', body: nameless, headers })).status, 400);
  // A form whose length is not told beforehand, and one that breaks off.
  const head = '--b\r\nContent-Disposition: form-data; name="portrait"; filename="a.png"\r\n\r\n';
  const post = (end: (socket: ReturnType<typeof request>) => void): Promise<number | undefined> =>
    new Promise((resolve) => {
      const chunked = { ...headers, 'Transfer-Encoding': 'chunked' };
      const sent = request(new URL('/v1/jobs', url), { method: 'POST', headers: chunked }, ({ statusCode }) =>
        resolve(statusCode),
      );
      sent.on('error', () => resolve(undefined));
      sent.write(head);
      sent.write(Buffer.alloc(40_000));
      end(sent);
    });
  assert.equal(await post((sent) => sent.write(Buffer.alloc(40_000))), 413);
  assert.equal(await post((sent) => setTimeout(() => sent.destroy(), 50)), undefined);
  for (let i = 0; i < 3000 && foldersIn(place).length > 0; i++) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(foldersIn(place), []);
  for (const [address, code] of [
    ['/v1/jobs/no-such-job', 'no-such-job'],
    ['/v1/jobs/..%2f..%2fetc/result', 'no-such-job'],
    ['/v1/nothing', 'no-such-address'],
    ['/', 'no-such-address'],
  ] as const) {
    const { error } = await client.json<{ error: { code: string } }>(address);
    assert.equal(error.code, code, address);
  }
});

test('a job that fails says why with a code, and without names of folders', async () => {
  const { client } = await serve();
  const outside = await client.send(form('talk.mp4', { ...PLAIN, crop: { left: 900, top: 0, side: 64 } }));
  const { state, error } = await client.finished(outside.id);
  assert.deepEqual(
    [state, error?.code, (error!.values as { path: string }).path],
    ['failed', 'square-outside', 'portrait.png'],
  );
  const huge = await client.send(form('talk.mp4', { ...PLAIN, crop: { left: 0, top: 0, side: 361 } }));
  const { error: refused } = await client.finished(huge.id);
  assert.equal(refused?.code, 'square-outside');
  assert.match(refused!.message, /far larger than the picture, which is 90 x 70; its side is at most 360$/);
  const broken = form('talk.mp4');
  broken.set('portrait', new Blob(['no picture']), 'face.png');
  const damaged = await client.finished((await client.send(broken)).id);
  assert.equal(damaged.error?.code, 'failed');
  assert.match(damaged.error!.message, /^portrait\.png: /);
  assert.equal((await client.ask(`/v1/jobs/${damaged.id}/result`)).status, 409);
});

test('jobs wait for each other, are stopped while they wait or run, and a full queue is said', async () => {
  const { client } = await serve({ limits: { waiting: 2 } });
  const long = await client.send(form('long.mp4'));
  await client.working(long.id);
  const [second, third] = [await client.send(form('talk.mp4')), await client.send(form('talk.mp4'))];
  assert.deepEqual([second.state, second.position, third.position], ['queued', 0, 1]);
  const full = await client.ask('/v1/jobs', { method: 'POST', body: form('talk.mp4') });
  assert.deepEqual([full.status, full.headers.get('retry-after')], [503, '30']);
  const cancel = (id: string): Promise<JobView> => client.json(`/v1/jobs/${id}/cancel`, { method: 'POST' });
  assert.equal((await cancel(second.id)).state, 'cancelled');
  const stopped = await cancel(long.id);
  assert.deepEqual([stopped.state, stopped.result], ['cancelled', undefined]);
  assert.equal((await client.finished(third.id)).state, 'done', 'the next goes on');
  assert.equal((await cancel(third.id)).state, 'done', 'what is done stays');
});

test('a job that takes too long is ended, and one that is old removed', async () => {
  const { client, place, end } = await serve({ limits: { time: 1500 } });
  const { id } = await client.send(form('long.mp4'));
  assert.equal((await client.finished(id)).error?.code, 'timed-out');
  await end();
  const later = await serve({ folder: place, limits: { keep: 0 } });
  assert.equal((await later.client.ask(`/v1/jobs/${id}`)).status, 404);
  assert.deepEqual(foldersIn(place), []);
});

/** The command as a process of its own, once it serves. */
async function command(words: readonly string[], variables = {}): Promise<{ child: ChildProcess; url: string }> {
  const { child, result } = startDagan(folder, ['serve', '--port', '0', ...words, '--json'], variables);
  after(() => child.kill('SIGKILL'));
  for await (const [bytes] of on(child)) {
    const found = /"url":"([^"]+)"/.exec(`${bytes}`);
    if (found) return { child, url: found[1]! };
  }
  return assert.fail((await result).stderr);
}

async function* on(child: ChildProcess): AsyncGenerator<[Buffer]> {
  while (child.exitCode === null) yield (await once(child.stdout!, 'data')) as [Buffer];
}

test('jobs outlive a server that is killed: the one that ran is begun again, the others wait on', async () => {
  const words = ['--folder', 'kept', '--checkpoint', 'quick.safetensors', '--threads', '1'];
  const first = await command(words);
  const description = openApi({ upload: 1, waiting: 1, time: 1, keep: 1 }) as Description;
  const client = new Client(first.url, description);
  const long = await client.send(form('long.mp4'));
  await client.working(long.id);
  const short = await client.send(form('talk.mp4'));
  await assert.rejects(JobQueue.open({ folder: path('kept') }), /process \d+ serves its jobs/);
  first.child.kill('SIGKILL');
  await once(first.child, 'exit');
  const again = await serve({ folder: path('kept') });
  await again.client.working(long.id);
  assert.equal((await again.client.json(`/v1/jobs/${long.id}`)).attempts, 2);
  await again.client.json(`/v1/jobs/${long.id}/cancel`, { method: 'POST' });
  assert.equal((await again.client.finished(short.id)).state, 'done');
  await again.end();
  // A job that ends the server each time is not begun for ever.
  const state = path('kept', long.id, 'job.json');
  writeFileSync(state, JSON.stringify({ ...JSON.parse(readFileSync(state, 'utf8')), state: 'running', attempts: 3 }));
  const { client: last } = await serve({ folder: path('kept') });
  assert.equal((await last.json(`/v1/jobs/${long.id}`)).error?.code, 'interrupted');
});

test('others need the token, pages of other sites are refused, and the studio lies beside the jobs', async () => {
  const token = 'a-token-of-16-letters';
  for (const name of ['index.html', 'manifest.json']) writeFileSync(path(name), '{}');
  const studio = { page: folder, models: [{ name: 'one', folder, files: ['manifest.json'] }] };
  const { client, url, jobs } = await serve({ token, studio });
  assert.equal((await client.ask('/v1/health')).status, 200);
  assert.equal((await client.ask('/v1/openapi.json')).status, 200);
  for (const given of [
    { Authorization: '' },
    { Authorization: 'Bearer another-of-16-letters' },
    { Authorization: `Basic ${token}` },
  ]) {
    const answer = await client.ask('/v1/jobs', { headers: given });
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Bearer']);
  }
  const Authorization = `Bearer ${token}`;
  assert.equal((await client.ask('/v1/jobs', { headers: { Authorization } })).status, 200);
  const foreign = { Authorization, Origin: 'https://elsewhere.example' };
  for (const origin of ['https://elsewhere.example', 'null']) {
    const answer = await client.ask('/v1/jobs', { headers: { ...foreign, Origin: origin } });
    assert.equal(answer.status, 403, origin);
  }
  assert.equal((await client.ask('/v1/jobs', { headers: { Authorization, Origin: url.slice(0, -1) } })).status, 200);
  assert.equal(await (await client.ask('/')).text(), '{}');
  assert.equal((await client.ask('/model/face.png')).status, 404);
  await assert.rejects(startServer({ jobs, host: '0.0.0.0' }), /a token is needed/);
  await assert.rejects(startServer({ jobs, token: 'short' }), /at least 16/);
  const { child, result } = startDagan(folder, [
    'serve',
    '--host',
    '0.0.0.0',
    '--checkpoint',
    'quick.safetensors',
    '--folder',
    'x',
  ]);
  assert.match((await result).stderr, /--token-file/);
  assert.equal(child.exitCode, 1);
});

test('the description names exactly the addresses that there are, and leads nowhere else', async () => {
  const { jobs, client } = await serve();
  const described = Object.entries(client.description.paths).flatMap(([address, operations]) =>
    Object.keys(operations).flatMap((method) =>
      method === 'parameters' ? [] : [`${method.toUpperCase()} ${address}`],
    ),
  );
  const there = routes(jobs, undefined)
    .routes.filter(({ method }) => method !== 'ALL')
    .map(({ method, path: address }) => `${method} ${address.replace(/:(\w+)/g, '{$1}')}`);
  assert.deepEqual(described.sort(), there.sort());
  const document = await client.json<Description>('/v1/openapi.json');
  assert.deepEqual(document, JSON.parse(JSON.stringify(client.description)));
  for (const [, name] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
    assert.ok(document.components.schemas[name!], name);
  }
});

test('the examples of the documentation do what it says', async () => {
  const { client } = await serve();
  const text = readFileSync(fileURLToPath(new URL('../../../../docs/serve.md', import.meta.url)), 'utf8');
  const [, section = ''] = /## An animation\n([\s\S]*?)\n## /.exec(text) ?? [];
  const lines = [...section.matchAll(/^curl .*$/gm)].map(([line]) => line);
  assert.equal(lines.length, 8);
  let id = '';
  for (const line of lines) {
    const words = [...line.matchAll(/'[^']*'|[^ ]+'[^']*'|\S+/g)].map(([word]) => word.replaceAll("'", ''));
    const value = (option: string): string[] => words.filter((_, i) => words[i - 1] === option);
    const body = new FormData();
    for (const part of value('-F')) {
      const [, name, at, given] = /^(\w+)=(@?)(.*)$/.exec(part)!;
      if (at) body.append(name!, file(name === 'portrait' ? 'face.png' : 'talk.mp4'), given);
      else body.append(name!, given!);
    }
    const isForm = [...body].length > 0;
    const method = value('-X')[0] ?? (isForm ? 'POST' : 'GET');
    const address = new URL(words.at(-1)!).pathname.replace('ID', id);
    const answer = await client.ask(address, { method, body: isForm ? body : undefined });
    assert.ok(answer.ok, `${line}: ${answer.status}`);
    if (isForm && id === '') {
      ({ id } = (await answer.json()) as JobView);
      // The pictures of this test show no face, as the example's do.
      assert.equal((await client.finished(id)).error?.code, 'no-face');
      ({ id } = await client.send(form('talk.mp4')));
      await client.finished(id);
    } else await answer.arrayBuffer();
  }
  assert.equal((await client.ask(`/v1/jobs/${id}`)).status, 404, 'the last one removes it');
});
