// `dagan serve` when something goes wrong around a job: full disks, clients that go away, servers that end or share a folder.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { after, mock, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { saveModel, writePicture } from '../src/index.js';
import { JobQueue, type JobQueueOptions, type JobView, startServer } from '../src/server/index.js';
import { daganOnFullDisk, formulaModel, SMALL_WITHOUT_DEPTH, startDagan, startOnFullDisk } from './cli-run.js';
import { makeMp4, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
await writePicture(path('face.png'), scene(90, 70, 3));
await makeMp4(path('talk.mp4'), { width: 96, height: 64, frames: 3 });
await makeMp4(path('long.mp4'), { width: 64, height: 64, frames: 1500 });

/** Milliseconds for which anything is waited for, at most: busy machines are slow. */
const PATIENCE = 120_000;

const model = { checkpoint: path('quick.safetensors'), threads: 1 };

function send(url: string, driving: string, more: { signal?: AbortSignal; options?: object } = {}): Promise<Response> {
  const body = new FormData();
  body.append('portrait', new Blob([readFileSync(path('face.png'))]), 'face.png');
  body.append('driving', new Blob([readFileSync(path(driving))]), driving);
  body.append('options', JSON.stringify({ crop: 'none', referenceFrame: 'first', size: 64, ...more.options }));
  return fetch(new URL('/v1/jobs', url), { method: 'POST', body, signal: more.signal });
}

async function serve(name: string, limits: JobQueueOptions['limits'] = {}) {
  const faults: string[] = [];
  const onFault = (message: string): unknown => faults.push(message);
  const jobs = await JobQueue.open({ model, folder: path(name), limits, onFault });
  const { url, close } = await startServer({ jobs });
  after(async () => {
    await close();
    await jobs.close();
  });
  const begin = async (driving: string): Promise<string> => ((await (await send(url, driving)).json()) as JobView).id;
  return { jobs, url, faults, begin };
}

/** Waits until a job is told to be in a state, or to make frames. */
async function reach(jobs: JobQueue, id: string, wanted: 'working' | 'done'): Promise<void> {
  for await (const { event, data } of jobs.events(id, new AbortController().signal)) {
    if (event === 'progress' ? wanted === 'working' && data.done > 0 : event === 'job' && data.state === wanted) return;
  }
  assert.fail(`it is not ${wanted}`);
}

test('a job whose state cannot be written is stopped and removed all the same, also by two at once', async () => {
  const { jobs, url, faults, begin } = await serve('full');
  const id = await begin('long.mp4');
  await reach(jobs, id, 'working');
  const state = path('full', id, 'job.json');
  rmSync(state);
  mkdirSync(join(state, 'in-the-way'), { recursive: true });
  const cancelled = await fetch(new URL(`/v1/jobs/${id}/cancel`, url), { method: 'POST' });
  assert.equal(((await cancelled.json()) as JobView).state, 'cancelled');
  assert.equal(faults.length, 1, faults.join());
  const remove = (): Promise<void> => jobs.remove(id);
  await Promise.all([remove(), remove()]);
  assert.deepEqual([existsSync(path('full', id)), jobs.list()], [false, []]);
});

test('a request whose folder cannot be made, or whose client goes away meanwhile, gives its place back', async () => {
  const { jobs, url } = await serve('places', { waiting: 1 });
  const create = jobs.folder.create.bind(jobs.folder);
  jobs.folder.create = () => Promise.reject(new Error('no space'));
  assert.equal((await send(url, 'talk.mp4')).status, 500);
  const stop = new AbortController();
  jobs.folder.create = async () => {
    stop.abort();
    await sleep(200);
    return create();
  };
  await assert.rejects(send(url, 'talk.mp4', { signal: stop.signal }));
  jobs.folder.create = create;
  let answer = await send(url, 'talk.mp4');
  for (
    const end = Date.now() + PATIENCE;
    answer.status === 503 && Date.now() < end;
    answer = await send(url, 'talk.mp4')
  )
    await sleep(50);
  await reach(jobs, ((await answer.json()) as JobView).id, 'done');
});

test('a download that is ended early is no fault', async () => {
  const { jobs, url, faults, begin } = await serve('early');
  const id = await begin('talk.mp4');
  await reach(jobs, id, 'done');
  writeFileSync(jobs.result(id), Buffer.alloc(50e6));
  const stop = new AbortController();
  const answer = await fetch(new URL(`/v1/jobs/${id}/result`, url), { signal: stop.signal });
  await answer.body!.getReader().read();
  stop.abort();
  await sleep(200);
  assert.deepEqual(faults, []);
  assert.equal((await fetch(new URL('/v1/health', url))).status, 200);
});

test('a server that is ended in order leaves its job waiting, and no attempt counts', async () => {
  const words = ['serve', '--port', '0', '--folder', 'ended', '--checkpoint', 'quick.safetensors', '--threads', '1'];
  const { child, result } = startDagan(folder, words);
  after(() => child.kill('SIGKILL'));
  const [url] = (await once(child.stdout!, 'data')) as [string];
  const { id } = (await (await send(url.trim(), 'long.mp4')).json()) as JobView;
  const job = (): JobView => JSON.parse(readFileSync(path('ended', id, 'job.json'), 'utf8')) as JobView;
  for (const end = Date.now() + PATIENCE; job().state !== 'running' && Date.now() < end; ) await sleep(20);
  assert.deepEqual([job().state, job().attempts], ['running', 1]);
  child.kill('SIGTERM');
  assert.equal((await result).code, 143);
  assert.deepEqual([job().state, job().attempts, existsSync(path('ended', 'lock'))], ['queued', 0, false]);
});

test('a disk that takes no more is told with the folder, and no lock is left that would keep the next server out', async () => {
  const { code, stderr } = await daganOnFullDisk(folder, ['serve', '--port', '0', '--folder', 'no-room'], 0);
  assert.equal(code, 1);
  assert.match(stderr, /^dagan: .*no-room: cannot be written to: /m);
  assert.ok(!existsSync(path('no-room', 'lock')));
});

test('on a full disk requests and jobs fail with a code, nothing half-written is left, and the server lives on', async () => {
  writeFileSync(path('server.log'), Buffer.alloc(4096)); // as much as files may have here: nothing can be printed either
  writeFileSync(path('large.mp4'), Buffer.alloc(20_000));
  const words = ['serve', '--port', '0', '--folder', 'tight', '--checkpoint', 'quick.safetensors', '--threads', '1'];
  const { child, result } = startOnFullDisk(folder, words, 8, '2>> server.log');
  after(() => child.kill('SIGKILL'));
  const [url] = (await once(child.stdout!, 'data')) as [string];
  const ask = async <T>(address: string): Promise<T> => (await (await fetch(new URL(address, url))).json()) as T;
  const finished = async (more: Parameters<typeof send>[2] = {}): Promise<JobView> => {
    const { id } = (await (await send(url, 'talk.mp4', more)).json()) as JobView;
    await (await fetch(new URL(`/v1/jobs/${id}/events`, url))).text();
    return ask(`/v1/jobs/${id}`);
  };
  const refused = await send(url, 'large.mp4');
  const { error } = (await refused.json()) as { error: { code: string } };
  assert.deepEqual([refused.status, error.code, refused.headers.get('retry-after')], [507, 'disk-full', '30']);
  assert.deepEqual(readdirSync(path('tight')), ['lock'], 'nothing is left of it');
  const failed: string[] = [];
  for (const format of ['webp', 'mp4']) {
    const job = await finished({ options: { format, size: 1024 } });
    const reason = /^result\.\w+: cannot be written: the file grew larger than the system allows$/;
    assert.deepEqual([job.state, job.error?.code, job.result], ['failed', 'disk-full', undefined]);
    assert.match(job.error!.message, reason);
    assert.equal((await fetch(new URL(`/v1/jobs/${job.id}/result`, url))).status, 409);
    assert.deepEqual(readdirSync(path('tight', job.id)), ['job.json']);
    failed.push(job.id);
  }
  const { id, state } = await finished();
  assert.equal(state, 'done', 'what there is room for is made');
  assert.deepEqual(await ask('/v1/health'), await ask('/v1/health'));
  child.kill('SIGTERM');
  assert.equal((await result).code, 143);
  const { jobs } = await serve('tight');
  const states = jobs.list().map((job) => [job.id, job.state]);
  assert.deepEqual(states, [...failed.map((each) => [each, 'failed']), [id, 'done']]);
  assert.ok(existsSync(jobs.result(id)));
});

/** Lets files of jobs that are done be written where this says so; else the disk is full. */
function limitRoom(mayWrite: () => boolean): void {
  const write = files.writeFile;
  mock.method(files, 'writeFile', async (...given: Parameters<typeof write>) => {
    if (!`${given[1]}`.includes('"state": "done"') || mayWrite()) return write(...given);
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  });
  syncBuiltinESMExports();
}

test('where the disk is full when a job ends, what was sent makes room for its state, which else is written later', async () => {
  after(() => {
    mock.restoreAll();
    syncBuiltinESMExports();
  });
  const first = await serve('narrow');
  const stored = (id: string): string => JSON.parse(readFileSync(path('narrow', id, 'job.json'), 'utf8')).state;
  let id = '';
  limitRoom(() => !existsSync(path('narrow', id, 'portrait.png')));
  id = await first.begin('talk.mp4');
  await reach(first.jobs, id, 'done');
  assert.deepEqual([stored(id), first.faults], ['done', []]);
  let room = false;
  limitRoom(() => room);
  const late = await first.begin('talk.mp4');
  await reach(first.jobs, late, 'done');
  assert.deepEqual([stored(late), first.faults.length], ['running', 1]);
  assert.match(first.faults[0]!, /job\.json: cannot be written: the disk is full$/);
  room = true;
  await first.jobs.close();
  assert.equal(stored(late), 'done');
  const { jobs } = await serve('narrow');
  assert.deepEqual(
    jobs.list().map((job) => [job.id, job.state, job.attempts]),
    [id, late].map((each) => [each, 'done', 1]),
  );
  assert.ok(existsSync(jobs.result(late)));
});

test('what a server left half-written is removed by the next, and a job that cannot be read keeps none from starting', async () => {
  const first = await serve('left', { waiting: 5 });
  const [id, damaged] = [await first.begin('talk.mp4'), await first.begin('talk.mp4')];
  await reach(first.jobs, id, 'done');
  await reach(first.jobs, damaged, 'done');
  await first.jobs.close();
  writeFileSync(path('left', id, '.result.mp4.1-00000000.part'), 'half');
  writeFileSync(path('left', damaged, 'job.json'), '{');
  const { jobs, faults } = await serve('left');
  assert.deepEqual(
    jobs.list().map((job) => job.id),
    [id],
  );
  assert.deepEqual(readdirSync(path('left', id)).sort(), ['job.json', 'result.mp4']);
  assert.match(faults.join(), /job\.json: cannot be read: [^,]*$/);
  assert.ok(existsSync(path('left', damaged)));
});

test('a folder has one server: in this process, in others, and on other machines', async () => {
  const place = path('shared');
  const lock = join(place, 'lock');
  const open = (): Promise<JobQueue> => JobQueue.open({ folder: place });
  const first = await open();
  await assert.rejects(open(), /process \d+ serves its jobs/);
  await first.close();
  const left = (host: string, pid: number): void => writeFileSync(lock, JSON.stringify({ host, pid, nonce: 'other' }));
  left(hostname(), process.pid); // of a process that has ended, in a container of the same number
  const second = await open();
  await first.close();
  assert.ok(existsSync(lock), "another queue's lock stays");
  await second.close();
  left(hostname(), process.ppid);
  await assert.rejects(open(), /process \d+ serves its jobs/);
  const longAgo = new Date(Date.now() - 601_000);
  utimesSync(lock, longAgo, longAgo);
  const third = await open(); // the number is another program's by now
  await third.close();
  left('elsewhere', process.pid);
  await assert.rejects(open(), /process \d+ on elsewhere serves its jobs/);
  const past = new Date(Date.now() - 61_000);
  utimesSync(lock, past, past);
  await (await open()).close();
  assert.ok(!existsSync(lock));
});
