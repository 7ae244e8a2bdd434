// Numbers as people read them.

/** "1 frame", "2 frames". */
export const count = (number: number, name: string): string => `${number} ${name}${number === 1 ? '' : 's'}`;

/** So many bytes. */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;

/** "12.5 frames a second"; below one, how long a frame takes. */
export const pace = (perSecond: number): string =>
  perSecond >= 1 ? `${perSecond.toFixed(1)} frames a second` : `${(1 / perSecond).toFixed(1)} s a frame`;

/** "8 s", "3 min", "1 h 20 min": an estimate, so no more than two figures. */
export function roughTime(seconds: number): string {
  if (seconds < 10) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 55) return `${5 * Math.round(seconds / 5)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${Math.max(1, minutes)} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
