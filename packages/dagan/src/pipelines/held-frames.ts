// A portrait that is a clip, of a model that the face mesh drives: where a frame does not show the face, nothing can be moved. The
// last frame that does stays in its place, as a portrait rests where its driver's face is not seen.
import { type Absence, tellAbsences } from '../animation/face-watch.js';
import type { MeshFinder } from '../animation/mesh-keypoints.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';

/** One frame of a portrait. */
export type PortraitFrame = {
  /** What the networks see: the square, at their size. */
  square: Picture;
  /** The whole picture where that is wanted, else the square. */
  canvas: Picture;
  /** The face in the square, where it is known. */
  face?: FaceMesh;
};

/** A frame that shows the face, and its number in the clip. */
type FirstSeen = { frame: PortraitFrame; number: number };

/** The first of a clip's frames that shows a face, and how many were looked at. */
export async function firstWithFace(
  frames: AsyncIterable<PortraitFrame>,
  faces: MeshFinder,
): Promise<{ found: FirstSeen | undefined; looked: number }> {
  let looked = 0;
  for await (const frame of frames) {
    looked++;
    const face = await faces.track(frame.square);
    if (face) return { found: { frame: { ...frame, face }, number: looked - 1 }, looked };
  }
  return { found: undefined, looked };
}

/** Holds the frames of a portrait that show the face until the next one does. */
export class HeldFrames {
  readonly #faces: MeshFinder;
  readonly #absences: Absence[] = [];
  readonly #first: FirstSeen;
  #last: PortraitFrame;
  #isHeld = false;

  /** @param first frame that shows the face: it stands for those before, too */
  constructor(faces: MeshFinder, first: FirstSeen) {
    this.#faces = faces;
    this.#first = first;
    this.#last = first.frame;
  }

  /** The frame itself, with its face, or else the very one that is held. @param number of the frame in the clip */
  async next(frame: PortraitFrame, number: number): Promise<PortraitFrame> {
    const seen = await this.#withFace(frame, number);
    if (seen) this.#last = seen;
    else if (this.#isHeld) this.#absences.at(-1)!.end = number + 1;
    else this.#absences.push({ first: number, end: number + 1, sight: 'nobody' });
    this.#isHeld = !seen;
    return this.#last;
  }

  async #withFace(frame: PortraitFrame, number: number): Promise<PortraitFrame | undefined> {
    const { number: first, frame: known } = this.#first;
    if (number <= first) return number === first ? known : undefined; // so far it was looked through before
    const face = await this.#faces.track(frame.square, this.#last.face);
    return face && { ...frame, face };
  }

  /** Frames so far that do not show the face. */
  get absences(): readonly Absence[] {
    return this.#absences;
  }

  /** What is to be said of them; undefined if there are none. */
  get told(): string | undefined {
    const which = this.#absences[0]?.first === 0 ? 'the nearest frame that does' : 'the last frame that does';
    return tellAbsences(this.#absences, `so ${which} stays in their place`);
  }
}
