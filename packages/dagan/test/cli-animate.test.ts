// `dagan animate` as a user runs it: every kind of input and output, many at once, and everything that can go wrong.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BufferTarget, Conversion, FilePathSource, Input, MovOutputFormat, MP4, Output } from 'mediabunny';
import sharp from 'sharp';
import { duration, progressText } from '../src/cli/report.js';
import { FACE_LANDMARK_NAMES } from '../src/faces/index.js';
import {
  createClipWriter,
  cropPicture,
  type Picture,
  readPicture,
  transformPicture,
  writePicture,
} from '../src/media/index.js';
import { saveModel } from '../src/models/index.js';
import { defaultCheckpoint } from '../src/pipelines/default-model.js';
import { atRate } from '../src/pipelines/frame-rate.js';
import { dagan, formulaModel, SMALL, SMALL_WITHOUT_DEPTH, startDagan } from './cli-run.js';
import { inspect, makeMp4, names, psnr, readAll, scene, temporaryFolder } from './media-fixtures.js';

/** Path of a file in `examples/`. */
const example = (name: string): string => fileURLToPath(new URL(`../../../../examples/${name}`, import.meta.url));

/** Options that name the quick model. */
const quick = ['--checkpoint', 'quick.safetensors'];

/** The same for pictures without faces. */
const faceless = [...quick, '--crop', 'none', '--reference-frame', 'first'];

const folder = await temporaryFolder();
saveModel(join(folder, 'quick.safetensors'), formulaModel(SMALL_WITHOUT_DEPTH), { name: 'quick' });
saveModel(join(folder, 'deep.safetensors'), formulaModel(SMALL));
const namedKeypoints = Object.fromEntries(FACE_LANDMARK_NAMES.map((name, keypoint) => [name, keypoint]));
const { generator } = SMALL_WITHOUT_DEPTH;
const named = {
  ...SMALL_WITHOUT_DEPTH,
  numKeypoints: FACE_LANDMARK_NAMES.length + 2,
  semanticKeypoints: namedKeypoints,
  generator: { ...generator, denseMotion: { ...generator.denseMotion, landmarkReach: 0.12 } },
};
saveModel(join(folder, 'named.safetensors'), formulaModel(named));
await writePicture(join(folder, 'face.png'), scene(90, 70, 3));
await makeMp4(join(folder, 'talk.mp4'), { width: 96, height: 64, frames: 20, sound: 'aac' });

const frameAt = (name: string, index: number): Promise<Picture> =>
  readPicture(join(folder, name, `${String(index).padStart(6, '0')}.png`));

test('an mp4 gets the frames, the times and the sound of the driving clip, and says that it is synthetic', async () => {
  const { code, stdout, stderr } = await dagan(folder, [
    'animate',
    'face.png',
    'talk.mp4',
    '-o',
    'out.mp4',
    ...faceless,
  ]);
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /^out\.mp4: 20 frames of 256 x 256 in [\d.]+ s, [\d.]+ fps \(faces [\d.]+ s, portrait \d+ ms; a frame: /,
  );
  assert.match(stderr, /face\.png is 90 x 70: its centre, 70 x 70, is used/);
  assert.match(stderr, /talk\.mp4 is 96 x 64: its centre, 64 x 64, is used/);
  const [given, made] = [await inspect(join(folder, 'talk.mp4')), await inspect(join(folder, 'out.mp4'))];
  assert.deepEqual([made.videoCodec, made.width, made.height], ['avc', 256, 256]);
  assert.equal(made.times.length, 20);
  for (const [i, time] of made.times.entries()) assert.ok(Math.abs(time - i / 25) < 1e-4);
  assert.equal(made.audioCodec, 'aac');
  assert.deepEqual(
    made.sound.map(({ data }) => Buffer.from(data).toString('hex')),
    given.sound.map(({ data }) => Buffer.from(data).toString('hex')),
  );
  assert.equal(made.tags.title, 'Synthetic media');
  assert.match(made.tags.comment ?? '', /Made by dagan \d+\.\d+\.\d+, model quick, sha256 [0-9a-f]{64}\.$/);
  assert.deepEqual(
    (await names(folder)).filter((name) => name.includes('.part')),
    [],
  );
});

