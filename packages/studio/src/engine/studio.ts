// What lives in the worker: the model, the portrait, the reference, and what the last frame was made of.
import {
  type Absence,
  attentionRow,
  type Engine,
  type FaceWatch,
  INNER_MOUTHS,
  InnerMouth,
  type Inspection,
  type KeypointSet,
  MeshGuidedEngine,
  MotionTransfer,
  PasteBack,
  type Sight,
} from 'dagan/animation';
import { createPicture } from 'dagan/media/portable';
import type { OnnxEngine } from 'dagan/onnx';
import { carryToSource } from 'dagan/visualization';
import type { CallContext } from '../rpc.js';
import {
  type Attention,
  type ClipFraming,
  type DrivingFrame,
  type DrivingKeypoints,
  type FoundFaces,
  type GeneratedFrame,
  type LoadedModel,
  type LoadProgress,
  type Picture,
  type PictureInput,
  type Portrait,
  type Provider,
  type ScalarMap,
  type Square,
  StudioEngineError,
} from './api.js';
import { StudioFaces } from './faces.js';
import { type EncodedPortrait, KeptPortraits } from './kept-portraits.js';
import { fetchModel, forgetModels, keptBytes } from './model-files.js';
import { readPicture, readSquare, shrink } from './pictures.js';
import { type Model, prepareModel } from './prepared-model.js';
import { Runtime } from './runtime.js';

/** Longer side of whole portraits, in pixels, at most: each frame is encoded at that size. */
const LONGEST_SIDE = 1920;

/** Whether motion goes on to be measured from the same driving frame as with the portrait before; by default it is forgotten. */
type TakenOver = { keepReference?: boolean };

/** What is known of a driving frame before it moves the portrait. */
type Driven = {
  /** At the networks' size. */
  square: Picture;
  keypoints: KeypointSet;
  disparity: ScalarMap | null;
  sight: Sight;
  /** Milliseconds. */
  times: { watch: number; drive: number };
};

/** The functions that the page calls, as `StudioEngine`. */
export class Studio {
  readonly #runtime: Runtime;
  readonly #faces: StudioFaces;
  #model: Model | undefined;
  readonly #portraits = new KeptPortraits();
  /** Of the clip or camera that drives; made when a frame is first watched. */
  #watch: FaceWatch | undefined;
  /** The last frame: its keypoints, and what was seen on the way where that is known. */
  #last: { keypoints: KeypointSet; seen: Inspection | undefined } | undefined;

  constructor({ threads }: { threads?: number }) {
    this.#runtime = new Runtime(threads);
    this.#faces = new StudioFaces(this.#runtime);
  }

  /**
   * Fetches an exported model, checks every file against its manifest, keeps the files by their hashes (Cache Storage) and
   * makes the networks ready. Replaces the model before; a portrait has to be set anew. Reports `LoadProgress`.
   *
   * @param order.url the folder of manifest.json
   * @param order.provider `auto`, the default: WebGPU where it works, else wasm
   * @throws StudioEngineError `bad-model`, `offline`, `no-webgpu`, `out-of-memory`
   */
  async load(
    { url, provider = 'auto' }: { url: string; provider?: 'auto' | Provider },
    { signal, report }: CallContext,
  ): Promise<LoadedModel> {
    const onProgress = (done: number, total: number): void => report({ done, total } satisfies LoadProgress);
    const fetched = await fetchModel(url, { signal, onProgress });
    this.#portraits.clearAll();
    this.#last = undefined;
    this.#model?.engine.dispose();
    this.#model = undefined;
    this.#model = await prepareModel(this.#runtime, fetched, provider, signal);
    return this.#model.facts;
  }

  /**
   * Finds the faces of a picture. Loads the face networks when first used (4 MB). Needs no model.
   *
   * @throws StudioEngineError `no-face`, `offline`
   */
  findFaces({ picture }: { picture: PictureInput }): Promise<FoundFaces> {
    return this.#faces.find(picture);
  }

  /**
   * Looks at a frame of a clip, and follows one face of it from the first on. All frames of a clip have one size.
   *
   * @param order.clip a number that tells it from others
   * @param order.face counted from the left, 1 is the leftmost; by default the largest
   */
  seeFrame({ clip, frame, face }: { clip: number; frame: PictureInput; face?: number }): Promise<void> {
    return this.#faces.see(clip, frame, face);
  }

  /**
   * One square for the whole clip, as far as it was looked at, and how often the face was seen.
   *
   * @throws StudioEngineError `no-face` if it was not seen at all
   */
  clipFraming({ clip }: { clip: number }): ClipFraming {
    return this.#faces.framing(clip);
  }

  /**
   * Which of the frames that were looked at is most like the portrait in pose and expression: a good one for `setReference`.
   * Null if the portrait has no face, or no frame has.
   */
  async nearestFrame({ clip }: { clip: number }): Promise<number | null> {
    const portrait = this.#currentPortrait();
    const { left, top, side } = portrait.square;
    portrait.look ??= this.#faces.lookAt(portrait.whole, [left + side / 2, top + side / 2]);
    const look = await portrait.look;
    return look ? this.#faces.nearest(clip, look) : null;
  }

