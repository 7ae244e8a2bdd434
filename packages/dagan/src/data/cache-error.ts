// Decoded frames and portraits are kept in a folder that may be another one than is asked for first: whoever calls knows how.
import { withCode } from '../errors.js';
import { MediaError, toMediaError } from '../media/errors.js';

/** The error of a cache that cannot be kept at `path`. What is wrong with the data themselves stays as it is. */
export function cacheError(path: string, error: unknown, doing = 'cannot be written'): MediaError {
  return error instanceof MediaError ? error : withCode(toMediaError(path, error, doing), 'cache', { path });
}
