// The engine that runs the model's own networks on LibTorch.
import { buildInfo, cat, getThreads, keep, noGrad, type Tensor, tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../../media/picture.js';
import { sizeMultiple } from '../../models/config.js';
import type { DaGAN, SourceState } from '../../models/dagan.js';
import { type Precision, prepareForInference } from '../../models/inference.js';
import type { Keypoints } from '../../models/keypoints.js';
import { loadModel, type ModelFiles } from '../../models/model-file.js';
import type { Analysis, Engine, KeypointSet, ScalarMap } from '../engine.js';
import { EngineThreads, shareThreads } from './engine-threads.js';

export type LibtorchEngineOptions = {
  /** Side of the pictures, in pixels; a multiple of the model's `sizeMultiple`, which is 128 for the published ones. */
  size?: number;
  /** See `prepareForInference`. */
  precision?: Precision;
  /** 'cpu', 'cuda', 'cuda:1', ... */
  device?: string;
  /** Frames that are computed together; several make better use of the weights that each layer has to read. */
  batchSize?: number;
};

/** RGB bytes [H, W, 3] -> [1, 3, H, W] in [0, 1]. */
export function pictureToTensor({ width, height, data }: Picture): Tensor {
  return tidy(() =>
    tensor(data, { shape: [1, height, width, 3] })
      .permute(0, 3, 1, 2)
      .to({ dtype: 'float32' })
      .div(255),
  );
}

/** [N, 3, H, W] in [0, 1] -> N pictures. */
export function tensorToPictures(images: Tensor): Picture[] {
  const [count, , height, width] = images.shape as [number, number, number, number];
  const bytes = tidy(() =>
    images.permute(0, 2, 3, 1).mul(255).round().clamp(0, 255).to({ dtype: 'uint8', device: 'cpu' }).toUint8Array(),
  );
  const size = height * width * 3;
  return Array.from({ length: count }, (_, i) => ({ width, height, data: bytes.subarray(i * size, (i + 1) * size) }));
}

/** Keypoints as [N, K, 2] and [N, K, 2, 2] tensors, from N sets. */
export function keypointsToTensors(sets: readonly KeypointSet[], device = 'cpu'): Keypoints {
  const count = sets[0]!.value.length / 2;
  const join = (arrays: readonly Float32Array[], shape: readonly number[]): Tensor =>
    cat(arrays.map((data) => tensor(data, { shape: [1, ...shape] }))).to({ device });
  const jacobians = sets.flatMap((set) => set.jacobian ?? []);
  return {
    value: join(
      sets.map((set) => set.value),
      [count, 2],
    ),
    jacobian: jacobians.length === sets.length ? join(jacobians, [count, 2, 2]) : null,
  };
}

/** N sets from [N, K, 2] and [N, K, 2, 2] tensors. */
export function tensorsToKeypoints({ value, jacobian }: Keypoints): KeypointSet[] {
  const values = value.toFloat32Array();
  const jacobians = jacobian?.toFloat32Array();
  const count = value.size(1);
  return Array.from({ length: value.size(0) }, (_, i) => ({
    value: values.slice(i * count * 2, (i + 1) * count * 2),
    jacobian: jacobians ? jacobians.slice(i * count * 4, (i + 1) * count * 4) : null,
  }));
}

/** N maps from [N, 1, H, W]. */
export function tensorToMaps(maps: Tensor): ScalarMap[] {
  const [n, , height, width] = maps.shape as [number, number, number, number];
  const data = maps.toFloat32Array();
  const size = height * width;
  return Array.from({ length: n }, (_, i) => ({ width, height, data: data.slice(i * size, (i + 1) * size) }));
}

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
  // Asked for in any case: the addon's settings for the whole process are made where it is loaded first.
  const most = getThreads();
  const shares = shareThreads(threads ?? most);
  const { device = 'cpu', batchSize } = options;
  if (device !== 'cpu' || batchSize !== undefined || shares.length === 1) {
    return new LibtorchEngine(loadModel(files).model, options);
  }
  const setups = shares.map((share) => ({ runtime: 'libtorch', files, options, threads: share }) as const);
  return EngineThreads.load(setups, (one) => one.replace(/\d+ threads$/, `${threads ?? most} threads`));
}

export class LibtorchEngine implements Engine {
  readonly size: number;
  readonly batchSize: number;
  readonly description: string;
  readonly #model: DaGAN;
  readonly #device: string;
  #source: SourceState | null = null;

  /**
   * Takes over the model, which is disposed of with the engine.
   *
   * @throws RangeError if the model's networks cannot halve pictures of this size as often as they do
   */
  constructor(
    model: DaGAN,
    { size = 256, device = 'cpu', batchSize = 4, precision = 'float32' }: LibtorchEngineOptions = {},
  ) {
    const multiple = sizeMultiple(model.config);
    if (!(size > 0 && size % multiple === 0)) {
      throw new RangeError(`the size of this model's pictures must be a multiple of ${multiple}, not ${size}`);
    }
    this.size = size;
    this.batchSize = batchSize;
    this.#device = device;
    this.#model = prepareForInference(model, { precision, device });
    this.description = `LibTorch ${buildInfo().version}, ${device}, ${precision}, ${getThreads()} threads`;
  }

  async setSource(portrait: Picture): Promise<Analysis> {
    this.#disposeSource();
    const state = noGrad(() => tidy(() => this.#model.source(this.#input([portrait]))));
    for (const value of tensorsOf(state)) keep(value);
    this.#source = state;
    return {
      keypoints: tensorsToKeypoints(state.keypoints)[0]!,
      disparity: state.disparity ? tensorToMaps(state.disparity)[0]! : null,
    };
  }

  async drive(frames: readonly Picture[], { withDisparity = false } = {}): Promise<Analysis[]> {
    return noGrad(() =>
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
    const source = this.#source;
    if (!source) throw new Error('the engine has no portrait yet: call setSource first');
    return noGrad(() =>
      tidy(() =>
        tensorToPictures(this.#model.generate(source, keypointsToTensors(keypoints, this.#device)).prediction),
      ),
    );
  }

  dispose(): void {
    this.#disposeSource();
    this.#model.dispose();
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
