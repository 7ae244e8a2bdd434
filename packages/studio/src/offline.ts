// Registers the service worker that keeps the page for use without a network.

/**
 * Asks the browser to keep the page's files; best before any large one is loaded. On a host that does not send the headers for threads the service worker adds
 * them; the page then has to be loaded once more, which is done here, once.
 *
 * @returns whether the page now works offline
 */
export async function keepForOffline(): Promise<boolean> {
  if (!('serviceWorker' in navigator) || import.meta.env.DEV) return false;
  try {
    await navigator.serviceWorker.register('./service-worker.js', { scope: './' });
    await controlled();
  } catch {
    return false; // private windows of some browsers refuse; the page works all the same
  }
  if (!crossOriginIsolated && sessionStorage.getItem(RELOADED) === null) {
    sessionStorage.setItem(RELOADED, 'yes');
    location.reload();
  }
  return true;
}

/** Waits until requests of the page pass the service worker, which keeps what is loaded from then on. */
function controlled(): Promise<void> {
  if (navigator.serviceWorker.controller) return Promise.resolve();
  return new Promise((resolve) => {
    navigator.serviceWorker.addEventListener('controllerchange', () => resolve(), { once: true });
    setTimeout(resolve, LONGEST_WAIT);
  });
}

/** Milliseconds that the page waits for it: a slow network must not keep it from starting. */
const LONGEST_WAIT = 5000;

const RELOADED = 'dagan-reloaded-for-threads';