test('range, rate, size, silence and anonymity are as asked for, and an earlier output is replaced', async () => {
  await writeFile(join(folder, 'out.webm'), 'earlier');
  const words = ['--start', '4', '--end', '19', '--fps', '10', '--size', '64', '--no-sound', '--no-provenance', '-q'];
  const run = await dagan(folder, ['animate', 'face.png', 'talk.mp4', '-o', 'out.webm', ...words, ...faceless]);
  assert.deepEqual(run, { code: 0, stdout: '', stderr: '' });
  const made = await inspect(join(folder, 'out.webm'));
  assert.deepEqual([made.videoCodec, made.width, made.height, made.audioCodec], ['vp9', 64, 64, undefined]);
  assert.equal(made.times.length, 6); // 0.6 s
  assert.equal(made.tags.title, undefined);
  assert.equal(made.tags.comment, undefined);
});

test('GIF, WebP and folders of frames come out and go in, and a folder of frames takes its rate from --fps', async () => {
  const first = await dagan(folder, [
    'animate',
    'face.png',
    'talk.mp4',
    '-o',
    'out.gif',
    '--end',
    '6',
    '--size',
    '64',
    ...faceless,
  ]);
  assert.equal(first.code, 0, first.stderr);
  assert.equal((await readAll(join(folder, 'out.gif'))).frames.length, 6);
  const second = await dagan(folder, ['animate', 'face.png', 'out.gif', '-o', 'steps/', ...faceless]);
  assert.equal(second.code, 0, second.stderr);
  assert.deepEqual(
    await names(join(folder, 'steps')),
    [0, 1, 2, 3, 4, 5].map((i) => `00000${i}.png`),
  );
  const third = await dagan(folder, ['animate', 'face.png', 'steps', '-o', 'steps.mp4', '--fps', '5', ...faceless]);
  assert.equal(third.code, 0, third.stderr);
  const { times } = await inspect(join(folder, 'steps.mp4'));
  for (const [i, time] of times.entries()) assert.ok(Math.abs(time - i / 5) < 1e-4);
  assert.equal(times.length, 6);
  const view = ['--side-by-side', '--size', '64', '--start', '3', '--end', '9', ...faceless];
  const fourth = await dagan(folder, ['animate', 'face.png', 'talk.mp4', '-o', 'out.webp', ...view]);
  assert.equal(fourth.code, 0, fourth.stderr);
  const { clip, frames } = await readAll(join(folder, 'out.webp'));
  assert.deepEqual([frames.length, clip.width, clip.height], [6, 256, 64]);
  assert.ok(Math.abs(clip.frameRate - 25) < 0.1);
});

/** Turns an mp4 into a QuickTime file with the same packets and the same rotation. */
async function toMov(from: string, to: string): Promise<void> {
  using input = new Input({ source: new FilePathSource(from), formats: [MP4] });
  const target = new BufferTarget();
  const conversion = await Conversion.init({ input, output: new Output({ format: new MovOutputFormat(), target }) });
  await conversion.execute();
  await writeFile(to, new Uint8Array(target.buffer!));
}

