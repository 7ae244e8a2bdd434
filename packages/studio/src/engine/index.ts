// The page's end of the engine: starts the worker and calls it.
import { type Failure, RemoteWorker } from '../rpc.js';
import { type EngineErrorCode, StudioEngineError, type StudioEngineOptions } from './api.js';
import type { Studio } from './studio.js';
import type { StudioEngine } from './studio-engine.js';

export * from './api.js';
export type { StudioEngine } from './studio-engine.js';

/** Starts the engine. Nothing is loaded before it is asked for. */
export function createStudioEngine(options: StudioEngineOptions = {}): StudioEngine {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'networks' });
  worker.postMessage(options);
  const networks = new RemoteWorker<Studio>(worker, { pixels: 'copied', errorOf: engineErrorOf });
  const ended = new StudioEngineError('ended', 'The engine has been closed.');
  return Object.assign(networks.remote, { dispose: () => networks.terminate(ended) });
}

function engineErrorOf(failure: Failure): StudioEngineError {
  switch (failure.kind) {
    case 'thrown':
      return new StudioEngineError(failure.code as EngineErrorCode, failure.message);
    case 'not-sent':
      return new StudioEngineError(
        'bad-picture',
        'The picture cannot be handed over: it has been closed, or handed over before.',
      );
    case 'died': {
      const why = failure.why || 'a part of it could not be loaded';
      return new StudioEngineError('ended', `The engine has stopped (${why}): load the page again.`);
    }
  }
}
