// An exported model's files: fetched from the page's own origin, checked against the manifest, and kept by their hashes.
import { checkManifest, MANIFEST_NAME, type Manifest } from 'dagan/onnx';
import { StudioEngineError } from './api.js';

/** Where files are kept (Cache Storage); the address of an entry ends in its file's hash. */
const CACHE = 'dagan-models';

/** Milliseconds for which the server is waited for where a manifest is kept. */
const PATIENCE = 3000;

/** An exported model whose files are all here and are what the manifest says. */
export type FetchedModel = {
  manifest: Manifest;
  /** The bytes of a file. */
  read: (file: string) => Promise<Uint8Array>;
  /** Of all files. */
  bytes: number;
};

export type FetchOptions = { signal: AbortSignal; onProgress: (bytesDone: number, bytesTotal: number) => void };

/**
 * Fetches what is not kept yet. The manifest is asked for anew, if there is a connection, so that a model that was
 * replaced is seen; files of the same folder that no manifest names any more are deleted.
 *
 * @param url the folder, with or without a slash at its end
 * @throws StudioEngineError `bad-model`, `offline`; the signal's reason
 */
export async function fetchModel(url: string, { signal, onProgress }: FetchOptions): Promise<FetchedModel> {
  const folder = new URL(url.endsWith('/') ? url : `${url}/`);
  if (folder.origin !== location.origin) {
    throw badModel(`models come from the page's own address alone, not from ${folder.origin}`);
  }
  if (!crypto.subtle) {
    throw badModel('its files can only be checked on a page that is served by https or from 127.0.0.1: open it so');
  }
  const cache = await openCache();
  const manifest = await fetchManifest(folder, cache, signal);
  const { weights, graphs, int8 } = manifest;
  const files = [weights, ...Object.values(graphs), ...(int8 ? [int8] : [])];
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  const contents = new Map<string, Uint8Array>();
  let done = 0;
  onProgress(0, bytes);
  for (const { file, bytes: length, sha256 } of files) {
    const address = new URL(file, folder);
    const key = `${address.href}?sha256=${sha256}`;
    let content = await kept(cache, key);
    if (content && (await hashOf(content)) !== sha256) content = undefined;
    if (!content) {
      content = await download(address, length, signal, (now) => onProgress(done + now, bytes));
      if (content.length !== length || (await hashOf(content)) !== sha256) {
        throw badModel(
          `${file} is not the file that the manifest was written for, or it was damaged on the way: load the page again; if that does not help, the host has to put the model there anew`,
        );
      }
      await keep(cache, key, content);
    }
    signal.throwIfAborted();
    contents.set(file, content);
    done += length;
    onProgress(done, bytes);
  }
  // Only now: with a part of the new files, the ones before could not be used either.
  await cache?.put(new URL(MANIFEST_NAME, folder), new Response(JSON.stringify(manifest))).catch(() => {});
  await forgetOthers(cache, folder, new Set(files.map(({ sha256 }) => sha256)));
  const read = async (file: string): Promise<Uint8Array> => {
    signal.throwIfAborted();
    return contents.get(file)!;
  };
  return { manifest, read, bytes };
}

/** Bytes of all files that are kept. */
export async function keptBytes(): Promise<number> {
  const cache = await openCache();
  let bytes = 0;
  for (const request of (await cache?.keys()) ?? []) {
    const response = await cache!.match(request);
    bytes += (await response?.blob())?.size ?? 0;
  }
  return bytes;
}

/** Deletes all files that are kept. */
export async function forgetModels(): Promise<void> {
  if ('caches' in globalThis) await caches.delete(CACHE);
}

/** Undefined where the browser keeps nothing, as in some private windows: then files are fetched each time. */
async function openCache(): Promise<Cache | undefined> {
  return 'caches' in globalThis ? caches.open(CACHE).catch(() => undefined) : undefined;
}

async function fetchManifest(folder: URL, cache: Cache | undefined, signal: AbortSignal): Promise<Manifest> {
  const address = new URL(MANIFEST_NAME, folder);
  const old = await cache?.match(address);
  const inTime = old ? AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]) : signal;
  let text: string;
  try {
    text = await (await request(address, inTime, { cache: 'no-cache' })).text();
  } catch (error) {
    signal.throwIfAborted();
    const silent = inTime.aborted || (error instanceof StudioEngineError && error.code === 'offline');
    if (!old || !silent) throw error;
    text = await old.text();
  }
  try {
    return checkManifest(JSON.parse(text));
  } catch (error) {
    throw badModel(`${MANIFEST_NAME}: ${(error as Error).message}; export the model again`);
  }
}

async function request(address: URL, signal: AbortSignal, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { ...init, signal, credentials: 'same-origin', redirect: 'error' });
  } catch (error) {
    signal.throwIfAborted();
    throw offline(address, error);
  }
  if (response.ok) return response;
  if (response.status >= 500) throw offline(address, `status ${response.status}`);
  throw badModel(
    `there is no ${address.pathname} (status ${response.status}): the folder has to be one of \`dagan export\``,
  );
}

async function download(
  address: URL,
  length: number,
  signal: AbortSignal,
  onProgress: (bytes: number) => void,
): Promise<Uint8Array> {
  // What the browser still has under this name may be of the model before.
  const { body } = await request(address, signal, { cache: 'no-cache' });
  const content = new Uint8Array(length);
  let at = 0;
  try {
    for (const reader = body!.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return content.subarray(0, at);
      if (at + value.length > length) {
        await reader.cancel();
        return new Uint8Array(0); // too long: not the file
      }
      content.set(value, at);
      at += value.length;
      onProgress(at);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw offline(address, error);
  }
}

async function kept(cache: Cache | undefined, key: string): Promise<Uint8Array | undefined> {
  const response = await cache?.match(key).catch(() => undefined);
  return response && new Uint8Array(await response.arrayBuffer());
}

/** Keeps a file if there is room. */
async function keep(cache: Cache | undefined, key: string, content: Uint8Array): Promise<void> {
  await cache?.put(key, new Response(content as Uint8Array<ArrayBuffer>)).catch(() => {});
}

/** Deletes earlier versions of a folder's files. */
async function forgetOthers(cache: Cache | undefined, folder: URL, hashes: ReadonlySet<string>): Promise<void> {
  for (const { url } of (await cache?.keys()) ?? []) {
    const hash = new URL(url).searchParams.get('sha256');
    if (url.startsWith(folder.href) && hash && !hashes.has(hash)) await cache!.delete(url);
  }
}

async function hashOf(content: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const badModel = (why: string): StudioEngineError =>
  new StudioEngineError('bad-model', `The model cannot be used: ${why}.`);

const offline = (address: URL, why: unknown): StudioEngineError =>
  new StudioEngineError(
    'offline',
    `${address.pathname} could not be loaded (${why instanceof Error ? why.message : why}): check the connection and try again.`,
  );
