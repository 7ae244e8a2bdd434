// Whether the face that drives is in a frame: it may be hidden, leave, or give way to somebody else at a cut. Keypoints are found
// in any picture, also where there is no face; taken over, they would tear the portrait.
import { type FaceMesh, MIN_MESH_SCORE } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import { chooseFace, type FaceLooker, facesFromLeft } from './face-track.js';

/** What is seen of the face: it is there, nobody is, or somebody is elsewhere or of another size, as after a cut. */
export type Sight = 'face' | 'nobody' | 'another';

/** From one frame to the next a face moves by less than this part of its height, and grows or shrinks by less than this factor. */
const MOST = { move: 0.5, growth: 1.5 } as const;

/** Frames in a row that do not show the face: from `first` to before `end`. */
export type Absence = { first: number; end: number; sight: Exclude<Sight, 'face'> };

/** Watches the face through all frames of a clip or camera, one after the other. */
export class FaceWatch {
  readonly #looker: FaceLooker;
  readonly #absences: Absence[] = [];
  /** The face as it was last seen. */
  #last: FaceMesh | undefined;
  #sight: Sight = 'face';
  #next = 0;

  /** @param looker finds faces; frames may be of any size, all of the same */
  constructor(looker: FaceLooker) {
    this.#looker = looker;
  }

  /**
   * What is seen in a frame. The largest face of the first frame with any is the one that drives.
   *
   * @param frame its number; by default the next one
   */
  async see(picture: Picture, frame = this.#next): Promise<Sight> {
    const before = this.#sight;
    this.#sight = await this.#look(picture);
    this.#next = frame + 1;
    if (this.#sight === 'face') return this.#sight;
    if (before === 'face') this.#absences.push({ first: frame, end: frame + 1, sight: this.#sight });
    else this.#absences.at(-1)!.end = frame + 1;
    return this.#sight;
  }

  async #look(picture: Picture): Promise<Sight> {
    if (this.#last && this.#sight === 'face') {
      const followed = await this.#looker.mesh(picture, this.#last); // where it was a frame ago
      if (followed.score >= MIN_MESH_SCORE && this.#isSame(followed)) {
        this.#last = followed;
        return 'face';
      }
    }
    const faces = await facesFromLeft(this.#looker, picture);
    const found = this.#last ? faces.find((face) => this.#isSame(face)) : chooseFace(faces);
    if (!found) return faces.length > 0 ? 'another' : 'nobody';
    this.#last = found;
    return 'face';
  }

  /** The face in the frame that was seen last; undefined if it does not show it. */
  get face(): FaceMesh | undefined {
    return this.#sight === 'face' ? this.#last : undefined;
  }

  /** Frames so far in which the face was not seen. */
  get absences(): readonly Absence[] {
    return this.#absences;
  }

  /** Whether a face is near to where the one that drives was last seen, and about as large. */
  #isSame({ box }: FaceMesh): boolean {
    const { left, top, width, height } = this.#last!.box;
    const [x, y] = [box.left + box.width / 2 - left - width / 2, box.top + box.height / 2 - top - height / 2];
    const growth = box.height / height;
    return Math.hypot(x, y) < MOST.move * height && growth < MOST.growth && growth > 1 / MOST.growth;
  }
}

/**
 * What is to be said of frames without the face; undefined if there are none.
 *
 * @param instead what is seen there
 */
export function tellAbsences(
  absences: readonly Absence[],
  instead = 'so the portrait rests there',
): string | undefined {
  if (absences.length === 0) return undefined;
  const held = absences.reduce((sum, { first, end }) => sum + end - first, 0);
  const named = ({ first, end }: Absence): string => (end - first === 1 ? `${first}` : `${first} to ${end - 1}`);
  const listed = absences.slice(0, 3).map(named).join(', ');
  const more = absences.length > 3 ? ', ...' : '';
  const what = held === 1 ? '1 frame does not show the face' : `${held} frames do not show the face`;
  const cut = absences.find(({ sight }) => sight === 'another');
  const another = cut ? `; at frame ${cut.first} somebody else comes into the picture, or a cut` : '';
  return `${what} (${listed}${more}), ${instead}${another}`;
}
