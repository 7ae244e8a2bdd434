// The portrait: a picture, or a clip, whose own motion goes on while it is driven.
import { cutSquare, padCut, planCut } from '../animation/crop.js';
import type { Engine } from '../animation/engine.js';
import { MeshGuidedEngine } from '../animation/mesh-keypoints.js';
import type { Look } from '../animation/reference-frame.js';
import { DaganError } from '../errors.js';
import type { Square } from '../faces/framing.js';
import { meshInSquare } from '../faces/mesh.js';
import { MediaError } from '../media/errors.js';
import { readPicture } from '../media/pictures/images.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { type Clip, type ClipFrame, openClip } from '../media/process/clip.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { FaceFinder } from './find-faces.js';
import { atRate } from './frame-rate.js';
import { firstWithFace, HeldFrames, type PortraitFrame } from './held-frames.js';
import { isClipName } from './pairs.js';
import type { CropChoice } from './told-squares.js';

export type FramingOptions = {
  crop: CropChoice;
  /** Whether whole pictures are wanted, and the most pixels that their longer side may have. */
  whole: boolean;
  most?: number;
  /** Whether how the face looks is asked for. */
  withLook: boolean;
  /** What will get a clip's frames, once it is loaded; where the mesh drives it, those without the face are held (`HeldFrames`). */
  engine?: () => Promise<Engine>;
  signal?: AbortSignal;
};

/** A portrait whose face was found. */
export type ReadyPortrait = {
  /** Its first frame, or the only one; of a clip whose frames are held the first with the face. */
  first: PortraitFrame;
  /** Where the square lies in the canvas, in its pixels. */
  place: Square;
  look: Look | undefined;
  /** The frames of a clip from the first on, at a constant rate; a picture has none. */
  frames: ((rate: number) => AsyncGenerator<PortraitFrame>) | undefined;
  /** Knows which frames of a clip did not show the face and were held. */
  held?: HeldFrames;
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
  async ready(faces: FaceFinder, options: FramingOptions): Promise<ReadyPortrait> {
    const { crop, whole, most, withLook } = options;
    const canvas = whole ? atMost(this.#picture, most) : this.#picture;
    if (this.clip) return this.#readyClip(this.clip, canvas, faces, options);
    const { square: place, look, mesh } = await faces.portrait(this.path, canvas, { crop, withLook });
    const face = mesh && meshInSquare(mesh, place, NETWORK_SIZE);
    return { first: { square: cutSquare(canvas, place, NETWORK_SIZE), canvas, face }, place, look, frames: undefined };
  }

  async #readyClip(
    clip: Clip,
    canvas: Picture,
    faces: FaceFinder,
    { crop, whole, withLook, engine: loaded, signal }: FramingOptions,
  ): Promise<ReadyPortrait> {
    const framed = await faces.clip(clip, {}, { crop, withLook, signal, role: 'portrait' });
    const cut = planCut(framed.square, clip.sourceWidth, clip.sourceHeight, NETWORK_SIZE);
    const place = scaled(framed.square, canvas.width / this.#picture.width);
    const { width, height } = canvas;
    const look = framed.face?.firstLook();
    const transform = whole ? { size: [width, height] as const } : cut.transform;
    const frameOf = (picture: Picture): PortraitFrame => {
      const square = whole ? cutSquare(picture, place, NETWORK_SIZE) : padCut(picture, cut);
      return { square, canvas: whole ? picture : square };
    };
    async function* numbered(): AsyncGenerator<ClipFrame & { number: number }> {
      let number = 0;
      for await (const frame of clip.frames({ transform })) {
        signal?.throwIfAborted();
        yield { ...frame, number: number++ };
      }
    }
    async function* looked(): AsyncGenerator<PortraitFrame> {
      for await (const { picture } of numbered()) yield frameOf(picture);
    }
    const engine = await loaded?.();
    const start = engine instanceof MeshGuidedEngine ? await firstWithFace(looked(), engine.faces) : undefined;
    if (start && !start.found && engine!.motion?.meshPoints) {
      const message = `${this.path}: none of its ${start.looked} frames shows a face, and landmarks of a face move this model`;
      throw new DaganError('no-mesh', message, { path: this.path });
    }
    const held = start?.found && new HeldFrames((engine as MeshGuidedEngine).faces, start.found);
    async function* frames(rate: number): AsyncGenerator<PortraitFrame> {
      for await (const { picture, times, number } of atRate(numbered(), rate)) {
        const own = frameOf(picture);
        const frame = held ? await held.next(own, number) : own;
        for (let i = 0; i < times; i++) yield frame;
      }
    }
    const first = start?.found?.frame ?? { square: cutSquare(canvas, place, NETWORK_SIZE), canvas };
    return { first, place, look, frames, held };
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
