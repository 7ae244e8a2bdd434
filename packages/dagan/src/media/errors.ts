// The one error type of the media layer: which file, what is wrong with it, what would help.

/**
 * A picture, clip or output file that could not be read or written. `message` is one line that starts with the path, so
 * a command line can print it as it is.
 */
export class MediaError extends Error {
  override readonly name = 'MediaError';
  /** The file or folder concerned, as the caller named it. */
  readonly path: string;
  /** What went wrong, without the path. */
  readonly reason: string;
  /** The system's error code (`ENOSPC`, ...), where it was the system that refused. */
  readonly refusal: string | undefined;

  constructor(path: string, reason: string, { refusal, ...options }: ErrorOptions & { refusal?: string } = {}) {
    const brief = briefly(reason);
    super(`${path}: ${brief}`, options);
    this.path = path;
    this.reason = brief;
    this.refusal = refusal;
  }
}

/** The most characters of a message beside its path: what a damaged file holds may be quoted in it, of any length. */
const LONGEST_REASON = 800;

/** A text of which too much is left out in the middle. */
function briefly(text: string): string {
  if (text.length <= LONGEST_REASON) return text;
  const half = LONGEST_REASON / 2;
  return `${text.slice(0, half)} ... ${text.slice(-half)}`;
}

/** A value from a file in a message: as JSON, and no more than its beginning. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

const SYSTEM_REASONS: Record<string, string> = {
  ENOENT: 'no such file or folder',
  ENOTDIR: 'a part of this path is not a folder',
  EISDIR: 'is a folder, not a file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file grew larger than the system allows',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'the name is too long',
};

/** Puts whatever was thrown while working on `path` into a `MediaError`; system error codes become plain words. */
export function toMediaError(path: string, error: unknown, doing: string): MediaError {
  if (error instanceof MediaError) return error;
  const code = systemCode(error);
  const known = code === undefined ? undefined : SYSTEM_REASONS[code];
  if (known !== undefined) return new MediaError(path, `${doing}: ${known}`, { cause: error, refusal: code });
  return new MediaError(path, `${doing}: ${firstLine(error)}`, { cause: error });
}

/** The system's error code (`ENOENT`, ...) of a Node error, if it has one. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Codes of a system that has no room for what is to be written: on the disk, in a quota, or in one file. */
const NO_ROOM: readonly (string | undefined)[] = ['ENOSPC', 'EDQUOT', 'EFBIG'];

/** Whether something could not be written for want of room. */
export const isDiskFull = (error: unknown): boolean =>
  NO_ROOM.includes(error instanceof MediaError ? error.refusal : systemCode(error));

/** An error's whole message in one line: JSON's quotes the text, with its line breaks. */
export const oneLine = (error: unknown): string =>
  briefly((error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim());

/** What libvips says before the reason, once for each place that it sought in vain. */
const NO_REASON = /^([\w ]+: )?source: bad seek|^\W*$/;

/** The first line of an error's message that gives a reason, without a closing full stop. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  const line = lines.find((each) => !NO_REASON.test(each)) ?? lines[0];
  return (line ?? 'unknown error').trim().replace(/\.$/, '');
}
