// What a job is: one animation that was asked for over HTTP, from its files to its result.
import type { AnimationResult } from '../../pipelines/animate-clip.js';
import type { FacesResult } from '../../pipelines/animate-faces.js';
import type { Notice } from '../../pipelines/events.js';
import type { JobOptions } from './job-options.js';

export const JOB_STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;

export type JobState = (typeof JOB_STATES)[number];

/** Why a job failed. `code` is one of the library (`ProblemValues`), or `disk-full`, `timed-out`, `interrupted` or `failed`. */
export type JobError = { code: string; message: string; values?: unknown };

/** What is kept of a job, as JSON beside its files. Times are ISO 8601. */
export type Job = {
  id: string;
  state: JobState;
  /** Names of the files as they were sent, or of the motion template. */
  portrait: string;
  driving: string;
  options: JobOptions;
  created: string;
  started?: string;
  finished?: string;
  /** How often it was begun: a job that was running when the server ended is begun again. */
  attempts: number;
  /** What was told on the way. */
  notices: Pick<Notice, 'type' | 'code' | 'message' | 'values'>[];
  result?: AnimationResult & Partial<Pick<FacesResult, 'faces'>> & { bytes: number };
  error?: JobError;
  /** Names of its files in its folder; there is no driving one where a template of this package drives. */
  files: { portrait: string; driving?: string; result: string };
};

/** How far a piece of a job is; `total`, where known, may be an estimate. */
export type JobProgress = { label: string; done: number; total?: number };

/** What is told of a job. */
export type JobView = Omit<Job, 'files'> & {
  /** How many jobs are before it, while it waits. */
  position?: number;
  progress?: JobProgress;
};

/** What is told while a job is there; `job` comes first, and whenever its state has changed. */
export type JobEvent =
  | { event: 'job'; data: JobView }
  | { event: 'progress'; data: JobProgress }
  | { event: 'notice'; data: Job['notices'][number] };

/** Whether nothing more will happen. */
export const isFinished = ({ state }: Pick<Job, 'state'>): boolean => state !== 'queued' && state !== 'running';
