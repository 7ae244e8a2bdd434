// The portrait: a picture, or a clip, whose own motion goes on while it is driven.
import { cutSquare, padCut, planCut } from '../animation/crop.js';
import type { Look } from '../animation/reference-frame.js';
import type { Square } from '../faces/framing.js';
import { type FaceMesh, meshInSquare } from '../faces/mesh.js';
import { MediaError } from '../media/errors.js';
import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { type Clip, openClip } from '../media/process/clip.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { FaceFinder } from './find-faces.js';
import { atRate } from './frame-rate.js';
import { isClipName } from './pairs.js';
import type { CropChoice } from './told-squares.js';

/** One frame of a portrait. */
export type PortraitFrame = {
  /** What the networks see: the square, at their size. */
  square: Picture;
  /** The whole picture where that is wanted, else the square. */
  canvas: Picture;
};

export type FramingOptions = {
  crop: CropChoice;
  /** Whether whole pictures are wanted, and the most pixels that their longer side may have. */
  whole: boolean;
  most?: number;
  /** Whether how the face looks is asked for. */
  withLook: boolean;
  signal?: AbortSignal;
};

/** A portrait whose face was found. */
export type ReadyPortrait = {
  /** Its first frame, or the only one. */
  first: PortraitFrame;
  /** Where the square lies in the canvas, in its pixels. */
  place: Square;
  look: Look | undefined;
  /** The face in the square of a picture, where it was found. */
  face: FaceMesh | undefined;
  /** The frames of a clip from the first on, at a constant rate; a picture has none. */
  frames: ((rate: number) => AsyncGenerator<PortraitFrame>) | undefined;
};

/** A portrait that was read; of a clip the first frame. */
export class Portrait implements AsyncDisposable {
  readonly #picture: Picture;

  private constructor(
    readonly path: string,
    picture: Picture,
    /** The clip, if it is one. */
    readonly clip: Clip | undefined,
  ) {
    this.#picture = picture;
  }

  /** @throws MediaError, naming the file */
  static async open(path: string, onWarning: (text: string) => void): Promise<Portrait> {
    if (!isClipName(path)) return new Portrait(path, await readPicture(path, { onWarning }), undefined);
    const clip = await openClip(path, { onWarning });
    try {
      const [still, first] = [clip.kind === 'image', await firstFrame(clip)];
      if (still) await clip.close();
      return new Portrait(path, first, still ? undefined : clip);
    } catch (error) {
      await clip.close();
      throw error;
    }
  }

  /**
   * Finds the square, one for all frames of a clip.
   *
   * @throws DaganError if there is no face
   */
  async ready(faces: FaceFinder, { crop, whole, most, withLook, signal }: FramingOptions): Promise<ReadyPortrait> {
    const canvas = whole ? atMost(this.#picture, most) : this.#picture;
    if (!this.clip) {
      const { square: place, look, mesh } = await faces.portrait(this.path, canvas, { crop, withLook });
      const face = mesh && meshInSquare(mesh, place, NETWORK_SIZE);
      const first = { square: cutSquare(canvas, place, NETWORK_SIZE), canvas };
      return { first, place, look, face, frames: undefined };
    }
    const clip = this.clip;
    const framed = await faces.clip(clip, {}, { crop, withLook, signal, role: 'portrait' });
    const cut = planCut(framed.square, clip.sourceWidth, clip.sourceHeight, NETWORK_SIZE);
    const place = scaled(framed.square, canvas.width / this.#picture.width);
    const { width, height } = canvas;
    const look = framed.face?.firstLook();
    const frameOf = (picture: Picture): PortraitFrame => {
      const square = whole ? cutSquare(picture, place, NETWORK_SIZE) : padCut(picture, cut);
      return { square, canvas: whole ? picture : square };
    };
    async function* frames(rate: number): AsyncGenerator<PortraitFrame> {
      const transform = whole ? { size: [width, height] as const } : cut.transform;
      for await (const { picture, times } of atRate(clip.frames({ transform }), rate)) {
        for (let i = 0; i < times; i++) yield frameOf(picture);
      }
    }
    const first = { square: cutSquare(canvas, place, NETWORK_SIZE), canvas };
    return { first, place, look, face: undefined, frames };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.clip?.close();
  }
}

async function firstFrame(clip: Clip): Promise<Picture> {
  for await (const { picture } of clip.frames({ end: 1 })) return picture;
  throw new MediaError(clip.path, 'has no frames');
}

/** The picture, made smaller if its longer side has more than `size` pixels. */
export function atMost(picture: Picture, size = Infinity): Picture {
  const shrink = size / Math.max(picture.width, picture.height);
  if (shrink >= 1) return picture;
  const along = (length: number): number => Math.max(1, Math.round(length * shrink));
  return resizePicture(picture, along(picture.width), along(picture.height));
}

/** A square in pictures of another size, in whole pixels. */
function scaled({ left, top, side }: Square, factor: number): Square {
  const [x, y] = [Math.round(left * factor), Math.round(top * factor)];
  return factor === 1 ? { left, top, side } : { left: x, top: y, side: Math.round(side * factor) };
}
