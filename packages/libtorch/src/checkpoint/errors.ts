// The one error that reading and writing checkpoints raises.

/** A file that could not be read or written as a checkpoint. The message names the file, what is wrong, and the remedy. */
export class CheckpointError extends Error {
  override readonly name = 'CheckpointError';

  /**
   * @param path the file concerned
   * @param problem what is wrong and what to do about it, as a sentence that follows the path
   */
  constructor(
    readonly path: string,
    problem: string,
    options?: ErrorOptions,
  ) {
    super(`${path}: ${problem}`, options);
  }
}
