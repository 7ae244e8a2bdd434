// Several engines in threads of their own, which work on different frames: networks of this size gain less from more threads
// per frame, and the program is free in the meantime.
import { CheckpointError } from '@dagan/libtorch/checkpoint';
import { ExportedModelError } from '../../export/exported-folder.js';
import type { Picture } from '../../media/pictures/picture.js';
import type { SystemConfig } from '../../models/animation-model.js';
import type { ModelFiles, ModelMetadata } from '../../models/files/model-file.js';
import type { KeypointSet } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import type { ThreadFailure } from '../../threads/messages.js';
import { Thread } from '../../threads/thread.js';
import type { Analysis, Engine, Inspection, InspectOptions, SourceOptions } from '../engine.js';
import type { LibtorchEngineOptions, OnnxRuntimeOptions } from './options.js';

/** The engine that each thread has. */
export type EngineSetup =
  | { runtime: 'onnx'; folder: string; options: OnnxRuntimeOptions }
  | { runtime: 'libtorch'; files: ModelFiles; options: LibtorchEngineOptions; threads: number };

/** What is known of an engine's model. */
export type ModelFacts = { config: SystemConfig; metadata: ModelMetadata };

/** An engine, and what its model's files say. */
export type LoadedEngine = { engine: Engine; facts: ModelFacts };

/** Engines side by side at most. */
const MOST_ENGINES = 4;

/** Memory that an engine of the full-size model takes for weights and frames at most, in bytes. */
const ENGINE_MEMORY = 1.5 * 2 ** 30;

/**
 * How many threads each engine gets, where several share so many. There are no more engines than there is memory for.
 *
 * @param memory that this process may still take, in bytes
 */
export function shareThreads(threads: number, memory = process.availableMemory()): number[] {
  const engines = Math.max(1, Math.min(threads, MOST_ENGINES, Math.floor(memory / ENGINE_MEMORY)));
  return Array.from({ length: engines }, (_, i) => Math.floor(threads / engines) + (i < threads % engines ? 1 : 0));
}

/**
 * What a thread is asked for: what the methods of `Engine` are called with; first of all to load its engine, from files that another
 * thread may have `checked`.
 */
export type EngineRequest = { call: 'load'; checked: boolean } | TwinRequest;

/** What one of the twins is asked for; 0 is the engine that has loaded the networks. */
export type TwinRequest = { twin: number } & (
  | { call: 'setSource'; portrait: Picture; options: SourceOptions }
  | { call: 'drive'; frame: Picture; withDisparity: boolean }
  | { call: 'generate'; keypoints: KeypointSet }
  | { call: 'inspect'; keypoints: KeypointSet; options: InspectOptions }
  | { call: 'dispose' }
);

/** What it answers, by call. */
export type EngineAnswer = {
  load: Pick<Engine, 'description' | 'size' | 'keypointNames' | 'motion' | 'mergesPortraits'> & { facts: ModelFacts };
  setSource: Analysis;
  drive: Analysis;
  generate: Picture;
  inspect: Inspection;
  dispose: null;
};

type Answers = EngineAnswer[keyof EngineAnswer];

const SCRIPT = new URL('./engine-thread.js', import.meta.url);

/** Errors that callers tell apart. */
function errorOf({ name, message, path, stack, code, values }: ThreadFailure): Error {
  const coded = code === undefined ? {} : { code, values };
  if (name === 'ExportedModelError') return Object.assign(new ExportedModelError(message), coded);
  if (name === 'CheckpointError' && path !== undefined) {
    return Object.assign(new CheckpointError(path, message.slice(`${path}: `.length)), coded);
  }
  const error = name === 'RangeError' ? new RangeError(message) : new Error(message);
  return Object.assign(error, { stack }, coded);
}

/** An engine whose batches are dealt out to threads, a frame each. */
export class EngineThreads implements Engine {
  readonly batchSize: number;
  #closed = false;
  readonly #threads: EngineTeam;
  readonly #number: number;

  private constructor(
    readonly description: string,
    readonly size: number,
    /** What is known of the model that every thread has. */
    readonly facts: ModelFacts,
    readonly keypointNames: Readonly<Record<string, number>> | undefined,
    readonly motion: MotionSpace | undefined,
    readonly mergesPortraits: boolean | undefined,
    threads: EngineTeam,
    number = 0,
  ) {
    this.#threads = threads;
    this.#number = number;
    this.batchSize = threads.size;
  }

