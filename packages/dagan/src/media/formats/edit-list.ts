// Edit lists of mp4 and mov files (ISO/IEC 14496-12, 8.6.6): which parts of a track are shown, and in which order. Phones
// trim and join clips by them alone, so what was cut away is still in the file.
//
// mediabunny 1.61 moves a track's times by the start of its first edit and knows nothing else of the list. The rest is here
// alone: once the library presents what the edits say, this file can go, with whoever imports it.
import { MediaError } from '../errors.js';

/** Reads a part of a file; fewer bytes where it ends before. */
export type ReadBytes = (start: number, end: number) => Promise<Uint8Array>;

/** A part of a track that is shown. Times are seconds as mediabunny gives them; `shift` makes them those of the presentation. */
export type Edit = { start: number; end: number; shift: number };

/** A track without an edit list. What comes before time 0 is not shown. */
export const UNEDITED: readonly Edit[] = [{ start: 0, end: Infinity, shift: 0 }];

/** A time at the edge of an edit may be off by this much: lengths are rounded to the ticks of the whole movie. */
const TOLERANCE = { start: 1e-4, end: 2e-3 };

/** Entries of one list at most; a hostile file can claim any number. */
const MOST_ENTRIES = 10_000;

/**
 * Whether a frame or packet at `time` belongs to an edit. One that begins before and reaches into it is left out, as FFmpeg
 * does.
 */
export function isShown(time: number, { start, end }: Edit): boolean {
  return time > start - TOLERANCE.start && time < end - TOLERANCE.end;
}

/**
 * The edits of a track in the order in which they are shown.
 *
 * @param trackId as the file numbers its tracks
 * @throws MediaError if a part is to be shown at another speed
 */
export async function readEdits(read: ReadBytes, path: string, trackId: number): Promise<readonly Edit[]> {
  const movie = await find(read, 0, Infinity, 'moov');
  if (!movie) return UNEDITED;
  const movieScale = await timescale(read, await find(read, movie.start, movie.end, 'mvhd'));
  for await (const track of boxes(read, movie.start, movie.end)) {
    if (track.name !== 'trak') continue;
    const header = await find(read, track.start, track.end, 'tkhd');
    if (!header || (await trackNumber(read, header)) !== trackId) continue;
    const list = await find(read, track.start, track.end, 'edts', 'elst');
    const scale = await timescale(read, await find(read, track.start, track.end, 'mdia', 'mdhd'));
    if (!list || !movieScale || !scale) return UNEDITED;
    const fragmented = (await find(read, movie.start, movie.end, 'mvex')) !== undefined;
    return inLibraryTime(await entries(read, list), { path, movieScale, scale, fragmented });
  }
  return UNEDITED;
}

/** One line of a list: `length` in ticks of the movie, `from` in ticks of the track, -1 where nothing is shown. */
type Entry = { length: number; from: number; rate: number };

function inLibraryTime(
  list: readonly Entry[],
  { path, movieScale, scale, fragmented }: { path: string; movieScale: number; scale: number; fragmented: boolean },
): readonly Edit[] {
  const edits: Edit[] = [];
  let shownAt = 0; // where the next edit begins, in seconds of the presentation
  let zero: number | undefined; // time of the track, in seconds, that the library calls 0
  for (const { length, from, rate } of list) {
    const seconds = length / movieScale;
    if (from >= 0) {
      if (rate !== 1) {
        const remedy = 'convert it first, for example with: ffmpeg -i clip.mov clip.mp4';
        throw new MediaError(
          path,
          `shows a part at ${rate} times its speed (edit list), which is not known here; ${remedy}`,
        );
      }
      zero ??= from / scale - shownAt;
      const start = from / scale - zero;
      edits.push({ start, end: length === 0 ? Infinity : start + seconds, shift: shownAt - start });
    }
    shownAt += seconds;
  }
  // A file that was written while it was recorded could not know where it would end.
  const last = edits[edits.length - 1];
  if (last && fragmented) last.end = Infinity;
  return edits.length > 0 ? edits : UNEDITED;
}

type Box = { name: string; start: number; end: number };

/** The boxes between two places of a file, by the places of what they hold. */
async function* boxes(read: ReadBytes, from: number, to: number): AsyncGenerator<Box, void, undefined> {
  for (let at = from; at + 8 <= to; ) {
    const head = viewOf(await read(at, at + 16));
    if (head.byteLength < 8) return;
    const long = head.getUint32(0) === 1;
    if (long && head.byteLength < 16) return;
    const size = long ? Number(head.getBigUint64(8)) : head.getUint32(0);
    const start = at + (long ? 16 : 8);
    const end = size === 0 ? to : at + size;
    if (end < start || end > to) return;
    yield { name: String.fromCharCode(...[4, 5, 6, 7].map((i) => head.getUint8(i))), start, end };
    at = end;
  }
}

/** The first box at a path of names. */
async function find(read: ReadBytes, from: number, to: number, ...names: string[]): Promise<Box | undefined> {
  const [name, ...below] = names;
  for await (const box of boxes(read, from, to)) {
    if (box.name === name) return below.length === 0 ? box : find(read, box.start, box.end, ...below);
  }
  return undefined;
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);

/** A box that begins with a version; in version 1 numbers of time have eight bytes. */
async function versioned(
  read: ReadBytes,
  { start, end }: Box,
  length: number,
): Promise<{ view: DataView; long: boolean }> {
  const view = viewOf(await read(start, Math.min(end, start + length)));
  return { view, long: view.byteLength > 0 && view.getUint8(0) === 1 };
}

/** Ticks a second, of `mvhd` and `mdhd`. */
async function timescale(read: ReadBytes, box: Box | undefined): Promise<number | undefined> {
  if (!box) return undefined;
  const { view, long } = await versioned(read, box, 24);
  const at = long ? 20 : 12;
  return view.byteLength < at + 4 ? undefined : view.getUint32(at);
}

async function trackNumber(read: ReadBytes, box: Box): Promise<number | undefined> {
  const { view, long } = await versioned(read, box, 24);
  const at = long ? 20 : 12;
  return view.byteLength < at + 4 ? undefined : view.getUint32(at);
}

async function entries(read: ReadBytes, box: Box): Promise<Entry[]> {
  const { view, long } = await versioned(read, box, 8 + 20 * MOST_ENTRIES);
  if (view.byteLength < 8) return [];
  const size = long ? 20 : 12;
  const count = Math.min(view.getUint32(4), Math.floor((view.byteLength - 8) / size));
  return Array.from({ length: count }, (_, i) => {
    const at = 8 + i * size;
    return long
      ? {
          length: Number(view.getBigUint64(at)),
          from: Number(view.getBigInt64(at + 8)),
          rate: view.getInt32(at + 16) / 65536,
        }
      : { length: view.getUint32(at), from: view.getInt32(at + 4), rate: view.getInt32(at + 8) / 65536 };
  });
}
