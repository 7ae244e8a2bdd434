// A file as an answer: whole or a part of it, compressed where that pays, not at all where the one who asks has it.
import { createReadStream, type Stats } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { extname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { brotliCompress, gzip, constants as zlib } from 'node:zlib';
import { systemCode } from '../media/errors.js';

/** Types of files by what their names end in. */
export const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.mp4': 'video/mp4',
  '.mov': 'video/quicktime',
  '.mkv': 'video/x-matroska',
  '.webm': 'video/webm',
  '.wasm': 'application/wasm',
};

/** Kinds of files that become much smaller by compression. Weights, pictures and clips do not. */
const COMPRESSIBLE: readonly string[] = [
  '.html',
  '.js',
  '.mjs',
  '.css',
  '.json',
  '.webmanifest',
  '.svg',
  '.wasm',
  '.onnx',
];

/** Ways to compress, the better first, by the names that browsers ask for them. */
const ENCODINGS = {
  br: (bytes: Buffer) => promisify(brotliCompress)(bytes, { params: { [zlib.BROTLI_PARAM_QUALITY]: 5 } }),
  gzip: (bytes: Buffer) => promisify(gzip)(bytes),
} as const;

type Encoding = keyof typeof ENCODINGS;

export type FileToSend = {
  path: string;
  facts: Stats;
  /** What the address gives never changes. */
  fixed: boolean;
  /** The file as it was compressed before (brotli). */
  packed?: { path: string; size: number };
};

/**
 * Sends a file to a GET or HEAD request, or a part of it where one is asked for.
 *
 * @param compressed compresses what becomes smaller; without it only what is packed goes compressed
 */
export async function sendFile(
  { path, facts, fixed, packed }: FileToSend,
  request: IncomingMessage,
  response: ServerResponse,
  compressed?: CompressedFiles,
): Promise<void> {
  const { size } = facts;
  const tag = `"${size.toString(36)}-${Math.round(facts.mtimeMs).toString(36)}"`;
  response.setHeader('Content-Type', TYPES[extname(path)] ?? 'application/octet-stream');
  response.setHeader('Cache-Control', fixed ? 'public, max-age=31536000, immutable' : 'no-cache');
  response.setHeader('ETag', tag);
  response.setHeader('Accept-Ranges', 'bytes');
  if (compressed || packed) response.setHeader('Vary', 'Accept-Encoding');
  if (request.headers['if-none-match'] === tag) {
    response.writeHead(304).end();
    return;
  }
  const part = rangeOf(request, tag, size);
  if (part === 'outside') {
    response.setHeader('Content-Range', `bytes */${size}`);
    return refuse(response, 416, `the file has ${size} bytes`);
  }
  const encoding = part ? undefined : encodingFor(request);
  if (packed && encoding === 'br') {
    response.writeHead(200, { 'Content-Length': packed.size, 'Content-Encoding': 'br' });
    if (request.method === 'HEAD') response.end();
    else await stream(packed.path, {}, response);
    return;
  }
  if (compressed && encoding && COMPRESSIBLE.includes(extname(path))) {
    const bytes = await compressed.read(path, tag, encoding);
    response.writeHead(200, { 'Content-Length': bytes.length, 'Content-Encoding': encoding });
    response.end(request.method === 'HEAD' ? undefined : bytes);
    return;
  }
  const { start, end } = part ?? { start: 0, end: size - 1 };
  if (part) response.setHeader('Content-Range', `bytes ${start}-${end}/${size}`);
  response.writeHead(part ? 206 : 200, { 'Content-Length': end - start + 1 });
  if (request.method === 'HEAD' || size === 0) response.end();
  else await stream(path, { start, end }, response);
}

/** Sends bytes of a file. Whoever asked may have had enough before the end; that is no fault. */
async function stream(path: string, part: { start?: number; end?: number }, response: ServerResponse): Promise<void> {
  try {
    await pipeline(createReadStream(path, part), response);
  } catch (error) {
    response.destroy();
    if (systemCode(error) !== 'ERR_STREAM_PREMATURE_CLOSE') throw error;
  }
}

/** An answer in words. */
export function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${reason}\n`);
}

/**
 * The part of a file that a request asks for, both ends included: undefined for all of it, also where several parts are asked
 * for, or one of another version. (RFC 9110, section 14)
 */
function rangeOf(
  { headers: { range, 'if-range': version } }: IncomingMessage,
  tag: string,
  size: number,
): { start: number; end: number } | 'outside' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d*)-(\d*)$/.exec(range ?? '') ?? [];
  if (from + to === '' || (version !== undefined && version !== tag)) return undefined;
  const start = from === '' ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === '' || to === '' ? size - 1 : Math.min(Number(to), size - 1);
  return start <= end ? { start, end } : 'outside';
}

/** The best way to compress that whoever asks understands. */
function encodingFor({ headers }: IncomingMessage): Encoding | undefined {
  const understood = String(headers['accept-encoding'] ?? '')
    .split(',')
    .map((word) => word.trim())
    .filter((word) => !/;\s*q=0(\.0*)?$/.test(word))
    .map((word) => word.replace(/;.*/, ''));
  return (Object.keys(ENCODINGS) as Encoding[]).find((name) => understood.includes(name));
}

/** Compressed files, each made when it is first asked for and kept in memory. */
export class CompressedFiles {
  readonly #kept = new Map<string, { tag: string; bytes: Promise<Buffer> }>();

  read(path: string, tag: string, encoding: Encoding): Promise<Buffer> {
    const key = `${encoding} ${path}`;
    let kept = this.#kept.get(key);
    if (kept?.tag !== tag) {
      kept = { tag, bytes: readFile(path).then(ENCODINGS[encoding]) };
      this.#kept.set(key, kept);
      kept.bytes.catch(() => this.#kept.delete(key)); // the next request tries again
    }
    return kept.bytes;
  }
}
