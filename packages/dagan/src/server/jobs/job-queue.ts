// Jobs one after the other, or several at once: they wait, run through the library, can be stopped, and outlive the server.
import { EventEmitter, on } from 'node:events';
import { stat } from 'node:fs/promises';
import { codeOf } from '../../errors.js';
import { isDiskFull } from '../../media/errors.js';
import type { EngineChoice } from '../../pipelines/choose-engine.js';
import type { PipelineEvent } from '../../pipelines/events.js';
import { RequestProblem } from '../problems.js';
import { isFinished, type Job, type JobError, type JobEvent, type JobProgress, type JobView } from './job.js';
import { JobFolder } from './job-folder.js';
import { runJob } from './run-job.js';

export type JobLimits = {
  /** Bytes of one request. */
  upload: number;
  /** Jobs that wait, those whose files arrive included. */
  waiting: number;
  /** Milliseconds that a job may run. */
  time: number;
  /** Milliseconds that a finished job is kept. */
  keep: number;
};

/** Default limits: 200 MB, 100 jobs, an hour, a day. */
export const JOB_LIMITS: JobLimits = { upload: 200e6, waiting: 100, time: 3600e3, keep: 24 * 3600e3 };

export type JobQueueOptions = {
  /** Folder in which jobs are kept. */
  folder: string;
  /** Model and engine of all jobs. */
  model?: EngineChoice;
  /** How many jobs run at once; default 1, as one uses all of the processor. */
  atOnce?: number;
  limits?: Partial<JobLimits>;
  /** Told of every job whose state has changed, and of faults that belong to no request. */
  onChange?: (job: JobView) => void;
  onFault?: (message: string) => void;
};

/** How often a job is begun that ends the server each time. */
const MOST_ATTEMPTS = 3;

/** Notices that are kept of a job. */
const MOST_NOTICES = 100;

/** Milliseconds between two tellings of a job's progress. */
const INTERVAL = 250;

/** How often it is looked for jobs that are no longer kept, in milliseconds. */
const CLEANING = 10 * 60e3;

/** Why jobs stop that are begun again. */
const SERVER_ENDS = new Error('the server ends');

/** What is known of a job beside what is written. */
type Entry = {
  job: Job;
  progress?: JobProgress;
  /** Stops it, while it runs. */
  stop?: AbortController;
  /** Resolves when it no longer runs. */
  ended?: Promise<void>;
  /** Resolves when its last change is on disk, or could not be written: to whether it is. */
  written?: Promise<boolean>;
  /** Resolves when nothing is kept of it any more. */
  removed?: Promise<void>;
};

export class JobQueue {
  readonly limits: JobLimits;
  readonly folder: JobFolder;
  readonly #options: JobQueueOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #told = new EventEmitter<Record<string, [JobEvent]>>().setMaxListeners(0);
  readonly #cleaning: NodeJS.Timeout;
  #arriving = 0;
  #closed = false;

  private constructor(folder: JobFolder, options: JobQueueOptions) {
    this.folder = folder;
    this.#options = options;
    this.limits = { ...JOB_LIMITS, ...options.limits };
    this.#cleaning = setInterval(() => this.#spawn(this.#removeOld()), CLEANING).unref();
  }

