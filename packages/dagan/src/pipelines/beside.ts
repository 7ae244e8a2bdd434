// Parts of an animation that do not need each other are begun at once and awaited where they are needed. Each of them ends before
// what it uses is closed, whichever of them fails.

/** What was begun. Declared after what the parts use, so that it ends before that. */
export class Beside implements AsyncDisposable {
  readonly #ending = new AbortController();
  readonly #begun: Promise<() => Promise<void>>[] = [];
  /** Aborted as the caller's is, and when nobody needs what is left of the parts. */
  readonly signal: AbortSignal;

  constructor(signal?: AbortSignal) {
    this.signal = signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal;
  }

  /** Begins a part. What goes wrong in it is thrown where it is awaited, and by nobody else. */
  begin<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#keep(work(this.signal), async () => {});
  }

  /** Begins to open something, which is closed at the end. */
  open<T extends AsyncDisposable | undefined>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#keep(work(this.signal), async (opened) => opened?.[Symbol.asyncDispose]());
  }

  #keep<T>(part: Promise<T>, close: (result: T) => Promise<void>): Promise<T> {
    this.#begun.push(
      part.then(
        (result) => () => close(result),
        () => async () => {},
      ),
    );
    return part;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    const closers = await Promise.all(this.#begun);
    for (const close of closers.toReversed()) await close();
  }
}
