// Keeps the page's own files, so that it works without a network after the first visit, and gives it the headers that
// threads need where the host does not send them. Models are kept by the engine, not here.
export type {}; // a module, so that its names are its own

declare const self: ServiceWorkerGlobalScope;

/** Both are filled in by the build: the names of all files, and what tells this build from others. */
const FILES = '__STUDIO_FILES__'.split('|');
const KEPT = 'dagan-studio-__STUDIO_VERSION__';

const PREFIX = 'dagan-studio-';

/** Large files, of which a browser uses one or none: builds of ONNX Runtime, the face networks. */
const WHEN_USED = /\.wasm$|\.onnx$|\bort\b/;

/** Milliseconds for which the server is waited for where the page is kept. */
const PATIENCE = 3000;

/** What isolates the page from others, without which browsers allow no threads. */
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

self.addEventListener('install', (event) => {
  event.waitUntil(keepFiles().then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  event.waitUntil(forgetOthers().then(() => self.clients.claim()));
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const scope = new URL(self.registration.scope);
  if (request.method !== 'GET' || origin !== scope.origin || !pathname.startsWith(scope.pathname)) return;
  const name = pathname.slice(scope.pathname.length) || './';
  if (name === './' || name === 'index.html') event.respondWith(newest());
  else if (FILES.includes(name)) event.respondWith(kept(name, request));
});

/** Keeps all files that every browser uses. Names of those in assets/ carry a hash of what they hold. */
async function keepFiles(): Promise<void> {
  const cache = await caches.open(KEPT);
  await Promise.all(
    FILES.map(async (name) => {
      const before = name.startsWith('assets/') ? await caches.match(address(name)) : undefined;
      if (!before && WHEN_USED.test(name)) return;
      const response = before ?? (await fetch(address(name), { cache: 'no-cache' }));
      if (!response.ok) throw new Error(`${name}: the server answers ${response.status}`);
      await cache.put(address(name), isolated(response));
    }),
  );
}

async function forgetOthers(): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== KEPT);
  await Promise.all(names.map((name) => caches.delete(name)));
}

/** The page from its server where that answers in time, so that a new build is seen at once; else the kept one. */
async function newest(): Promise<Response> {
  const page = new Request(address('./'));
  const isKept = (await (await caches.open(KEPT)).match(page.url)) !== undefined;
  const signal = isKept ? AbortSignal.timeout(PATIENCE) : undefined;
  try {
    const response = await fetch(page, { cache: 'no-cache', signal });
    const { status, statusText, headers } = response;
    // To its end: the server may fall silent in the middle.
    if (response.ok) return isolated(new Response(await response.arrayBuffer(), { status, statusText, headers }));
  } catch {
    // no network: the kept page
  }
  return kept('./', page);
}

async function kept(name: string, request: Request): Promise<Response> {
  const cache = await caches.open(KEPT);
  const before = await cache.match(address(name));
  if (before) return before;
  const response = await fetch(request);
  if (!response.ok) return response;
  const answer = isolated(response);
  await cache.put(address(name), answer.clone()).catch(() => {}); // no room: it works as long as there is a network
  return answer;
}

const address = (name: string): string => new URL(name, self.registration.scope).href;

function isolated(response: Response): Response {
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(ISOLATION)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
