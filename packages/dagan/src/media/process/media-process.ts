// A process of its own that decodes or encodes beside the program. It is a process rather than a thread because codecs
// are native code that meets files from anywhere: whether one crashes or runs for ever on a damaged file, it can be ended
// without harm to the program.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MediaError } from '../errors.js';

type Waiter = { poll: () => boolean; reject: (error: Error) => void; idleTicks: number };

type Failure = { type: 'failure'; path: string; reason: string; refusal?: string };

/** The watchdog looks this often within its limit; a busy main thread can then not be mistaken for a stuck codec. */
const TICKS = 8;

/** Running processes; none outlives the program. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/**
 * Runs `script` with `job` as its first order. It keeps the program alive only while something waits for it. If nothing is
 * reported for `limitSeconds` of waiting, the process is ended and the wait fails.
 */
export class MediaProcess<Order, Report extends { type: string }> {
  readonly #path: string;
  readonly #limitSeconds: number;
  readonly #receive: (report: Exclude<Report, Failure>) => void;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #waiters: Waiter[] = [];
  #timer: NodeJS.Timeout | undefined;
  #failure: Error | undefined;

  constructor(
    script: URL,
    job: object,
    path: string,
    limitSeconds: number,
    receive: (report: Exclude<Report, Failure>) => void,
  ) {
    this.#path = path;
    this.#limitSeconds = limitSeconds;
    this.#receive = receive;

    this.#child = fork(fileURLToPath(script), [], { serialization: 'advanced', stdio: 'ignore', execArgv: [] });
    running.add(this.#child);
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        running.delete(this.#child);
        this.#fail(new MediaError(path, `the codec ended unexpectedly (${signal ?? `exit code ${code}`})`));
        resolve();
      });
    });
    this.#child.on('error', (error) => this.#fail(new MediaError(path, `the codec process failed: ${error.message}`)));
    this.#child.on('message', (report) => this.#take(report as Report));
    this.#send(job);
    this.#hold(false);
  }

  /** Sends an order. */
  post(order: Order & object): void {
    if (!this.#failure) this.#send(order);
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
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      this.#waiters.push({ poll: settle, reject, idleTicks: 0 });
      this.#watch();
    });
  }

  /** Ends the process, whatever it is doing. Never throws. */
  async close(): Promise<void> {
    this.#fail(new MediaError(this.#path, 'is closed'));
    this.#child.ref();
    await this.#exited;
  }

  #send(message: object): void {
    // A process that has died reports so by its exit; the error of writing to it says less.
    this.#child.send(message, () => undefined);
  }

  #take(report: Report): void {
    if (this.#failure) return;
    if (isFailure(report)) {
      this.#fail(new MediaError(report.path, report.reason, { refusal: report.refusal }));
      return;
    }
    this.#receive(report as Exclude<Report, Failure>);
    this.#waiters = this.#waiters.filter((waiter) => {
      waiter.idleTicks = 0;
      return !waiter.poll();
    });
    this.#watch();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    const rejected = this.#waiters;
    this.#waiters = [];
    for (const waiter of rejected) waiter.reject(this.#failure);
    this.#watch();
    this.#child.kill('SIGKILL');
  }

  #watch(): void {
    if (this.#waiters.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#hold(false);
    } else if (!this.#timer) {
      this.#timer = setInterval(() => this.#tick(), (this.#limitSeconds * 1000) / TICKS);
      this.#hold(true);
    }
  }

  /** Whether the process keeps the program alive. */
  #hold(on: boolean): void {
    if (on) {
      this.#child.ref();
      this.#child.channel?.ref();
    } else {
      this.#child.unref();
      this.#child.channel?.unref();
    }
  }

  #tick(): void {
    if (!this.#waiters.some((waiter) => ++waiter.idleTicks > TICKS)) return;
    this.#fail(
      new MediaError(this.#path, `no progress in ${this.#limitSeconds} seconds; the file is probably damaged`),
    );
  }
}

function isFailure(report: { type: string }): report is Failure {
  return report.type === 'failure';
}
