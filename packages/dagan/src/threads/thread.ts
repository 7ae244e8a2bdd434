// A worker thread that answers requests, as the program sees it.
import { Worker } from 'node:worker_threads';
import { Gate } from './gate.js';
import type { ThreadAnswer, ThreadData, ThreadFailure, ThreadRequest } from './messages.js';

export type ThreadOptions = {
  /** What the thread's script finds with `threadSetup`. */
  setup: unknown;
  /** What the thread is, for messages: "a loader's worker". */
  name: string;
  /** Makes the error that a request ends with out of what the thread says of it. */
  errorOf?: (failure: ThreadFailure) => Error | undefined;
};

/** Milliseconds that an exiting program waits for a thread's native code. */
const EXIT_LIMIT = 30_000;

/** Threads that have not ended. */
const running = new Set<Gate>();
process.on('exit', () => {
  for (const gate of running) gate.shut(); // all stop at once, then each is waited for
  for (const gate of running) gate.shutAndWait(EXIT_LIMIT);
});

/**
 * A thread that runs a script which calls `answerRequests`. Requests are worked on one after the other. It keeps the program
 * alive only while it is held.
 */
export class Thread<Request, Answer> {
  readonly #worker: Worker;
  readonly #gate = new Gate();
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  readonly #options: ThreadOptions;
  #asked = 0;
  #failure: Error | undefined;
  #closing = false;

  constructor(script: URL, options: ThreadOptions) {
    const { setup, name } = options;
    this.#options = options;
    const data: ThreadData = { setup, gate: this.#gate.memory };
    this.#worker = new Worker(script, { workerData: data, execArgv: [] });
    this.#worker.unref();
    running.add(this.#gate);
    this.#worker.on('message', (answer: ThreadAnswer<Answer>) => this.#receive(answer));
    this.#worker.on('error', (error) => this.#fail(new Error(`${name} failed: ${error.message}`, { cause: error })));
    this.#ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        running.delete(this.#gate);
        this.#fail(new Error(`${name} ended unexpectedly (exit code ${code})`));
        resolve();
      });
    });
  }

  /** The answer to a request; rejects if it could not be worked on, or the thread has ended. */
  ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure);
        return;
      }
      const number = this.#asked++;
      this.#waiting.set(number, { resolve, reject });
      this.#worker.postMessage({ number, request } satisfies ThreadRequest<Request>);
    });
  }

  /** Whether the thread keeps the program alive. */
  hold(on: boolean): void {
    if (on || this.#closing) this.#worker.ref();
    else this.#worker.unref();
  }

  /**
   * Ends the thread as soon as what it is working on is done, and the program does not end before it. What was asked and not
   * answered rejects with `reason`.
   */
  async close(reason: string): Promise<void> {
    this.#closing = true;
    this.hold(true);
    this.#fail(new Error(reason));
    if (this.#gate.shut()) await this.#worker.terminate();
    await this.#ended;
  }

  #receive({ number, answer, failure }: ThreadAnswer<Answer>): void {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (!failure) {
      waiting?.resolve(answer!);
      return;
    }
    const { name, errorOf } = this.#options;
    waiting?.reject(errorOf?.(failure) ?? new Error(`${name} failed: ${failure.stack ?? failure.message}`));
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
  }
}
