// `dagan preprocess` as a user runs it: raw videos to training clips, again, in parts, and with videos that cannot be
// read; and its rules.
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openDataset } from '../src/data/index.js';
import {
  type ClipRules,
  type FaceSample,
  type FaceTrack,
  findRawVideos,
  planClips,
  ShotCuts,
  TrackBuilder,
} from '../src/data/preprocess/index.js';
import { FaceAnalyzer } from '../src/faces/index.js';
import {
  createClipWriter,
  createPicture,
  type Picture,
  readPicture,
  resizePicture,
  rotatePicture,
} from '../src/media/index.js';
import { type CliResult, dagan } from './cli-run.js';
import { readAll, temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();
const portrait = await readPicture(fileURLToPath(new URL('../../../../examples/portrait.png', import.meta.url)));

/** A frame of 320 x 240: a grey ramp, and a portrait at (left, top) if there is one. */
function frame(shown?: Picture, left = 0, top = 0): Picture {
  const picture = createPicture(320, 240);
  for (let at = 0; at < picture.data.length; at++) picture.data[at] = 60 + (((at / 3) % 320) >> 2);
  if (!shown) return picture;
  for (let y = 0; y < shown.height; y++) {
    const row = shown.data.subarray(y * shown.width * 3, (y + 1) * shown.width * 3);
    picture.data.set(row, ((top + y) * 320 + left) * 3);
  }
  return picture;
}

async function writeVideo(path: string, frames: Picture[]): Promise<void> {
  await using writer = await createClipWriter(path, { width: 320, height: 240, frameRate: 10, quality: 'high' });
  for (const picture of frames) await writer.add(picture);
  await writer.finish();
}

const many = (count: number, make: (index: number) => Picture): Picture[] =>
  Array.from({ length: count }, (_, i) => make(i));

const first = resizePicture(portrait, 160, 160);
const second = rotatePicture(resizePicture(portrait, 180, 180), 0, true);
const third = resizePicture(portrait, 220, 220);

// A face that moves to the right, none, the mirrored face at rest, and another one for a moment.
await mkdir(join(folder, 'raw/anna'), { recursive: true });
await writeVideo(join(folder, 'raw/anna/party.mp4'), [
  ...many(20, (index) => frame(first, 20 + 2 * index, 40)),
  ...many(6, () => frame()),
  ...many(20, () => frame(second, 120, 30)),
  ...many(5, () => frame(third, 10, 10)),
]);
await writeVideo(
  join(folder, 'raw/bob.mp4'),
  many(24, (index) => frame(first, 60, 30 + (index >> 3))),
);

const settings = ['--size', '64', '--fps', '10', '--min-seconds', '1', '--every', '2'];

const preprocess = (...words: string[]): Promise<CliResult> => dagan(folder, ['preprocess', ...words, ...settings]);

type IndexEntry = {
  file: string;
  identity: string;
  frames: number;
  fps: number;
  crop: number[];
  faceHeight: number;
  sourceFrames: number[];
  motion: number;
};
const json = async <Type>(path: string): Promise<Type> =>
  JSON.parse(await readFile(join(folder, path), 'utf8')) as Type;
const clipNames = async (path: string): Promise<string[]> => (await readdir(join(folder, path))).sort();

test('a folder of videos becomes a data set of clips that show one face each, framed as for training', async () => {
  const run = await preprocess('raw', '-o', 'set', '--jobs', '2');
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(await clipNames('set/train'), [
    'anna#party#000000-000020.mp4',
    'anna#party#000026-000046.mp4',
    'bob#bob#000000-000024.mp4',
  ]);
  assert.match(run.stdout, /64 frames of 2 identities/);
  assert.match(run.stdout, /too short +1 /);

  const data = await openDataset(join(folder, 'set'));
  assert.deepEqual(
    data.clips.map(({ identity }) => identity),
    ['anna', 'anna', 'bob'],
  );
  const index = await json<IndexEntry[]>('set/index.json');
  assert.deepEqual(
    index.map(({ frames, fps }) => [frames, fps]),
    [
      [20, 10],
      [20, 10],
      [24, 10],
    ],
  );
  const [moving, still] = index as [IndexEntry, IndexEntry];
  assert.deepEqual(still.sourceFrames, [26, 46]);
  assert.ok(moving.motion > 3 * still.motion, `motion ${moving.motion} and ${still.motion}`);
  assert.ok(Math.abs(still.faceHeight - 0.555) < 0.02, `face height ${still.faceHeight}`);
  assert.ok(moving.faceHeight < 0.5 && moving.crop[2] === moving.crop[3]);

  await using analyzer = await FaceAnalyzer.load();
  const { frames } = await readAll(join(folder, 'set/train/anna#party#000026-000046.mp4'));
  assert.equal(frames.length, 20);
  const mesh = await analyzer.track(frames[10]!.picture);
  assert.ok(mesh, 'the clip shows a face');
  assert.ok(Math.abs(mesh.box.height / 64 - 0.555) < 0.04, `height ${mesh.box.height / 64}`);
  assert.ok(Math.abs((mesh.box.top + mesh.box.height / 2) / 64 - 0.554) < 0.03);
  assert.ok(Math.abs((mesh.box.left + mesh.box.width / 2) / 64 - 0.5) < 0.03);

  const report = await json<{
    totals: { clips: number; withoutFaceSeconds: number };
    videos: { video: string; framesWithoutFace: number; dropped: object[] }[];
  }>('set/preprocess-report.json');
  assert.equal(report.totals.clips, 3);
  const party = report.videos.find(({ video }) => video.endsWith('party.mp4'))!;
  assert.equal(party.framesWithoutFace, 6);
  assert.deepEqual(party.dropped, [{ start: 46, end: 51, reason: 'too short', detail: '0.50 s' }]);
});

test('the same command again does only what is missing, and other settings do all anew', async () => {
  const kept = join(folder, 'set/train/bob#bob#000000-000024.mp4');
  const removed = 'set/train/anna#party#000000-000020.mp4';
  const then = new Date(1_600_000_000_000);
  await utimes(kept, then, then);
  await rm(join(folder, removed));
  const again = await preprocess('raw', '-o', 'set');
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /1 of 2 videos are done already/);
  assert.equal((await stat(kept)).mtimeMs, then.getTime());
  assert.ok((await stat(join(folder, removed))).size > 0);
  assert.equal((await json<IndexEntry[]>('set/index.json')).length, 3);

  const frames = await preprocess('raw/bob.mp4', '-o', 'set', '--format', 'png', '--max-seconds', '2');
  assert.equal(frames.code, 0, frames.stderr);
  assert.deepEqual((await clipNames('set/train')).slice(2), ['bob#bob#000000-000012', 'bob#bob#000012-000024']);
  assert.equal((await clipNames('set/train/bob#bob#000000-000012')).length, 12);
  assert.equal((await openDataset(join(folder, 'set'))).clips.length, 4);
});

