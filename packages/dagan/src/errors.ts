// Errors that say what is wrong as a code with values too. Whoever calls the library knows what its users can do about it,
// and puts the remedy into words of its own: the command line names options, a page names buttons.
import type { Rectangle } from './media/pictures/picture.js';

/** Which of the two inputs something is about. */
export type InputRole = 'portrait' | 'driving';

/** What may be wrong, and the values that tell it. Texts of `message` name file and value, and no remedy of a caller. */
export type ProblemValues = {
  /** No face; in a clip, in none of so many frames. */
  'no-face': { path: string; role: InputRole; frames?: number };
  /** There are fewer faces than the number asked for; `faces` from the left. */
  'no-such-face': { path: string; role: InputRole; number: number; faces: readonly Rectangle[] };
  /** Several faces are animated in a picture, and this is a clip. */
  'faces-of-clip': { path: string };
  /** Several drivers, and not one for each face. */
  'faces-and-drivers': { path: string; faces: number; drivers: number };
  /** Several drivers, and faces named of more or fewer. */
  'faces-of-drivers': { drivers: number; faces: number };
  'square-outside': {
    path: string;
    role: InputRole;
    square: { left: number; top: number; side: number };
    width: number;
    height: number;
  };
  /** A clip or picture is asked to be played as only templates are. */
  'not-a-template': { path: string };
  /** A head that stands still is asked to be played as only sweeps and templates are. */
  'still-turn': Record<never, never>;
  /** A model whose keypoints stand in the plane is asked to turn the head to angles. */
  'no-head-in-space': Record<never, never>;
  /** A motion template of another model, whose keypoints cannot be told apart by names. */
  'other-model': { path: string };
  /** A model that moves something else than points in the plane, which templates do not keep. */
  'not-in-the-plane': Record<never, never>;
  /** A single picture, and motion relative to it. */
  'still-driver': { path: string };
  'no-frame': { path: string; frame: number };
  'frame-of-picture': { path: string; frame: number };
  'no-file': { path: string };
  /** An output that cannot be written, or would replace an input. */
  'bad-output': { path: string };
  /** A folder that holds none of what it is taken for. */
  'bad-inputs': { path: string };
  /** Inputs of which it is not clear which they are. */
  'unclear-inputs': { path?: string };
  /** A format for several results where there is one. */
  'format-of-one': { format: string };
  /** A file as the output of several results; `folder` is what could be meant. */
  'output-not-folder': { path: string; folder: string };
  /** A figure's name says neither picture nor clip. */
  'figure-format': { path: string };
  /** LibTorch has not been set up, and the model needs it. */
  'no-libtorch': { model: string };
  'no-device': { device: string };
  /** A CUDA device that LibTorch cannot use. */
  'no-cuda-device': { device: string };
  /** ONNX Runtime cannot use CUDA; `gpus` that LibTorch can use, null if it has not been set up. */
  'no-cuda': { refusal: string; gpus: number | null };
  /** A folder that holds no exported model. */
  'not-exported': { path: string };
  /** A model whose system has no exported form. */
  'not-exportable': { system: string };
  /** Keypoints of a model that has none are to be drawn. */
  'no-keypoints': Record<never, never>;
  /** Several portraits for a model that takes one. */
  'one-portrait': Record<never, never>;
  /** A complete model with files of a depth network beside it. */
  'complete-model': { path: string };
  /** Files of a depth network without that of the other networks. */
  'depth-files-alone': Record<never, never>;
  /** 8 bits of a model or engine that has none. */
  'no-int8': Record<never, never>;
  /** A precision that is not the one that the model was exported in. */
  'exported-precision': { path: string; precision: string };
  /** A size that is not the one that the model was exported for. */
  'exported-size': { size: number; wanted: number };
  /** A folder of weights with several models and no default. */
  'several-models': { path: string; names: readonly string[] };
  /** Published weights that need a depth network, or its second half. */
  'depth-files-missing': { missing: readonly ('encoder' | 'decoder')[] };
  /** Landmarks of a face are to move a model, in a picture that shows none: a portrait (counted from 0), or a file. */
  'no-mesh': { portrait?: number; path?: string };
  /** A network is to find what only the face mesh does. */
  'mesh-alone': Record<never, never>;
  /** Keypoints of the face mesh, or motion by parts of the face, for a model whose keypoints have no names. */
  'unnamed-keypoints': Record<never, never>;
  'no-attention': Record<never, never>;
  'no-depth': Record<never, never>;
  /** A depth network of its own, and a model beside it. */
  'two-depth-networks': Record<never, never>;
  /** A depth network where a model was wanted. */
  'depth-alone': { path: string };
  /** A picture among the videos that training clips are made of. */
  'still-among-videos': { path: string };
  /** What is decoded for a training cannot be kept there. */
  cache: { path: string };
  /** The data are not those that a training began with. */
  'changed-data': { path: string };
  /** A folder that holds a training already; of another stage, if `stage` is there. */
  'training-in-folder': { path: string; stage?: string };
  /** No clip has frames that differ enough, at distances that were tried. */
  'clips-too-still': { path: string };
  'port-taken': { port: number };
  'port-forbidden': { port: number };
  /** An address that is not this machine's. */
  'no-address': { host: string };
  /** An address that others reach, where jobs are taken in and no token is asked for. */
  'token-missing': { host: string };
  /** A token that is too short, or has spaces. */
  'bad-token': { least: number };
  /** A folder of jobs that another process serves. */
  'folder-in-use': { path: string; process: number };
};

export type ProblemCode = keyof ProblemValues;

/** What cannot be done as asked. `message` is one line that names the file and what is wrong with it. */
export class DaganError<Code extends ProblemCode = ProblemCode> extends Error {
  override readonly name = 'DaganError';
  readonly code: Code;
  readonly values: ProblemValues[Code];

  constructor(code: Code, message: string, values: ProblemValues[Code], options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.values = values;
  }
}

/** What is wrong as a code with values, without the error: it can be sent. */
export type CodedProblem = { code: string; values: unknown };

/** The code and values of an error, or of what caused it. */
export function codeOf(error: unknown): CodedProblem | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, values } = error as { code?: unknown; values?: unknown };
  return typeof code === 'string' && values !== undefined ? { code, values } : codeOf(error.cause);
}

/** Gives an error of a class of its own, such as that of damaged files, a code and values too. */
export function withCode<E extends Error, Code extends ProblemCode>(
  error: E,
  code: Code,
  values: ProblemValues[Code],
): E {
  return Object.assign(error, { code, values });
}