test('clips and portraits as phones, cameras and image editors make them are understood', async () => {
  const at = (name: string): string => join(folder, name);
  await makeMp4(at('phone.mp4'), { width: 96, height: 64, frames: 4, rotation: 90 });
  await toMov(at('phone.mp4'), at('phone.mov'));
  await makeMp4(at('hd.mp4'), { width: 1920, height: 1080, frames: 2 });
  for (const [name, times] of [
    ['web.webm', undefined],
    ['uneven.mp4', [0, 0.04, 0.2, 0.25]],
  ] as const) {
    const rate = times ? {} : { frameRate: 25 };
    await using writer = await createClipWriter(at(name), { width: 64, height: 64, ...rate });
    for (let i = 0; i < 4; i++) await writer.add(scene(64, 64, i), times?.[i], 0.05);
    await writer.finish();
  }
  const face = scene(90, 70, 3);
  const upright = sharp(face.data, { raw: { width: 90, height: 70, channels: 3 } });
  // Orientation 6: the stored picture has to be turned clockwise to be seen upright.
  const stored = upright.clone().rotate(270).jpeg({ quality: 100, chromaSubsampling: '4:4:4' });
  await stored.withMetadata({ orientation: 6 }).toFile(at('phone.jpg'));
  const alpha = Buffer.alloc(90 * 70, 255).fill(0, 90 * 35);
  await upright
    .clone()
    .joinChannel(alpha, { raw: { width: 90, height: 70, channels: 1 } })
    .png()
    .toFile(at('cut-out.png'));
  await writePicture(at('on-white.png'), {
    ...face,
    data: face.data.map((value, i) => (i < 90 * 35 * 3 ? value : 255)),
  });

  const turned = /phone\.mov is 64 x 96: its centre, 64 x 64, is used/;
  const cases: [portrait: string, driving: string, frames: number, notice: RegExp][] = [
    ['face.png', 'phone.mov', 4, turned],
    ['face.png', 'web.webm', 4, /face\.png is 90 x 70/],
    ['face.png', 'uneven.mp4', 4, /face\.png is 90 x 70/],
    ['face.png', 'hd.mp4', 2, /hd\.mp4 is 1920 x 1080: its centre, 1080 x 1080, is used/],
    ['phone.jpg', 'web.webm', 4, /phone\.jpg is 90 x 70/],
    ['cut-out.png', 'web.webm', 4, /cut-out\.png is 90 x 70/],
    ['on-white.png', 'web.webm', 4, /on-white\.png is 90 x 70/],
  ];
  for (const [portrait, driving, frames, notice] of cases) {
    const output = `${portrait}-${driving}`.replaceAll('.', '-');
    const run = await dagan(folder, ['animate', portrait, driving, '-o', `${output}/`, '--size', '64', ...faceless]);
    assert.equal(run.code, 0, run.stderr);
    assert.match(run.stderr, notice);
    assert.equal((await names(at(output))).length, frames, output);
    const last = await frameAt(output, frames - 1);
    assert.deepEqual([last.width, last.height], [64, 64]);
  }
  // The portraits were seen as meant: the turned one upright, the cut-out one on white.
  const plain = await frameAt('face-png-web-webm', 3);
  const phone = psnr(await frameAt('phone-jpg-web-webm', 3), plain);
  assert.ok(phone > 30, `${phone} dB`);
  assert.deepEqual(await frameAt('cut-out-png-web-webm', 3), await frameAt('on-white-png-web-webm', 3));
  const opaque = psnr(await frameAt('cut-out-png-web-webm', 3), plain);
  assert.ok(opaque < phone - 6, `${opaque} dB`);

  const uneven = await dagan(folder, ['animate', 'face.png', 'uneven.mp4', '-o', 'uneven-out.mp4', ...faceless]);
  assert.equal(uneven.code, 0, uneven.stderr);
  const { times } = await inspect(at('uneven-out.mp4'));
  assert.deepEqual(
    times.map((time) => time.toFixed(3)),
    ['0.000', '0.040', '0.200', '0.250'],
  );
});

test('memory does not grow with the length of the clip', async () => {
  const peak = async (frames: number): Promise<number> => {
    await using writer = await createClipWriter(join(folder, 'length.mp4'), { width: 64, height: 64, frameRate: 25 });
    for (let i = 0; i < frames; i++) await writer.add(scene(64, 64, i % 50));
    await writer.finish();
    const report = "data:text/javascript,process.on('exit',()=>console.log(process.resourceUsage().maxRSS))";
    const main = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
    const words = ['animate', 'face.png', 'length.mp4', '-o', 'length-out.mp4', '--size', '64', '--quiet', ...faceless];
    const env = { ...process.env, OMP_NUM_THREADS: '1' };
    const run = await promisify(execFile)(process.execPath, ['--import', report, main, ...words], { cwd: folder, env });
    assert.equal((await inspect(join(folder, 'length-out.mp4'))).times.length, frames);
    return Number(run.stdout) / 1024;
  };
  // Kept 256 x 256 results alone would be 126 MB more as bytes and 500 MB as numbers. The collector's moods make some 60.
  const [short, long] = [await peak(160), await peak(800)];
  assert.ok(long - short < 110, `${short} MB for 160 frames, ${long} MB for 800`);
});