test('a video that cannot be read is named and does not stop the others', async () => {
  await mkdir(join(folder, 'mixed'));
  await copyFile(join(folder, 'raw/bob.mp4'), join(folder, 'mixed/bob.mp4'));
  const whole = await readFile(join(folder, 'raw/bob.mp4'));
  await writeFile(join(folder, 'mixed/cut-off.mp4'), whole.subarray(0, whole.length >> 1));
  await writeFile(join(folder, 'mixed/words.mp4'), 'these are words');
  await writeVideo(
    join(folder, 'mixed/nobody.mp4'),
    many(12, () => frame()),
  );
  const run = await preprocess('mixed', '-o', 'mixed-set');
  assert.equal(run.code, 1);
  assert.match(run.stderr, /warning: .*mixed\/cut-off\.mp4: .*damaged/);
  assert.match(run.stderr, /warning: .*mixed\/words\.mp4: /);
  assert.match(run.stderr, /nobody\.mp4: 0 clips, no face found/);
  assert.match(run.stderr, /not prepared: mixed\/cut-off\.mp4, mixed\/words\.mp4/);
  assert.deepEqual(await clipNames('mixed-set/train'), ['bob#bob#000000-000024.mp4']);
  const { totals } = await json<{ totals: { failedVideos: number; videosWithoutClips: number } }>(
    'mixed-set/preprocess-report.json',
  );
  assert.deepEqual([totals.failedVideos, totals.videosWithoutClips], [2, 1]);
  // What failed is tried again.
  await writeFile(join(folder, 'mixed/cut-off.mp4'), whole);
  await rm(join(folder, 'mixed/words.mp4'));
  const mended = await preprocess('mixed', '-o', 'mixed-set');
  assert.equal(mended.code, 0, mended.stderr);
  assert.equal((await clipNames('mixed-set/train')).length, 2);
});

