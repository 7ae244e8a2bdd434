// What the program and its worker threads say to each other.

/** What a thread is started with: its setup, and the memory of its gate. */
export type ThreadData = { setup: unknown; gate: SharedArrayBuffer };

export type ThreadRequest<Request> = { number: number; request: Request };

/** An error as it can be sent. */
export type ThreadFailure = {
  /** Of the error's class. */
  name: string;
  message: string;
  stack?: string;
  /** Of errors that name a file: which one; of a `MediaError` also what is wrong with it. */
  path?: string;
  reason?: string;
  /** Of errors that say with a code and values what is wrong. */
  code?: string;
  values?: unknown;
};

export type ThreadAnswer<Answer> =
  | { number: number; answer: Answer; failure?: undefined }
  | { number: number; answer?: undefined; failure: ThreadFailure };
