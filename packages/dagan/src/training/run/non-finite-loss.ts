// A loss that is no number any more.

/** A term of the loss is not a finite number. The networks are as they were before the step. */
export class NonFiniteLossError extends Error {
  override readonly name = 'NonFiniteLossError';
  /** @param term the loss, or `gradient of ...` */
  constructor(readonly term: string) {
    super(`the ${term.startsWith('gradient') ? term : `loss '${term}'`} is not finite; the step was not taken`);
  }
}