test('ranks share the videos, and the last to finish leaves the whole index', async () => {
  const environment = { ...process.env };
  try {
    process.env.WORLD_SIZE = '2';
    const runs = ['0', '1'].map((rank) => {
      process.env.RANK = rank; // read as the process is started
      return preprocess('raw', '-o', 'shared-set');
    });
    for (const { code, stderr, stdout } of await Promise.all(runs)) {
      assert.equal(code, 0, stderr);
      assert.match(stdout, /videos +1 /);
    }
    process.env.RANK = '2';
    const outside = await preprocess('raw', '-o', 'shared-set');
    assert.equal(outside.code, 2);
    assert.match(outside.stderr, /RANK 2 must be below WORLD_SIZE 2/);
  } finally {
    process.env = environment;
  }
  assert.equal((await json<IndexEntry[]>('shared-set/index.json')).length, 3);
  assert.equal((await clipNames('shared-set/train')).length, 3);
});

test('nothing of the user is overwritten, and the command line is checked first', async () => {
  await mkdir(join(folder, 'foreign'));
  await writeFile(join(folder, 'foreign/index.json'), '[]');
  const foreign = await preprocess('raw', '-o', 'foreign');
  assert.equal(foreign.code, 1);
  assert.match(foreign.stderr, /foreign: holds an index\.json that was not made by this command/);
  assert.equal(await readFile(join(folder, 'foreign/index.json'), 'utf8'), '[]');

  await mkdir(join(folder, 'other'));
  await writeVideo(
    join(folder, 'other/bob.mp4'),
    many(14, () => frame(second, 20, 20)),
  );
  const namesake = await preprocess('other/bob.mp4', '-o', 'shared-set');
  assert.equal(namesake.code, 1);
  assert.match(
    namesake.stderr,
    /clips of .*raw.bob\.mp4 have the name bob#bob already; rename the video or give it an --identity/,
  );
  const named = await preprocess('other/bob.mp4', '-o', 'shared-set', '--identity', 'bert', '--split', 'test');
  assert.equal(named.code, 0, named.stderr);
  assert.deepEqual(await clipNames('shared-set/test'), ['bert#bob#000000-000014.mp4']);

  for (const [words, message] of [
    [['missing.mp4', '-o', 'x'], /missing\.mp4: .*no such file/],
    [['foreign', '-o', 'x'], /foreign: holds no videos/],
    [['raw', '-o', 'x', '--max-seconds', '1.5'], /--max-seconds 1\.5 must be at least twice --min-seconds 1/],
    [['raw', '-o', 'x', '--every', '0'], /--every/],
    [['raw', '-o', 'x', '--split', '../y'], /plain folder name/],
  ] as const) {
    const { code, stderr } = await preprocess(...words);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  }
  assert.equal(await stat(join(folder, 'x')).catch(() => undefined), undefined);
  assert.match(
    (await dagan(folder, ['preprocess', '--help'])).stdout,
    /Examples:\n {2}dagan preprocess videos\/ -o data\//,
  );
});

const sample = (number: number, left: number, size = 100, top = 100): FaceSample => ({
  frame: number,
  box: { left, top, width: size * 0.87, height: size },
  marks: [left, top],
});

test('a track ends where the face is lost, jumps or has drifted away, and at a new shot', () => {
  const tracks = new TrackBuilder();
  for (let i = 0; i < 5; i++) tracks.seen(sample(4 * i, 100 + i));
  assert.equal(tracks.seen(sample(20, 300)), false, 'a jump');
  tracks.seen(sample(24, 302));
  tracks.lost();
  for (let i = 0; i < 20; i++) tracks.seen(sample(40 + 4 * i, 100 + 10 * i));
  tracks.cut(119);
  tracks.seen(sample(119, 280));
  const found = tracks.finish(125).map(({ start, end, endedBy }) => [start, end, endedBy]);
  assert.deepEqual(found[0], [0, 17, 'jumped']);
  assert.deepEqual(found[1], [20, 25, 'lost']);
  assert.deepEqual(
    found.slice(2, -2).map(([, , why]) => why),
    found.slice(2, -2).map(() => 'drifted'),
  );
  assert.ok(found.length > 4, 'a face that wanders across the picture is cut into parts');
  assert.deepEqual(found.at(-2)?.slice(1), [119, 'cut']);
  assert.deepEqual(found.at(-1), [119, 125, 'end of the video']);
});

