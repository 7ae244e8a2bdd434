/** A worker thread that decodes or encodes: ordered reports, a watchdog while someone waits, a clean end in every case. */

import { Worker } from 'node:worker_threads';
import { firstLine, MediaError } from './errors.js';

type Waiter = { poll: () => boolean; reject: (error: Error) => void; idleTicks: number };

type Failure = { type: 'failure'; path: string; reason: string };

/** The watchdog looks this often within its limit; a blocked main thread can then not be mistaken for a stuck worker. */
const TICKS = 8;

/** How long a worker may take to end by itself before it is ended. */
const CLOSE_LIMIT_MS = 3000;

/**
 * Runs `script` in a thread of its own. The thread keeps the process alive only while something waits for it. If nothing
 * is reported for `limitSeconds` of waiting, the thread is ended and the wait fails.
 */
export class MediaWorker<Order, Report extends { type: string }> {
  private readonly worker: Worker;
  private readonly exited: Promise<void>;
  private waiters: Waiter[] = [];
  private timer: NodeJS.Timeout | undefined;
  private failure: Error | undefined;
  private closing = false;

  constructor(
    script: URL,
    job: object,
    private readonly path: string,
    private readonly limitSeconds: number,
    private readonly receive: (report: Exclude<Report, Failure>) => void,
  ) {
    this.worker = new Worker(script, { workerData: job });
    this.exited = new Promise((resolve) => this.worker.once('exit', () => resolve()));
    this.worker.on('message', (report: Report) => this.take(report));
    this.worker.on('error', (error) => this.fail(new MediaError(path, `failed: ${firstLine(error)}`, { cause: error })));
    this.worker.on('exit', () => this.fail(new MediaError(path, 'the worker thread ended before its work was done')));
    this.worker.unref();
  }

  /** Sends an order. */
  post(order: Order, transfer: ArrayBuffer[] = []): void {
    if (!this.failure) this.worker.postMessage(order, transfer);
  }

  /** Resolves with the first value other than `undefined` that `poll` gives, now or after a report. */
  wait<T>(poll: () => T | undefined): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const settle = () => {
        const value = poll();
        if (value === undefined) return false;
        resolve(value);
        return true;
      };
      if (settle()) return;
      if (this.failure) {
        reject(this.failure);
        return;
      }
      this.waiters.push({ poll: settle, reject, idleTicks: 0 });
      this.watch();
    });
  }

  /** Ends the thread: it is asked to, and ended if it does not follow. Never throws. */
  async close(): Promise<void> {
    this.closing = true;
    if (!this.failure) this.post({ type: 'close' } as Order);
    this.worker.ref();
    const timer = setTimeout(() => void this.worker.terminate(), this.failure ? 0 : CLOSE_LIMIT_MS);
    await this.exited;
    clearTimeout(timer);
    this.fail(new MediaError(this.path, 'is closed'));
  }

  private take(report: Report): void {
    if (isFailure(report)) {
      this.fail(new MediaError(report.path, report.reason));
      return;
    }
    this.receive(report as Exclude<Report, Failure>);
    this.waiters = this.waiters.filter((waiter) => {
      waiter.idleTicks = 0;
      return !waiter.poll();
    });
    this.watch();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    const rejected = this.waiters;
    this.waiters = [];
    for (const waiter of rejected) waiter.reject(this.failure);
    this.watch();
  }

  private watch(): void {
    if (this.waiters.length === 0) {
      clearInterval(this.timer);
      this.timer = undefined;
      if (!this.closing) this.worker.unref();
    } else if (!this.timer) {
      this.timer = setInterval(() => this.tick(), (this.limitSeconds * 1000) / TICKS);
      this.worker.ref();
    }
  }

  private tick(): void {
    if (!this.waiters.some((waiter) => ++waiter.idleTicks > TICKS)) return;
    this.fail(new MediaError(this.path, `no progress in ${this.limitSeconds} seconds; the file is probably damaged`));
    void this.worker.terminate();
  }
}

function isFailure(report: { type: string }): report is Failure {
  return report.type === 'failure';
}
