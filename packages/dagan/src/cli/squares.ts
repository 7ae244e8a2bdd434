// What commands draw figures of: pictures and clips, cut to the squares that the networks see, side by side.
import { type Command, Option } from 'commander';
import { cutSquare, padCut, planCut, type SquareCut } from '../animation/index.js';
import type { Square } from '../faces/index.js';
import { type Clip, MediaError, openClip, type Picture, readPicture } from '../media/index.js';
import { cropChoice, withFace } from './animate.js';
import { type CropChoice, type CropOptionNames, FaceFinder, PORTRAIT_OPTIONS } from './animate-faces.js';
import { UserError } from './errors.js';
import { NETWORK_SIZE } from './model.js';
import { wholeNumber } from './options.js';
import { isClipInput } from './pairs.js';
import type { Reporter } from './report.js';

/** Which part of the inputs is shown, and how large. */
export type SquareOptions = {
  crop: CropChoice;
  face?: number;
  /** Of clips, this frame alone. */
  frame?: number;
  /** First frame of clips, and the frame before which to stop. */
  start?: number;
  end?: number;
  /** Side of the squares in pixels. */
  size: number;
};

export function addSquareOptions(command: Command, { least, size }: { least: number; size: number }): Command {
  return command
    .addOption(
      new Option(
        '--crop <square>',
        'the square that is shown: auto finds the face, none takes the centre, x,y,side is a square in pixels',
      )
        .argParser(cropChoice)
        .default({ kind: 'auto' }, 'auto'),
    )
    .option('--face <n>', 'which face, counted from the left (default: the largest)', wholeNumber(1))
    .option('--frame <n>', 'of a clip, this frame alone, counted from 0', wholeNumber(0))
    .option('--start <n>', 'first frame of a clip', wholeNumber(0))
    .option('--end <n>', 'frame of a clip before which to stop', wholeNumber(1))
    .option('--size <n>', 'side of each square in pixels', wholeNumber(least, 2048), size);
}

/** A square cut out of a picture. */
export type FramedSquare = {
  picture: Picture;
  /** Where it lies in the picture, in pixels. */
  square: Square;
  /** Size of the whole picture. */
  width: number;
  height: number;
};

/** Cuts squares out of pictures and clips. */
export class SquareReader implements AsyncDisposable {
  private readonly faces: FaceFinder;
  private readonly crop: CropChoice;

  /** @param names of the options that choose the square */
  constructor(
    private readonly options: SquareOptions,
    private readonly reporter: Reporter,
    names: CropOptionNames = PORTRAIT_OPTIONS,
  ) {
    this.faces = new FaceFinder(reporter, { portrait: names, clip: names });
    this.crop = withFace(options.crop, options.face, names.face, names.crop);
  }

  /**
   * The square of a picture, or of one frame of a clip.
   *
   * @throws MediaError or UserError, naming the file
   */
  async read(path: string, frame?: number): Promise<FramedSquare> {
    const whole = await readWhole(path, frame);
    const { width, height } = whole;
    const { square } = await this.faces.portrait(path, whole, this.crop, false);
    return { picture: cutSquare(whole, square, this.options.size), square, width, height };
  }