test('motion is measured from the reference frame; absolute and scaled motion are something else', async () => {
  const animate = async (output: string, ...words: string[]): Promise<void> => {
    const common = ['animate', example('portrait.png'), example('driving.mp4'), '--precision', 'float32', ...quick];
    const run = await dagan(folder, [...common, '--crop', 'none', '-o', output, ...words]);
    assert.equal(run.code, 0, run.stderr);
  };
  await animate('plain/', '--end', '6', '--reference-frame', 'first');
  await animate('from-five/', '--end', '6', '--reference-frame', '5');
  await animate('five/', '--start', '5', '--end', '6', '--reference-frame', 'first');
  await animate('absolute/', '--start', '5', '--end', '6', '--absolute');
  await animate('scaled/', '--start', '5', '--end', '6', '--reference-frame', '0', '--adapt-scale');
  const still = await frameAt('five', 0);
  // A portrait that moves by nothing is the same whichever frame it is measured from.
  const same = Math.min(psnr(await frameAt('from-five', 5), still), psnr(await frameAt('plain', 0), still));
  const moved = psnr(await frameAt('plain', 5), still);
  assert.ok(same > 60, `${same} dB`);
  assert.ok(moved < same - 6, `${moved} dB with motion, ${same} dB without`);
  assert.ok(psnr(await frameAt('absolute', 0), still) < same - 6);
  assert.ok(psnr(await frameAt('scaled', 0), await frameAt('plain', 5)) < same - 6);
});

test('named keypoints come from the face mesh, and motion has a strength, of all and by part, and constant changes', async () => {
  const animate = async (output: string, ...words: string[]): Promise<string> => {
    const inputs = [example('portrait.png'), example('driving.mp4'), '--start', '0', '--end', '12'];
    const fixed = ['--checkpoint', 'named.safetensors', '--precision', 'float32', '--reference-frame', 'first'];
    const run = await dagan(folder, ['animate', ...inputs, ...fixed, '-o', output, ...words]);
    assert.equal(run.code, 0, run.stderr);
    return run.stderr;
  };
  assert.match(await animate('mesh/'), /keypoints of the face mesh/);
  assert.doesNotMatch(await animate('network/', '--keypoints', 'network'), /face mesh/);
  await animate('none/', '--strength', '0');
  await animate('silent/', '--motion', 'pose=0,mouth=0,eyes=0,brows=0');
  await animate('smiling/', '--strength', '0', '--smile', '1', '--lids', '-1');
  const [first, last] = [await frameAt('none', 0), await frameAt('none', 11)];
  assert.equal(psnr(first, last), Infinity, 'without strength nothing moves');
  assert.ok(psnr(await frameAt('mesh', 11), last) < 70, 'with it the head does');
  assert.equal(psnr(await frameAt('silent', 11), last), Infinity);
  assert.ok(psnr(await frameAt('smiling', 0), first) < 70);
});

test('the side-by-side view shows portrait, driving frame, depth, keypoints and result', async () => {
  const common = [
    'animate',
    'face.png',
    'talk.mp4',
    '--end',
    '2',
    '--checkpoint',
    'deep.safetensors',
    '--precision',
    'float32',
    '--crop',
    'none',
    '--reference-frame',
    'first',
  ];
  const view = await dagan(folder, [...common, '-o', 'view/', '--side-by-side']);
  assert.equal(view.code, 0, view.stderr);
  assert.match(view.stdout, /2 frames of 1280 x 256/);
  assert.equal((await dagan(folder, [...common, '-o', 'alone/'])).code, 0);
  const sheet = await frameAt('view', 1);
  const panel = (index: number): Picture => cropPicture(sheet, { left: 256 * index, top: 0, width: 256, height: 256 });
  const square = { size: [256, 256], fit: 'cover' } as const;
  assert.deepEqual(panel(0), transformPicture(await readPicture(join(folder, 'face.png')), square));
  const driving = (await readAll(join(folder, 'talk.mp4'), { transform: square })).frames[1]!.picture;
  assert.deepEqual(panel(1), driving);
  assert.deepEqual(panel(4), await frameAt('alone', 1));
  const colours = (picture: Picture): number =>
    new Set(Array.from({ length: 256 * 256 }, (_, i) => picture.data.subarray(3 * i, 3 * i + 3).join())).size;
  assert.ok(colours(panel(2)) > 50, 'the depth panel is flat');
  const dimmed = { ...driving, data: driving.data.map((value) => value * 0.6) };
  assert.ok(psnr(panel(3), dimmed) > 15 && psnr(panel(3), dimmed) < 60, 'the keypoint panel is the frame with dots');
  const shallow = await dagan(folder, [
    'animate',
    'face.png',
    'talk.mp4',
    '-o',
    'flat.mp4',
    '--end',
    '1',
    '--side-by-side',
    ...faceless,
  ]);
  assert.match(shallow.stdout, /1 frame of 1024 x 256/, 'a model without depth has no depth panel');
});

