// Whatever goes wrong, as words that say what to do.
import { StudioEngineError } from './engine/api.js';

/** Whether somebody stopped the work, which is no problem. */
export const isStopped = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';

/** What the camera's refusals mean, by the names that browsers give them. */
const CAMERA: Readonly<Record<string, string>> = {
  NotAllowedError:
    'The camera was refused. Allow it at the camera sign beside the address (or in the browser’s settings), then start it again.',
  NotFoundError: 'No camera is connected. Connect one, or choose a clip instead.',
  NotReadableError: 'The camera is used by another program. Close that one, then start the camera again.',
  OverconstrainedError: 'The camera gives no picture that could be used. Try another one, or choose a clip instead.',
};

/** One line for people. */
export function problemText(error: unknown): string {
  if (error instanceof StudioEngineError) return error.message;
  if (error instanceof DOMException && CAMERA[error.name]) return CAMERA[error.name]!;
  if (error instanceof DOMException && error.name === 'QuotaExceededError') {
    return 'The browser’s storage is full: free some space, or close other tabs, then load the page again.';
  }
  if (error instanceof Error && error.message) return sentence(error.message);
  return 'Something unexpected went wrong. Load the page again; nothing is lost but what was under way.';
}

/** With a capital, unless it begins with a file's name, and a full stop. */
function sentence(text: string): string {
  const [first = ''] = text.split(' ');
  const begun = first.endsWith(':') ? text : text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
