// Animations over HTTP: jobs that are sent, watched and fetched, and the studio's page. For Node.
export type { Job, JobError, JobEvent, JobProgress, JobState, JobView } from './jobs/job.js';
export type { JobOptions } from './jobs/job-options.js';
export { JOB_LIMITS, type JobLimits, JobQueue, type JobQueueOptions } from './jobs/job-queue.js';
export { openApi } from './openapi.js';
export type { RequestProblemCode } from './problems.js';
export { type RunningServer, type ServerOptions, startServer } from './server.js';
export type { StudioFolders, StudioModel } from './studio-files.js';
