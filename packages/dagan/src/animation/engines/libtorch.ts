// The engine that runs the model's own networks on LibTorch.
import { autocast, buildInfo, cat, getThreads, keep, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../../media/pictures/picture.js';
import { sizeMultiple } from '../../models/config/config.js';
import type { DaGAN, SourceState } from '../../models/dagan.js';
import { loadModel, type ModelFiles } from '../../models/files/model-file.js';
import type { Generated } from '../../models/generator.js';
import { type Precision, prepareForInference } from '../../models/inference/inference.js';
import { type KeypointSet, keypointsToTensors, tensorsToKeypoints } from '../../tensors/keypoint-set.js';
import { pictureToTensor, tensorToMaps, tensorToPictures, tensorToValues } from '../../tensors/pictures.js';
import type { TensorValues } from '../../tensors/values.js';
import type { AttentionFactors } from '../attention-row.js';
import type { Analysis, Engine, Inspection } from '../engine.js';
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
  const shares = shareThreads(threads ?? most);
  const { device = 'cpu', batchSize } = options;
  if (device !== 'cpu' || batchSize !== undefined || shares.length === 1) {
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
  readonly #model: DaGAN;
  readonly #device: string;
  readonly #autocast: Exclude<Precision, 'float32'> | null;
  #source: SourceState | null = null;

  /**
   * Takes over the model, which is disposed of with the engine.
   *
   * @throws RangeError if the model's networks cannot halve pictures of this size as often as they do
   */
  constructor(
    model: DaGAN,
    { size = 256, device = 'cpu', batchSize = 4, precision = 'float32', asTrained = false }: LibtorchEngineOptions = {},
  ) {
    const multiple = sizeMultiple(model.config);
    if (!(size > 0 && size % multiple === 0)) {
      throw new RangeError(`the size of this model's pictures must be a multiple of ${multiple}, not ${size}`);
    }
    this.size = size;
    this.batchSize = batchSize;
    this.#device = device;
    this.#model = asTrained
      ? model.eval().requiresGrad_(false).to({ device })
      : prepareForInference(model, { precision, device });
    this.#autocast = asTrained && precision !== 'float32' ? precision : null;
    this.description = `LibTorch ${buildInfo().version}, ${device}, ${precision}, ${getThreads()} threads`;
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return this.#model.config.semanticKeypoints ?? {};
  }

  async setSource(portrait: Picture, { keypoints }: { keypoints?: KeypointSet } = {}): Promise<Analysis> {
    this.#disposeSource();
    const state = this.#compute(() =>
      tidy(() => {
        const found = this.#model.source(this.#input([portrait]));
        return keypoints ? { ...found, keypoints: keypointsToTensors([keypoints], this.#device) } : found;
      }),
    );
    for (const value of tensorsOf(state)) keep(value);
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
        const { keypoints: found, disparity } = this.#model.driving(images);
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
      tidy(() =>
        tensorToPictures(this.#model.generate(source, keypointsToTensors(keypoints, this.#device)).prediction),
      ),
    );
  }

  async inspect(keypoints: KeypointSet, { withTensors = false } = {}): Promise<Inspection> {
    const source = this.#portrait();
    return this.#compute(() =>
      tidy(() => {
        const generated = this.#model.generate(source, keypointsToTensors([keypoints], this.#device));
        const { deformation, occlusionMap, prediction, warpedFeatures } = generated;
        const [, height, width] = deformation.shape as [number, number, number, number];
        return {
          picture: tensorToPictures(prediction)[0]!,
          deformation: { width, height, data: tensorToValues(deformation).data },
          occlusion: occlusionMap ? tensorToMaps(occlusionMap)[0]! : null,
          attention: this.#attention(source, warpedFeatures),
          tensors: withTensors ? this.#tensors(source, generated) : null,
        };
      }),
    );
  }

  dispose(): void {
    this.#disposeSource();
    this.#model.dispose();
  }

  /** Runs the networks, without gradients. */
  #compute<T>(body: () => T): T {
    return noGrad(() => (this.#autocast ? autocast({ device: this.#device, dtype: this.#autocast }, body) : body()));
  }

  #portrait(): SourceState {
    if (this.#source) return this.#source;
    throw new Error('the engine has no portrait yet: call setSource first');
  }

  #attention({ query }: SourceState, warpedFeatures: Tensor): AttentionFactors | null {
    const { attention } = this.#model.generator;
    if (!attention || !query) return null;
    const [height, width] = warpedFeatures.shape.slice(2) as [number, number];
    return {
      ...{ width, height },
      query: tensorToValues(query).data,
      key: tensorToValues(attention.key(warpedFeatures)).data,
    };
  }

  #tensors(source: SourceState, generated: Generated): Map<string, TensorValues> {
    const pyramid = this.#model.depthNetwork?.pyramid(source.image) ?? [];
    const named: [string, Tensor | null][] = [
      ...pyramid.slice(1).map((disparity, i): [string, Tensor] => [`source_disp${i + 1}`, disparity]),
      ['mask', generated.mask],
      ['sparse_deformed', generated.sparseDeformed],
      ['deformation', generated.deformation],
      ['occlusion_map', generated.occlusionMap],
      ['source_feature', source.features],
      ['warped_feature', generated.warpedFeatures],
      ['refined_feature', generated.refinedFeatures],
      ['deformed', generated.deformed],
      ['kept_pixels', generated.keptPixels],
      ['prediction', generated.prediction],
    ];
    return new Map(named.flatMap(([name, value]) => (value ? [[name, tensorToValues(value)] as const] : [])));
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
    if (this.#source) for (const value of tensorsOf(this.#source)) value.dispose();
    this.#source = null;
  }
}

function tensorsOf({ keypoints, ...rest }: SourceState): Tensor[] {
  return [...Object.values(rest), keypoints.value, keypoints.jacobian].filter((value) => value !== null);
}
