// Whatever is thrown in the worker as an error with a code and words that say what to do.
import { StudioEngineError } from './api.js';

/** How browsers and the runtime say that memory is used up. */
const NO_MEMORY = /out of memory|bad_alloc|allocation failed|memory access out of bounds|cannot grow memory|Aborted\(/i;

/** How the runtime says that its own wasm file could not be fetched, or is something else, such as a page of errors. */
const NOT_LOADED = /fetching of the wasm failed|Aborted\((CompileError|NetworkError|TypeError)/i;

/** The error itself if it is one of the engine's; others by what they say. */
export function asEngineError(error: unknown): StudioEngineError {
  if (error instanceof StudioEngineError) return error;
  const message = error instanceof Error ? error.message : String(error);
  if (NOT_LOADED.test(message)) {
    return new StudioEngineError(
      'offline',
      'A part of the page could not be loaded: check the connection, then load the page again.',
    );
  }
  if (NO_MEMORY.test(message)) {
    return new StudioEngineError(
      'out-of-memory',
      'The browser has no memory left for this: close other tabs, load the page again, and take a smaller picture or clip.',
    );
  }
  return new StudioEngineError('failed', message);
}
