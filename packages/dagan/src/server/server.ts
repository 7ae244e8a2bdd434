// The one HTTP server: jobs below /v1, the studio's page on all other addresses; either may be absent.
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { DaganError } from '../errors.js';
import { isOwnAddress, isOwnName, nameOf, SHORTEST_TOKEN } from './access.js';
import type { JobQueue } from './jobs/job-queue.js';
import { RequestProblem } from './problems.js';
import { PREFIX, routes } from './routes.js';
import { StudioFiles, type StudioFolders } from './studio-files.js';

export type ServerOptions = {
  /** The studio's page and model. */
  studio?: StudioFolders;
  /** Jobs that are taken in, below /v1. */
  jobs?: JobQueue;
  /** What requests for jobs must send as `Authorization: Bearer TOKEN`; at least 16 letters. Needed on other addresses than 127.0.0.1. */
  token?: string;
  /** Address to listen on. Default 127.0.0.1: this machine alone. */
  host?: string;
  /** Port; 0, the default, is any that is free. */
  port?: number;
};

export type RunningServer = { url: string; close(): Promise<void> };

/** Milliseconds in which a request must arrive whole. */
const REQUEST_TIME = 300_000;

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
export const HEADERS: Readonly<Record<string, string>> = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Permissions-Policy': 'camera=(self), microphone=(), geolocation=()',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};

/**
 * Starts serving.
 *
 * @throws DaganError if the port is taken, the address is not this machine's, or jobs would be open to others without a token
 */
export async function startServer({
  studio,
  jobs,
  token,
  host = '127.0.0.1',
  port = 0,
}: ServerOptions): Promise<RunningServer> {
  if (jobs && token === undefined && !isOwnAddress(host)) {
    throw new DaganError('token-missing', `on ${host} others could start jobs, so a token is needed`, { host });
  }
  if (token !== undefined && !new RegExp(`^[!-~]{${SHORTEST_TOKEN},}$`).test(token)) {
    const message = `a token has at least ${SHORTEST_TOKEN} letters, digits and signs, and no spaces`;
    throw new DaganError('bad-token', message, { least: SHORTEST_TOKEN });
  }
  // Within one machine copying is quicker than compressing.
  const files = studio && (await StudioFiles.open(studio, !isOwnAddress(host)));
  const api = jobs && getRequestListener(routes(jobs, token).fetch, { overrideGlobalObjects: false });
  const server = createServer({ requestTimeout: REQUEST_TIME }, (request, response) => {
    answer({ files, api, host }, request, response).catch(() => response.destroy());
  });
  await listen(server, host, port);
  const { port: chosen } = server.address() as AddressInfo;
  return {
    url: `http://${nameOf(host)}:${chosen}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

type Serving = { files: StudioFiles | undefined; api: RequestListener | undefined; host: string };

async function answer(
  { files, api, host }: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  if (!isOwnName(request.headers.host, host, request.socket.localPort)) {
    return problem(response, new RequestProblem('foreign-name', 'this name does not belong to this server'));
  }
  if (api && request.url?.startsWith(`${PREFIX}/`)) return api(request, response);
  if (files) return files.answer(request, response);
  problem(response, new RequestProblem('no-such-address', `jobs are at ${PREFIX}/jobs`));
}

function problem(response: ServerResponse, { status, answer: body }: RequestProblem): void {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8' }).end(`${JSON.stringify(body)}\n`);
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
