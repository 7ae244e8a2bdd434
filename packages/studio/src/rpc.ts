// Calls from the page to a worker and back: one message there, one message back, buffers handed over instead of copied.

/** What a worker offers: functions of one argument. */
export type Handlers = Record<string, (argument: never) => unknown>;

type Call = { id: number; name: string; argument: unknown };
type Reply = { id: number; value?: unknown; error?: { name: string; message: string } };

/** The same functions as seen from the page. */
export type Remote<H extends Handlers> = {
  [Name in keyof H]: (argument: Parameters<H[Name]>[0]) => Promise<Awaited<ReturnType<H[Name]>>>;
};

/** In a worker: answers calls. Results go over with the buffers of their pictures. */
export function serve(handlers: Handlers): void {
  addEventListener('message', async ({ data }: MessageEvent<Call>) => {
    const { id, name, argument } = data;
    try {
      const value = await handlers[name]!(argument as never);
      postMessage({ id, value } satisfies Reply, { transfer: buffersOf(value) });
    } catch (error) {
      const { name: kind, message } = error instanceof Error ? error : new Error(String(error));
      postMessage({ id, error: { name: kind, message } } satisfies Reply);
    }
  });
}

/** A worker whose functions are called with `remote.name(argument)`. Errors of the worker are rejections with its words. */
export class RemoteWorker<H extends Handlers> {
  readonly remote: Remote<H>;
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #next = 0;
  #ended: Error | undefined;

  constructor(private readonly worker: Worker) {
    worker.addEventListener('message', ({ data }: MessageEvent<Reply>) => {
      const call = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error) call?.reject(Object.assign(new Error(data.error.message), { name: data.error.name }));
      else call?.resolve(data.value as never);
    });
    worker.addEventListener('error', (event) => {
      event.preventDefault();
      this.#end(new Error(event.message || 'a part of the page could not be loaded; load the page again'));
    });
    this.remote = new Proxy({} as Remote<H>, {
      get: (_target, name) => (argument: unknown) => this.#call(String(name), argument),
    });
  }

  /** Ends the worker and frees its memory; calls that wait are rejected, and those to come. */
  terminate(): void {
    this.worker.terminate();
    this.#end(new DOMException('stopped', 'AbortError'));
  }

  #call(name: string, argument: unknown): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, name, argument } satisfies Call, buffersOf(argument));
    });
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** Buffers and bitmaps of a value, or of its fields; those of shared memory stay where they are. */
function buffersOf(value: unknown): Transferable[] {
  if (value instanceof ImageBitmap) return [value];
  if (ArrayBuffer.isView(value)) return value.buffer instanceof ArrayBuffer ? [value.buffer] : [];
  if (typeof value !== 'object' || value === null || value instanceof Blob) return [];
  return Object.values(value).flatMap(buffersOf);
}
