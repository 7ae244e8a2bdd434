/** Test pictures and clips, all generated: a moving, coloured, smooth scene, and files with sound, rotation and tags. */

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import {
  AudioSample,
  AudioSampleSource,
  BufferTarget,
  EncodedPacketSink,
  FilePathSource,
  Input,
  MATROSKA,
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
  sound?: 'aac' | 'mp3' | 'opus' | 'flac';
  video?: boolean;
};

/** Writes an mp4 with its index in front, straight through mediabunny (none of our reader or writer). */
export async function makeMp4(path: string, recipe: Mp4Recipe = {}): Promise<void> {
  await loadCodecs();
  const { width = 64, height = 48, frames = 30, frameRate = 25, color } = recipe;
  const target = new BufferTarget();
  const output = new Output({ format: new Mp4OutputFormat({ fastStart: 'in-memory' }), target });
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
  if (audio) await addTone(audio, frames / frameRate);
  await output.finalize();
  await writeFile(path, new Uint8Array(target.buffer!));
}

async function addTone(audio: AudioSampleSource, seconds: number): Promise<void> {
  const sampleRate = 48_000;
  const block = 960;
  for (let at = 0; at + block <= seconds * sampleRate; at += block) {
    const data = Float32Array.from({ length: block }, (_, i) => {
      return 0.3 * Math.sin((2 * Math.PI * 440 * (at + i)) / sampleRate);
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
