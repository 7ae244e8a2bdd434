// Raw videos to training clips: several at a time, each recorded when it is done, so that the work can be taken up again.
import { PreprocessPool } from '../data/preprocess/pool.js';
import type { PreprocessSettings } from '../data/preprocess/process-video.js';
import type { RawVideo } from '../data/preprocess/raw-videos.js';
import type { RecordStore } from '../data/preprocess/records.js';
import type { Teller } from './events.js';

export type PreprocessOptions = {
  store: RecordStore;
  /** Folder of the data set that the clips go to. */
  split: string;
  settingsOf: (video: RawVideo) => PreprocessSettings;
  /** Videos at the same time, each in a process of its own. */
  jobs: number;
  tell: Teller;
};

/** Prepares videos that have not been, and returns the paths of those that failed; why is told and recorded. */
export async function preprocessVideos(
  videos: readonly RawVideo[],
  { store, split, settingsOf, jobs, tell }: PreprocessOptions,
): Promise<string[]> {
  const failed: string[] = [];
  const progress = tell.progress('preprocess', undefined);
  let frames = 0;
  using pool = new PreprocessPool({
    progress: (more) => {
      frames += more;
      progress.update(frames);
    },
  });
  let taken = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (taken < videos.length) {
      const video = videos[taken++]!;
      const { path, still, name } = video;
      const number = (): string => `[${++done}/${videos.length}]`;
      const namesake = await store.namesake(video, split);
      if (namesake !== undefined) {
        failed.push(path);
        const message = `${number()} ${path}: clips of ${namesake} have the name ${name} already`;
        tell.warn('name-taken', message, { path, name });
        continue;
      }
      await store.clear(video, split);
      const started = performance.now();
      const settings = settingsOf(video);
      const { problem, ...outcome } = await pool.run({ path, still, name, root: store.root, split, settings });
      await store.put({ video, split, settings, seconds: (performance.now() - started) / 1000, ...outcome });
      if (outcome.error !== undefined) {
        failed.push(path);
        tell.warn('video-failed', `${number()} ${outcome.error}`, { path, problem });
        continue;
      }
      const { clips, dropped, warnings } = outcome.result;
      for (const text of warnings) tell.warn('codec', text, {});
      const reasons = [...new Set(dropped.map(({ reason }) => reason))].join(', ');
      const left = dropped.length > 0 ? `, ${counted(dropped.length, 'part')} left out (${reasons})` : '';
      const faceless = clips.length + dropped.length === 0 ? ', no face found' : '';
      const message = `${number()} ${path}: ${counted(clips.length, 'clip')}${left}${faceless}`;
      tell.notice('video-done', message, { path, clips: clips.length, dropped: dropped.length });
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, videos.length) }, work));
  progress.end();
  return failed;
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
