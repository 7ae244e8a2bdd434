// The worker's first module: waits for its options and answers the page's calls.
import { type Handlers, serve, type ToldError } from '../rpc.js';
import type { StudioEngineOptions } from './api.js';
import { asEngineError } from './errors.js';
import { Studio } from './studio.js';

/** The functions of a `Studio` by name. */
export type StudioHandlers = { [Name in Exclude<keyof Studio, symbol>]: Studio[Name] };

const start = ({ data }: MessageEvent<StudioEngineOptions>): void => {
  removeEventListener('message', start);
  const studio = new Studio(data);
  const handlers = new Proxy({} as Handlers, {
    get: (_none, name) => (studio[name as keyof Studio] as (...args: unknown[]) => unknown).bind(studio),
  });
  serve(handlers, tellEngineError);
};

function tellEngineError(thrown: unknown): ToldError {
  const { name, message, code } = asEngineError(thrown);
  return { name, message, code, fatal: code === 'out-of-memory' };
}

addEventListener('message', start);
