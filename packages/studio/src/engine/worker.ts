// The worker's first module: waits for its options and answers the page's calls.
import type { StudioEngineOptions } from './api.js';
import { answerCalls, type Handlers, type Line } from './rpc.js';
import { Studio } from './studio.js';

const scope = globalThis as unknown as Line & { removeEventListener: Worker['removeEventListener'] };

/** The functions of a `Studio` by name. */
export type StudioHandlers = { [Name in Exclude<keyof Studio, symbol>]: Studio[Name] };

const start = ({ data }: MessageEvent<StudioEngineOptions>): void => {
  scope.removeEventListener('message', start as EventListener);
  const studio = new Studio(data);
  const handlers = new Proxy({} as Handlers, {
    get: (_none, name) => (studio[name as keyof Studio] as (...args: unknown[]) => unknown).bind(studio),
  });
  answerCalls(scope, handlers);
};

scope.addEventListener('message', start);
