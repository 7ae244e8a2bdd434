/** Test pictures and clips, all generated: a moving, coloured, smooth scene, and files with sound, rotation and tags. */

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import {
  AudioSample,
  AudioSampleSink,
  AudioSampleSource,
  BufferTarget,
  EncodedPacketSink,
  FilePathSource,
  Input,
  MATROSKA,
  MovOutputFormat,
  MP4,
  Mp4OutputFormat,
  Output,
  QTFF,
  Quality,
  VideoSample,
  VideoSampleSource,
  WAVE,
  WavOutputFormat,
  WEBM,
} from 'mediabunny';
import { loadCodecs } from '../src/media/formats/codecs.js';
import { type Clip, type ClipFrame, createPicture, openClip, type Picture } from '../src/media/index.js';
import { pictureToI420, type YuvColor } from '../src/media/pictures/color.js';
import { scene } from './scene.js';

export { scene };

/** A folder that is removed when the test file has run. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'dagan-media-'));
  after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A grey picture with others pasted in. */
export function collage(
  width: number,
  height: number,
  parts: readonly [picture: Picture, left: number, top: number][],
): Picture {
  const result = createPicture(width, height);
  result.data.fill(120);
  for (const [part, left, top] of parts) {
    for (let y = 0; y < part.height; y++) {
      const row = part.data.subarray(y * part.width * 3, (y + 1) * part.width * 3);
      result.data.set(row, ((top + y) * width + left) * 3);
    }
  }
  return result;
}

/** Peak signal-to-noise ratio in dB. */
export function psnr(a: Picture, b: Picture): number {
  if (a.width !== b.width || a.height !== b.height) throw new Error('the pictures differ in size');
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += (a.data[i]! - b.data[i]!) ** 2;
  return sum === 0 ? Infinity : 10 * Math.log10((255 * 255 * a.data.length) / sum);
}

/** All frames of a clip. */
export async function collect(clip: Clip): Promise<ClipFrame[]> {
  const frames: ClipFrame[] = [];
  for await (const frame of clip.frames()) frames.push(frame);
  return frames;
}

/** All frames of a file, and the warnings that came with them. */
export async function readAll(path: string, options: Parameters<typeof openClip>[1] = {}) {
  const warnings: string[] = [];
  await using clip = await openClip(path, { ...options, onWarning: (text) => warnings.push(text) });
  return { clip, frames: await collect(clip), warnings };
}

/** Names in a folder, sorted. */
export async function names(folder: string): Promise<string[]> {
  return (await readdir(folder)).sort();
}

/** How `makeMp4` makes its clip. */
export type Mp4Recipe = {
  width?: number;
  height?: number;
  frames?: number;
  frameRate?: number;
  /** Colours of the planes, and whether the file says so. */
  color?: YuvColor & { tagged: boolean };
  rotation?: 0 | 90 | 180 | 270;
  /** Codec of a 440 Hz tone of the same length. */
  sound?: 'aac' | 'mp3' | 'opus' | 'flac' | 'pcm-s16';
  /** Seconds at which a click is heard, in place of the tone. */
  click?: number;
  video?: boolean;
};

/** Writes an mp4 with its index in front, straight through mediabunny (none of our reader or writer). */
export async function makeMp4(path: string, recipe: Mp4Recipe = {}): Promise<void> {
  await loadCodecs();
  const { width = 64, height = 48, frames = 30, frameRate = 25, color } = recipe;
  const target = new BufferTarget();
  const format = recipe.sound === 'pcm-s16' ? new MovOutputFormat() : new Mp4OutputFormat({ fastStart: 'in-memory' });
  const output = new Output({ format, target });
  const video = new VideoSampleSource({
    codec: 'avc',
    quality: new Quality('very-high'),
    keyFrameInterval: 0.4,
    onEncodedPacket(_packet, meta) {
      if (!meta?.decoderConfig || !color?.tagged) return;
      const matrix = color.matrix === 'bt709' ? 'bt709' : 'smpte170m';
      meta.decoderConfig.colorSpace = { primaries: 'bt709', transfer: 'bt709', matrix, fullRange: color.fullRange };
    },
  });
  if (recipe.video !== false) output.addVideoTrack(video, { frameRate, rotation: recipe.rotation ?? 0 });
  const audio = recipe.sound && new AudioSampleSource({ codec: recipe.sound, quality: new Quality('medium') });
  if (audio) output.addAudioTrack(audio);
  await output.start();
  if (recipe.video !== false) {
    for (let index = 0; index < frames; index++) {
      const yuv = pictureToI420(scene(width, height, index), color ?? { matrix: 'bt601', fullRange: false });
      using sample = new VideoSample(yuv.data, {
        format: 'I420',
        codedWidth: yuv.width,
        codedHeight: yuv.height,
        timestamp: index / frameRate,
        duration: 1 / frameRate,
      });
      await video.add(sample);
    }
  }
  if (audio) await addTone(audio, frames / frameRate, recipe.click);
  await output.finalize();
  await writeFile(path, new Uint8Array(target.buffer!));
}