  /** Forgets the face of a clip. */
  forgetClip({ clip }: { clip: number }): void {
    this.#faces.forget(clip);
  }

  /**
   * Takes a portrait as the one to animate. The encodings of the last few are kept.
   *
   * @param order.square what the networks see of it; null is the largest square around its centre. Whole pixels
   */
  async setPortrait(order: { picture: PictureInput; square: Square | null } & TakenOver): Promise<Portrait> {
    const { engine } = this.#currentModel();
    const original = readPicture(order.picture);
    const { square, picture } = readSquare(original, order.square, engine.size);
    const driven = await this.#guided(engine.twin());
    const analysis = await driven.setSource(picture);
    const whole = shrink(original, LONGEST_SIDE);
    const scale = whole.width / original.width;
    const { width, height } = whole;
    const { keypoints, disparity } = analysis;
    const number = this.#portraits.nextNumber();
    const portrait: EncodedPortrait = {
      engine: driven,
      analysis,
      motion: new MotionTransfer(analysis.keypoints, { names: driven.keypointNames, space: driven.motion }),
      mouths: new Map(INNER_MOUTHS.map((choice) => [choice, InnerMouth.of(driven.keypointNames ?? {}, choice)])),
      whole,
      square: {
        left: Math.round(square.left * scale),
        top: Math.round(square.top * scale),
        side: Math.max(1, Math.round(square.side * scale)),
      },
      told: structuredClone({ number, square, picture, keypoints, disparity, whole: { width, height } }),
    };
    return this.#use(portrait, order);
  }

  /** Takes a portrait from before as the one to animate, at once; null if it is no longer kept. */
  recallPortrait({ number, ...taken }: { number: number } & TakenOver): Portrait | null {
    const portrait = this.#portraits.find(number);
    return portrait ? this.#use(portrait, taken) : null;
  }

  /** Keeps a portrait no longer; the one to animate goes on until there is another. */
  forgetPortrait({ number }: { number: number }): void {
    this.#portraits.forget(number);
  }

  /** Ends the use of the portrait, and keeps it no longer. */
  clearPortrait(): void {
    this.#portraits.clear();
    this.#last = undefined;
  }

  #use(portrait: EncodedPortrait, { keepReference = false }: TakenOver): Portrait {
    const goesOn = keepReference && this.#currentModel().seesDriversAlone;
    portrait.motion.reset(goesOn ? this.#portraits.current?.motion.reference : undefined);
    this.#portraits.use(portrait);
    this.#last = undefined;
    return structuredClone(portrait.told);
  }

  /**
   * Takes a driving frame, or keypoints, as what shows the portrait's own pose and expression: motion is measured from it. What
   * was seen of another clip is forgotten.
   */
  async setReference(
    order: Pick<DrivingFrame, 'frame' | 'square'> | Pick<DrivingKeypoints, 'keypoints'>,
  ): Promise<void> {
    const { size } = this.#currentModel().engine;
    const { current } = this.#portraits;
    if (current) current.motion.reset('keypoints' in order ? order.keypoints : await keypointsIn(order, current, size));
    this.#watch = undefined;
  }

  /** Forgets reference, smoothing and what was seen of the face: motion is measured from the next frame. */
  resetReference(): void {
    this.#portraits.current?.motion.reset();
    this.#watch = undefined;
  }

