// Calls from the page to the engine's worker, answered one after the other: with progress, cancelling, and errors that
// keep their code.
import { type EngineErrorCode, StudioEngineError } from './api.js';
import { asEngineError } from './errors.js';

/** What a handler gets beside its argument. */
export type CallContext = {
  /** Aborted when the caller no longer wants the result. */
  signal: AbortSignal;
  /** Tells the caller something on the way. */
  report: (progress: unknown) => void;
};

/** What a worker offers: functions of one argument. */
export type Handlers = { [Name in string]: (argument: never, context: CallContext) => unknown };

type Request = { id: number; name: string; argument: unknown } | { abort: number };

type Response =
  | { id: number; value: unknown }
  | { id: number; progress: unknown }
  | { id: number; error: { code: EngineErrorCode; message: string } };

/** Either end of the line between page and worker. */
export type Line = Pick<Worker, 'postMessage'> & {
  addEventListener(type: 'message', listener: (event: MessageEvent) => void): void;
};

/**
 * Answers calls, in order. What is thrown becomes a `StudioEngineError`. Bitmaps and video frames of an argument are
 * closed when its call has ended, also if it never began.
 */
export function answerCalls(line: Line, handlers: Handlers): void {
  const waiting = new Map<number, AbortController>();
  let last: Promise<void> = Promise.resolve();
  const send = (response: Response, transfer: Transferable[] = []): void => line.postMessage(response, transfer);

  const answer = async (id: number, name: string, argument: unknown, signal: AbortSignal): Promise<void> => {
    try {
      if (signal.aborted) return;
      const context: CallContext = { signal, report: (progress) => send({ id, progress }) };
      const value = await handlers[name]!(argument as never, context);
      if (!signal.aborted) send({ id, value }, transferables(value));
    } catch (error) {
      const { code, message } = asEngineError(error);
      if (!signal.aborted) send({ id, error: { code, message } });
    } finally {
      waiting.delete(id);
      for (const picture of transferables(argument)) if ('close' in picture) picture.close();
    }
  };

  line.addEventListener('message', ({ data }: MessageEvent<Request>) => {
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

/** How a call is made. */
export type CallSettings = { signal?: AbortSignal; onProgress?: (progress: never) => void };

/** The page's end of the line. */
export class Caller<H extends Handlers> {
  readonly #calls = new Map<number, Call>();
  #next = 0;
  #end: StudioEngineError | undefined;

  /** @param onLoss called when an error has left the worker without memory, which it cannot go on without */
  constructor(
    private readonly line: Line,
    private readonly onLoss: (error: StudioEngineError) => void,
  ) {
    line.addEventListener('message', ({ data }: MessageEvent<Response>) => {
      const call = this.#calls.get(data.id);
      if (!call) return; // it was aborted
      if ('progress' in data) {
        call.onProgress?.(data.progress as never);
        return;
      }
      this.#calls.delete(data.id);
      if (!('error' in data)) {
        call.resolve(data.value as never);
        return;
      }
      const error = new StudioEngineError(data.error.code, data.error.message);
      call.reject(error);
      if (error.code === 'out-of-memory') this.onLoss(error);
    });
  }

  /** Calls a function of the worker. @throws the signal's reason when it is aborted, else a StudioEngineError */
  call<Name extends keyof H & string>(
    name: Name,
    argument: Parameters<H[Name]>[0],
    { signal, onProgress }: CallSettings = {},
  ): Promise<Awaited<ReturnType<H[Name]>>> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#end) return Promise.reject(this.#end);
    const id = this.#next++;
    const abort = (): void => {
      this.#calls.get(id)?.reject(signal!.reason);
      this.#calls.delete(id);
      this.line.postMessage({ abort: id } satisfies Request);
    };
    const answer = new Promise<Awaited<ReturnType<H[Name]>>>((resolve, reject) => {
      const bitmaps = transferables(argument).filter((item) => 'close' in item); // pixels are copied: they stay of use
      try {
        this.line.postMessage({ id, name, argument } satisfies Request, bitmaps);
      } catch {
        const message = 'The picture cannot be handed over: it has been closed, or handed over before.';
        throw new StudioEngineError('bad-picture', message);
      }
      this.#calls.set(id, { resolve, reject, onProgress });
    });
    signal?.addEventListener('abort', abort);
    return answer.finally(() => signal?.removeEventListener('abort', abort));
  }

  /** Rejects all calls, those to come too. */
  end(error: StudioEngineError): void {
    this.#end ??= error;
    for (const { reject } of this.#calls.values()) reject(error);
    this.#calls.clear();
  }
}

/** What of a value can be handed over: buffers that are not shared, bitmaps and video frames. */
function transferables(value: unknown): (ArrayBuffer | ImageBitmap | VideoFrame)[] {
  const found = new Set<ArrayBuffer | ImageBitmap | VideoFrame>();
  const visit = (item: unknown): void => {
    if (typeof item !== 'object' || item === null) return;
    if (isBitmap(item)) found.add(item);
    else if (!ArrayBuffer.isView(item)) Object.values(item).forEach(visit);
    else if (item.buffer instanceof ArrayBuffer) found.add(item.buffer);
  };
  visit(value);
  return [...found];
}

/** Whether it is a bitmap or a video frame; browsers without WebCodecs have no video frames. */
export function isBitmap(item: unknown): item is ImageBitmap | VideoFrame {
  return item instanceof ImageBitmap || (typeof VideoFrame !== 'undefined' && item instanceof VideoFrame);
}
