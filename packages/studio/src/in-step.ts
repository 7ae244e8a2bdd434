// A video that follows another one: it plays, rests and seeks with it.

/** So many seconds may lie between the two while they play. */
const APART = 0.1;

/**
 * Has a video follow another one.
 *
 * @param offset seconds by which the follower's time is ahead
 * @returns what ends it
 */
export function keepInStep(leader: HTMLVideoElement, follower: HTMLVideoElement, offset: number): () => void {
  const ended = new AbortController();
  const { signal } = ended;
  const align = (): void => {
    follower.currentTime = leader.currentTime + offset;
  };
  const on = (types: readonly string[], react: () => void): void => {
    for (const type of types) leader.addEventListener(type, react, { signal });
  };
  const rest = (): void => {
    follower.pause();
    align();
  };
  const go = (): void => {
    follower.playbackRate = leader.playbackRate;
    align();
    if (!leader.paused) follower.play().catch(() => {}); // it is set right at the next step
  };
  on(['seeking', 'ratechange', 'playing'], go);
  on(['pause', 'ended', 'waiting'], rest);
  on(['timeupdate'], () => {
    if (Math.abs(follower.currentTime - leader.currentTime - offset) > APART) align();
  });
  follower.addEventListener('loadedmetadata', go, { signal });
  go();
  return () => {
    ended.abort();
    follower.pause();
  };
}
