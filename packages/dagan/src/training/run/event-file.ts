// TensorBoard's event files: scalars and pictures by step.
//
// A file is a sequence of records (length, masked CRC-32C of the length, data, masked CRC-32C of the data; numbers little
// endian), whose data are `Event` messages in protocol-buffer encoding. Formats: TensorFlow's tsl/lib/io/record_writer.h,
// tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { writing } from '../../media/files.js';

/** CRC-32C (Castagnoli) of each byte value, reflected. */
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC-32C of some bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** The checksum as records hold it: rotated and shifted, so that checksums of checksums stay good ones. */
const masked = (crc: number): number => (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;

/** One record around its data. */
export function encodeRecord(data: Uint8Array): Buffer {
  const record = Buffer.alloc(data.length + 16);
  record.writeBigUInt64LE(BigInt(data.length), 0);
  record.writeUInt32LE(masked(crc32c(record.subarray(0, 8))), 8);
  record.set(data, 12);
  record.writeUInt32LE(masked(crc32c(data)), 12 + data.length);
  return record;
}

// ---- protocol-buffer fields: the number of the field and its wire type, then the value

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80);
    rest = Math.floor(rest / 0x80);
  }
  return Buffer.from([...bytes, rest]);
}

const key = (field: number, wireType: number): Buffer => varint(field * 8 + wireType);
const integer = (field: number, value: number): Buffer => Buffer.concat([key(field, 0), varint(value)]);

function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([key(field, 1), bytes]);
}

function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([key(field, 5), bytes]);
}

function message(field: number, ...parts: Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  return Buffer.concat([key(field, 2), varint(content.length), content]);
}

const text = (field: number, value: string): Buffer => message(field, Buffer.from(value));

/** A picture in PNG form. */
export type EncodedPicture = { width: number; height: number; png: Uint8Array };

/** Colour channels of the pictures. */
const RGB = 3;

/** Writes one event file, record by record. */
export class EventFile {
  readonly path: string;
  readonly #descriptor: number;

  /**
   * @param folder made if it is not there
   * @param step from which on steps of earlier files in the folder count no more
   */
  constructor(folder: string, step = 0) {
    writing(folder, () => mkdirSync(folder, { recursive: true }));
    const seconds = `${Math.floor(Date.now() / 1000)}`.padStart(10, '0');
    this.path = join(folder, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${step}`);
    this.#descriptor = writing(this.path, () => openSync(this.path, 'w'));
    this.#event(0, text(3, 'brain.Event:2'));
    const START = 1;
    if (step > 0) this.#event(step, message(7, integer(1, START)));
  }

  /** Adds numbers of a step by name; `group/name` puts it under a heading. */
  scalars(step: number, values: Readonly<Record<string, number>>): void {
    const entries = Object.entries(values).map(([tag, value]) => message(1, text(1, tag), float(2, value)));
    this.#event(step, message(5, ...entries));
  }

  /** Adds a picture of a step. */
  picture(step: number, tag: string, { width, height, png }: EncodedPicture): void {
    const image = message(4, integer(1, height), integer(2, width), integer(3, RGB), message(4, png));
    this.#event(step, message(5, message(1, text(1, tag), image)));
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #event(step: number, content: Uint8Array): void {
    const data = Buffer.concat([double(1, Date.now() / 1000), integer(2, step), content]);
    writing(this.path, () => writeSync(this.#descriptor, encodeRecord(data)));
  }
}
