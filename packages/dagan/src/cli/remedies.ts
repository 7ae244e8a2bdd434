// What users of the command line can do about what the library says: the one place where its codes meet options.
import type { InputRole, ProblemCode, ProblemValues } from '../errors.js';
import type { NoticeCode, NoticeValues } from '../pipelines/events.js';

/** The options that choose the square of an input. */
const SQUARE_OPTIONS: Readonly<Record<InputRole, { crop: string; face: string }>> = {
  portrait: { crop: '--crop', face: '--face' },
  driving: { crop: '--driving-crop', face: '--driving-face' },
};

type Values = ProblemValues & NoticeValues;

/** The library's message, with what can be done. */
type Words<Code extends keyof Values> = (message: string, values: Values[Code]) => string;

const at = ({ left, top, side }: { left: number; top: number; side: number }): string => `${left},${top},${side}`;

/** By code, where the message alone is not enough. */
const WORDS: { readonly [Code in keyof Values]?: Words<Code> } = {
  'no-face': (message, { role }) => {
    const { crop } = SQUARE_OPTIONS[role];
    return `${message}; name the square with ${crop} x,y,side, or take the centre with ${crop} none`;
  },
  'faces-of-clip': (message) => `${message}; leave --faces out and choose one with --face`,
  'faces-and-drivers': (message) => `${message} (--faces 1,3 chooses faces, counted from the left)`,
  'faces-of-drivers': (message) => `${message} (--driving-face 1,2)`,
  'square-outside': (message, { role, square }) =>
    message.replace(`the square ${at(square)}`, `${SQUARE_OPTIONS[role].crop} ${at(square)}`),
  'square-reaches-out': (message, { role, square }) =>
    message.replace(`the square ${at(square)}`, `${SQUARE_OPTIONS[role].crop} ${at(square)}`),
  'other-faces': (message, { role }) => `${message} (${SQUARE_OPTIONS[role].face} N takes another)`,
  'face-missing': (message) => `${message}; --start and --end choose the part that shows it`,
  'not-a-template': (message) => `${message}; \`dagan motion\` makes one of a clip`,
  'still-turn': (message) => `${message}; give it two angles to go between, as in --yaw -20:20`,
  'no-head-in-space': (message) => `${message}; take one whose keypoints stand in space (OSFV) with --checkpoint`,
  'not-in-the-plane': (message) => `${message}, so it has no templates; name another model with --checkpoint`,
  'still-driver': (message) => `${message}; leave --relative out`,
  'other-model': (message) => `${message}; name the model that it was made with (--checkpoint), or record it anew`,
  'wide-video': (message, { most }) => `${message}: --size ${most} makes one that they do`,
  'frame-of-picture': (message) => `${message}; --frame is for clips`,
  'format-of-one': () => '--format is for several animations at once; one takes its format from the name after -o',
  'output-not-folder': (_message, { folder }) => `several animations go into a folder: write -o ${folder}`,
  'no-libtorch': (message) =>
    `${message}: run "npx dagan setup", or name the folder of an exported model (\`dagan export\`) with --checkpoint`,
  'no-cuda-device': (message) => `${message} (\`dagan doctor\` says why)`,
  'no-cuda': (_message, { refusal, gpus }) => withoutCuda(refusal, gpus),
  'not-exported': (message) => `${message} (\`dagan export\` makes one)`,
  'one-portrait': (message) =>
    `${message}: leave --portraits out, or take a model that does (X2Face, NeuralHead-FF, MarioNETte)`,
  'no-keypoints': (message) => `${message}: name a model with keypoints (--checkpoint)`,
  'not-exportable': (message) => `${message}: run it on LibTorch (--engine libtorch)`,
  'complete-model': (_message, { path }) => `${path}: is complete; leave --depth-encoder and --depth-decoder out`,
  'depth-files-alone': () => '--depth-encoder and --depth-decoder go with --checkpoint, the file of the other networks',
  'no-int8': (message) =>
    `${message}: export it with \`dagan export --precision int8\`, name that folder, and leave --engine out`,
  'exported-precision': (message) => `${message}: leave --precision out, or export it anew`,
  'exported-size': (message) => `${message}: export it without --size`,
  'several-models': (message) => `${message} with --checkpoint`,
  'depth-files-missing': (message, { missing }) =>
    `${message} (${missing.map((part) => `--depth-${part}`).join(', ')})`,
  'no-mesh': (message) => `${message}: name a picture that shows one, or another model with --checkpoint`,
  'mesh-alone': (message) => `${message}: leave --keypoints out`,
  'unnamed-keypoints': (message) => `${message}: take one that has with --checkpoint, or leave the option out`,
  'no-attention': (message) => `${message}: choose another with --checkpoint`,
  'no-depth': (message) => `${message}: choose another with --checkpoint, or name one with --depth`,
  'two-depth-networks': () => '--depth names the depth network; leave --checkpoint and the other files out',
  'depth-alone': (message) => `${message}: it is for --depth, not for --init`,
  'still-among-videos': (message) => `${message}; as .png or .jpg, and with --stills SECONDS, its head is made to move`,
  cache: (message) => `${message}; --cache names another place for it`,
  'changed-data': (message) => optionsIn(message),
  'training-in-folder': (message, { stage }) =>
    message.replace(
      ': go on with it',
      `: go on with ${stage === undefined ? 'it (--resume)' : `\`dagan train ${stage}\`,`}`,
    ),
  'port-taken': (message) => `${message}: name another with --port, or leave it out for one that is free`,
  'port-forbidden': (message) => `${message}: name one from 1024 on with --port`,
  'no-address': (message) => `--host ${message}`,
  'token-missing': (message) =>
    `${message}: put one into a file (--token-file) or into the variable DAGAN_TOKEN, or leave --host out`,
  'folder-in-use': (message) => `${message}: end that one, or name another folder with --folder`,
  'name-taken': (message) => `${message}; rename the video or give it an --identity`,
  'video-failed': (message, { problem }) => (problem ? wordsFor(message, problem.code, problem.values) : message),
  'clips-too-still': (message) => `${message} (--spacing takes them at a distance of your own)`,
};

/** What is wrong with the command line itself rather than with files. */
export const USAGE: ReadonlySet<string> = new Set<ProblemCode>([
  'faces-of-drivers',
  'unclear-inputs',
  'format-of-one',
  'output-not-folder',
  'figure-format',
  'two-depth-networks',
]);

/** The library's settings, which it names in backticks, as the options that they are here. */
export const optionsIn = (text: string): string =>
  text.replace(
    /`([a-z]+[A-Za-z]*)`/g,
    (_, name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
  );

/** What a code says on the command line. */
export function wordsFor(message: string, code: string, values: unknown): string {
  const words = WORDS[code as NoticeCode | ProblemCode] as ((message: string, values: unknown) => string) | undefined;
  return words ? words(message, values) : message;
}

/** Says why there is no CUDA for an exported model, and what helps. @param gpus that LibTorch can use; null if it has not been set up */
export function withoutCuda(refusal: string, gpus: number | null): string {
  const onnx = `ONNX Runtime cannot use it (${refusal.trim()})`;
  if (gpus !== null && gpus > 0) return `cannot use cuda: ${onnx}; LibTorch can: --engine libtorch`;
  const libtorch = gpus === null ? 'LibTorch has not been set up' : 'LibTorch finds no CUDA device here';
  return (
    `cannot use cuda: ${libtorch}, and ${onnx}; build with a LibTorch that has CUDA or add ONNX Runtime's CUDA ` +
    'libraries (docs/troubleshooting.md, GPU), or leave --device out'
  );
}