test('folders of portraits and clips make every combination, and one that fails does not stop the rest', async () => {
  await mkdir(join(folder, 'faces'));
  await mkdir(join(folder, 'clips', 'walk'), { recursive: true });
  await copyFile(join(folder, 'face.png'), join(folder, 'faces', 'a.png'));
  await writePicture(join(folder, 'faces', 'b.jpg'), scene(64, 64, 9));
  await copyFile(join(folder, 'talk.mp4'), join(folder, 'clips', 'talk.mp4'));
  await writeFile(join(folder, 'clips', 'broken.mp4'), 'no video');
  const words = ['--format', 'gif', '--end', '2', '--size', '32', ...faceless];
  const run = await dagan(folder, ['animate', 'faces', 'clips', '-o', 'all', ...words]);
  assert.equal(run.code, 1);
  assert.deepEqual(await names(join(folder, 'all')), ['a-talk.gif', 'b-talk.gif']);
  assert.match(run.stdout, /^\[2\/4\] all\/a-talk\.gif: 2 frames/m);
  assert.match(run.stdout, /^2 of 4 animations are in all$/m);
  assert.match(run.stderr, /\[1\/4\] faces\/a\.png with clips\/broken\.mp4: clips\/broken\.mp4: is /);
  assert.match(run.stderr, /not made: all\/a-broken\.gif, all\/b-broken\.gif/);

  const listed = await dagan(folder, [
    'animate',
    'face.png',
    'faces/b.jpg',
    'talk.mp4',
    'out.gif',
    '-o',
    'listed/',
    ...words,
  ]);
  assert.equal(listed.code, 0, listed.stderr);
  assert.deepEqual(await names(join(folder, 'listed')), ['b-out.gif', 'b-talk.gif', 'face-out.gif', 'face-talk.gif']);
});

test('the names of a batch fit, however long those of its inputs are, and what it leaves out is warned of', async () => {
  const [face, clip] = ['影'.repeat(60), '像'.repeat(60)];
  await mkdir(join(folder, 'many'));
  await copyFile(join(folder, 'face.png'), join(folder, 'many', `${face}1.png`));
  await copyFile(join(folder, 'face.png'), join(folder, 'many', `${face}2.png`));
  await writeFile(join(folder, 'many', 'phone.heic'), 'x');
  await copyFile(join(folder, 'talk.mp4'), join(folder, `${clip}.mp4`));
  const words = ['--format', 'gif', '--end', '2', '--size', '32', ...faceless];
  const run = await dagan(folder, ['animate', 'many', `${clip}.mp4`, '-o', 'fitting', ...words]);
  assert.equal(run.code, 0, run.stderr);
  assert.match(
    run.stderr,
    /^dagan: warning: many: phone\.heic is left out, as pictures of that kind are not read here/m,
  );
  const made = await names(join(folder, 'fitting'));
  assert.equal(made.length, 2);
  for (const [i, name] of made.entries()) {
    assert.ok(Buffer.byteLength(name) <= 255);
    assert.ok(name.startsWith(`${face}${i + 1}-像`) && name.endsWith('.gif'), name);
  }
});