  /**
   * Opens the folder and goes on with what waits there. Jobs that were running when the server ended are begun again, three times
   * in all.
   *
   * @throws DaganError if another process serves the folder, MediaError if it cannot be read
   */
  static async open(options: JobQueueOptions): Promise<JobQueue> {
    const folder = await JobFolder.open(options.folder);
    const queue = new JobQueue(folder, options);
    try {
      for (const job of await folder.read((error) => queue.tellFault(error))) {
        const entry: Entry = { job };
        queue.#entries.set(job.id, entry);
        if (job.state !== 'running') continue;
        const again = job.attempts < MOST_ATTEMPTS;
        const message = `the server ended ${job.attempts} times while it ran`;
        await queue.#change(
          entry,
          again ? { state: 'queued' } : { state: 'failed', error: { code: 'interrupted', message } },
        );
      }
      await queue.#removeOld();
    } catch (error) {
      await queue.close();
      throw error;
    }
    queue.#next();
    return queue;
  }

  /**
   * Keeps a place for a job whose files are about to arrive.
   *
   * @returns gives the place back; to be called once, when the job has been added or will not come
   * @throws RequestProblem if as many wait as may
   */
  reserve(): () => void {
    const waiting = [...this.#entries.values()].filter(({ job }) => job.state === 'queued').length;
    if (waiting + this.#arriving >= this.limits.waiting) {
      throw new RequestProblem('queue-full', `${this.limits.waiting} jobs wait already`, { most: this.limits.waiting });
    }
    this.#arriving++;
    return () => {
      this.#arriving--;
    };
  }

  /** Adds a job whose files lie in its folder. */
  async add(asked: Pick<Job, 'id' | 'portrait' | 'driving' | 'options' | 'files'>): Promise<JobView> {
    const job: Job = { ...asked, state: 'queued', created: new Date().toISOString(), attempts: 0, notices: [] };
    const entry: Entry = { job };
    await this.folder.write(job);
    this.#entries.set(job.id, entry);
    this.#tellState(entry);
    this.#next();
    return this.#view(entry);
  }

  /** All jobs, the oldest first. */
  list(): JobView[] {
    return [...this.#entries.values()].map((entry) => this.#view(entry));
  }

  /** @throws RequestProblem if there is no such job */
  get(id: string): JobView {
    return this.#view(this.#entry(id));
  }

  /** The path of a job's result. @throws RequestProblem if it has none */
  result(id: string): string {
    const { job } = this.#entry(id);
    if (job.state === 'done') return this.folder.place(id, job.files.result);
    throw new RequestProblem('no-result', `the job is ${job.state}`, { state: job.state });
  }

  /** What happens to a job from now on, first its state; ends when nothing more will happen, or by the signal. */
  async *events(id: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
    const entry = this.#entry(id);
    if (isFinished(entry.job)) {
      yield { event: 'job', data: this.#view(entry) };
      return;
    }
    const coming = on(this.#told, id, { signal }); // from here on nothing is missed
    const first = this.#view(entry);
    try {
      yield { event: 'job', data: first };
      for await (const [event] of coming as AsyncIterable<[JobEvent]>) {
        yield event;
        if (event.event === 'job' && isFinished(event.data)) return;
      }
    } finally {
      await coming.return?.();
    }
  }

  /** Stops a job that waits or runs; resolves when it has stopped. @throws RequestProblem if there is no such job */
  async cancel(id: string): Promise<JobView> {
    const entry = this.#entry(id);
    if (entry.job.state === 'queued') await this.#change(entry, { state: 'cancelled' });
    entry.stop?.abort(new Error('cancelled'));
    await entry.ended?.catch(() => {}); // told already
    return this.#view(entry);
  }

  /** Stops a job and removes all that is kept of it. @throws RequestProblem if there is no such job */
  async remove(id: string): Promise<void> {
    const entry = this.#entry(id);
    entry.removed ??= this.cancel(id).then(() => this.#discard(entry));
    await entry.removed;
  }

  /** Tells whoever runs the server of a fault. */
  tellFault(error: unknown): void {
    this.#options.onFault?.(error instanceof Error ? error.message : String(error));
  }

  /** Stops all work. What ran waits again, as if it had not been begun, for the folder to be opened anew. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#cleaning);
    const running = [...this.#entries.values()].filter(({ stop }) => stop);
    // Written at once: on a busy machine work takes long to stop, and whoever ends the server may not wait for it.
    await Promise.allSettled(running.map((entry) => Promise.all([this.#putBack(entry), entry.ended])));
    await this.#writeMissing();
    this.folder.close();
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id);
    if (!entry) throw new RequestProblem('no-such-job', 'there is no such job, or it is no longer kept');
    return entry;
  }

  #view({ job: { files: _, ...job }, progress }: Entry): JobView {
    if (job.state === 'running') return { ...job, progress };
    if (job.state !== 'queued') return job;
    const waiting = [...this.#entries.values()].filter((other) => other.job.state === 'queued');
    return { ...job, position: waiting.findIndex((other) => other.job.id === job.id) };
  }

  /** Begins as many jobs as may run at once. */
  #next(): void {
    if (this.#closed) return;
    const entries = [...this.#entries.values()];
    let free = (this.#options.atOnce ?? 1) - entries.filter(({ stop }) => stop).length;
    for (const entry of entries) {
      if (entry.job.state !== 'queued' || entry.stop || free-- <= 0) continue;
      entry.stop = new AbortController();
      entry.ended = this.#run(entry, entry.stop.signal).finally(() => {
        entry.stop = undefined;
        entry.progress = undefined;
        this.#next();
      });
      this.#spawn(entry.ended);
    }
  }

  async #run(entry: Entry, cancelled: AbortSignal): Promise<void> {
    const { id, files, attempts } = entry.job;
    const late = AbortSignal.timeout(this.limits.time);
    try {
      const started = new Date().toISOString();
      await this.#change(entry, { state: 'running', started, attempts: attempts + 1, notices: [] });
      const result = await runJob(entry.job, this.folder, {
        ...this.#options.model,
        signal: AbortSignal.any([cancelled, late]),
        onEvent: this.#listener(entry),
      });
      const { size: bytes } = await stat(this.folder.place(id, files.result));
      await this.#change(entry, { state: 'done', result: { ...result, bytes } });
    } catch (error) {
      // Ctrl-C ends the codec processes too; the signal itself must have been handled before their end is judged.
      await new Promise((resolve) => setImmediate(resolve));
      if (cancelled.reason === SERVER_ENDS) return; // it waits again
      if (cancelled.aborted) await this.#change(entry, { state: 'cancelled' });
      else await this.#change(entry, { state: 'failed', error: late.aborted ? this.#late() : this.#errorOf(error) });
    }
  }

  /** Stops a job's work, and has it wait again as if it had not been begun, unless it was stopped before. */
  async #putBack(entry: Entry): Promise<void> {
    entry.stop?.abort(SERVER_ENDS);
    const { state, attempts } = entry.job;
    if (state !== 'running' || entry.stop?.signal.reason !== SERVER_ENDS) return;
    await this.#change(entry, { state: 'queued', attempts: attempts - 1 });
  }

  #late(): JobError {
    const seconds = this.limits.time / 1000;
    return { code: 'timed-out', message: `it ran longer than ${seconds} s, which is the limit`, values: { seconds } };
  }

  /** What went wrong, without this machine's folders; with a code of its own where it has one. */
  #errorOf(error: unknown): JobError {
    const message = error instanceof Error ? error.message : String(error);
    const code = isDiskFull(error) ? 'disk-full' : 'failed';
    return this.folder.tidied({ code, message, ...codeOf(error) });
  }

  /** Hears what the library tells while it works on a job. */
  #listener(entry: Entry): (event: PipelineEvent) => void {
    const { id } = entry.job;
    let told = -Infinity;
    return (event) => {
      if (event.type === 'progress') {
        const { label, done, total, ended } = event;
        entry.progress = this.folder.tidied({ label, done, total });
        const now = performance.now();
        if (!ended && now - told < INTERVAL) return;
        told = now;
        this.#told.emit(id, { event: 'progress', data: entry.progress });
        return;
      }
      const { type, code, message, values } = event;
      const notice = this.folder.tidied({ type, code, message, values });
      if (entry.job.notices.length < MOST_NOTICES) entry.job.notices.push(notice);
      this.#told.emit(id, { event: 'notice', data: notice });
    };
  }

  /** Changes a job, and tells of it when that is on disk. Where it cannot be written, the work goes on all the same. */
  async #change(entry: Entry, change: Partial<Job>): Promise<void> {
    const finished = change.state !== undefined && isFinished({ state: change.state });
    entry.job = { ...entry.job, ...change, ...(finished && { finished: new Date().toISOString() }) };
    await this.#write(entry);
    this.#tellState(entry);
  }

  /** Writes a job as it is now, after what was to be written of it before. Never throws. */
  #write(entry: Entry): Promise<boolean> {
    const { job } = entry;
    entry.written = Promise.resolve(entry.written)
      .then(() => this.folder.write(job))
      .then(
        () => true,
        (error: unknown) => {
          this.tellFault(error);
          return false;
        },
      );
    return entry.written;
  }

  /** Writes what could not be written before, as there may be room by now. */
  async #writeMissing(): Promise<void> {
    for (const entry of this.#entries.values()) if ((await entry.written) === false) await this.#write(entry);
  }

  /** Removes all that is kept of a job which has ended, when what is being written of it has been. */
  async #discard(entry: Entry): Promise<void> {
    const { id } = entry.job;
    this.#entries.delete(id);
    await entry.written;
    await this.folder.remove(id);
  }

  #tellState(entry: Entry): void {
    const data = this.#view(entry);
    this.#options.onChange?.(data);
    this.#told.emit(entry.job.id, { event: 'job', data });
  }

  async #removeOld(): Promise<void> {
    const before = Date.now() - this.limits.keep;
    for (const entry of this.#entries.values()) {
      const { job } = entry;
      if (!isFinished(job) || Date.parse(job.finished ?? job.created) > before) continue;
      entry.removed ??= this.#discard(entry);
      await entry.removed;
    }
    await this.#writeMissing();
  }

  /** Work that nobody waits for: a fault of it, such as a full disk, is told and ends nothing. */
  #spawn(work: Promise<void>): void {
    work.catch((error: unknown) => this.tellFault(error));
  }
}
