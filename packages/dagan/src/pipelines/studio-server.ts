// The server behind `dagan studio`: the page and a model over HTTP, with the headers that the page needs. Files are read, nothing
// is taken in.
import { spawn } from 'node:child_process';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readFile, realpath, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { brotliCompress, gzip, constants as zlib } from 'node:zlib';
import { DaganError } from '../errors.js';

export type StudioServerOptions = {
  /** Folder of the built page. */
  page: string;
  /** Folder of the exported model; served as `model/`. */
  model: string;
  /** Names of its files that are served. Whatever else lies in the folder stays private. */
  modelFiles: readonly string[];
  /** Address to listen on. Default 127.0.0.1: this machine alone. */
  host?: string;
  /** Port; 0, the default, is any that is free. */
  port?: number;
};

export type StudioServer = { url: string; close(): Promise<void> };

const TYPES: Readonly<Record<string, string>> = {
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
  '.mp4': 'video/mp4',
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

/** What the names of files end in that the page's build has compressed. */
const PACKED = '.br';

/** What the page may do. It says the same of itself, for hosts that send no headers; `frame-ancestors` works here alone. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Headers of every answer. The first two isolate the page, which browsers ask for before they allow threads. */
export const STUDIO_HEADERS: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/** Names of this machine's own address, which nobody else reaches. */
const OWN_NAMES: readonly string[] = ['127.0.0.1', 'localhost', '::1'];

/** Hosts that mean all addresses of this machine. */
const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];

/**
 * Starts serving.
 *
 * @throws DaganError if the port is taken or the address is not this machine's
 */
export async function startStudioServer({
  page,
  model,
  modelFiles,
  host = '127.0.0.1',
  port = 0,
}: StudioServerOptions): Promise<StudioServer> {
  const folders = { page: await realpath(page), model: await realpath(model), modelFiles: new Set(modelFiles) };
  // Within one machine copying is quicker than compressing. What the build has compressed goes so to everybody.
  const compressed = OWN_NAMES.includes(host.toLowerCase()) ? undefined : new CompressedFiles();
  const server = createServer((request, response) => {
    answer({ folders, host, compressed }, request, response).catch(() => response.destroy());
  });
  await listen(server, host, port);
  const { port: chosen } = server.address() as AddressInfo;
  const name = ALL_ADDRESSES.includes(host) ? 'localhost' : host;
  return {
    url: `http://${name.includes(':') ? `[${name}]` : name}:${chosen}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen(port, host, () => resolve());
  });
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): Error {
  switch (error.code) {
    case 'EADDRINUSE':
      return new DaganError('port-taken', `port ${port} is taken`, { port });
    case 'EACCES':
      return new DaganError('port-forbidden', `port ${port} may not be used by this account`, { port });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new DaganError('no-address', `${host}: this machine has no such address; 127.0.0.1 is the usual one`, {
        host,
      });
    default:
      return error;
  }
}

/** What is served from where. */
type Folders = { page: string; model: string; modelFiles: ReadonlySet<string> };

type Serving = { folders: Folders; host: string; compressed: CompressedFiles | undefined };

async function answer(
  { folders, host, compressed }: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(STUDIO_HEADERS)) response.setHeader(name, value);
  if (!isOwnName(request.headers.host, host, request.socket.localPort))
    return refuse(response, 403, 'this name does not belong to the studio');
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return refuse(response, 405, 'files are only read here');
  }
  const file = await findFile(folders, request.url ?? '/');
  if (!file) return refuse(response, 404, 'no such file');
  const { path, facts, fixed, packed } = file;
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
    else await pipeline(createReadStream(packed.path), response);
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
  else await pipeline(createReadStream(path, { start, end }), response);
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
class CompressedFiles {
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

/**
 * Whether a request was meant for this server, by the name that it was asked for: a page from elsewhere whose name has been
 * made to lead here (DNS rebinding) is turned away. On this machine's own address its names count, with any port, which
 * forwarding may change; on another one, that address with the port; on all addresses, whatever name leads here.
 */
function isOwnName(header: string | undefined, host: string, port: number | undefined): boolean {
  if (ALL_ADDRESSES.includes(host)) return true;
  const [, bracketed, plain, asked = '80'] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(header ?? '') ?? [];
  const name = (bracketed ?? plain ?? '').toLowerCase();
  if (OWN_NAMES.includes(host.toLowerCase())) return OWN_NAMES.includes(name);
  return name === host.toLowerCase() && Number(asked) === port;
}

type FoundFile = {
  path: string;
  facts: Stats;
  /** What the address gives never changes. */
  fixed: boolean;
  /** The file as the page's build has compressed it (brotli). */
  packed: { path: string; size: number } | undefined;
};

/** The file that an address means: inside of one of the folders, links followed. */
async function findFile(folders: Folders, url: string): Promise<FoundFile | undefined> {
  try {
    const path = decodeURIComponent(new URL(url, 'http://studio').pathname);
    if (path.includes('\0')) return undefined;
    const isModel = path.startsWith('/model/');
    const folder = isModel ? folders.model : folders.page;
    const name = isModel ? path.slice('/model/'.length) : path === '/' ? 'index.html' : path.slice(1);
    if (isModel && !folders.modelFiles.has(name)) return undefined;
    const found = await realpath(join(folder, name));
    if (!found.startsWith(folder + sep)) return undefined;
    const facts = await stat(found);
    // Files in assets/ carry a hash of what they hold in their names.
    const fixed = !isModel && name.startsWith('assets/');
    if (!facts.isFile() || name.endsWith(PACKED)) return undefined;
    return { path: found, facts, fixed, packed: isModel ? undefined : await packedOf(found, facts) };
  } catch {
    return undefined;
  }
}

/** A compressed file beside another one, unless it was written before that. */
async function packedOf(path: string, { mtimeMs }: Stats): Promise<FoundFile['packed']> {
  const facts = await lstat(`${path}${PACKED}`).catch(() => undefined);
  return facts?.isFile() && facts.mtimeMs >= mtimeMs ? { path: `${path}${PACKED}`, size: facts.size } : undefined;
}

function refuse(response: ServerResponse, status: number, reason: string): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(`${reason}\n`);
}

/** The port where none is named and this one is free: browsers keep model and permissions by address, port included. */
export const USUAL_PORT = 8347;

/** Starts the server at the port that is named, else at the usual one, else at any. */
export async function serveStudio(options: StudioServerOptions, port?: number): Promise<StudioServer> {
  if (port !== undefined) return startStudioServer({ ...options, port });
  try {
    return await startStudioServer({ ...options, port: USUAL_PORT });
  } catch {
    return startStudioServer({ ...options, port: 0 });
  }
}

/**
 * Opens an address in the user's browser.
 *
 * @param onMissing told which program would have opened it, where that is missing
 */
export function openBrowser(url: string, onMissing: (program: string) => void): void {
  const [program, ...words] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['explorer', url]
        : ['xdg-open', url];
  const child = spawn(program!, words, { stdio: 'ignore', detached: true });
  child.on('error', () => onMissing(program!));
  child.unref();
}