test('parts are left out for what they are: too short, too small, moving too far, leaving the picture', () => {
  const rules: ClipRules = { minSeconds: 2, maxSeconds: 10, minSide: 96 };
  const video = { width: 640, height: 480, frameRate: 25 };
  const track = (frames: number, place: (index: number) => FaceSample): FaceTrack => ({
    samples: Array.from({ length: Math.ceil(frames / 4) }, (_, index) => place(index)),
    start: 0,
    end: frames,
    endedBy: 'end of the video',
  });
  const plan = (one: FaceTrack) => planClips([one], video, rules);
  const reasonOf = (one: FaceTrack): string | undefined => plan(one).dropped[0]?.reason;
  assert.equal(reasonOf(track(49, (i) => sample(4 * i, 200))), 'too short');
  assert.equal(plan(track(50, (i) => sample(4 * i, 200))).clips.length, 1);
  assert.equal(reasonOf(track(100, (i) => sample(4 * i, 200, 50))), 'too small');
  assert.equal(reasonOf(track(100, (i) => sample(4 * i, -20))), 'leaves the picture');
  assert.equal(reasonOf(track(100, (i) => sample(4 * i, 100, 460, 5))), 'leaves the picture');
  assert.equal(reasonOf(track(100, (i) => sample(4 * i, 100 + 10 * i))), 'moves too far');

  const long = plan(track(600, (i) => sample(4 * i, 200 + (i > 80 ? 20 : 0))));
  assert.deepEqual(
    long.clips.map(({ start, end }) => [start, end]),
    [
      [0, 200],
      [200, 400],
      [400, 600],
    ],
  );
  const [quiet, moving] = long.clips as [(typeof long.clips)[number], (typeof long.clips)[number]];
  assert.equal(quiet.motion, 0);
  assert.ok(moving.motion > 0.05 && moving.crop.width === quiet.crop.width + 20);
  assert.ok(Math.abs(quiet.faceHeight - 0.555) < 0.005);
  // A single wrong box in the middle does not enlarge the square.
  const glitch = plan(track(100, (i) => sample(4 * i, i === 9 ? 260 : 200)));
  assert.equal(glitch.clips[0]?.crop.width, quiet.crop.width);
});

test('a cut between two shots is found, movement and slow change of light are none', () => {
  const cuts = new ShotCuts();
  const shots = [
    ...many(15, (index) => frame(first, 20 + 4 * index, 40)),
    ...many(10, () => frame(third, 10, 10)),
    ...many(20, (index) => {
      const picture = frame(third, 10, 10);
      return { ...picture, data: picture.data.map((value) => value * (1 - index / 25)) };
    }),
  ];
  assert.deepEqual(
    shots.flatMap((picture, index) => (cuts.begins(picture) ? [index] : [])),
    [15],
  );
});

test('who a video shows is told by #, by folder, by name; no two videos share a name', async () => {
  for (const name of [
    'p/anna/a b.mp4',
    'p/anna/trip/a b.mp4',
    'p/carl#9.mp4',
    'p/dora_2.mp4',
    'p/dora_2.webm',
    'p/.hidden.mp4',
    'p/notes.txt',
  ]) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), 'x');
  }
  const videos = findRawVideos([join(folder, 'p'), join(folder, 'p/dora_2.mp4')]);
  assert.deepEqual(
    videos.map(({ identity, name }) => [identity, name]),
    [
      ['anna', 'anna#a-b'],
      ['anna', 'anna#trip-a-b'],
      ['carl', 'carl#9'],
      ['dora_2', 'dora_2#dora_2'],
      ['dora_2', 'dora_2#dora_2-2'],
    ],
  );
  await writeFile(join(folder, 'p/dora_2.jpg'), 'x');
  const namesOf = (stills: boolean) => findRawVideos([join(folder, 'p')], { stills }).map(({ name }) => name);
  assert.deepEqual(namesOf(true).slice(0, -1), namesOf(false));
  assert.equal(namesOf(true).at(-1), 'dora_2#dora_2-3');
  assert.deepEqual(findRawVideos([join(folder, 'p/carl#9.mp4')], { identity: 'eve' })[0]?.identity, 'eve');
});
