// What lives in the worker: the model, the portrait, the reference, and what the last frame was made of.
import {
  type Analysis,
  attentionRow,
  type Inspection,
  type KeypointSet,
  type Look,
  MotionTransfer,
  PasteBack,
} from 'dagan/animation';
import { type Manifest, OnnxEngine } from 'dagan/onnx';
import { carryToSource } from 'dagan/visualization';
import type { CallContext } from '../rpc.js';
import {
  type Attention,
  type ClipFraming,
  type DrivingOptions,
  type FoundFaces,
  type FrameOptions,
  type GeneratedFrame,
  type LoadedModel,
  type LoadOptions,
  type Picture,
  type PictureInput,
  type Portrait,
  type PortraitOptions,
  type Provider,
  type Square,
  StudioEngineError,
} from './api.js';
import { FaceFinder } from './face-finder.js';
import { type FetchedModel, fetchModel, forgetModels, keptBytes } from './model-files.js';
import { readPicture, readSquare, shrink } from './pictures.js';
import { obstacleToWebGpu, Runtime } from './runtime.js';

/** Longer side of whole portraits, in pixels, at most: each frame is encoded at that size. */
const LONGEST_SIDE = 1920;

type Model = { engine: OnnxEngine; facts: LoadedModel };

type CurrentPortrait = {
  analysis: Analysis;
  motion: MotionTransfer;
  /** The whole portrait, and where the networks' square lies in it, in whole pixels. */
  whole: Picture;
  square: Square;
  /** Made at first use. */
  look?: Promise<Look | undefined>;
  pasteBack?: PasteBack;
};

type Without<Options> = Omit<Options, 'signal'>;

/** The functions that the page calls; `StudioEngine` says what they do. */
export class Studio {
  readonly #runtime: Runtime;
  readonly #faces: FaceFinder;
  #model: Model | undefined;
  #portrait: CurrentPortrait | undefined;
  /** The last frame: its keypoints, and what was seen on the way where that is known. */
  #last: { keypoints: KeypointSet; seen: Inspection | undefined } | undefined;

  constructor({ threads }: { threads?: number }) {
    this.#runtime = new Runtime(threads);
    this.#faces = new FaceFinder(this.#runtime);
  }

  async load(
    { url, provider = 'auto' }: { url: string } & Pick<LoadOptions, 'provider'>,
    { signal, report }: CallContext,
  ): Promise<LoadedModel> {
    const fetched = await fetchModel(url, { signal, onProgress: (done, total) => report({ done, total }) });
    this.clearPortrait();
    this.#model?.engine.dispose();
    this.#model = undefined;
    this.#model = await this.#prepare(fetched, provider, signal);
    return this.#model.facts;
  }

  findFaces({ picture }: { picture: PictureInput }): Promise<FoundFaces> {
    return this.#faces.find(picture);
  }

  seeFrame({ clip, frame, face }: { clip: number; frame: PictureInput; face?: number }): Promise<void> {
    return this.#faces.see(clip, frame, face);
  }

  clipFraming({ clip }: { clip: number }): ClipFraming {
    return this.#faces.framing(clip);
  }

  async nearestFrame({ clip }: { clip: number }): Promise<number | null> {
    const portrait = this.#currentPortrait();
    const { left, top, side } = portrait.square;
    portrait.look ??= this.#faces.lookAt(portrait.whole, [left + side / 2, top + side / 2]);
    const look = await portrait.look;
    return look ? this.#faces.nearest(clip, look) : null;
  }

  forgetClip({ clip }: { clip: number }): void {
    this.#faces.forget(clip);
  }

