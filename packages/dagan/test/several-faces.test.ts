// Several faces of one picture at once: each moves as it would alone, and none overwrites another.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadLibtorchEngine } from '../src/animation/engines/index.js';
import { type Engine, facesFromLeft, forReaders, inStep } from '../src/animation/index.js';
import { FaceAnalyzer, type FaceMesh, type Square } from '../src/faces/index.js';
import { cropPicture, type Picture, readPicture, resizePicture, writePicture } from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { type AnimateFacesOptions, animateFaces, DaganError, type PipelineEvent } from '../src/pipelines/index.js';
import { JobQueue, type JobView, startServer } from '../src/server/index.js';
import { dagan, formulaModel, SMALL_WITHOUT_DEPTH } from './cli-run.js';
import { collage, inspect, names, scene, temporaryFolder } from './media-fixtures.js';

const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));
const folder = await temporaryFolder();
const path = (...parts: string[]): string => join(folder, ...parts);
saveModel(path('quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
const analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
after(() => analyzer.close());

// Two heads as near to each other as people stand: the square of each holds a part of the other's face.
const head = cropPicture(resizePicture(await readPicture(example('portrait.png')), 256, 256), {
  ...{ left: 58, top: 0 },
  ...{ width: 140, height: 256 },
});
const pair = collage(300, 256, [
  [head, 0, 0],
  [resizePicture(head, 126, 230), 150, 26],
]);
await writePicture(path('pair.png'), pair);

const order = (output: string, more: Partial<AnimateFacesOptions> = {}): AnimateFacesOptions => ({
  ...{ portrait: path('pair.png'), drivings: [example('driving.mp4')], output: path(output) },
  ...{ checkpoint: path('quick.safetensors'), engine: 'libtorch', device: 'cpu', precision: 'float32', threads: 1 },
  ...{ referenceFrame: 'first', start: 100, end: 103 },
  ...more,
});

const frames = async (name: string): Promise<Picture[]> =>
  Promise.all((await names(path(name))).map((file) => readPicture(path(name, file))));

/** The largest difference between two pictures in the ellipse of a face. */
function furthestIn(a: Picture, b: Picture, { box }: FaceMesh): number {
  let most = 0;
  for (let y = 0; y < a.height; y++) {
    for (let x = 0; x < a.width; x++) {
      const [across, down] = [(x + 0.5 - box.left) / box.width - 0.5, (y + 0.5 - box.top) / box.height - 0.5];
      if (Math.hypot(across, down) > 0.5) continue;
      for (let at = 3 * (y * a.width + x), i = 0; i < 3; i++) {
        most = Math.max(most, Math.abs(a.data[at + i]! - b.data[at + i]!));
      }
    }
  }
  return most;
}

test('faces side by side move as each would alone, by drivers of their own, and none overwrites the other', async () => {
  const faces = await facesFromLeft(analyzer, pair);
  assert.equal(faces.length, 2);
  const [clip, still] = [example('driving.mp4'), example('portrait.png')];
  const squares: Square[] = [];
  const onEvent = (event: PipelineEvent): void => {
    if (event.type === 'notice' && event.code === 'face-square') squares.push(event.values.square);
  };
  const drivings = [clip, still];
  const both = await animateFaces(order('both/', { drivings, motion: 'absolute', onEvent }));
  assert.deepEqual([both.faces, both.frames, both.width, both.height], [2, 3, 300, 256]);
  assert.ok(squares[0]!.left + squares[0]!.side > squares[1]!.left + 100, 'the squares overlap');
  await animateFaces(order('left/', { drivings: [clip], faces: [1], motion: 'absolute' }));
  await animateFaces(order('right/', { drivings: [still], faces: [2], start: undefined, end: undefined }));
  const [together, left, right] = [await frames('both'), await frames('left'), await frames('right')];
  assert.deepEqual([together.length, left.length, right.length], [3, 3, 1], 'a picture drives all along');
  for (const [i, frame] of together.entries()) {
    assert.ok(furthestIn(frame, left[i]!, faces[0]!) <= 1, `frame ${i}: the left face is as it is alone`);
    assert.ok(furthestIn(frame, right[0]!, faces[1]!) <= 1, `frame ${i}: the right face is as it is alone`);
    assert.ok(furthestIn(frame, pair, faces[0]!) > 20 && furthestIn(frame, pair, faces[1]!) > 20, 'both are animated');
  }
  assert.ok(furthestIn(left[0]!, pair, faces[1]!) > 20, "alone, the left face's square reaches into the right one's");
  // In the other order the drivers change places.
  const swapped = { drivings: drivings.toReversed(), faces: [2, 1], motion: 'absolute' } as const;
  await animateFaces(order('swapped/', swapped));
  assert.deepEqual((await frames('swapped'))[1], together[1]);
});

test('one driver moves all faces from one reading of the clip, and one face alone is what --paste-back gives', async () => {
  const common = ['--checkpoint', 'quick.safetensors', '--precision', 'float32', '--start', '100', '--end', '102'];
  const words = ['animate', 'pair.png', example('driving.mp4'), ...common];
  const all = await dagan(folder, [...words, '-o', 'all.mp4', '--faces', 'all', '--json']);
  assert.equal(all.code, 0, all.stderr);
  const told = all.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const { message, faces, drivings, frames: count } = told.at(-1)!;
  assert.deepEqual([faces, count, drivings], [2, 2, [example('driving.mp4')]]);
  assert.match(`${message}`, /^all\.mp4: 2 faces, 2 frames of 300 x 256 in /);
  assert.equal((await inspect(path('all.mp4'))).tags.title, 'Synthetic media');
  const one = await dagan(folder, [...words, '-o', 'one/', '--faces', '2', '--reference-frame', 'first']);
  const plain = await dagan(folder, [
    ...[...words, '-o', 'plain/', '--face', '2', '--paste-back'],
    ...['--reference-frame', 'first'],
  ]);
  assert.deepEqual([one.code, plain.code], [0, 0], one.stderr + plain.stderr);
  assert.deepEqual(await frames('one'), await frames('plain'));
});

test('of a driver with several people each face is moved by the one that is named, in the library, by the command and over HTTP', async () => {
  const faces = await facesFromLeft(analyzer, pair);
  const other = cropPicture(resizePicture(await readPicture(example('mona-lisa.jpg')), 256, 256), {
    ...{ left: 28, top: 0 },
    ...{ width: 200, height: 256 },
  });
  const couple = collage(400, 256, [
    [other, 0, 0],
    [head, 230, 0],
  ]);
  await writePicture(path('couple.png'), couple);
  assert.equal((await facesFromLeft(analyzer, couple)).length, 2);
  const stills = { drivings: [path('couple.png')], start: undefined, end: undefined };
  const by = (face: number): Partial<AnimateFacesOptions> => ({ ...stills, drivingCrop: { kind: 'auto', face } });
  await animateFaces(order('crossed.png', { ...stills, drivingFaces: [2, 1] }));
  await animateFaces(order('alone-1.png', { ...by(2), faces: [1] }));
  await animateFaces(order('alone-2.png', { ...by(1), faces: [2] }));
  await animateFaces(order('all-by-1.png', by(1)));
  const [crossed, first, second, same] = await Promise.all(
    ['crossed', 'alone-1', 'alone-2', 'all-by-1'].map((name) => readPicture(path(`${name}.png`))),
  );
  assert.ok(furthestIn(crossed!, first!, faces[0]!) <= 1, 'the left face is moved by the second person');
  assert.ok(furthestIn(crossed!, second!, faces[1]!) <= 1, 'and the right one by the first');
  assert.ok(furthestIn(crossed!, same!, faces[0]!) > 1, 'the two move it differently');

  const words = ['animate', 'pair.png', 'couple.png', '--driving-face', '2,1', '--checkpoint', 'quick.safetensors'];
  const exact = ['--engine', 'libtorch', '--device', 'cpu', '--precision', 'float32', '--threads', '1'];
  const run = await dagan(folder, [...words, ...exact, '--faces', 'all', '-o', 'command.png']);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(await readPicture(path('command.png')), crossed);
  const alone = await dagan(folder, [...words, '-o', 'x.png']);
  assert.match(`${alone.code} ${alone.stderr}`, /^2 dagan: several numbers after --driving-face go with --faces$/m);
  const three = await dagan(folder, [
    ...words,
    'couple.png',
    '--faces',
    'all',
    '--driving-face',
    '1,2,3',
    '-o',
    'x.png',
  ]);
  assert.match(
    `${three.code} ${three.stderr}`,
    /^2 dagan: there are 2 drivers, and a face is named of 3; name one of each/m,
  );

  const { checkpoint, engine, device, precision, threads } = order('');
  const jobs = await JobQueue.open({ folder: path('jobs'), model: { checkpoint, engine, device, precision, threads } });
  const { url, close } = await startServer({ jobs });
  after(async () => {
    await close();
    await jobs.close();
  });
  const send = (options: object): Promise<Response> => {
    const body = new FormData();
    for (const [part, name] of [
      ['portrait', 'pair.png'],
      ['driving', 'couple.png'],
    ] as const) {
      body.append(part, new Blob([readFileSync(path(name))]), name);
    }
    body.append('options', JSON.stringify(options));
    return fetch(new URL('/v1/jobs', url), { method: 'POST', body });
  };
  for (const options of [
    { faces: 'all', face: 1 },
    { faces: [1, 1] },
    { drivingFaces: [1, 2] },
    { faces: 'all', drivingFaces: [1, 2], drivingFace: 1 },
  ]) {
    assert.equal((await send(options)).status, 400, JSON.stringify(options));
  }
  const { id } = (await (await send({ faces: 'all', drivingFaces: [2, 1], format: 'png' })).json()) as JobView;
  for await (const _ of jobs.events(id, new AbortController().signal));
  const { state, result, error } = jobs.get(id);
  assert.deepEqual([state, result?.faces, result?.width], ['done', 2, 300], error?.message);
  assert.deepEqual(await readPicture(jobs.result(id)), crossed);
});

test('what cannot be animated is said before anything is written: faces, drivers, clips', async () => {
  await writePicture(path('nobody.png'), scene(90, 70, 3));
  const before = await names(folder);
  const clip = example('driving.mp4');
  const cases: [more: Partial<AnimateFacesOptions>, code: string, message: RegExp][] = [
    [{ portrait: path('nobody.png') }, 'no-face', /nobody\.png: no face is found in it$/],
    [{ faces: [1, 3] }, 'no-such-face', /there is no face 3, as it shows 2 faces/],
    [
      { drivings: [clip, clip, clip] },
      'faces-and-drivers',
      /pair\.png: 2 faces are to be animated, and there are 3 drivers/,
    ],
    [
      { faces: [2], drivings: [clip, clip] },
      'faces-and-drivers',
      /one face is to be animated, and there are 2 drivers/,
    ],
    [{ portrait: clip, drivings: [example('portrait.png')] }, 'faces-of-clip', /driving\.mp4: is no single picture/],
  ];
  for (const [more, code, message] of cases) {
    await assert.rejects(animateFaces(order('x.mp4', more)), (error: unknown) => {
      assert.ok(error instanceof DaganError);
      assert.equal(error.code, code);
      assert.match(error.message, message);
      return true;
    });
  }
  assert.deepEqual(await names(folder), before);
  for (const [words, said] of [
    [['--faces', '1,1'], /It must be all, or different numbers/],
    [['--faces', 'all', '--face', '1'], /'--faces <which>' cannot be used with option '--face <n>'/],
  ] as const) {
    const run = await dagan(folder, ['animate', 'pair.png', clip, '-o', 'x.mp4', ...words]);
    assert.equal(run.code, 2);
    assert.match(run.stderr, said);
  }
});

test('twins of an engine have portraits of their own, in threads too, and leave the networks to the first', async () => {
  const noise = (seed: number): Picture => resizePicture(scene(90, 70, seed), 256, 256);
  for (const threads of [1, 2]) {
    const engine = await loadLibtorchEngine({ checkpoint: path('quick.safetensors') }, { size: 256 }, threads);
    const of = async (each: Engine, picture: Picture): Promise<Picture> => {
      const { keypoints } = await each.setSource(picture);
      return (await each.generate([keypoints]))[0]!;
    };
    const [first, second] = [await of(engine, noise(1)), await of(engine, noise(5))];
    const twin = engine.twin();
    const { keypoints } = await engine.setSource(noise(1));
    assert.deepEqual(await of(twin, noise(5)), second);
    assert.deepEqual((await engine.generate([keypoints]))[0], first, "the twin's portrait has not replaced its own");
    twin.dispose();
    assert.deepEqual((await engine.generate([keypoints]))[0], first);
    engine.dispose();
  }
});

test('readers in step share one stream, which is read once and closed when they leave', async () => {
  const read: number[] = [];
  let closed = 0;
  async function* numbers(): AsyncGenerator<number> {
    try {
      for (let i = 0; i < 100; i++) {
        read.push(i);
        yield i;
      }
    } finally {
      closed++;
    }
  }
  const rows: number[][] = [];
  for await (const row of inStep(forReaders(numbers(), 3))) {
    rows.push(row);
    if (rows.length === 4) break;
  }
  assert.deepEqual(
    rows,
    [0, 1, 2, 3].map((i) => [i, i, i]),
  );
  assert.deepEqual([read.length, closed], [4, 1]);
  async function* failing(): AsyncGenerator<number> {
    yield 0;
    throw new Error('torn');
  }
  await assert.rejects(async () => {
    for await (const _ of inStep(forReaders(failing(), 2)));
  }, /torn/);
});
