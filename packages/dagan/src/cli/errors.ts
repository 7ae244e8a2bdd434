// What goes wrong, told in one line.

/** Something that the user can mend; `message` is the line that says what and how. */
export class UserError extends Error {
  override readonly name: string = 'UserError';
}

/** The command line itself makes no sense. */
export class UsageError extends UserError {
  override readonly name = 'UsageError';
}

/** Exit codes: the work failed, the command line was wrong. */
export const EXIT = { failure: 1, usage: 2 } as const;

/** Errors whose message names the file, what is wrong and the remedy. */
const KNOWN = new Set(['UserError', 'UsageError', 'MediaError', 'CheckpointError', 'ExportedModelError']);

/** An error as one line for people. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = error.message
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(' ');
  return KNOWN.has(error.name) ? line : `${line || error.name} (--debug shows where)`;
}
