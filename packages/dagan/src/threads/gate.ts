// Whether a thread is at work, in memory that both sides share.
//
// A thread must not be ended while it is in native code: Node-API then refuses all that the code does next, node-addon-api throws
// where nothing can catch it, and the whole program aborts. That holds for addons of others as for ours, and for every way in
// which a program ends. So a thread is at work from the start of a request to its answer, and whoever ends it waits until it
// is not; shared memory can be waited on even while the program exits, when no message arrives any more.

/** `CLOSING` is at work for the last time. */
const [AT_WORK, IDLE, CLOSING, SHUT] = [0, 1, 2, 3];

/** A thread's gate. A thread that starts is at work: it may be loading native code. */
export class Gate {
  /** What the other side makes its gate of. */
  readonly memory: SharedArrayBuffer;
  readonly #state: Int32Array;

  constructor(memory = new SharedArrayBuffer(4)) {
    this.memory = memory;
    this.#state = new Int32Array(memory);
  }

  /** The thread begins to work; false if it must not any more. */
  enter(): boolean {
    return Atomics.compareExchange(this.#state, 0, IDLE, AT_WORK) === IDLE;
  }

  /** The thread has done its work; false if it was its last. */
  leave(): boolean {
    if (Atomics.compareExchange(this.#state, 0, AT_WORK, IDLE) === AT_WORK) return true;
    Atomics.store(this.#state, 0, SHUT);
    Atomics.notify(this.#state, 0);
    return false;
  }

  /** The program lets no more work begin; true if none is being done, so that the thread can be ended now. */
  shut(): boolean {
    const before = Atomics.compareExchange(this.#state, 0, IDLE, SHUT);
    if (before === IDLE || before === SHUT) return true;
    if (before === CLOSING || Atomics.compareExchange(this.#state, 0, AT_WORK, CLOSING) === AT_WORK) return false;
    return this.shut(); // it changed in between
  }

  /** The same, and waits until the work that is being done has ended, or so many milliseconds. */
  shutAndWait(limit: number): void {
    if (!this.shut()) Atomics.wait(this.#state, 0, CLOSING, limit);
  }
}