  /** Makes one frame: the portrait moved as the driving frame says. */
  async animate(order: DrivingFrame | DrivingKeypoints): Promise<GeneratedFrame> {
    const begin = performance.now();
    const { engine } = this.#currentModel();
    const portrait = this.#currentPortrait();
    const { motion, adaptScale, controls, innerMouth = 'auto', smoothing = null, timestamp, insight = false } = order;
    const driven = 'keypoints' in order ? given(order, engine.size) : await this.#look(order, portrait, engine);
    const { square, disparity, keypoints: driving, sight } = driven;

    const names = portrait.engine.keypointNames;
    portrait.motion.set({
      motion,
      adaptScale,
      controls,
      names,
      smoothing: smoothing !== null && { strength: smoothing },
    });
    const keypoints = portrait.motion.next(driving, timestamp, sight === 'face');

    const beforeGenerate = performance.now();
    const seen = insight ? await portrait.engine.inspect(keypoints) : undefined;
    const painted = seen?.picture ?? (await portrait.engine.generate([keypoints]))[0]!;
    const generate = performance.now() - beforeGenerate;
    const hasFace = sight === 'face';
    const driver = 'keypoints' in order ? undefined : { picture: square, keypoints: driving, hasFace };
    const animated =
      portrait.mouths.get(innerMouth)?.in({ picture: painted, keypoints }, portrait.motion, driver) ?? painted;
    this.#last = { keypoints, seen };

    const picture = order.pasteBack ? (await this.#pasteBack(portrait)).paste(animated) : animated;
    // Buffers are handed over to the page: it gets copies of what is still of use here.
    const shown = seen && structuredClone({ occlusion: seen.occlusion, deformation: seen.deformation?.data ?? null });
    return {
      picture,
      ...structuredClone({ driving, keypoints }),
      sight,
      insight: shown ? { square, disparity, ...shown } : null,
      times: { ...driven.times, generate, total: performance.now() - begin },
    };
  }

  /** The portrait as it is, without a driver, with the constant changes of the controls: the networks' square. */
  async still({ controls, innerMouth = 'auto' }: Pick<DrivingFrame, 'controls' | 'innerMouth'>): Promise<Picture> {
    const { engine, motion, mouths } = this.#currentPortrait();
    motion.set({ controls, names: engine.keypointNames });
    const keypoints = motion.still;
    const [picture] = await engine.generate([keypoints]);
    return mouths.get(innerMouth)?.in({ picture: picture!, keypoints }, motion, undefined) ?? picture!;
  }

  /** In which frames the face that drives was not seen, of those that were watched since the reference was set. */
  absences(): readonly Absence[] {
    return this.#watch?.absences ?? [];
  }

  /**
   * Where the attention looks in the last frame, for one place of the portrait's depth.
   *
   * @param place 0 to 1 from the left and from the top of the portrait's square
   * @returns null if the model has no attention or there is no frame yet
   */
  async attention({ x, y }: { x: number; y: number }): Promise<Attention | null> {
    if (!this.#last || !this.#currentModel().facts.hasAttention) return null;
    this.#last.seen ??= await this.#currentPortrait().engine.inspect(this.#last.keypoints);
    const { attention, deformation } = this.#last.seen;
    if (!attention || !deformation) return null;
    const { width, height } = deformation;
    const along = (at: number, length: number): number => Math.min(length - 1, Math.max(0, Math.floor(at * length)));
    const frame = attentionRow(attention, along(y, height) * width + along(x, width));
    return { frame, portrait: carryToSource(frame, deformation.data) };
  }

  /** How many bytes of models are kept. */
  keptModels(): Promise<number> {
    return keptBytes();
  }

  /** Deletes all kept models. The one that is loaded stays of use. */
  forgetModels(): Promise<void> {
    return forgetModels();
  }

  /**
   * The face mesh before the engine, where points of it move the model, or where its keypoints have names and the networks that find
   * faces can be had.
   */
  async #guided(engine: OnnxEngine): Promise<Engine> {
    const { meshPoints } = engine.motion;
    if (Object.keys(engine.keypointNames).length === 0 && !meshPoints) return engine;
    try {
      return new MeshGuidedEngine(engine, await this.#faces.analyzer());
    } catch (error) {
      if (error instanceof StudioEngineError && error.code === 'offline' && !meshPoints) return engine;
      throw error;
    }
  }

  /** Looks at a driving frame. */
  async #look(order: DrivingFrame, portrait: EncodedPortrait, model: Engine): Promise<Driven> {
    const { picture: square } = readSquare(order.frame, order.square, model.size);

    const beforeWatch = performance.now();
    const sight = order.watch ? await this.#see(square, order.number) : 'face';
    const watch = performance.now() - beforeWatch;

    const beforeDrive = performance.now();
    const faces = order.watch && this.#watch ? Promise.resolve([this.#watch.face]) : undefined;
    const [found] = await portrait.engine.drive([square], { withDisparity: order.insight, faces });
    return { square, ...found!, sight, times: { watch, drive: performance.now() - beforeDrive } };
  }

  /** What is seen of the face that drives; without the networks that find faces it is taken to be there. */
  async #see(square: Picture, number?: number): Promise<Sight> {
    try {
      this.#watch ??= await this.#faces.watch();
    } catch (error) {
      if (error instanceof StudioEngineError && error.code === 'offline') return 'face';
      throw error;
    }
    return this.#watch.see(square, number);
  }

  #currentModel(): Model {
    if (this.#model) return this.#model;
    throw new StudioEngineError('no-model', 'There is no model yet: load one first.');
  }

  #currentPortrait(): EncodedPortrait {
    const { current } = this.#portraits;
    if (current) return current;
    throw new StudioEngineError('no-portrait', 'There is no portrait yet: choose one first.');
  }

  async #pasteBack(portrait: EncodedPortrait): Promise<PasteBack> {
    if (!portrait.pasteBack) {
      const [still] = await portrait.engine.generate([portrait.analysis.keypoints]);
      portrait.pasteBack = new PasteBack(portrait.whole, portrait.square, { still });
    }
    return portrait.pasteBack;
  }
}

/** Keypoints that drive by themselves: nothing has to be looked at. */
const given = ({ keypoints, hasFace }: DrivingKeypoints, size: number): Driven => ({
  square: createPicture(size, size),
  keypoints,
  disparity: null,
  sight: hasFace ? 'face' : 'nobody',
  times: { watch: 0, drive: 0 },
});

async function keypointsIn(
  { frame, square }: Pick<DrivingFrame, 'frame' | 'square'>,
  { engine }: EncodedPortrait,
  size: number,
): Promise<KeypointSet> {
  const { picture } = readSquare(frame, square, size);
  const [found] = await engine.drive([picture]);
  return found!.keypoints;
}