test('the default model is the only one in a folder of weights, or the one called default', async () => {
  const weights = await temporaryFolder();
  assert.equal(defaultCheckpoint([join(weights, 'absent/'), `${weights}/`]), undefined);
  await writeFile(join(weights, 'one.safetensors'), '');
  assert.equal(defaultCheckpoint([`${weights}/`]), `${weights}/one.safetensors`);
  await writeFile(join(weights, 'two.safetensors'), '');
  assert.throws(
    () => defaultCheckpoint([`${weights}/`]),
    /several models \(one\.safetensors, two\.safetensors\): choose/,
  );
  await writeFile(join(weights, 'default.safetensors'), '');
  assert.equal(defaultCheckpoint([`${weights}/`]), `${weights}/default.safetensors`);
});

/** Command lines that must fail: what follows `animate`, the exit code, and the one line on stderr. */
const mistakes: [words: string[], code: number, line: RegExp][] = [
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--smile', '0.5'],
    1,
    /^dagan: the keypoints of this model have no names, so its smile cannot .* take one that has with --checkpoint, or .*\n$/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--keypoints', 'mesh'],
    1,
    /^dagan: the keypoints of this model have no names/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--motion', 'ears=1'],
    2,
    /It must name parts .*: pose, mouth, eyes, brows\.\n/,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--motion', 'mouth=9'], 2, /It must be a number from 0 to 4\.\n/],
  [['nobody.png', 'talk.mp4', '-o', 'x.mp4'], 1, /^dagan: nobody\.png: no such file or folder\n$/],
  [['face.png', 'nothing.mp4', '-o', 'x.mp4'], 1, /^dagan: nothing\.mp4: no such file or folder\n$/],
  [['face.png', 'talk.mp4', '-o', 'absent/x.mp4'], 1, /^dagan: absent\/x\.mp4: the folder .*absent does not exist\n$/],
  [['face.png', 'talk.mp4', '-o', 'face.png/x.mp4'], 1, /^dagan: face\.png\/x\.mp4: .*face\.png is not a folder\n$/],
  [['face.png', 'talk.mp4', '-o', 'face.png/x/'], 1, /^dagan: face\.png\/x\/: .*face\.png is not a folder\n$/],
  [
    ['face.png', 'talk.mp4', '-o', '-'],
    2,
    /^dagan: -o -: results are not written to standard output; give a file's name/,
  ],
  [['face.png', 'talk.mp4', '-o', `${'影'.repeat(86)}.mp4`], 1, /^dagan: 影+\.mp4: the name is too long; .*\n$/],
  [
    ['face.png', '/dev/null', '-o', 'x.mp4'],
    1,
    /^dagan: \/dev\/null: is a pipe or a device; write the clip to a file/m,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.avi'], 1, /^dagan: x\.avi: clips are written as \.mp4 .*\n$/],
  [['face.png', 'talk.mp4', '-o', 'talk.mp4'], 1, /^dagan: talk\.mp4: would replace the input talk\.mp4; .*\n$/],
  [['face.png', 'talk.mp4', '-o', 'link.mp4'], 1, /^dagan: link\.mp4: would replace the input talk\.mp4; .*\n$/],
  [['face.png', 'sequence', '-o', 'sequence/'], 1, /^dagan: sequence\/: would replace the input sequence; .*\n$/],
  [['sequence/000000.png', 'talk.mp4', '-o', 'sequence/'], 1, /would replace the input sequence\/000000\.png/],
  [
    ['face.png', 'talk.mp4', '-o', 'mixed/'],
    1,
    /^dagan: mixed\/: holds notes\.txt, which is not a frame of an earlier run/m,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.png'], 1, /^dagan: x\.png: clips are written as \.mp4 /m],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--loop', '2'], 1, /only motion templates are .*`dagan motion` makes one/],
  [
    ['face.png', 'cut.mp4', '-o', 'x.mp4'],
    1,
    /^dagan: cut\.mp4: has no video track; the file is damaged or cut off\n$/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--start', '20'],
    1,
    /^dagan: talk\.mp4: has 20 frames, so there is no frame 20/m,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--reference-frame', '99'], 1, /has 20 frames, so there is no frame 99/],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--device', 'cuda:99'], 1, /^dagan: cannot use cuda:99: /m],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--device', 'abacus'],
    1,
    /^dagan: there is no device 'abacus': name auto, cpu/m,
  ],
  [['faces', 'talk.mp4', '-o', 'x.mp4'], 1, /^dagan: faces: no such file or folder\n$/],
  [
    ['face.png', 'face.png', 'talk.mp4', '-o', 'x.mp4'],
    2,
    /^dagan: several animations go into a folder: write -o x\/\n$/,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--format', 'gif'], 2, /^dagan: --format is for several animations at once/],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--start', '5', '--end', '5'],
    2,
    /^dagan: --end 5 must be after --start 5\n$/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--absolute', '--adapt-scale'],
    2,
    /cannot be used with option '--adapt-scale'/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--szie', '64'],
    2,
    /^dagan: unknown option '--szie' \(Did you mean --size\?\)\n/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--size', '1.5'],
    2,
    /'1\.5' is invalid\. It must be a whole number from 16 to 8192\./,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--crop', 'face'],
    2,
    /'face' is invalid\. It must be auto, none, or x,y,side/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--driving-crop', '1,2,8'],
    2,
    /x,y,side in whole pixels, the side at least 16/,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--crop', '90,0,64'],
    1,
    /^dagan: face\.png: --crop 90,0,64 lies outside the picture, which is 90 x 70\n$/m,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--crop', 'auto'],
    1,
    /^dagan: face\.png: no face is found in it; name the square with --crop x,y,side, or take the centre with --crop none\n$/m,
  ],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--driving-crop', 'auto'],
    1,
    /^dagan: talk\.mp4: no face is found in the 20 frames looked at; name the square with --driving-crop x,y,side, .*\n$/m,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--face', '2'], 2, /^dagan: --face 2 goes with --crop auto\n$/],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--reference-frame', 'best'],
    2,
    /It must be auto, first, or a whole number/,
  ],
  [['face.png', 'talk.mp4', '-o', 'x.mp4', '--smooth', '2'], 2, /It must be a number from 0 to 1\./],
  [['--smooth', 'face.png', 'talk.mp4', '-o', 'x.mp4'], 2, /'--smooth <strength>' argument 'face\.png' is invalid/],
  [
    ['face.png', 'talk.mp4', '-o', 'x.mp4', '--paste-back', '--side-by-side'],
    2,
    /cannot be used with option '--paste-back'/,
  ],
  [['face.png', 'talk.mp4'], 2, /^dagan: required option '-o, --output <path>' not specified/],
  [['face.png', '-o', 'x.mp4'], 2, /^dagan: name a portrait and a driving clip, or angles of the head/],
];

