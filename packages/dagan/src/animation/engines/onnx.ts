// The engine that runs exported graphs on ONNX Runtime, in Node or in a browser: whoever makes it brings the runtime.

import { sizeOfName } from '@dagan/libtorch/onnx';
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { withCode } from '../../errors.js';
import { type BySteps, daganConfig, type Manifest, type TensorDescription } from '../../export/manifest.js';
import type { Picture } from '../../media/pictures/picture.js';
import type { KeypointSet } from '../../tensors/keypoint-set.js';
import { type MotionSpace, PLANE } from '../../tensors/motion-space.js';
import {
  picturesToValues,
  resizeMap,
  type ScalarMap,
  type TensorValues,
  valuesToMaps,
  valuesToPictures,
  warpValues,
} from '../../tensors/values.js';
import type { Analysis, Engine, Inspection } from '../engine.js';

/** The part of ONNX Runtime's packages that is used: `onnxruntime-node` and `onnxruntime-web` both fit. Graphs are bytes or paths. */
export type OnnxRuntime<Graph = Uint8Array> = {
  InferenceSession: {
    create(graph: Graph, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor;
};

/** An exported model: its manifest, and the files of graphs and weights by the names that the manifest gives. */
export type ExportedModel = { manifest: Manifest; read: (file: string) => Promise<Uint8Array> };

/** An exported model whose files lie in a folder that the runtime can open. */
export type ExportedFolder = { manifest: Manifest; folder: string };

export type OnnxEngineOptions = {
  /** Side of the pictures in pixels; a multiple of the manifest's `multiple`. 256 if not given and not fixed. */
  size?: number;
  /** Frames that are computed together. One at a time is best on processors: nothing is gained by more. */
  batchSize?: number;
  /** Paints by the graph of 8 bits, where the export has one. Default false. */
  int8?: boolean;
  /** Options of the runtime's sessions, such as execution providers and threads. */
  session?: InferenceSession.SessionOptions;
  /** What runs the networks, for people: "ONNX Runtime 1.30.0, cpu, float32, 2 threads". */
  description?: string;
};

/** The side of pictures where neither the user nor the model says otherwise. */
const USUAL_SIZE = 256;

type Tensors = Record<string, Tensor>;

/** The steps' graphs, ready to run. */
type Sessions = Readonly<BySteps<InferenceSession>>;

export class OnnxEngine implements Engine {
  #portrait: Tensors | null = null;
  readonly #isTwin: boolean;
  readonly #runtime: Pick<OnnxRuntime, 'Tensor'>;
  readonly #model: Manifest;
  readonly #sessions: Sessions;

  private constructor(
    readonly description: string,
    readonly size: number,
    readonly batchSize: number,
    runtime: Pick<OnnxRuntime, 'Tensor'>,
    model: Manifest,
    sessions: Sessions,
    isTwin = false,
  ) {
    this.#isTwin = isTwin;
    this.#runtime = runtime;
    this.#model = model;
    this.#sessions = sessions;
  }

  /**
   * Loads the graphs. The file of weights is read once; nothing of it is kept but what the sessions take.
   *
   * @throws RangeError if the model does not take pictures of this size; whatever the runtime throws for a damaged file
   */
  static async create(
    runtime: OnnxRuntime,
    { manifest, read }: ExportedModel,
    options: OnnxEngineOptions = {},
  ): Promise<OnnxEngine> {
    const { file: path } = manifest.weights;
    let externalData: InferenceSession.SessionOptions['externalData'];
    return OnnxEngine.#load(runtime, manifest, options, async (file, session) => {
      externalData ??= [{ path, data: await read(path) }];
      return runtime.InferenceSession.create(await read(file), { ...session, externalData });
    });
  }

  /** The same by a runtime that opens files, and so takes weights from theirs without all of them being in memory at once. */
  static open(
    runtime: OnnxRuntime<string>,
    { manifest, folder }: ExportedFolder,
    options: OnnxEngineOptions = {},
  ): Promise<OnnxEngine> {
    return OnnxEngine.#load(runtime, manifest, options, (file, session) =>
      runtime.InferenceSession.create(`${folder}/${file}`, session),
    );
  }

  /**
   * Writes the graphs into a folder as the runtime computes them, each with a file of its weights beside it. `open` takes them in
   * place of the model's own, with no optimisation left to do.
   */
  static async prepare(
    runtime: OnnxRuntime<string>,
    { manifest, folder }: ExportedFolder,
    options: OnnxEngineOptions,
    into: string,
  ): Promise<void> {
    for (const { file, session } of wantedGraphs(manifest, sideOf(manifest, options), options)) {
      const entries = {
        ...(session.extra?.session as object | undefined),
        optimized_model_external_initializers_file_name: `${file}.weights`,
        optimized_model_external_initializers_min_size_in_bytes: '1024',
      };
      const prepared = await runtime.InferenceSession.create(`${folder}/${file}`, {
        ...session,
        optimizedModelFilePath: `${into}/${file}`,
        extra: { ...session.extra, session: entries },
      });
      await prepared.release();
    }
  }

  /** @param load makes a session of a graph's file */
  static async #load(
    runtime: Pick<OnnxRuntime, 'Tensor'>,
    manifest: Manifest,
    options: OnnxEngineOptions,
    load: (file: string, options: InferenceSession.SessionOptions) => Promise<InferenceSession>,
  ): Promise<OnnxEngine> {
    const { batchSize = 1, description } = options;
    const side = sideOf(manifest, options);
    const sessions: Partial<BySteps<InferenceSession>> = {};
    try {
      for (const { step, file, session } of wantedGraphs(manifest, side, options)) {
        sessions[step] = await load(file, session);
      }
    } catch (error) {
      await Promise.all(Object.values(sessions).map((loaded) => loaded.release()));
      throw error;
    }
    const words = description ?? `ONNX Runtime, ${manifest.precision}`;
    return new OnnxEngine(words, side, batchSize, runtime, manifest, sessions as Sessions);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return daganConfig(this.#model)?.semanticKeypoints ?? {};
  }

  get motion(): MotionSpace {
    return this.#model.motion ?? PLANE;
  }

  /** @throws TypeError if points of the face mesh move the model and the portrait's are not given */
  async setSource(portrait: Picture, { keypoints: given }: { keypoints?: KeypointSet } = {}): Promise<Analysis> {
    this.#release();
    const own = given && this.#keypoints([given]);
    const { image, found, encoded } = await this.#look(portrait, own);
    const { keypoints, jacobians } = own ?? found;
    this.#portrait = {
      ...encoded,
      image,
      source_keypoints: keypoints!,
      ...(jacobians ? { source_jacobians: jacobians } : {}),
    };
    const disparity = found.disparity ?? encoded.disparity;
    return {
      keypoints: given ?? keypointSets(found, encoded)[0]!,
      disparity: disparity ? valuesToMaps(values(disparity))[0]! : null,
    };
  }

  /** A portrait in both of its steps, in the order in which one needs the other; without `drive` from keypoints that are known. */
  async #look(portrait: Picture, own?: Tensors): Promise<{ image: Tensor; found: Tensors; encoded: Tensors }> {
    const { drive, source } = this.#sessions;
    const image = this.#input([portrait]);
    if (!drive) {
      if (!own) return meshIsNeeded();
      const encoded = (await source.run(chosen(source, { image, source_keypoints: own.keypoints }))) as Tensors;
      return { image, found: own, encoded };
    }
    if (this.#seesWithPortrait) {
      const encoded = (await source.run({ image })) as Tensors;
      return { image, found: (await drive.run(chosen(drive, { ...encoded, image }))) as Tensors, encoded };
    }
    const found = (await drive.run({ image })) as Tensors;
    return { image, found, encoded: (await source.run(chosen(source, { ...found, image }))) as Tensors };
  }

  /** Whether a driver is seen in the shape of the portrait. */
  get #seesWithPortrait(): boolean {
    return (this.#sessions.drive?.inputNames.length ?? 0) > 1;
  }

  /** @throws TypeError if points of the face mesh move the model */
  async drive(frames: readonly Picture[], { withDisparity = false } = {}): Promise<Analysis[]> {
    const { drive } = this.#sessions;
    if (!drive) return meshIsNeeded();
    if (this.#seesWithPortrait && !this.#portrait) return this.#driveAlone(frames);
    const image = this.#input(frames);
    const wanted = drive.outputNames.filter((name) => withDisparity || name !== 'disparity');
    const portrait = this.#portrait ?? {};
    const found = (await drive.run(chosen(drive, { ...portrait, image }), wanted)) as Tensors;
    const shown = withDisparity ? await this.#disparity(frames, found) : null;
    return keypointSets(found, portrait).map((keypoints, i) => ({ keypoints, disparity: shown ? shown[i]! : null }));
  }

  /** Frames that are their own portraits. */
  async #driveAlone(frames: readonly Picture[]): Promise<Analysis[]> {
    const analyses: Analysis[] = [];
    for (const frame of frames) {
      const { found, encoded } = await this.#look(frame);
      analyses.push({ keypoints: keypointSets(found, encoded)[0]!, disparity: null });
      for (const tensor of Object.values(encoded)) tensor.dispose();
    }
    return analyses;
  }

  async generate(keypoints: readonly KeypointSet[]): Promise<Picture[]> {
    if (!this.#portrait) throw new Error('the engine has no portrait yet: call setSource first');
    const { generate } = this.#sessions;
    const feeds = chosen(generate, { ...this.#portrait, ...this.#keypoints(keypoints) });
    const { prediction } = (await generate.run(feeds, ['prediction'])) as Tensors;
    return valuesToPictures(values(prediction!));
  }

  async inspect(keypoints: KeypointSet, { withTensors = false } = {}): Promise<Inspection> {
    if (!this.#portrait) throw new Error('the engine has no portrait yet: call setSource first');
    const { generate } = this.#sessions;
    const { query, features } = this.#portrait;
    const feeds = chosen(generate, { ...this.#portrait, ...this.#keypoints([keypoints]) });
    const outputs = (await generate.run(feeds)) as Tensors;
    const { prediction, deformation, occlusion_map: occlusion, attention_key: key } = outputs;
    const [, height, width] = (deformation?.dims ?? []) as number[];
    return {
      picture: valuesToPictures(values(prediction!))[0]!,
      deformation: deformation ? { width: width!, height: height!, data: deformation.data as Float32Array } : null,
      occlusion: occlusion ? valuesToMaps(values(occlusion))[0]! : null,
      attention:
        query && key
          ? {
              ...{ width: features!.dims[3]!, height: features!.dims[2]! },
              query: query.data as Float32Array,
              key: key.data as Float32Array,
            }
          : null,
      tensors: withTensors ? this.#tensors(outputs) : null,
    };
  }

  /** Frees the portrait. */
  clearSource(): void {
    this.#release();
  }

  twin(): OnnxEngine {
    const { description, size, batchSize } = this;
    return new OnnxEngine(description, size, batchSize, this.#runtime, this.#model, this.#sessions, true);
  }

  dispose(): void {
    this.#release();
    if (this.#isTwin) return;
    for (const session of Object.values(this.#sessions)) void session.release();
  }

  /** What was seen on the way to a frame, by published names; what the graph does not give is computed as it does. */
  #tensors({ prediction, deformation, occlusion_map: occlusion }: Tensors): Map<string, TensorValues> {
    const { image, features } = this.#portrait!;
    const config = daganConfig(this.#model);
    if (!config) {
      const found = Object.entries({ deformation, occlusion_map: occlusion, prediction });
      return new Map(found.flatMap(([name, tensor]) => (tensor ? [[name, values(tensor)] as const] : [])));
    }
    const { alignCorners } = config.generator.denseMotion;
    const [, height, width] = deformation!.dims as [number, number, number, number];
    const field = { width, height, data: deformation!.data as Float32Array };
    const moved = warpValues(values(features!), field, { alignCorners });
    const [h, w] = moved.shape.slice(2) as [number, number];
    const visible = occlusion ? resizeMap(valuesToMaps(values(occlusion))[0]!, w, h).data : Float32Array.of(1);
    const warped = moved.data.map((value, i) => value * visible[i % visible.length]!);
    return new Map([
      ['deformation', values(deformation!)],
      ...(occlusion ? [['occlusion_map', values(occlusion)] as const] : []),
      ['source_feature', values(features!)],
      ['warped_feature', { shape: moved.shape, data: warped }],
      ['deformed', warpValues(values(image!), field, { alignCorners })],
      ['prediction', values(prediction!)],
    ]);
  }

  /** Disparity for display; where keypoints need none, the source's step computes it, one frame after the other. */
  async #disparity(frames: readonly Picture[], found: Tensors): Promise<ScalarMap[] | null> {
    if (found.disparity) return valuesToMaps(values(found.disparity));
    const { source } = this.#sessions;
    if (!source.outputNames.includes('disparity')) return null;
    const shown: ScalarMap[] = [];
    for (const frame of frames) {
      const { disparity } = (await source.run({ image: this.#input([frame]) }, ['disparity'])) as Tensors;
      shown.push(...valuesToMaps(values(disparity!)));
    }
    return shown;
  }

  /** Pictures of the engine's size -> [N, 3, H, W] in [0, 1]. */
  #input(frames: readonly Picture[]): Tensor {
    for (const { width, height } of frames) {
      if (width !== this.size || height !== this.size) {
        throw new RangeError(
          `the engine works on ${this.size} x ${this.size} pictures, this one is ${width} x ${height}`,
        );
      }
    }
    const { shape, data } = picturesToValues(frames);
    return new this.#runtime.Tensor('float32', data, shape);
  }

  #keypoints(sets: readonly KeypointSet[]): Tensors {
    const { keypoints: count } = this.#model;
    const { dimensions } = this.motion;
    const { Tensor: Values } = this.#runtime;
    const value = joined(sets.map((set) => set.value));
    const jacobians = sets.flatMap((set) => set.jacobian ?? []);
    return {
      keypoints: new Values('float32', value, [sets.length, count, dimensions]),
      ...(jacobians.length === sets.length
        ? { jacobians: new Values('float32', joined(jacobians), [sets.length, count, dimensions, dimensions]) }
        : {}),
    };
  }

  #release(): void {
    for (const tensor of Object.values(this.#portrait ?? {})) tensor.dispose();
    this.#portrait = null;
  }
}

/** @throws RangeError if the model does not take pictures of the size that is asked for */
function sideOf(manifest: Manifest, { size }: OnnxEngineOptions): number {
  const side = size ?? manifest.size ?? USUAL_SIZE;
  if (manifest.size !== undefined && side !== manifest.size) {
    const message = `this model was exported for pictures of ${manifest.size} x ${manifest.size}, not ${side}`;
    throw withCode(new RangeError(message), 'exported-size', { size: manifest.size, wanted: side });
  }
  if (!(side > 0 && side % manifest.multiple === 0)) {
    throw new RangeError(`the size of this model's pictures must be a multiple of ${manifest.multiple}, not ${side}`);
  }
  return side;
}

type WantedGraph = { step: keyof Sessions; file: string; session: InferenceSession.SessionOptions };

/** The graph of each step and the options of its session. The largest first: what loading it takes is free again for the others. */
function wantedGraphs(manifest: Manifest, side: number, { int8, session = {} }: OnnxEngineOptions): WantedGraph[] {
  return (['generate', 'drive', 'source'] as const).flatMap((step) => {
    const graph = (int8 && step === 'generate' && manifest.int8) || manifest.graphs[step];
    if (!graph) return [];
    const freeDimensionOverrides = knownSizes(graph.inputs, { height: side, width: side });
    return [{ step, file: graph.file, session: { ...session, freeDimensionOverrides } }];
  });
}

function meshIsNeeded(): never {
  throw new TypeError('landmarks of the face mesh move this model, and it has no network that finds them');
}

/** Sizes of the dimensions that follow from the pictures' size. */
function knownSizes(inputs: readonly TensorDescription[], sides: Record<string, number>): Record<string, number> {
  const names = inputs.flatMap(({ shape }) => shape.filter((size) => typeof size === 'string'));
  return Object.fromEntries(
    names.flatMap((name) => {
      const size = sizeOfName(name, sides);
      return size === undefined ? [] : [[name, size]];
    }),
  );
}

/** Of the tensors at hand, those that a graph takes. */
function chosen({ inputNames }: InferenceSession, tensors: Readonly<Record<string, unknown>>): Tensors {
  return Object.fromEntries(inputNames.map((name) => [name, tensors[name] as Tensor]));
}

/** A tensor of the runtime as plain numbers. */
const values = ({ dims, data }: Tensor): TensorValues => ({ shape: dims, data: data as Float32Array });

function joined(arrays: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    whole.set(array, at);
    at += array.length;
  }
  return whole;
}

/** N sets from [N, K, D] and [N, K, D, D]; of heads in space with their angles [N, 3] and the portrait's shape [1, K, 3]. */
function keypointSets(
  { keypoints, jacobians, head_angles: headAngles }: Tensors,
  { canonical }: Tensors,
): KeypointSet[] {
  const [count, perFrame, dimensions] = keypoints!.dims as [number, number, number];
  const [places, elements] = [perFrame * dimensions, perFrame * dimensions ** 2];
  const values = keypoints!.data as Float32Array;
  const matrices = jacobians?.data as Float32Array | undefined;
  const angles = headAngles?.data as Float32Array | undefined;
  const shape = canonical?.data as Float32Array | undefined;
  return Array.from({ length: count }, (_, i) => ({
    value: values.slice(places * i, places * (i + 1)),
    jacobian: matrices ? matrices.slice(elements * i, elements * (i + 1)) : null,
    ...(angles && shape && { head: { canonical: shape.slice(), angles: angles.slice(3 * i, 3 * (i + 1)) } }),
  }));
}
