// Registers the service worker that keeps the page for use without a network.

/**
 * Asks the browser to keep the page's files; best before any large one is loaded. On a host that does not send the headers
 * for threads the service worker adds them; the page then has to be loaded once more, which is done here, once: the promise
 * stays open then, so that nothing is begun in vain.
 */
export async function keepForOffline(): Promise<void> {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return;
  const registered = navigator.serviceWorker.register('./service-worker.js', { scope: './' }).then(controlled);
  const enough = new Promise<void>((resolve) => setTimeout(resolve, LONGEST_WAIT));
  try {
    await Promise.race([registered, enough]);
  } catch {
    return; // private windows of some browsers refuse; the page works all the same
  }
  const inCharge = navigator.serviceWorker.controller !== null;
  if (crossOriginIsolated || !inCharge || sessionStorage.getItem(RELOADED) !== null) return;
  sessionStorage.setItem(RELOADED, 'yes');
  location.reload();
  await new Promise(() => {});
}

/** Waits until requests of the page pass the service worker, which keeps what is loaded from then on. */
function controlled(): Promise<void> {
  if (navigator.serviceWorker.controller) return Promise.resolve();
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', () => resolve(), { once: true });
  });
}

/**
 * Fetches a file of the page that will be needed, so that the service worker keeps it: what is used for the first time may be
 * used without a network.
 */
export function keepForLater(url: string): void {
  if (!navigator.serviceWorker?.controller) return;
  fetch(url)
    .then((response) => response.arrayBuffer())
    .catch(() => {}); // whoever needs it says so
}

/** Milliseconds that the page waits for the service worker: a slow or dead network must not keep it from starting. */
const LONGEST_WAIT = 5000;

const RELOADED = 'dagan-reloaded-for-threads';
