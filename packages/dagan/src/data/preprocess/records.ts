// What is known of prepared videos: a record per video, from which the data set's index and the report are made.
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { MediaError, systemCode, toMediaError } from '../../media/errors.js';
import type { PreprocessSettings, VideoResult } from './process-video.js';
import type { RawVideo } from './raw-videos.js';

/** How a video was prepared, and what came of it. */
export type VideoRecord = {
  video: RawVideo;
  /** Absolute path of the video. */
  source: string;
  split: string;
  settings: PreprocessSettings;
  /** Seconds that it took. */
  seconds: number;
  result?: VideoResult;
  /** Why it could not be prepared. */
  error?: string;
};

/** Where the records lie below the data set's root; names that begin with a dot are no clips. */
const RECORDS = '.dagan-preprocess';

/** Name of the report below the data set's root. */
export const REPORT = 'preprocess-report.json';

/** The records of a data set being made. Any number of processes may work on it, each on videos of its own. */
export class RecordStore {
  readonly #folder: string;

  private constructor(readonly root: string) {
    this.#folder = join(root, RECORDS);
  }

  /**
   * Opens or begins a data set.
   *
   * @throws MediaError if the folder holds the index of something else, or cannot be written
   */
  static async open(root: string): Promise<RecordStore> {
    const store = new RecordStore(root);
    const has = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined;
    if ((await has(join(root, 'index.json'))) && !(await has(store.#folder))) {
      throw new MediaError(root, 'holds an index.json that was not made by this command; choose another folder');
    }
    await mkdir(store.#folder, { recursive: true }).catch((error: unknown) => {
      throw toMediaError(root, error, 'cannot be written');
    });
    return store;
  }

  /** Whether a video has been prepared like this already, and all of its clips are there. */
  async isDone(video: RawVideo, split: string, settings: PreprocessSettings): Promise<boolean> {
    const record = await this.#read(recordName(split, video.name));
    if (!record?.result) return false;
    const same =
      record.video.bytes === video.bytes &&
      record.video.modified === video.modified &&
      JSON.stringify(record.settings) === JSON.stringify(settings);
    if (!same) return false;
    for (const { file } of record.result.clips) {
      if (!(await stat(join(this.root, file)).catch(() => undefined))) return false;
    }
    return true;
  }

  /** Another video that is still there and whose clips already have this one's name; undefined if there is none. */
  async namesake(video: RawVideo, split: string): Promise<string | undefined> {
    const record = await this.#read(recordName(split, video.name));
    if (!record || record.source === resolve(video.path) || record.video.bytes === video.bytes) return undefined;
    return (await stat(record.source).catch(() => undefined)) && record.source;
  }

  /** Removes what an earlier run, other settings or an end in the middle have left of a video. */
  async clear(video: RawVideo, split: string): Promise<void> {
    await rm(join(this.#folder, recordName(split, video.name)), { force: true });
    const clips = join(this.root, split);
    await mkdir(clips, { recursive: true }).catch((error: unknown) => {
      throw toMediaError(clips, error, 'cannot be written');
    });
    const begin = `${video.name}#`;
    for (const name of await readdir(clips)) {
      if (!name.startsWith(begin) || !/^\d+-\d+(\.mp4)?(\.part)?$/.test(name.slice(begin.length))) continue;
      await rm(join(clips, name), { recursive: true, force: true });
    }
  }

  /** Keeps the record of a video that has been worked on. */
  async put(record: Omit<VideoRecord, 'source'>): Promise<void> {
    const source = resolve(record.video.path);
    await writeJson(join(this.#folder, recordName(record.split, record.video.name)), { ...record, source });
  }

  /** All records, in the order of their names. */
  async all(): Promise<VideoRecord[]> {
    const records = await Promise.all((await this.#names()).map((name) => this.#read(name)));
    return records.filter((record) => record !== undefined);
  }

  /** Writes index.json and the report from all records that there are, also those of other processes. */
  async publish(): Promise<void> {
    // Whoever finishes last writes what all have done, even if another writes at the same time.
    for (let before = ''; ; ) {
      const records = await this.all();
      const now = JSON.stringify(records.map(({ video, split, seconds }) => [split, video.name, seconds]));
      if (now === before) return;
      before = now;
      await writeJson(join(this.root, 'index.json'), records.flatMap(indexEntries));
      await writeJson(join(this.root, REPORT), reportOf(records));
    }
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#folder)).filter((name) => name.endsWith('.json')).sort();
  }

  async #read(name: string): Promise<VideoRecord | undefined> {
    const path = join(this.#folder, name);
    try {
      return JSON.parse(await readFile(path, 'utf8')) as VideoRecord;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw toMediaError(path, error, 'is damaged; remove it, and its video is prepared anew');
    }
  }
}

function recordName(split: string, name: string): string {
  return `${split}#${name}.json`;
}

/** The entries of index.json for a video, as `openDataset` reads them, with where each clip comes from. */
function indexEntries({ video, settings, result }: VideoRecord): object[] {
  return (result?.clips ?? []).map(({ file, frames, start, end, crop, faceWidth, faceHeight, motion }) => ({
    file,
    identity: video.identity,
    frames,
    fps: settings.frameRate,
    size: settings.size,
    motion: round(motion),
    faceWidth: round(faceWidth),
    faceHeight: round(faceHeight),
    source: video.path,
    sourceSize: [result!.width, result!.height],
    sourceFrameRate: round(result!.frameRate),
    sourceFrames: [start, end],
    crop: [crop.left, crop.top, crop.width, crop.height],
  }));
}

/** What was made and dropped, in all and video by video. */
export function reportOf(records: readonly VideoRecord[]): {
  totals: PreprocessTotals;
  videos: object[];
} {
  return {
    totals: totalsOf(records),
    videos: records.map(({ video, split, seconds, result, error }) => ({
      video: video.path,
      identity: video.identity,
      split,
      ...(error === undefined ? {} : { error }),
      ...(result && {
        frames: result.frames,
        frameRate: round(result.frameRate),
        size: [result.width, result.height],
        clips: result.clips.map(({ file }) => file),
        framesWithoutFace: result.framesWithoutFace,
        dropped: result.dropped,
        warnings: result.warnings,
      }),
      seconds: round(seconds),
    })),
  };
}

/** Sums over videos; lengths in seconds of video. */
export type PreprocessTotals = {
  videos: number;
  failedVideos: number;
  videosWithoutClips: number;
  identities: number;
  clips: number;
  frames: number;
  videoSeconds: number;
  keptSeconds: number;
  withoutFaceSeconds: number;
  /** By reason. */
  dropped: Record<string, { parts: number; seconds: number }>;
};

/** Adds up records. */
export function totalsOf(records: readonly VideoRecord[]): PreprocessTotals {
  const totals: PreprocessTotals = {
    videos: records.length,
    failedVideos: 0,
    videosWithoutClips: 0,
    identities: new Set(records.filter(({ result }) => result?.clips.length).map(({ video }) => video.identity)).size,
    clips: 0,
    frames: 0,
    videoSeconds: 0,
    keptSeconds: 0,
    withoutFaceSeconds: 0,
    dropped: {},
  };
  for (const { result } of records) {
    if (!result) {
      totals.failedVideos++;
      continue;
    }
    const seconds = (frames: number): number => frames / result.frameRate;
    if (result.clips.length === 0) totals.videosWithoutClips++;
    totals.clips += result.clips.length;
    totals.frames += result.clips.reduce((sum, { frames }) => sum + frames, 0);
    totals.videoSeconds += seconds(result.frames);
    totals.keptSeconds += result.clips.reduce((sum, { start, end }) => sum + seconds(end - start), 0);
    totals.withoutFaceSeconds += seconds(result.framesWithoutFace);
    for (const { start, end, reason } of result.dropped) {
      const sum = totals.dropped[reason] ?? { parts: 0, seconds: 0 };
      totals.dropped[reason] = { parts: sum.parts + 1, seconds: round(sum.seconds + seconds(end - start)) };
    }
  }
  for (const key of ['videoSeconds', 'keptSeconds', 'withoutFaceSeconds'] as const) totals[key] = round(totals[key]);
  return totals;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

/** Writes a file whole or not at all, also if several processes write it. */
async function writeJson(path: string, value: unknown): Promise<void> {
  const part = `${path}.${process.pid}.part`;
  try {
    await writeFile(part, `${JSON.stringify(value, null, 1)}\n`);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw toMediaError(path, error, 'cannot be written');
  }
}
