// What goes wrong, told in one line.
import { codeOf } from '../errors.js';
import { USAGE, wordsFor } from './remedies.js';

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
const KNOWN = new Set(['UserError', 'UsageError', 'DaganError', 'MediaError', 'CheckpointError', 'ExportedModelError']);

/** The exit code for what went wrong. */
export function exitCodeFor(error: unknown): number {
  const usage = error instanceof UsageError || USAGE.has(codeOf(error)?.code ?? '');
  return usage ? EXIT.usage : EXIT.failure;
}

/** What an error says, with the remedy. */
export function textOf(error: Error): string {
  const coded = codeOf(error);
  return coded ? wordsFor(error.message, coded.code, coded.values) : error.message;
}

/** An error as one line for people. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const line = textOf(error)
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .join(' ');
  return KNOWN.has(error.name) ? line : `${line || error.name} (--debug shows where)`;
}
