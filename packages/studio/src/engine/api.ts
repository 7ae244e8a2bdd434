// What the page sees of the engine: the networks, run in a worker of their own. Types and errors only.
import type {
  AnimateOptions,
  ClipFraming as FramedFace,
  KeypointSet,
  ScalarMap,
  Sight,
  TemplateUser,
} from 'dagan/animation';
import type { Square } from 'dagan/faces/portable';
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

/** Where networks can run. */
export type Provider = 'webgpu' | 'wasm';

/** How much of a model's files is there, in bytes; what is kept from before counts as there. */
export type LoadProgress = { done: number; total: number };

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
  /** Whether its keypoints have names, so that parts of the face can be moved alone. */
  hasNames: boolean;
  /** Whether it has keypoints around the mouth's opening, so that an inside can be shown there. */
  hasInnerMouth: boolean;
  /** Whose keypoints motion templates are to move (`templateFor`); null where it is not keypoints in the plane that move. */
  templates: TemplateUser | null;
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

/** A portrait that is ready to be animated. */
export type Portrait = {
  /** By which it can be recalled. */
  number: number;
  square: Square;
  /** The square at the networks' size. */
  picture: Picture;
  keypoints: KeypointSet;
  /** Disparity of the square, 1 is near; null if the model knows no depth. */
  disparity: ScalarMap | null;
  /** Size of `pasteBack` frames: that of the portrait, or smaller, so that the longer side has at most 1920 pixels. */
  whole: { width: number; height: number };
};

/** How motion is taken over. */
type Transfer = Pick<AnimateOptions, 'motion' | 'adaptScale' | 'controls' | 'innerMouth'> & {
  /** Strength of the smoothing of keypoints over time, 0 to 1; null, the default, is none. */
  smoothing?: number | null;
  /** When the frame is shown, in seconds, for the smoothing. By default frames are 1/25 s apart. */
  timestamp?: number;
  /** Gives the whole portrait with the animated square in it, instead of the square. */
  pasteBack?: boolean;
  /** Gives what the networks see on the way, too. */
  insight?: boolean;
};

/** A driving frame, and how its motion is taken over. */
export type DrivingFrame = Transfer & {
  frame: PictureInput;
  /** What the networks see of the frame; null is the largest square around its centre. Whole pixels. */
  square: Square | null;
  /** The frame's number in its clip, for `absences`; by default the next one. */
  number?: number;
  /** Looks whether the frame shows the face that drives; where it does not the portrait rests. */
  watch?: boolean;
};

/** Keypoints in place of a driving frame, as motion templates have them: no network looks at anything. */
export type DrivingKeypoints = Transfer & {
  /** As many as the model's. */
  keypoints: KeypointSet;
  /** Where there is no face the portrait rests. */
  hasFace: boolean;
};

/** What the networks saw on the way to a frame. */
export type Insight = {
  /** The driving frame's square at the networks' size; black where keypoints drive alone. */
  square: Picture;
  /** Disparity of that square, 1 is near; null if the model knows no depth of driving frames. */
  disparity: ScalarMap | null;
  /** 1 where the warped portrait is used, 0 where the network has to paint; null if the model has none. */
  occlusion: ScalarMap | null;
  /** Which place of the portrait each place comes from, (x, y) with -1 and 1 at its borders: [side, side, 2]; null without such a field. */
  deformation: Float32Array | null;
};

/** One generated frame. */
export type GeneratedFrame = {
  /** The animated square at the networks' size, or the whole portrait with it. */
  picture: Picture;
  /** Found in the driving frame, before smoothing. */
  driving: KeypointSet;
  /** The portrait's in this frame. */
  keypoints: KeypointSet;
  /** What was seen of the face that drives; `face` where nobody has looked. */
  sight: Sight;
  /** Where it was asked for. */
  insight: Insight | null;
  /** Milliseconds of the two networks, of looking for the face, and of everything. */
  times: { drive: number; watch: number; generate: number; total: number };
};

/** Where the attention looks. */
export type Attention = {
  /** Weights over the last frame, which sum to 1. */
  frame: ScalarMap;
  /** The same weights, carried back to where in the portrait these features come from; part may come from outside. */
  portrait: ScalarMap;
};

export type StudioEngineOptions = {
  /** Most threads of the wasm runtime. Default: one per processor, at most 8. */
  threads?: number;
};
