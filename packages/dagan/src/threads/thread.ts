// A worker thread that answers requests, as the program sees it.
import { Worker } from 'node:worker_threads';
import type { ThreadAnswer, ThreadFailure, ThreadRequest } from './messages.js';

export type ThreadOptions = {
  /** What the thread's script finds in `workerData`. */
  setup: unknown;
  /** What the thread is, for messages: "a loader's worker". */
  name: string;
  /** Makes the error that a request ends with out of what the thread says of it. */
  errorOf?: (failure: ThreadFailure) => Error | undefined;
};

/**
 * A thread that runs a script which calls `answerRequests`. Requests are worked on one after the other. It keeps the program
 * alive only while it is held.
 */
export class Thread<Request, Answer> {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  readonly #options: ThreadOptions;
  #asked = 0;
  #failure: Error | undefined;
  #closing = false;

  constructor(script: URL, options: ThreadOptions) {
    const { setup, name } = options;
    this.#options = options;
    this.#worker = new Worker(script, { workerData: setup, execArgv: [] });
    this.#worker.unref();
    this.#worker.on('message', (answer: ThreadAnswer<Answer>) => this.#receive(answer));
    this.#worker.on('error', (error) => this.#fail(new Error(`${name} failed: ${error.message}`, { cause: error })));
    this.#worker.on('exit', (code) => this.#fail(new Error(`${name} ended unexpectedly (exit code ${code})`)));
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

  /** Ends the thread, and the program does not end before it. What was asked and not answered rejects with `reason`. */
  async close(reason: string): Promise<void> {
    this.#closing = true;
    this.hold(true);
    this.#fail(new Error(reason));
    await this.#worker.terminate();
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