/** Models that must be refused before anything else takes time, with what is said of them. */
const wrongModels: [file: string, line: RegExp][] = [
  ['absent.pth', /^dagan: absent\.pth: no such file( or folder)?\n$/],
  ['face.png', /^dagan: face\.png: is no checkpoint: it is a PNG image/],
  ['half.safetensors', /^dagan: half\.safetensors: ends too early/],
];

test('every mistake gives one clear line and its exit code, and leaves nothing behind', async () => {
  const here = await temporaryFolder();
  for (const name of ['quick.safetensors', 'face.png', 'talk.mp4'])
    await copyFile(join(folder, name), join(here, name));
  const clip = await readFile(join(here, 'talk.mp4'));
  await writeFile(join(here, 'cut.mp4'), clip.subarray(0, 40));
  await symlink('talk.mp4', join(here, 'link.mp4'));
  await mkdir(join(here, 'sequence'));
  await writePicture(join(here, 'sequence', '000000.png'), scene(64, 64, 0));
  await mkdir(join(here, 'mixed'));
  await writeFile(join(here, 'mixed', 'notes.txt'), 'mine');
  await writeFile(
    join(here, 'half.safetensors'),
    (await readFile(join(here, 'quick.safetensors'))).subarray(0, 500_000),
  );
  const there = await names(here);

  const all: typeof mistakes = [
    ...mistakes,
    ...wrongModels.map(([file, line]): (typeof mistakes)[number] => {
      return [['face.png', 'talk.mp4', '-o', 'x.mp4', '--checkpoint', file], 1, line];
    }),
  ];
  const check = async ([words, code, line]: (typeof mistakes)[number]): Promise<void> => {
    const model = words.includes('--checkpoint') ? [] : quick;
    const crop = words.includes('--crop') ? ['--driving-crop', 'none'] : ['--crop', 'none'];
    const run = await dagan(here, ['animate', ...words, ...model, ...crop, '--quiet']);
    const what = `dagan animate ${words.join(' ')}\n${run.stderr}`;
    assert.equal(run.code, code, what);
    assert.match(run.stderr, line, what);
    assert.equal(run.stdout, '', what);
    assert.doesNotMatch(run.stderr, /\n\s+at /, what);
  };
  for (let i = 0; i < all.length; i += 4) await Promise.all(all.slice(i, i + 4).map(check));
  assert.deepEqual(await names(here), there);
  assert.deepEqual(await names(join(here, 'mixed')), ['notes.txt']);
  assert.deepEqual(await readFile(join(here, 'talk.mp4')), clip);
});

