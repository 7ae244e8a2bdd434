// What the page sees of the engine: the networks, run in a worker of their own. Types and errors only.
import type { AnimateOptions, ClipFraming as FramedFace, KeypointSet, ScalarMap } from 'dagan/animation';
import type { Square } from 'dagan/faces';
import type { Picture } from 'dagan/media/portable';

export type { KeypointSet, Picture, ScalarMap, Square };

/**
 * A picture that goes in. Bitmaps are handed over: the engine closes them, and the caller's object is of no use
 * afterwards. Pixels are copied. Transparency goes on white.
 */
export type PictureInput = Picture | ImageBitmap;

/** What may go wrong, for code; the message says it for people, with the remedy. */
export const ENGINE_ERROR_CODES = [
  'no-face', // no face in the picture, or in none of the clip's frames
  'bad-picture', // a picture that cannot be read, or a square outside of it
  'no-portrait', // asked to animate before there is a portrait
  'no-model', // asked to work before a model is loaded
  'bad-model', // a file of the model is missing, damaged, of another version or of another origin
  'offline', // a file could not be fetched, and it is not kept either
  'no-webgpu', // WebGPU was asked for by name and does not work here
  'out-of-memory', // the browser gave no more memory; the engine has ended
  'ended', // the engine was disposed of, or its worker died
  'failed', // anything else: a fault of ours
] as const;

export type EngineErrorCode = (typeof ENGINE_ERROR_CODES)[number];

/** Every error of the engine, except that of an aborted call, which is rejected with its signal's reason. */
export class StudioEngineError extends Error {
  override readonly name = 'StudioEngineError';

  constructor(
    readonly code: EngineErrorCode,
    message: string,
  ) {
    super(message);
  }
}

/**
 * Calls run one after the other, in the order in which they were made. Aborting one that still waits takes it out of the
 * queue; one that runs is finished and its result dropped, except that a download stops at once.
 */
export type CallOptions = { signal?: AbortSignal };

/** Where networks can run. */
export type Provider = 'webgpu' | 'wasm';

export type LoadOptions = CallOptions & {
  /** `auto`, the default: WebGPU where it works, else wasm. */
  provider?: 'auto' | Provider;
  /** Called with what of the model's files is there, in bytes; what is kept from before counts as there. */
  onProgress?: (bytesDone: number, bytesTotal: number) => void;
};

/** A model that is ready. */
export type LoadedModel = {
  provider: Provider;
  /** Why WebGPU is not used, for people; null where it is, or was not wanted. */
  fallback: string | null;
  /** For people: "ONNX Runtime 1.30.0, wasm, float16, 2 threads". */
  description: string;
  /** Side of the pictures that the networks see and make, in pixels. */
  size: number;
  /** Of all of the model's files. */
  bytes: number;
  /** What of the model can be shown. */
  hasDepth: boolean;
  hasAttention: boolean;
  hasOcclusion: boolean;
  /** Name, licence and origin of the weights, as their file tells. */
  weights: Readonly<Record<string, string>>;
};

/** The faces of a picture, at least one. Faces are counted from the left: 1 is the leftmost. */
export type FoundFaces = {
  /** What the networks should see of the picture for each face, in its pixels; it may reach outside. */
  squares: Square[];
  /** The number of the largest face. */
  largest: number;
};

/** How the face of a clip is framed. */
export type ClipFraming = Omit<FramedFace, 'kind'>;

/** Follows the face of a clip through frames that need not be neighbours, such as one of every ten. */
export interface ClipFace {
  /** Looks at a frame. All frames of a clip have one size. */
  see(frame: PictureInput, options?: CallOptions): Promise<void>;
  /**
   * One square for the whole clip, and how often the face was seen.
   *
   * @throws StudioEngineError `no-face` if it was not seen at all
   */
  framing(options?: CallOptions): Promise<ClipFraming>;
  /**
   * Which of the frames is most like the portrait in pose and expression: a good one for `setReference`. Null if the
   * portrait has no face, or no frame has.
   */
  nearest(options?: CallOptions): Promise<number | null>;
  /** Forgets the clip. */
  close(): void;
}

export type PortraitOptions = CallOptions & {
  /** What the networks see of the portrait; null is the largest square around its centre. Whole pixels. */
  square: Square | null;
};

/** A portrait that is ready to be animated. */
export type Portrait = {
  square: Square;
  /** The square at the networks' size. */
  picture: Picture;
  keypoints: KeypointSet;
  /** Disparity of the square, 1 is near; null if the model knows no depth. */
  disparity: ScalarMap | null;
  /** Size of `pasteBack` frames: that of the portrait, or smaller, so that the longer side has at most 1920 pixels. */
  whole: { width: number; height: number };
};

