// What figures are drawn of: pictures and clips, cut to the squares that the networks see, side by side.
import { cutSquare, padCut, planCut, type SquareCut } from '../animation/crop.js';
import { DaganError, type InputRole } from '../errors.js';
import type { Square } from '../faces/framing.js';
import { MediaError } from '../media/errors.js';
import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { type Clip, openClip } from '../media/process/clip.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { Teller } from './events.js';
import { FaceFinder } from './find-faces.js';
import { isClipInput } from './pairs.js';
import type { CropChoice } from './told-squares.js';

/** Which part of the inputs is shown, and how large. */
export type SquareOptions = {
  crop: CropChoice;
  /** Of clips, this frame alone. */
  frame?: number;
  /** First frame of clips, and the frame before which to stop. */
  start?: number;
  end?: number;
  /** Side of the squares in pixels. */
  size: number;
};

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
  readonly #options: SquareOptions;
  readonly #tell: Teller;
  readonly #faces: FaceFinder;

  /** @param role what notices and errors call the inputs */
  constructor(options: SquareOptions, tell: Teller, role: InputRole = 'portrait') {
    this.#options = options;
    this.#tell = tell;
    this.#faces = new FaceFinder(tell, { portrait: role, clip: role });
  }

  /**
   * The square of a picture, or of one frame of a clip.
   *
   * @throws MediaError or DaganError, naming the file
   */
  async read(path: string, frame?: number): Promise<FramedSquare> {
    const whole = await readWhole(path, frame);
    const { width, height } = whole;
    const { crop, size } = this.#options;
    const { square } = await this.#faces.portrait(path, whole, { crop, withLook: false });
    return { picture: cutSquare(whole, square, size), square, width, height };
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
    await this.#faces.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(path: string): Promise<Input> {
    const { crop, frame, start, end, size } = this.#options;
    if (frame !== undefined || !isClipInput(path)) {
      return (await this.read(path, isClipInput(path) ? frame : undefined)).picture;
    }
    let reading = true; // not while it is looked through: what is wrong with the clip is told once
    const onWarning = (text: string): void => {
      if (reading) this.#tell.warn('codec', text, {});
    };
    const clip = await openClip(path, { start, end, onWarning });
    reading = false;
    try {
      const { square } = await this.#faces.clip(clip, { start, end }, { crop, withLook: false });
      reading = true;
      return { clip, cut: planCut(square, clip.sourceWidth, clip.sourceHeight, size) };
    } catch (error) {
      await clip.close();
      throw error;
    }
  }
}

/** The square around the centre of a picture, or of one frame of a clip, as the networks take it. */
export async function readCentre(path: string, tell: Teller, frame?: number): Promise<Picture> {
  await using reader = new SquareReader({ crop: { kind: 'none' }, size: NETWORK_SIZE }, tell);
  return (await reader.read(path, frame)).picture;
}

/** A whole picture, or a whole frame of a clip. */
async function readWhole(path: string, frame: number | undefined): Promise<Picture> {
  if (frame === undefined || !isClipInput(path)) {
    if (frame)
      throw new DaganError('frame-of-picture', `${path}: is a picture and has no frame ${frame}`, { path, frame });
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
  readonly #inputs: readonly Input[];

  /** @internal Made by `SquareReader`. */
  constructor(
    inputs: readonly Input[],
    readonly paths: readonly string[],
  ) {
    this.#inputs = inputs;
  }

  /** Whether there is a clip among them. */
  get moving(): boolean {
    return this.#inputs.some(isOpenClip);
  }

  /** Frames per second of the first clip, if that is constant. */
  get frameRate(): number | undefined {
    const first = this.#inputs.find(isOpenClip)?.clip;
    return first?.constantFrameRate ? first.frameRate : undefined;
  }

  /** Number of frames to come, as far as known. */
  get frameCount(): number | undefined {
    const counts = this.#inputs.filter(isOpenClip).flatMap(({ clip }) => clip.frameCount ?? []);
    return counts.length > 0 ? Math.min(...counts) : undefined;
  }

  /** From the first frame on; each call starts anew. Without clips there is one frame. */
  async *frames(): AsyncGenerator<SquareFrame, void, undefined> {
    const running = this.#inputs.map((input) =>
      isOpenClip(input) ? { ...input, frames: input.clip.frames({ transform: input.cut.transform }) } : input,
    );
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
    for (const { clip } of this.#inputs.filter(isOpenClip)) await clip.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