test('stopped by a signal it ends with the code of the signal and removes what was begun', async () => {
  const here = await temporaryFolder();
  const words = ['animate', join(folder, 'face.png'), example('driving.mp4'), '-o', 'long.mp4', '--fps', '100'];
  const model = ['--checkpoint', join(folder, 'quick.safetensors'), '--crop', 'none', '--reference-frame', 'first'];
  for (const [signal, wanted] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
    // With two threads the networks run beside the program, which then ends while they are in native code (see threads.test.ts).
    const { child, result } = startDagan(here, [...words, ...model], { OMP_NUM_THREADS: '2' });
    while (!readdirSync(here).some((name) => name.endsWith('.part')) && child.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill(signal);
    const { code, stderr } = await result;
    assert.equal(code, wanted, stderr);
    assert.match(stderr, /dagan: stopped\n$/);
    assert.deepEqual(await names(here), []);
  }
});

test('frames are put onto a constant rate so that each position shows what the clip shows then', async () => {
  const clipOf = async function* (durations: readonly number[]) {
    let timestamp = 0;
    for (const duration of durations) {
      yield { picture: scene(2, 2, 0), timestamp, duration };
      timestamp += duration;
    }
  };
  const counts = async (durations: readonly number[], rate: number): Promise<number[]> => {
    const result = durations.map(() => 0);
    const starts = durations.map((_, i) => durations.slice(0, i).reduce((sum, each) => sum + each, 0));
    for await (const { timestamp, times } of atRate(clipOf(durations), rate)) result[starts.indexOf(timestamp)] = times;
    return result;
  };
  assert.deepEqual(await counts([0.04, 0.04, 0.04], 25), [1, 1, 1]);
  assert.deepEqual(await counts([0.041, 0.039, 0.04], 25), [1, 1, 1], 'rounded time stamps change nothing');
  assert.deepEqual(await counts([0.04, 0.12, 0.04], 25), [1, 3, 1], 'a gap is filled');
  assert.deepEqual(await counts([0.1, 0.1], 30), [3, 3]);
  assert.deepEqual(await counts([0.02, 0.02, 0.02, 0.02], 25), [1, 0, 1, 0]);
  const first = await counts([0.01, 0.01, 0.01], 5);
  assert.deepEqual(first, [1, 0, 0], 'a clip shorter than one position keeps its first frame');
});

test('the progress line tells how far, how fast and how long still', () => {
  const state = { done: 30, total: 120, seconds: 10 };
  assert.equal(progressText('out.mp4', { ...state, bar: false }), 'out.mp4 30/120 frames, 3.0 fps, 30 s left');
  assert.equal(
    progressText('out.mp4', { ...state, bar: true }),
    `out.mp4 [${'#'.repeat(6)}${'-'.repeat(18)}] 30/120 frames, 3.0 fps, 30 s left`,
  );
  assert.equal(progressText('x', { ...state, total: undefined, bar: true }), 'x 30 frames, 3.0 fps');
  assert.equal(
    progressText('x', { ...state, total: 20, bar: true }),
    'x 30 frames, 3.0 fps',
    'an estimate that was too low',
  );
  assert.deepEqual([8.4, 200, 7500].map(duration), ['8 s', '3 min 20 s', '2 h 5 min']);
});