/** A tone, or silence with one short click that begins at `click` seconds. */
async function addTone(audio: AudioSampleSource, seconds: number, click?: number): Promise<void> {
  const sampleRate = 48_000;
  const block = 960;
  for (let at = 0; at + block <= seconds * sampleRate; at += block) {
    const data = Float32Array.from({ length: block }, (_, i) => {
      if (click === undefined) return 0.3 * Math.sin((2 * Math.PI * 440 * (at + i)) / sampleRate);
      const since = at + i - Math.round(click * sampleRate);
      return since >= 0 && since < 240 ? 0.8 * Math.cos((2 * Math.PI * 3000 * since) / sampleRate) : 0;
    });
    using sample = new AudioSample({
      data,
      format: 'f32',
      numberOfChannels: 1,
      sampleRate,
      timestamp: at / sampleRate,
    });
    await audio.add(sample);
  }
}

/** Writes a WAV file with a tone. */
export async function makeWav(path: string): Promise<void> {
  const target = new BufferTarget();
  const output = new Output({ format: new WavOutputFormat(), target });
  const audio = new AudioSampleSource({ codec: 'pcm-s16' });
  output.addAudioTrack(audio);
  await output.start();
  await addTone(audio, 0.5);
  await output.finalize();
  await writeFile(path, new Uint8Array(target.buffer!));
}

/** One line of an edit list: so many seconds of the track from a place in it; null where nothing is shown. */
export type EditLine = { from: number | null; seconds: number };

/**
 * Gives the tracks of an mp4 (the pictures first, then the sound) edit lists, as a phone's editor does. The index is written
 * anew at the end of the file, so that places in it stay right.
 */
export async function setEdits(path: string, tracks: readonly (readonly EditLine[])[]): Promise<void> {
  const file = await readFile(path);
  const movie = boxesOf(file, 0, file.length).find(({ name }) => name === 'moov')!;
  const inside = boxesOf(file, movie.start + 8, movie.end);
  const movieScale = file.readUInt32BE(inside.find(({ name }) => name === 'mvhd')!.start + 20);
  let track = 0;
  const parts = inside.map(({ name, start, end }) => {
    if (name !== 'trak') return file.subarray(start, end);
    const below = boxesOf(file, start + 8, end).filter((part) => part.name !== 'edts');
    const media = below.find((part) => part.name === 'mdia')!;
    const header = boxesOf(file, media.start + 8, media.end).find((part) => part.name === 'mdhd')!;
    const scale = file.readUInt32BE(header.start + 20);
    const lines = (tracks[track++] ?? []).map(({ from, seconds }) => {
      const line = Buffer.alloc(12);
      line.writeUInt32BE(Math.round(seconds * movieScale), 0);
      line.writeInt32BE(from === null ? -1 : Math.round(from * scale), 4);
      line.writeUInt16BE(1, 8);
      return line;
    });
    const count = Buffer.alloc(8);
    count.writeUInt32BE(lines.length, 4);
    const edits = lines.length === 0 ? [] : [boxOf('edts', [boxOf('elst', [count, ...lines])])];
    return boxOf('trak', [...below.map((part) => file.subarray(part.start, part.end)), ...edits]);
  });
  file.write('free', movie.start + 4, 'latin1');
  await writeFile(path, Buffer.concat([file, boxOf('moov', parts)]));
}

function boxOf(name: string, parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(parts.reduce((sum, { length }) => sum + length, 8));
  head.write(name, 4, 'latin1');
  return Buffer.concat([head, ...parts]);
}

function boxesOf(file: Buffer, from: number, to: number): { name: string; start: number; end: number }[] {
  const boxes = [];
  for (let at = from; at + 8 <= to; at += file.readUInt32BE(at)) {
    boxes.push({ name: file.toString('latin1', at + 4, at + 8), start: at, end: at + file.readUInt32BE(at) });
  }
  return boxes;
}

/** When the click of a file is heard, in seconds; undefined if there is none. */
export async function clickIn(path: string): Promise<number | undefined> {
  await loadCodecs();
  using input = new Input({ source: new FilePathSource(path), formats: [MP4, QTFF, WEBM, MATROSKA] });
  const audio = await input.getPrimaryAudioTrack();
  for await (const sample of new AudioSampleSink(audio!).samples()) {
    using owned = sample;
    const { numberOfFrames, numberOfChannels, timestamp, sampleRate } = owned;
    const data = new Float32Array(numberOfFrames * numberOfChannels);
    owned.copyTo(data, { planeIndex: 0, format: 'f32' });
    const at = data.findIndex((value) => Math.abs(value) > 0.3);
    if (at >= 0) return timestamp + Math.floor(at / numberOfChannels) / sampleRate;
  }
  return undefined;
}

/** What a video file holds, read by mediabunny alone. */
export async function inspect(path: string) {
  await loadCodecs();
  using input = new Input({ source: new FilePathSource(path), formats: [MP4, QTFF, WEBM, MATROSKA, WAVE] });
  const video = await input.getPrimaryVideoTrack();
  const audio = await input.getPrimaryAudioTrack();
  const sound: { timestamp: number; duration: number; data: Uint8Array }[] = [];
  if (audio) for await (const packet of new EncodedPacketSink(audio).packets()) sound.push(packet);
  const times: number[] = [];
  if (video) {
    for await (const packet of new EncodedPacketSink(video).packets(undefined, undefined, { metadataOnly: true })) {
      times.push(packet.timestamp);
    }
  }
  return {
    tags: await input.getMetadataTags(),
    videoCodec: await video?.getCodec(),
    width: await video?.getCodedWidth(),
    height: await video?.getCodedHeight(),
    color: await video?.getColorSpace(),
    times: times.sort((a, b) => a - b),
    audioCodec: await audio?.getCodec(),
    audioEnd: await audio?.computeDuration(),
    sound,
  };
}
