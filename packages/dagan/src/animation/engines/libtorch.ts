// The engine that runs the model's own networks on LibTorch.
import { autocast, buildInfo, cat, getThreads, keep, noGrad, Tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../../media/pictures/picture.js';
import type { AnimationModel, SourceState } from '../../models/animation-model.js';
import { loadModel, type ModelFiles } from '../../models/files/model-file.js';
import { type Precision, prepareForInference } from '../../models/inference/inference.js';
import {
  type KeypointSet,
  type Keypoints,
  keypointsToTensors,
  tensorsToKeypoints,
} from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import { pictureToTensor, tensorToMaps, tensorToPictures, tensorToValues } from '../../tensors/pictures.js';
import type { MotionField } from '../../tensors/values.js';
import type { Analysis, Engine, Inspection, InspectOptions, SourceOptions } from '../engine.js';
import { EngineThreads, type LoadedEngine, shareThreads } from './engine-threads.js';
import type { LibtorchEngineOptions } from './options.js';

/**
 * The engine for a model of files. On a processor with several threads it is several engines that work on different frames.
 *
 * @param threads for all of them; by default as many as LibTorch has
 * @throws as `loadModel`, and RangeError as `LibtorchEngine`
 */
export async function loadLibtorchEngine(
  files: ModelFiles,
  options: LibtorchEngineOptions = {},
  threads?: number,
): Promise<Engine> {
  return (await openLibtorchEngine(files, options, threads)).engine;
}

/** The same, with what the model's files say; they are read once for each engine and no more. */
export async function openLibtorchEngine(
  files: ModelFiles,
  options: LibtorchEngineOptions = {},
  threads?: number,
): Promise<LoadedEngine> {
  // Asked for in any case: the addon's settings for the whole process are made where it is loaded first.
  const most = getThreads();
  const { device = 'cpu', batchSize, ownThread = false } = options;
  const shares = ownThread ? [threads ?? most] : shareThreads(threads ?? most);
  if (device !== 'cpu' || batchSize !== undefined || (shares.length === 1 && !ownThread)) {
    const { model, metadata } = loadModel(files);
    const { config } = model;
    return { engine: new LibtorchEngine(model, options), facts: { config, metadata } };
  }
  const setups = shares.map((share) => ({ runtime: 'libtorch', files, options, threads: share }) as const);
  const engine = await EngineThreads.load(setups, (one) => one.replace(/\d+ threads$/, `${threads ?? most} threads`));
  return { engine, facts: engine.facts };
}

export class LibtorchEngine implements Engine {
  readonly size: number;
  readonly batchSize: number;
  readonly description: string;
  readonly #model: AnimationModel;
  readonly #device: string;
  readonly #autocast: Exclude<Precision, 'float32'> | null;
  #source: SourceState | null = null;
  readonly #isTwin: boolean;

  /**
   * Takes over the model, which is disposed of with the engine.
   *
   * @param twinOf has the model already and keeps it; for `twin`
   * @throws RangeError if the model's networks cannot halve pictures of this size as often as they do
   */
  constructor(
    model: AnimationModel,
    { size = 256, device = 'cpu', batchSize = 4, precision = 'float32', asTrained = false }: LibtorchEngineOptions = {},
    twinOf?: LibtorchEngine,
  ) {
    const multiple = model.sizeMultiple;
    if (!(size > 0 && size % multiple === 0)) {
      throw new RangeError(`the size of this model's pictures must be a multiple of ${multiple}, not ${size}`);
    }
    this.size = size;
    this.batchSize = batchSize;
    this.#device = device;
    this.#isTwin = twinOf !== undefined;
    if (twinOf) {
      this.#model = model;
      this.#autocast = twinOf.#autocast;
      this.description = twinOf.description;
      return;
    }
    this.#model = asTrained
      ? model.eval().requiresGrad_(false).to({ device })
      : prepareForInference(model, { precision, device });
    this.#autocast = asTrained && precision !== 'float32' ? precision : null;
    this.description = `LibTorch ${buildInfo().version}, ${device}, ${precision}, ${getThreads()} threads`;
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return this.#model.keypointNames;
  }

  get motion(): MotionSpace {
    return this.#model.motion;
  }

  get mergesPortraits(): boolean {
    return this.#model.mergesPortraits ?? false;
  }

  async setSource(
    portrait: Picture,
    { keypoints, others = [], othersKeypoints = [] }: SourceOptions = {},
  ): Promise<Analysis> {
    if (others.length > 0 && !this.mergesPortraits) throw new TypeError('this model takes one portrait');
    const told = this.motion.meshPoints ? [...(keypoints ? [keypoints] : []), ...othersKeypoints] : [];
    this.#disposeSource();
    const state = this.#compute(() =>
      tidy(() => {
        const found = this.#model.source(
          this.#input([portrait]),
          others.map((other) => this.#input([other])),
          told.map((set) => this.#moving([set]).value),
        );
        return keypoints ? { ...found, keypoints: this.#moving([keypoints]) } : found;
      }),
    );
    for (const value of tensorsIn(state)) keep(value);
    this.#source = state;
    return {
      keypoints: tensorsToKeypoints(state.keypoints)[0]!,
      disparity: state.disparity ? tensorToMaps(state.disparity)[0]! : null,
    };
  }

  async drive(frames: readonly Picture[], { withDisparity = false } = {}): Promise<Analysis[]> {
    return this.#compute(() =>
      tidy(() => {
        const images = this.#input(frames);
        const { keypoints: found, disparity } = this.#model.driving(images, this.#source);
        // A model whose keypoints need no depth may still have a depth network, for the portrait.
        const shown = withDisparity ? (disparity ?? this.#model.depthNetwork?.forward(images)) : null;
        const maps = shown ? tensorToMaps(shown) : null;
        return tensorsToKeypoints(found).map((keypoints, i) => ({
          keypoints,
          disparity: maps ? maps[i]! : null,
        }));
      }),
    );
  }

  async generate(keypoints: readonly KeypointSet[]): Promise<Picture[]> {
    const source = this.#portrait();
    return this.#compute(() =>
      tidy(() => tensorToPictures(this.#model.generate(source, this.#moving(keypoints)).prediction)),
    );
  }

  async inspect(keypoints: KeypointSet, { withTensors = false, driving }: InspectOptions = {}): Promise<Inspection> {
    const source = this.#portrait();
    return this.#compute(() =>
      tidy(() => {
        const frame = this.#model.generate(source, this.#moving([keypoints]));
        const { deformation, occlusionMap, prediction } = frame;
        const attention = this.#model.attention(source, frame);
        const finds = driving && !this.motion.meshPoints;
        const found = finds ? this.#model.driving(this.#input([driving]), source) : null;
        const seen = withTensors ? this.#model.seen(source, found, frame) : null;
        return {
          picture: tensorToPictures(prediction)[0]!,
          deformation: deformation && fieldOf(deformation),
          occlusion: occlusionMap ? tensorToMaps(occlusionMap)[0]! : null,
          attention: attention && {
            ...{ width: attention.width, height: attention.height },
            query: tensorToValues(attention.query).data,
            key: tensorToValues(attention.key).data,
          },
          tensors: seen && new Map(seen.flatMap(([name, value]) => (value ? [[name, tensorToValues(value)]] : []))),
        };
      }),
    );
  }

  twin(): LibtorchEngine {
    const { size, batchSize } = this;
    return new LibtorchEngine(this.#model, { size, batchSize, device: this.#device }, this);
  }

  dispose(): void {
    this.#disposeSource();
    if (!this.#isTwin) this.#model.dispose();
  }

  /** Runs the networks, without gradients. */
  #compute<T>(body: () => T): T {
    return noGrad(() => (this.#autocast ? autocast({ device: this.#device, dtype: this.#autocast }, body) : body()));
  }

  #portrait(): SourceState {
    if (this.#source) return this.#source;
    throw new Error('the engine has no portrait yet: call setSource first');
  }

  /** What moves, as the model's networks take it. */
  #moving(sets: readonly KeypointSet[]): Keypoints {
    return keypointsToTensors(sets, this.#device, this.#model.motion);
  }

  /** Pictures of the engine's size -> [N, 3, H, W] in [0, 1]. */
  #input(pictures: readonly Picture[]): Tensor {
    for (const { width, height } of pictures) {
      if (width !== this.size || height !== this.size) {
        throw new RangeError(
          `the engine works on ${this.size} x ${this.size} pictures, this one is ${width} x ${height}`,
        );
      }
    }
    return cat(pictures.map((picture) => pictureToTensor(picture))).to({
      device: this.#device,
      memoryFormat: 'channels_last',
    });
  }

  #disposeSource(): void {
    if (this.#source) for (const value of tensorsIn(this.#source)) value.dispose();
    this.#source = null;
  }
}

/** A motion field [1, h, w, 2]. */
function fieldOf(deformation: Tensor): MotionField {
  return { width: deformation.size(2), height: deformation.size(1), data: tensorToValues(deformation).data };
}

/** All tensors in a state, however deep they lie. */
function tensorsIn(state: object): Tensor[] {
  return Object.values(state).flatMap((value: unknown) => {
    if (value instanceof Tensor) return [value];
    return typeof value === 'object' && value !== null ? tensorsIn(value) : [];
  });
}
