// Calls from the page to a worker and back, answered one after the other: with progress, cancelling, errors, and buffers and
// bitmaps that are handed over instead of copied.

/** What a function of a worker gets beside its argument. */
export type CallContext = {
  /** Aborted when the caller no longer wants the result. */
  signal: AbortSignal;
  /** Tells the caller something on the way. */
  report: (progress: unknown) => void;
};

type Handler = (argument: never, context: CallContext) => unknown;

/** What a worker offers: functions of one argument, or of none. */
export type Handlers<H> = { [Name in keyof H]: Handler };

/** How a call is made. */
export type CallSettings = { signal?: AbortSignal; onProgress?: (progress: never) => void };

/** What a function of a worker is called with. */
type CallOf<F extends Handler> = F extends () => unknown
  ? [argument?: undefined, settings?: CallSettings]
  : [argument: Parameters<F>[0], settings?: CallSettings];

/** The same functions as seen from the page. */
export type Remote<H extends Handlers<H>> = {
  [Name in keyof H]: (...call: CallOf<H[Name]>) => Promise<Awaited<ReturnType<H[Name]>>>;
};

/** What a worker says of an error. */
export type ToldError = {
  name: string;
  message: string;
  code?: string;
  /** The worker cannot go on after it. */
  fatal?: boolean;
};

/** Why a call has failed. */
export type Failure =
  | ({ kind: 'thrown' } & ToldError)
  /** The argument has been closed, or handed over before. */
  | { kind: 'not-sent' }
  /** The worker could not be loaded, or has stopped; `why` is empty where the browser does not say. */
  | { kind: 'died'; why: string };

type Request = { id: number; name: string; argument: unknown } | { abort: number };

type Response = { id: number; value: unknown } | { id: number; progress: unknown } | { id: number; error: ToldError };

/**
 * In a worker: answers calls, in order. Results go over with their buffers. Bitmaps of an argument are closed when its
 * call has ended, also if it never began.
 *
 * @param tell what is said of what was thrown
 */
export function serve<H extends Handlers<H>>(handlers: H, tell: (thrown: unknown) => ToldError = tellPlainly): void {
  const waiting = new Map<number, AbortController>();
  let last: Promise<void> = Promise.resolve();
  const send = (response: Response, transfer: Transferable[] = []): void => postMessage(response, { transfer });

  const answer = async (id: number, name: string, argument: unknown, signal: AbortSignal): Promise<void> => {
    try {
      if (signal.aborted) return;
      const context: CallContext = { signal, report: (progress) => send({ id, progress }) };
      const value = await handlers[name as keyof H](argument as never, context);
      if (!signal.aborted) send({ id, value }, transferables(value));
    } catch (error) {
      if (!signal.aborted) send({ id, error: tell(error) });
    } finally {
      waiting.delete(id);
      for (const item of transferables(argument)) if (item instanceof ImageBitmap) item.close();
    }
  };

  addEventListener('message', ({ data }: MessageEvent<Request>) => {
    if ('abort' in data) {
      waiting.get(data.abort)?.abort();
      return;
    }
    const { id, name, argument } = data;
    const controller = new AbortController();
    waiting.set(id, controller);
    last = last.then(() => answer(id, name, argument, controller.signal));
  });
}

type Call = {
  resolve: (value: never) => void;
  reject: (reason: unknown) => void;
  onProgress: ((progress: never) => void) | undefined;
};

export type RemoteOptions = {
  /** Whether buffers of arguments are handed over, as bitmaps are, or stay of use to the page. */
  pixels: 'copied' | 'handed-over';
  /** The error that a failed call is rejected with. */
  errorOf: (failure: Failure) => Error;
};

/**
 * A worker whose functions are called with `remote.name(argument, settings)`. A call that is aborted is rejected with its
 * signal's reason; others that fail, with the error of their failure.
 */
export class RemoteWorker<H extends Handlers<H>> {
  readonly remote: Remote<H>;
  readonly #options: RemoteOptions;
  readonly #calls = new Map<number, Call>();
  #next = 0;
  #ended: Error | undefined;

  readonly #worker: Worker;

  constructor(worker: Worker, options: Partial<RemoteOptions> = {}) {
    this.#worker = worker;
    const { errorOf, pixels } = { pixels: 'handed-over' as const, errorOf: plainError, ...options };
    this.#options = { errorOf, pixels };
    worker.addEventListener('message', ({ data }: MessageEvent<Response>) => this.#take(data));
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.terminate(errorOf({ kind: 'died', why: event.message ?? '' }));
    });
    this.remote = new Proxy({} as Remote<H>, {
      get: (own, name) => {
        // `then` is what promises look for, in whatever they are resolved with.
        if (name === 'then' || typeof name === 'symbol' || name in own) return Reflect.get(own, name);
        return (argument: unknown, settings?: CallSettings) => this.#call(name, argument, settings);
      },
    });
  }

  /** Ends the worker and frees its memory; calls that wait are rejected, and those to come. */
  terminate(reason: Error = new DOMException('stopped', 'AbortError')): void {
    this.#worker.terminate();
    this.#ended ??= reason;
    for (const { reject } of this.#calls.values()) reject(this.#ended);
    this.#calls.clear();
  }

  #call(name: string, argument: unknown, { signal, onProgress }: CallSettings = {}): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    const { pixels, errorOf } = this.#options;
    const items = transferables(argument).filter((item) => pixels === 'handed-over' || item instanceof ImageBitmap);
    try {
      this.#worker.postMessage({ id, name, argument } satisfies Request, items);
    } catch {
      return Promise.reject(errorOf({ kind: 'not-sent' }));
    }
    const abort = (): void => {
      this.#calls.get(id)?.reject(signal!.reason);
      this.#calls.delete(id);
      this.#worker.postMessage({ abort: id } satisfies Request);
    };
    signal?.addEventListener('abort', abort);
    const answer = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject, onProgress }));
    return answer.finally(() => signal?.removeEventListener('abort', abort));
  }

  #take(response: Response): void {
    const call = this.#calls.get(response.id);
    if (!call) return; // it was aborted
    if ('progress' in response) {
      call.onProgress?.(response.progress as never);
      return;
    }
    this.#calls.delete(response.id);
    if (!('error' in response)) {
      call.resolve(response.value as never);
      return;
    }
    const error = this.#options.errorOf({ kind: 'thrown', ...response.error });
    call.reject(error);
    if (response.error.fatal) this.terminate(error);
  }
}

function tellPlainly(thrown: unknown): ToldError {
  const { name, message } = thrown instanceof Error ? thrown : new Error(String(thrown));
  return { name, message };
}

/** An error with the words and the name of the worker's. */
function plainError(failure: Failure): Error {
  if (failure.kind === 'thrown') return Object.assign(new Error(failure.message), { name: failure.name });
  if (failure.kind === 'not-sent') return new Error('the picture has been handed over before');
  return new Error(failure.why || 'a part of the page could not be loaded; load the page again');
}

/** What of a value can be handed over: bitmaps, and buffers that are not shared. */
function transferables(value: unknown): (ArrayBuffer | ImageBitmap)[] {
  const found = new Set<ArrayBuffer | ImageBitmap>();
  const visit = (item: unknown): void => {
    if (typeof item !== 'object' || item === null) return;
    if (item instanceof ImageBitmap) found.add(item);
    else if (!ArrayBuffer.isView(item)) Object.values(item).forEach(visit);
    else if (item.buffer instanceof ArrayBuffer) found.add(item.buffer);
  };
  visit(value);
  return [...found];
}
