// Work of which only what was asked for last is of use: choosing a file while another one is still being read, for example.
import { isStopped } from './problems.js';

/** Starts a piece of work, and aborts the one before. */
export type Newest = (work: (signal: AbortSignal) => Promise<void>) => Promise<void>;

/** @param onProblem is told what goes wrong in the newest work; what was aborted or stopped is no problem */
export function newestOnly(onProblem: (error: unknown) => void): Newest {
  let running = new AbortController();
  return async (work) => {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      await work(signal);
    } catch (error) {
      if (!signal.aborted && !isStopped(error)) onProblem(error);
    }
  };
}
