// The page's end of the engine: starts the worker and calls it.
import {
  type CallOptions,
  type ClipFace,
  type DrivingOptions,
  type FrameOptions,
  type LoadOptions,
  type PictureInput,
  type PortraitOptions,
  type StudioEngine,
  StudioEngineError,
  type StudioEngineOptions,
} from './api.js';
import { Caller } from './rpc.js';
import type { StudioHandlers } from './worker.js';

export * from './api.js';

/** Starts the engine. Nothing is loaded before it is asked for. */
export function createStudioEngine(options: StudioEngineOptions = {}): StudioEngine {
  return new WorkerEngine(options);
}

class WorkerEngine implements StudioEngine {
  readonly #worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'networks' });
  readonly #caller = new Caller<StudioHandlers>(this.#worker, (error) => this.#end(error));
  #clips = 0;

  constructor(options: StudioEngineOptions) {
    this.#worker.postMessage(options);
    this.#worker.addEventListener('error', (event) => {
      event.preventDefault();
      const why = event.message || 'a part of it could not be loaded';
      this.#end(new StudioEngineError('ended', `The engine has stopped (${why}): load the page again.`));
    });
  }

  load(url: string | URL, { provider, onProgress, signal }: LoadOptions = {}) {
    const address = new URL(url, document.baseURI).href;
    const tell = ({ done, total }: { done: number; total: number }): void => onProgress?.(done, total);
    return this.#caller.call('load', { url: address, provider }, { signal, onProgress: tell });
  }

  findFace(picture: PictureInput, { face, signal }: CallOptions & { face?: number } = {}) {
    return this.#caller.call('findFace', { picture, face }, { signal });
  }

  followClip({ face }: { face?: number } = {}): ClipFace {
    const clip = this.#clips++;
    const caller = this.#caller;
    return {
      see: (frame, { signal } = {}) => caller.call('seeFrame', { clip, frame, face }, { signal }),
      framing: ({ signal } = {}) => caller.call('clipFraming', { clip }, { signal }),
      nearest: ({ signal } = {}) => caller.call('nearestFrame', { clip }, { signal }),
      close: () => void caller.call('forgetClip', { clip }).catch(() => {}), // an engine that has ended holds nothing
    };
  }

  setPortrait(picture: PictureInput, { signal, ...options }: PortraitOptions) {
    return this.#caller.call('setPortrait', { picture, options }, { signal });
  }

  clearPortrait() {
    return this.#caller.call('clearPortrait', undefined);
  }

  setReference(frame: PictureInput, { signal, ...options }: DrivingOptions) {
    return this.#caller.call('setReference', { frame, options }, { signal });
  }

  resetReference() {
    return this.#caller.call('resetReference', undefined);
  }

  animate(frame: PictureInput, { signal, ...options }: FrameOptions) {
    return this.#caller.call('animate', { frame, options }, { signal });
  }

  attention(x: number, y: number, { signal }: CallOptions = {}) {
    return this.#caller.call('attention', { x, y }, { signal });
  }

  forgetModels() {
    return this.#caller.call('forgetModels', undefined);
  }

  dispose(): void {
    this.#end(new StudioEngineError('ended', 'The engine has been closed.'));
  }

  #end(error: StudioEngineError): void {
    this.#worker.terminate();
    this.#caller.end(error);
  }
}
