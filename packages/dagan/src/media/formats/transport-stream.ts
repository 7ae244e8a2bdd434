// What an MPEG transport stream (ISO/IEC 13818-1) says that it holds. The codec library passes over streams of kinds that it does
// not know, so that a recording of television looks as if it had no pictures.
import type { ReadBytes } from './edit-list.js';

const PACKET = 188;

/** As far as the tables are looked for, in bytes; they come several times a second. */
const SEARCHED = 4 << 20;

/** Codings of pictures by their stream type, as far as the library does not know them. */
const CODINGS: Partial<Record<number, string>> = {
  1: 'MPEG-1',
  2: 'MPEG-2',
  16: 'MPEG-4 part 2',
  51: 'H.266',
  66: 'AVS',
  210: 'AVS2',
  234: 'VC-1',
};

/** The coding of the first stream of pictures that the library does not know; undefined if there is none. */
export async function unknownCoding(read: ReadBytes): Promise<string | undefined> {
  const bytes = await read(0, SEARCHED);
  const first = [0, 4].find((at) => [0, 1, 2].every((i) => bytes[at + i * (PACKET + at)] === 0x47)); // 4: times before packets
  if (first === undefined) return undefined;
  let tables = new Set<number>();
  for (let at = first; at + PACKET <= bytes.length; at += PACKET + first) {
    const section = sectionOf(bytes.subarray(at, at + PACKET));
    if (!section) continue;
    if (section.stream === 0) tables = new Set(programTables(section.body));
    const types = tables.has(section.stream) ? streamTypes(section.body) : [];
    const unknown = types.map((type) => CODINGS[type]).find((coding) => coding !== undefined);
    if (unknown !== undefined) return unknown;
  }
  return undefined;
}

type Section = { stream: number; body: Uint8Array };

/** The table that begins in a packet, from its third byte on, as far as the packet goes and without its checksum. */
function sectionOf(packet: Uint8Array): Section | undefined {
  const begins = (packet[1]! & 0x40) !== 0;
  if (packet[0] !== 0x47 || !begins) return undefined;
  const adaptation = (packet[3]! & 0x20) === 0 ? 0 : 1 + packet[4]!;
  const start = 4 + adaptation;
  const table = start + 1 + (packet[start] ?? 0);
  if (table + 3 > packet.length) return undefined;
  const length = ((packet[table + 1]! & 0x0f) << 8) | packet[table + 2]!;
  const body = packet.subarray(table + 3, Math.min(packet.length, table + 3 + length - 4));
  return { stream: ((packet[1]! & 0x1f) << 8) | packet[2]!, body };
}

/** Where the tables of the programs are, from the table of programs. */
function programTables(body: Uint8Array): number[] {
  const streams: number[] = [];
  for (let at = 5; at + 4 <= body.length; at += 4) streams.push(((body[at + 2]! & 0x1f) << 8) | body[at + 3]!);
  return streams;
}

/** The types of a program's streams, from its table. */
function streamTypes(body: Uint8Array): number[] {
  if (body.length < 9) return [];
  const types: number[] = [];
  const described = ((body[7]! & 0x0f) << 8) | body[8]!;
  for (let at = 9 + described; at + 5 <= body.length; ) {
    types.push(body[at]!);
    at += 5 + (((body[at + 3]! & 0x0f) << 8) | body[at + 4]!);
  }
  return types;
}
