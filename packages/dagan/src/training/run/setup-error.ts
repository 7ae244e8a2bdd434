// What keeps a training from beginning.

/**
 * A training that cannot be: its configuration, its folder or its data do not allow it. The message names the value and the
 * remedy. Nothing has been written.
 */
export class TrainingSetupError extends RangeError {
  override readonly name = 'TrainingSetupError';
}
