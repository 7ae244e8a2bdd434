// Who may ask: requests that were meant for this server, of its own pages or of programs, with the token where there is one.
import { createHash, timingSafeEqual } from 'node:crypto';
import { RequestProblem } from './problems.js';

/** Names of this machine's own address, which nobody else reaches. */
const OWN_NAMES: readonly string[] = ['127.0.0.1', 'localhost', '::1'];

/** Hosts that mean all addresses of this machine. */
const ALL_ADDRESSES: readonly string[] = ['0.0.0.0', '::'];

/** Letters that a token has at least: it is guessed by nobody who may try as often as they like. */
export const SHORTEST_TOKEN = 16;

/** Whether an address to listen on is reached by this machine alone. */
export const isOwnAddress = (host: string): boolean => OWN_NAMES.includes(host.toLowerCase());

/** The name of an address to listen on in URLs. */
export function nameOf(host: string): string {
  const name = ALL_ADDRESSES.includes(host) ? 'localhost' : host;
  return name.includes(':') ? `[${name}]` : name;
}

/**
 * Whether a request was meant for this server, by the name that it was asked for: a page from elsewhere whose name has been
 * made to lead here (DNS rebinding) is turned away. On this machine's own address its names count, with any port, which
 * forwarding may change; on another one, that address with the port; on all addresses, whatever name leads here.
 */
export function isOwnName(header: string | undefined, host: string, port: number | undefined): boolean {
  if (ALL_ADDRESSES.includes(host)) return true;
  const [, bracketed, plain, asked = '80'] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(header ?? '') ?? [];
  const name = (bracketed ?? plain ?? '').toLowerCase();
  if (isOwnAddress(host)) return OWN_NAMES.includes(name);
  return name === host.toLowerCase() && Number(asked) === port;
}

/**
 * Turns away what a page of another site asks for. Browsers send forms anywhere without asking, and name the page's origin.
 *
 * @throws RequestProblem
 */
export function refuseForeignPages(origin: string | undefined, host: string | undefined): void {
  if (origin === undefined) return;
  const own = URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
  if (!own) throw new RequestProblem('foreign-origin', 'pages of other sites may not ask here');
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/**
 * Checks the token of a request, in a time that says nothing of how much of it is right.
 *
 * @param authorization the header: `Bearer TOKEN`
 * @throws RequestProblem
 */
export function requireToken(token: string | undefined, authorization: string | undefined): void {
  if (token === undefined) return;
  const [, given = ''] = /^bearer +(\S+) *$/i.exec(authorization ?? '') ?? [];
  if (timingSafeEqual(digest(given), digest(token))) return;
  throw new RequestProblem('unauthorized', 'send the token of this server: "Authorization: Bearer TOKEN"');
}
