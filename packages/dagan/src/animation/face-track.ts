// The faces of a portrait and the face of a clip, followed through some of its frames. Runs wherever a face analyzer does.
import type { FaceAnalyzer } from '../faces/analyzer.js';
import { type Box, overlap } from '../faces/geometry.js';
import { type FaceMesh, MIN_MESH_SCORE } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';

/** What is asked of a face analyzer here. */
export type FaceLooker = Pick<FaceAnalyzer, 'detect' | 'mesh'>;

/** Two meshes that overlap more than this are of the same face. */
const SAME_FACE = 0.4;

/** A face that was lost is found again where it was, give or take so many of its heights. */
const REACH = 0.9;

/** The faces of a picture, from left to right. */
export async function facesFromLeft(looker: FaceLooker, picture: Picture): Promise<FaceMesh[]> {
  const faces: FaceMesh[] = [];
  for (const found of await looker.detect(picture)) {
    const mesh = await looker.mesh(picture, found);
    const known = faces.some((other) => overlap(other.box, mesh.box) > SAME_FACE);
    if (mesh.score >= MIN_MESH_SCORE && !known) faces.push(mesh);
  }
  return faces.sort((a, b) => a.box.left + a.box.width / 2 - (b.box.left + b.box.width / 2));
}

/**
 * Chooses a face.
 *
 * @param faces from left to right
 * @param number 1 for the leftmost, and so on; without it the largest is taken
 * @returns undefined if there is no such face
 */
export function chooseFace(faces: readonly FaceMesh[], number?: number): FaceMesh | undefined {
  if (number !== undefined) return faces[number - 1];
  const area = ({ box }: FaceMesh): number => box.width * box.height;
  return faces.reduce<FaceMesh | undefined>(
    (best, face) => (best && area(best) >= area(face) ? best : face),
    undefined,
  );
}

/**
 * Follows one face through frames of a clip, which need not be neighbours: the largest of the first frame that shows
 * one, or the one of the number given. If it is lost, it is found again near where it was; others are left alone.
 */
export class FaceFollower {
  /** Around the mesh, in every frame in which the face was seen. */
  readonly boxes: Box[] = [];
  /** Frames that were looked at. */
  looked = 0;
  /** Faces that were seen beside each other in the frame in which the one was chosen, from left to right. */
  choice: readonly FaceMesh[] = [];
  #last: FaceMesh | undefined;
  #lost = false;
  readonly #looker: FaceLooker;
  readonly #number?: number;

  constructor(
    looker: FaceLooker,
    /** Which face to follow: 1 for the leftmost, ...; default the largest. */
    number?: number,
  ) {
    this.#looker = looker;
    this.#number = number;
  }

  /** Looks at a frame. Returns the face, if it is there. */
  async see(picture: Picture): Promise<FaceMesh | undefined> {
    this.looked++;
    const mesh = await this.#find(picture);
    this.#lost = mesh === undefined;
    if (!mesh) return undefined;
    this.#last = mesh;
    this.boxes.push(mesh.box);
    return mesh;
  }

  async #find(picture: Picture): Promise<FaceMesh | undefined> {
    const last = this.#last;
    if (!last) {
      const faces = await facesFromLeft(this.#looker, picture);
      const chosen = chooseFace(faces, this.#number);
      if (faces.length > 0 && (chosen || this.choice.length === 0)) this.choice = faces;
      return chosen;
    }
    if (!this.#lost) {
      const followed = await this.#looker.mesh(picture, last);
      if (followed.score >= MIN_MESH_SCORE) return followed;
    }
    const near = (await facesFromLeft(this.#looker, picture)).filter(({ box }) => distance(box, last.box) < REACH);
    return near.sort((a, b) => distance(a.box, last.box) - distance(b.box, last.box))[0];
  }
}

/** Distance between the middles of two boxes, in heights of the second. */
function distance(a: Box, b: Box): number {
  const [x, y] = [a.left + a.width / 2 - b.left - b.width / 2, a.top + a.height / 2 - b.top - b.height / 2];
  return Math.hypot(x, y) / b.height;
}
