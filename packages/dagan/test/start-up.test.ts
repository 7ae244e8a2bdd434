// Before the first frame: parts that do not need each other go on beside each other, and errors are those that one after the other
// would give.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { writePicture } from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { Beside } from '../src/pipelines/beside.js';
import { type AnimateClipOptions, animateClip, animateClips, type PipelineEvent } from '../src/pipelines/index.js';
import { formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { makeMp4, names, scene, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
await writeFile(path('broken.safetensors'), 'no model');
await writeFile(path('broken.mp4'), 'no video');
await writePicture(path('nobody.png'), scene(90, 70, 3));
await makeMp4(path('nobody.mp4'), { width: 96, height: 64, frames: 8 });

const STARTER = fileURLToPath(new URL('../../../../weights/starter', import.meta.url));

const QUICK = { checkpoint: path('quick.safetensors'), device: 'cpu', precision: 'float32', threads: 1 } as const;

const order = (more: Partial<AnimateClipOptions>): AnimateClipOptions => ({
  ...{ portrait: example('portrait.png'), driving: example('driving.mp4'), output: path('out.gif'), size: 32 },
  ...QUICK,
  ...more,
});

test('of several mistakes that is told which comes first: portrait, clip, model, the faces of both', async () => {
  const [noFile, noVideo, nobody] = [path('none.png'), path('broken.mp4'), path('nobody.png')];
  const checkpoint = path('broken.safetensors');
  const cases: [options: Partial<AnimateClipOptions>, message: RegExp][] = [
    [{ portrait: noFile, driving: noVideo, checkpoint }, /none\.png/],
    [{ portrait: nobody, driving: noVideo, checkpoint }, /broken\.mp4/],
    [{ portrait: nobody, driving: path('nobody.mp4'), checkpoint }, /broken\.safetensors/],
    [{ portrait: nobody, driving: path('nobody.mp4') }, /nobody\.png: no face is found/],
    [{ driving: path('nobody.mp4') }, /nobody\.mp4: no face is found/],
  ];
  const processes: ChildProcess[] = [];
  const count = (message: unknown): void => void processes.push((message as { process: ChildProcess }).process);
  subscribe('child_process', count);
  try {
    const before = await names(folder);
    for (const [options, message] of cases) {
      await assert.rejects(animateClip(order(options)), (error: Error) => {
        assert.match(error.message, message);
        return true;
      });
    }
    assert.deepEqual(await names(folder), before);
  } finally {
    unsubscribe('child_process', count);
  }
  assert.ok(processes.length >= 4);
  for (const { exitCode, signalCode } of processes) assert.ok(exitCode !== null || signalCode !== null, 'it has ended');
});

test('what is wrong with the model is told alone, and nothing is told once an animation has failed', async () => {
  const events: PipelineEvent[] = [];
  const onEvent = (event: PipelineEvent): void => void events.push(event);
  await assert.rejects(animateClip(order({ checkpoint: path('broken.safetensors'), onEvent })), /broken\.safetensors/);
  assert.deepEqual(events, []);
  const loading = { checkpoint: STARTER, engine: 'onnx', precision: undefined, threads: 2 } as const; // takes longer than the clip
  await assert.rejects(animateClip(order({ ...loading, driving: path('broken.mp4'), onEvent })), /broken\.mp4/);
  const { length } = events;
  await sleep(1500);
  assert.equal(events.length, length);
});

test("a clip whose search was stopped for another portrait's sake is looked through again for the next", async () => {
  const driving = example('driving.mp4');
  const outcomes = await animateClips(
    [
      { portrait: path('nobody.png'), driving, output: path('a.gif') },
      { portrait: example('portrait.png'), driving, output: path('b.gif') },
    ],
    { ...QUICK, start: 30, end: 42, size: 32, frameRate: 5 },
  );
  assert.ok('error' in outcomes[0]! && /no face/.test((outcomes[0].error as Error).message));
  assert.ok('result' in outcomes[1]! && outcomes[1].result.frames > 0 && outcomes[1].result.faceSeconds > 0);
});

test('parts go on beside each other; the end waits for them, stops them, and closes what they have opened', async () => {
  const told: string[] = [];
  const opened = async (name: string, milliseconds: number): Promise<AsyncDisposable> => {
    await sleep(milliseconds);
    return { [Symbol.asyncDispose]: async () => void told.push(`${name} is closed`) };
  };
  const whole = async (): Promise<void> => {
    await using parts = new Beside();
    parts.begin(async (signal) => {
      while (!signal.aborted) await sleep(1);
      told.push('stopped');
    });
    parts.begin(() => Promise.reject(new Error('nobody asks for this one')));
    const first = parts.open(() => opened('first', 1));
    parts.open(() => opened('second', 40));
    await first;
    await parts.begin(() => Promise.reject(new Error('wrong')));
  };
  await assert.rejects(whole(), /^Error: wrong$/);
  assert.deepEqual(told, ['stopped', 'second is closed', 'first is closed']);
  const outer = new AbortController();
  await using parts = new Beside(outer.signal);
  const reason = parts.begin(async (signal) => {
    while (!signal.aborted) await sleep(1);
    return signal.reason;
  });
  outer.abort('enough');
  assert.equal(await reason, 'enough');
});
