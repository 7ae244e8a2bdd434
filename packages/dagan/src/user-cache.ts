// Where this program keeps what it can make again: below the user's cache folder.
import { homedir } from 'node:os';
import { join } from 'node:path';

/** A folder of this program's own; it may be removed at any time. */
export function userCache(...names: readonly string[]): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'dagan', ...names);
}
