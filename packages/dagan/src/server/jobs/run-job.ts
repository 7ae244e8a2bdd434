// What a job does: a call of the library, on its files and with its options.
import { type AnimationResult, animateClip, type Listening } from '../../pipelines/animate-clip.js';
import { animateFaces, type FacesResult } from '../../pipelines/animate-faces.js';
import type { EngineChoice } from '../../pipelines/choose-engine.js';
import type { Job } from './job.js';
import type { JobFolder } from './job-folder.js';
import { settingsOf } from './job-options.js';

/** Makes the result of a job in its folder, whole or not at all. @throws what `animateClip` and `animateFaces` throw */
export function runJob(
  { id, driving: sent, files, options }: Job,
  folder: JobFolder,
  listening: EngineChoice & Listening,
): Promise<AnimationResult | FacesResult> {
  const path = (name: string): string => folder.place(id, name);
  const driving = files.driving === undefined ? sent : path(files.driving);
  const { crop, ...settings } = settingsOf(options);
  const job = { ...listening, ...settings, portrait: path(files.portrait), output: path(files.result) };
  const { faces, drivingFaces } = options;
  return faces
    ? animateFaces({ ...job, drivings: [driving], faces, drivingFaces })
    : animateClip({ ...job, crop, driving });
}