export type DrivingOptions = CallOptions & {
  /** What the networks see of the frame; null is the largest square around its centre. Whole pixels. */
  square: Square | null;
};

export type FrameOptions = DrivingOptions &
  Pick<AnimateOptions, 'motion' | 'adaptScale'> & {
    /** Strength of the smoothing of keypoints over time, 0 to 1; null, the default, is none. */
    smoothing?: number | null;
    /** When the frame is shown, in seconds, for the smoothing. By default frames are 1/25 s apart. */
    timestamp?: number;
    /** Gives the whole portrait with the animated square in it, instead of the square. */
    pasteBack?: boolean;
    /** Gives what the networks see on the way, too. */
    insight?: boolean;
  };

/** What the networks saw on the way to a frame. */
export type Insight = {
  /** The driving frame's square at the networks' size. */
  square: Picture;
  /** Disparity of that square, 1 is near; null if the model knows no depth of driving frames. */
  disparity: ScalarMap | null;
  /** 1 where the warped portrait is used, 0 where the network has to paint; null if the model has none. */
  occlusion: ScalarMap | null;
  /** Which place of the portrait each place comes from, (x, y) with -1 and 1 at its borders: [side, side, 2]. */
  deformation: Float32Array;
};

/** One generated frame. */
export type GeneratedFrame = {
  /** The animated square at the networks' size, or the whole portrait with it. */
  picture: Picture;
  /** Found in the driving frame, before smoothing. */
  driving: KeypointSet;
  /** The portrait's in this frame. */
  keypoints: KeypointSet;
  /** Where it was asked for. */
  insight: Insight | null;
  /** Milliseconds of the two networks, and of everything. */
  times: { drive: number; generate: number; total: number };
};

/** Where the attention looks. */
export type Attention = {
  /** Weights over the last frame, which sum to 1. */
  frame: ScalarMap;
  /** The same weights, carried back to where in the portrait these features come from; part may come from outside. */
  portrait: ScalarMap;
};

/**
 * The networks in a worker of their own, so that the page stays free. Everything stays in the tab: files come from the
 * page's own origin alone.
 */
export interface StudioEngine {
  /**
   * Fetches an exported model, checks every file against its manifest, keeps the files by their hashes (Cache Storage) and
   * makes the networks ready. Replaces the model before; a portrait has to be set anew.
   *
   * @param url the folder of manifest.json, relative to the page
   * @throws StudioEngineError `bad-model`, `offline`, `no-webgpu`, `out-of-memory`
   */
  load(url: string | URL, options?: LoadOptions): Promise<LoadedModel>;
  /**
   * Finds the faces of a picture. Loads the face networks when first used (4 MB). Needs no model.
   *
   * @throws StudioEngineError `no-face`
   */
  findFaces(picture: PictureInput, options?: CallOptions): Promise<FoundFaces>;
  /** Begins to follow one face of a clip. @param options.face counted from the left, 1 is the leftmost; by default the largest */
  followClip(options?: { face?: number }): ClipFace;
  /** Takes a portrait as the one to animate; replaces the one before and frees its memory. Resets the reference. */
  setPortrait(picture: PictureInput, options: PortraitOptions): Promise<Portrait>;
  /** Frees the portrait. */
  clearPortrait(): Promise<void>;
  /** Takes a driving frame as the one that shows the portrait's own pose and expression: motion is measured from it. */
  setReference(frame: PictureInput, options: DrivingOptions): Promise<void>;
  /** Forgets reference and smoothing: motion is measured from the next frame. */
  resetReference(): Promise<void>;
  /** Makes one frame: the portrait moved as the driving frame says. */
  animate(frame: PictureInput, options: FrameOptions): Promise<GeneratedFrame>;
  /**
   * Where the attention looks in the last frame, for one place of the portrait's depth.
   *
   * @param x @param y the place, 0 to 1 from the left and from the top of the portrait's square
   * @returns null if the model has no attention or there is no frame yet
   */
  attention(x: number, y: number, options?: CallOptions): Promise<Attention | null>;
  /** How many bytes of models are kept. */
  keptModels(): Promise<number>;
  /** Deletes all kept models. The one that is loaded stays of use. */
  forgetModels(): Promise<void>;
  /** Ends the worker and frees all memory. Calls that wait are rejected with `ended`. */
  dispose(): void;
}

export type StudioEngineOptions = {
  /** Most threads of the wasm runtime. Default: one per processor, at most 8. */
  threads?: number;
};