  /**
   * Every thread reads the model's files for itself; nobody else does. The first one checks them.
   *
   * @param setups of the engines
   * @param describe tells what runs the networks, from one engine's description
   * @throws as loading one does
   */
  static async load(setups: readonly EngineSetup[], describe: (one: string) => string): Promise<EngineThreads> {
    const threads = setups.map(
      (setup) => new Thread<EngineRequest, Answers>(SCRIPT, { setup, name: 'an engine', errorOf }),
    );
    for (const thread of threads) thread.hold(true);
    // One after the other: what loading takes beside the model itself is then taken once. Nobody is ended while it loads native
    // code, which can take the program with it.
    const loaded: EngineAnswer['load'][] = [];
    for (const [i, thread] of threads.entries()) {
      try {
        loaded.push((await thread.ask({ call: 'load', checked: i > 0 })) as EngineAnswer['load']);
      } catch (error) {
        await Promise.all(threads.map((each) => each.close('the engine could not be loaded')));
        throw error;
      }
    }
    for (const thread of threads) thread.hold(false);
    const one = loaded[0]!;
    const { size, facts, keypointNames, motion, mergesPortraits } = one;
    const team = new EngineTeam(threads);
    return new EngineThreads(describe(one.description), size, facts, keypointNames, motion, mergesPortraits, team);
  }

  async setSource(portrait: Picture, { face, ...options }: SourceOptions = {}): Promise<Analysis> {
    const [first] = await this.#threads.all<Analysis>({ call: 'setSource', portrait, options, twin: this.#number });
    return first!;
  }

  drive(frames: readonly Picture[], { withDisparity = false } = {}): Promise<Analysis[]> {
    return this.#threads.deal(frames.map((frame) => ({ call: 'drive', frame, withDisparity, twin: this.#number })));
  }

  generate(keypoints: readonly KeypointSet[]): Promise<Picture[]> {
    return this.#threads.deal(keypoints.map((each) => ({ call: 'generate', keypoints: each, twin: this.#number })));
  }

  async inspect(keypoints: KeypointSet, options: InspectOptions = {}): Promise<Inspection> {
    const [seen] = await this.#threads.deal<Inspection>([{ call: 'inspect', keypoints, options, twin: this.#number }]);
    return seen!;
  }

  twin(): EngineThreads {
    const { description, size, facts, keypointNames, motion, mergesPortraits } = this;
    const number = this.#threads.newNumber();
    return new EngineThreads(
      ...([description, size, facts, keypointNames, motion, mergesPortraits, this.#threads, number] as const),
    );
  }

  dispose(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#number === 0) this.#threads.close();
    else this.#threads.all({ call: 'dispose', twin: this.#number }).catch(() => {}); // they have ended, and it with them
  }
}

/** Threads of which each has an engine and its twins. */
class EngineTeam {
  readonly #threads: readonly Thread<EngineRequest, Answers>[];
  /** Calls that are waited for. */
  #calls = 0;
  #twins = 0;

  constructor(threads: readonly Thread<EngineRequest, Answers>[]) {
    this.#threads = threads;
  }

  get size(): number {
    return this.#threads.length;
  }

  /** A number that no twin has. */
  newNumber(): number {
    return ++this.#twins;
  }

  /** Asks every thread for the same. */
  all<Answer extends Answers>(request: EngineRequest): Promise<Answer[]> {
    return this.deal(this.#threads.map(() => request));
  }

  /** Deals requests out to the threads in turn, and keeps the program alive until all are answered. */
  async deal<Answer extends Answers>(requests: readonly EngineRequest[]): Promise<Answer[]> {
    this.#hold(1);
    try {
      const asked = requests.map((request, i) => this.#threads[i % this.#threads.length]!.ask(request));
      return (await Promise.all(asked)) as Answer[];
    } finally {
      this.#hold(-1);
    }
  }

  close(): void {
    for (const thread of this.#threads) void thread.close('the engine is disposed of');
  }

  #hold(more: 1 | -1): void {
    this.#calls += more;
    for (const thread of this.#threads) thread.hold(this.#calls > 0);
  }
}
