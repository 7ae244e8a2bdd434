// When the pictures of a track are shown. The times are read packet by packet, without the data; hours have hundreds of thousands
// of them, so that what was read once is kept for whoever asks for other frames of the same file.
import type { EncodedPacket, EncodedPacketSink } from 'mediabunny';
import { firstLine, MediaError } from '../errors.js';
import type { DecodeJob } from '../process/messages.js';
import { type Edit, isShown } from './edit-list.js';

/** Packets looked at on opening: all of a usual clip where the file has an index, a few where it must be read through. */
const SCAN_INDEXED = 20_000;
const SCAN_UNINDEXED = 300;

/** Packets may be stored this far from their place in time (twice H.264's largest reorder depth). */
const REORDER = 32;

/** After so many packets it is told that the reading goes on; a watchdog must not bark while hours are gone through. */
const TOLD_EVERY = 500;

/** A frame that is shown: when, in the presentation and in the file, and by which of the edits. */
export type Shown = { time: number; stored: number; edit: Edit };

export type Times = {
  /** The frames that are shown, in that order: all of them, or those at the beginning. */
  shown: Shown[];
  /** Whether these are all there are. */
  complete: boolean;
};

/** The times of a track's packets, as far as they were read. */
export class PacketTimes {
  readonly #sink: EncodedPacketSink;
  readonly #edits: readonly Edit[];
  readonly #indexed: boolean;
  readonly #progress: () => void;
  readonly #stored: number[] = [];
  #last: EncodedPacket | undefined;
  /** Whether the file has no more, or none that can be read. */
  #ended: 'whole' | 'damaged' | undefined;

  /**
   * @param indexed whether the file has an index, which tells times quickly
   * @param progress called now and then while packets are read
   */
  constructor(sink: EncodedPacketSink, edits: readonly Edit[], indexed: boolean, progress: () => void) {
    this.#sink = sink;
    this.#edits = edits;
    this.#indexed = indexed;
    this.#progress = progress;
  }

  /**
   * Reads as far as needed for a range and for the frame rate.
   *
   * @throws MediaError if there is no packet that can be read
   */
  async upTo({ path, start, end = 0 }: DecodeJob): Promise<Times> {
    const wanted = Math.max(start, end) + REORDER + 1;
    // Several edits can show anything at any time, so that all packets must be known.
    const most = this.#edits.length > 1 ? Infinity : Math.max(wanted, this.#indexed ? SCAN_INDEXED : SCAN_UNINDEXED);
    await this.#read(most, path);
    const stored = this.#stored.toSorted((a, b) => a - b);
    const shown = this.#edits.flatMap((edit) =>
      stored.filter((time) => isShown(time, edit)).map((time) => ({ time: time + edit.shift, stored: time, edit })),
    );
    const complete = this.#ended === 'whole';
    if (!complete) shown.length = Math.min(shown.length, Math.max(1, shown.length - REORDER));
    return { shown, complete };
  }

  async #read(most: number, path: string): Promise<void> {
    if (this.#ended || this.#stored.length >= most) return;
    const before = this.#last;
    try {
      for await (const packet of this.#sink.packets(before, undefined, { metadataOnly: true })) {
        if (packet === before) continue;
        this.#stored.push(packet.timestamp);
        this.#last = packet;
        if (this.#stored.length % TOLD_EVERY === 0) this.#progress();
        if (this.#stored.length >= most) return;
      }
      this.#ended = 'whole';
    } catch (error) {
      if (this.#stored.length === 0) throw new MediaError(path, `is damaged: ${firstLine(error)}`, { cause: error });
      this.#ended = 'damaged';
    }
  }
}
