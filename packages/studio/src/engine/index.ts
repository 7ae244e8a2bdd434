// The page's end of the engine: starts the worker and calls it.
import { type Failure, RemoteWorker } from '../rpc.js';
import {
  type CallOptions,
  type ClipFace,
  type DrivingOptions,
  type EngineErrorCode,
  type FrameOptions,
  type LoadOptions,
  type PictureInput,
  type PortraitOptions,
  type StudioEngine,
  StudioEngineError,
  type StudioEngineOptions,
} from './api.js';
import type { StudioHandlers } from './worker.js';

export * from './api.js';

/** Starts the engine. Nothing is loaded before it is asked for. */
export function createStudioEngine(options: StudioEngineOptions = {}): StudioEngine {
  return new WorkerEngine(options);
}

class WorkerEngine implements StudioEngine {
  readonly #worker: RemoteWorker<StudioHandlers>;
  #clips = 0;

  constructor(options: StudioEngineOptions) {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'networks' });
    worker.postMessage(options);
    this.#worker = new RemoteWorker(worker, { pixels: 'copied', errorOf: engineErrorOf });
  }

  load(url: string | URL, { provider, onProgress, signal }: LoadOptions = {}) {
    const address = new URL(url, document.baseURI).href;
    const tell = ({ done, total }: { done: number; total: number }): void => onProgress?.(done, total);
    return this.#worker.remote.load({ url: address, provider }, { signal, onProgress: tell });
  }

  findFaces(picture: PictureInput, { signal }: CallOptions = {}) {
    return this.#worker.remote.findFaces({ picture }, { signal });
  }

  followClip({ face }: { face?: number } = {}): ClipFace {
    const clip = this.#clips++;
    const { remote } = this.#worker;
    return {
      see: (frame, { signal } = {}) => remote.seeFrame({ clip, frame, face }, { signal }),
      framing: ({ signal } = {}) => remote.clipFraming({ clip }, { signal }),
      nearest: ({ signal } = {}) => remote.nearestFrame({ clip }, { signal }),
      close: () => void remote.forgetClip({ clip }).catch(() => {}), // an engine that has ended holds nothing
    };
  }

  setPortrait(picture: PictureInput, { signal, ...options }: PortraitOptions) {
    return this.#worker.remote.setPortrait({ picture, options }, { signal });
  }

  clearPortrait() {
    return this.#worker.remote.clearPortrait(undefined);
  }

  setReference(frame: PictureInput, { signal, ...options }: DrivingOptions) {
    return this.#worker.remote.setReference({ frame, options }, { signal });
  }

  resetReference() {
    return this.#worker.remote.resetReference(undefined);
  }

  animate(frame: PictureInput, { signal, ...options }: FrameOptions) {
    return this.#worker.remote.animate({ frame, options }, { signal });
  }

  attention(x: number, y: number, { signal }: CallOptions = {}) {
    return this.#worker.remote.attention({ x, y }, { signal });
  }

  keptModels() {
    return this.#worker.remote.keptModels(undefined);
  }

  forgetModels() {
    return this.#worker.remote.forgetModels(undefined);
  }

  dispose(): void {
    this.#worker.terminate(new StudioEngineError('ended', 'The engine has been closed.'));
  }
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