  /** Opens inputs to be shown beside each other; of clips all frames of the range. */
  async open(paths: readonly string[]): Promise<Squares> {
    const inputs: Input[] = [];
    const squares = new Squares(inputs, paths);
    try {
      for (const path of paths) inputs.push(await this.#open(path));
    } catch (error) {
      await squares.close();
      throw error;
    }
    return squares;
  }

  async close(): Promise<void> {
    await this.faces.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(path: string): Promise<Input> {
    const { frame, start, end, size } = this.options;
    if (frame !== undefined || !isClipInput(path)) {
      return (await this.read(path, isClipInput(path) ? frame : undefined)).picture;
    }
    const onWarning = (text: string): void => this.reporter.warn(text);
    const range = { start, end };
    const cut = await this.#planCut(path, range, size);
    return { clip: await openClip(path, { ...range, transform: cut.transform, onWarning }), cut };
  }

  async #planCut(path: string, range: { start?: number; end?: number }, size: number): Promise<SquareCut> {
    await using clip = await openClip(path, range);
    const { sourceWidth: width, sourceHeight: height, frameCount, frameRate } = clip;
    const facts = { width, height, frameCount, frameRate };
    const { square } = await this.faces.clip(path, facts, range, this.crop, false);
    return planCut(square, width, height, size);
  }
}

/** The square around the centre of a picture, or of one frame of a clip, as the networks take it. */
export async function readCentre(path: string, reporter: Reporter, frame?: number): Promise<Picture> {
  await using reader = new SquareReader({ crop: { kind: 'none' }, size: NETWORK_SIZE }, reporter);
  return (await reader.read(path, frame)).picture;
}

/** A whole picture, or a whole frame of a clip. */
async function readWhole(path: string, frame: number | undefined): Promise<Picture> {
  if (frame === undefined || !isClipInput(path)) {
    if (frame) throw new UserError(`${path}: is a picture and has no frame ${frame}; --frame is for clips`);
    return readPicture(path);
  }
  await using clip = await openClip(path, { start: frame, end: frame + 1 });
  for await (const { picture } of clip.frames()) return picture;
  throw new MediaError(path, `there is no frame ${frame}`);
}

type OpenClip = { clip: Clip; cut: SquareCut };
type Input = Picture | OpenClip;

const isOpenClip = (input: Input): input is OpenClip => 'clip' in input;

/** What is seen at one time: a square of every input. */
export type SquareFrame = { squares: Picture[]; timestamp: number; duration: number };

/** Inputs beside each other: pictures stand still, clips run frame by frame until the first of them ends. */
export class Squares implements AsyncDisposable {
  /** @internal Made by `SquareReader`. */
  constructor(
    private readonly inputs: readonly Input[],
    readonly paths: readonly string[],
  ) {}

  /** Whether there is a clip among them. */
  get moving(): boolean {
    return this.inputs.some(isOpenClip);
  }

  /** Frames per second of the first clip, if that is constant. */
  get frameRate(): number | undefined {
    const first = this.inputs.find(isOpenClip)?.clip;
    return first?.constantFrameRate ? first.frameRate : undefined;
  }

  /** Number of frames to come, as far as known. */
  get frameCount(): number | undefined {
    const counts = this.inputs.filter(isOpenClip).flatMap(({ clip }) => clip.frameCount ?? []);
    return counts.length > 0 ? Math.min(...counts) : undefined;
  }

  /** From the first frame on; each call starts anew. Without clips there is one frame. */
  async *frames(): AsyncGenerator<SquareFrame, void, undefined> {
    const running = this.inputs.map((input) => (isOpenClip(input) ? { ...input, frames: input.clip.frames() } : input));
    while (true) {
      const squares: Picture[] = [];
      let time: { timestamp: number; duration: number } | undefined;
      for (const input of running) {
        if ('data' in input) {
          squares.push(input);
          continue;
        }
        const next = await input.frames.next();
        if (next.done) return;
        time ??= next.value;
        squares.push(padCut(next.value.picture, input.cut));
      }
      yield { squares, timestamp: time?.timestamp ?? 0, duration: time?.duration ?? 0 };
      if (!time) return;
    }
  }

  /** About `count` frames, evenly spread. */
  async *sample(count: number): AsyncGenerator<SquareFrame, void, undefined> {
    const step = Math.max(1, Math.floor((this.frameCount ?? 8 * count) / count));
    let index = 0;
    for await (const frame of this.frames()) if (index++ % step === 0) yield frame;
  }

  async close(): Promise<void> {
    for (const { clip } of this.inputs.filter(isOpenClip)) await clip.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