  async setPortrait({
    picture: input,
    options: { square: wanted },
  }: {
    picture: PictureInput;
    options: Without<PortraitOptions>;
  }): Promise<Portrait> {
    const { engine } = this.#currentModel();
    this.clearPortrait();
    const original = readPicture(input);
    const { square, picture } = readSquare(original, wanted, engine.size);
    const analysis = await engine.setSource(picture);
    const whole = shrink(original, LONGEST_SIDE);
    const scale = whole.width / original.width;
    this.#portrait = {
      analysis,
      motion: new MotionTransfer(analysis.keypoints),
      whole,
      square: {
        left: Math.round(square.left * scale),
        top: Math.round(square.top * scale),
        side: Math.max(1, Math.round(square.side * scale)),
      },
    };
    const { width, height } = whole;
    const { keypoints, disparity } = analysis;
    return structuredClone({ square, picture, keypoints, disparity, whole: { width, height } });
  }

  clearPortrait(): void {
    this.#portrait = undefined;
    this.#last = undefined;
    this.#model?.engine.clearSource();
  }

  async setReference({ frame, options }: { frame: PictureInput; options: Without<DrivingOptions> }): Promise<void> {
    const { engine } = this.#currentModel();
    const { picture } = readSquare(frame, options.square, engine.size);
    const [found] = await engine.drive([picture]);
    this.#portrait?.motion.reset(found!.keypoints);
  }

  resetReference(): void {
    this.#portrait?.motion.reset();
  }

  async animate({ frame, options }: { frame: PictureInput; options: Without<FrameOptions> }): Promise<GeneratedFrame> {
    const begin = performance.now();
    const { engine } = this.#currentModel();
    const portrait = this.#currentPortrait();
    const { motion, adaptScale, smoothing = null, timestamp, insight = false } = options;
    const { picture: square } = readSquare(frame, options.square, engine.size);

    const beforeDrive = performance.now();
    const [found] = await engine.drive([square], { withDisparity: insight });
    const { keypoints: driving, disparity } = found!;
    const drive = performance.now() - beforeDrive;

    portrait.motion.set({ motion, adaptScale, smoothing: smoothing !== null && { strength: smoothing } });
    const keypoints = portrait.motion.next(driving, timestamp);

    const beforeGenerate = performance.now();
    const seen = insight ? await engine.inspect(keypoints) : undefined;
    const animated = seen?.picture ?? (await engine.generate([keypoints]))[0]!;
    const generate = performance.now() - beforeGenerate;
    this.#last = { keypoints, seen };

    const picture = options.pasteBack ? (await this.#pasteBack(portrait)).paste(animated) : animated;
    // Buffers are handed over to the page: it gets copies of what is still of use here.
    const shown = seen && structuredClone({ occlusion: seen.occlusion, deformation: seen.deformation.data });
    return {
      picture,
      ...structuredClone({ driving, keypoints }),
      insight: shown ? { square, disparity, ...shown } : null,
      times: { drive, generate, total: performance.now() - begin },
    };
  }

  async attention({ x, y }: { x: number; y: number }): Promise<Attention | null> {
    if (!this.#last || !this.#currentModel().facts.hasAttention) return null;
    this.#last.seen ??= await this.#currentModel().engine.inspect(this.#last.keypoints);
    const { attention, deformation } = this.#last.seen;
    if (!attention) return null;
    const { width, height } = deformation;
    const along = (at: number, length: number): number => Math.min(length - 1, Math.max(0, Math.floor(at * length)));
    const frame = attentionRow(attention, along(y, height) * width + along(x, width));
    return { frame, portrait: carryToSource(frame, deformation.data) };
  }

  keptModels(): Promise<number> {
    return keptBytes();
  }

  forgetModels(): Promise<void> {
    return forgetModels();
  }

  /** The sessions on WebGPU where it works, else on wasm. */
  async #prepare(fetched: FetchedModel, wanted: 'auto' | Provider, signal: AbortSignal): Promise<Model> {
    let fallback: string | null = null;
    if (wanted !== 'wasm') {
      const half = fetched.manifest.precision === 'float16';
      fallback = await obstacleToWebGpu({ half, insist: wanted === 'webgpu' });
      if (fallback === null) {
        try {
          return await this.#start(fetched, 'webgpu', null);
        } catch (error) {
          signal.throwIfAborted();
          fallback = `the model does not run on the graphics processor (${(error as Error).message})`;
        }
      }
      if (wanted === 'webgpu')
        throw new StudioEngineError('no-webgpu', `WebGPU cannot be used: ${fallback}. Choose wasm.`);
    }
    signal.throwIfAborted();
    return this.#start(fetched, 'wasm', fallback);
  }

  async #start(fetched: FetchedModel, provider: Provider, fallback: string | null): Promise<Model> {
    const { manifest, read, bytes } = fetched;
    const ort = provider === 'webgpu' ? await this.#runtime.withWebGpu() : await this.#runtime.withWasm();
    const { threads } = this.#runtime;
    const version = ort.env.versions.web ?? ort.env.versions.common;
    const where = provider === 'webgpu' ? 'WebGPU' : `wasm, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
    const engine = await OnnxEngine.create(
      ort,
      { manifest, read },
      {
        description: `ONNX Runtime ${version}, ${manifest.precision}, ${where}`,
        session: {
          executionProviders: [provider],
          graphOptimizationLevel: 'all',
          logSeverityLevel: 3,
          extra: { session: { intra_op: { allow_spinning: '0' } } }, // decoding and encoding want the cores too
        },
      },
    );
    if (provider === 'webgpu') await tryOut(engine);
    const { size, description } = engine;
    const facts = { provider, fallback, description, size, bytes, ...abilities(manifest), weights: manifest.metadata };
    return { engine, facts };
  }

  #currentModel(): Model {
    if (this.#model) return this.#model;
    throw new StudioEngineError('no-model', 'There is no model yet: load one first.');
  }

  #currentPortrait(): CurrentPortrait {
    if (this.#portrait) return this.#portrait;
    throw new StudioEngineError('no-portrait', 'There is no portrait yet: choose one first.');
  }

  async #pasteBack(portrait: CurrentPortrait): Promise<PasteBack> {
    if (!portrait.pasteBack) {
      const [still] = await this.#currentModel().engine.generate([portrait.analysis.keypoints]);
      portrait.pasteBack = new PasteBack(portrait.whole, portrait.square, { still });
    }
    return portrait.pasteBack;
  }
}

/** What of a model can be shown, by what its graphs give. */
function abilities({ graphs }: Manifest): Pick<LoadedModel, 'hasDepth' | 'hasAttention' | 'hasOcclusion'> {
  const gives = (step: keyof Manifest['graphs'], name: string): boolean =>
    graphs[step].outputs.some((output) => output.name === name);
  return {
    hasDepth: gives('drive', 'disparity') || gives('source', 'disparity'),
    hasAttention: gives('generate', 'attention_key'),
    hasOcclusion: gives('generate', 'occlusion_map'),
  };
}

/** Runs all networks once: drivers that cannot do it fail here and not in the middle of a clip. @throws Error */
async function tryOut(engine: OnnxEngine): Promise<void> {
  const { size } = engine;
  const data = Uint8Array.from({ length: 3 * size * size }, (_, i) => (i * 37) % 251);
  try {
    const { keypoints } = await engine.setSource({ width: size, height: size, data });
    const [found] = await engine.drive([{ width: size, height: size, data }]);
    await engine.generate([found!.keypoints]);
    if (!keypoints.value.every(Number.isFinite)) throw new Error('its results are not numbers');
  } catch (error) {
    engine.dispose();
    throw error;
  }
}
