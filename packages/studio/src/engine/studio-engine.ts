// The engine as the page holds it.
import type { Remote } from '../rpc.js';
import type { Studio } from './studio.js';

/**
 * The networks in a worker of their own, so that the page stays free: the functions of `Studio`. Everything stays in the tab:
 * files come from the page's own origin alone. Calls run one after the other, in the order in which they were made. Aborting
 * one that still waits takes it out of the queue; one that runs is finished and its result dropped, except that a download
 * stops at once.
 */
export type StudioEngine = Remote<Studio> & {
  /** Ends the worker and frees all memory. Calls that wait are rejected with `ended`. */
  dispose(): void;
};
