// The surface that carries a portrait when its head moves: the face mesh without its openings, and around it rings of
// points on hair, neck and background. It is the same for all portraits; only places differ.
import { readFaceModel } from '../../faces/defaults.js';
import { type CanonicalFace, FACE_MODELS, readCanonicalFace } from '../../faces/face-models.js';
import { MESH_POINTS } from '../../faces/mesh.js';

/** Points of the refined mesh: those of the face, and two irises of five. */
export const REFINED_POINTS = MESH_POINTS + 10;

/** An opening of the face: its rims from corner to corner, point above point; both begin and end with the corners. */
export type Opening = { upper: readonly number[]; lower: readonly number[] };

/** The middles of the irises, in the order of `EYES`. */
export const IRISES = [468, 473] as const;
/** The person's right and left eye. */
export const EYES: readonly [Opening, Opening] = [
  {
    upper: [33, 246, 161, 160, 159, 158, 157, 173, 133],
    lower: [33, 7, 163, 144, 145, 153, 154, 155, 133],
  },
  {
    upper: [263, 466, 388, 387, 386, 385, 384, 398, 362],
    lower: [263, 249, 390, 373, 374, 380, 381, 382, 362],
  },
];
export const MOUTH: Opening = {
  upper: [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308],
  lower: [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308],
};
/** The rim of the face, clockwise as it is seen from the middle of the forehead. */
export const OUTLINE = [
  10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136,
  172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
] as const;
/** Outer corners of the eyes: their distance is the unit of length of a face. */
export const EYE_CORNERS = [33, 263] as const;
/** Landmarks at the ears. */
export const EARS = [234, 454] as const;

/** The parts of the surface and the face it is measured by. */
export type FaceSurface = {
  canonical: CanonicalFace;
  /** Points of the mesh, three for each triangle; eyes and mouth are left open. */
  triangles: Uint16Array;
  /** Angle at which each point of `OUTLINE` is seen from the middle of the face; 0 is to the right, clockwise. */
  angles: Float64Array;
};

/** Reads the surface from the installed package of the face models. */
export async function loadFaceSurface(): Promise<FaceSurface> {
  return faceSurface(readCanonicalFace(await readFaceModel(FACE_MODELS.canonicalFace)));
}

/** The surface of the canonical face. */
export function faceSurface(canonical: CanonicalFace): FaceSurface {
  const openings = [...EYES, MOUTH].map(({ upper, lower }) => new Set([...upper, ...lower]));
  const triangles: number[] = [];
  for (let at = 0; at < canonical.triangles.length; at += 3) {
    const corners = [...canonical.triangles.subarray(at, at + 3)];
    if (!openings.some((rim) => corners.every((corner) => rim.has(corner)))) triangles.push(...corners);
  }
  const place = (index: number) => [canonical.points[index * 3]!, -canonical.points[index * 3 + 1]!] as const;
  const xs = OUTLINE.map((index) => place(index)[0]);
  const ys = OUTLINE.map((index) => place(index)[1]);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const angles = Float64Array.from(OUTLINE, (_, i) =>
    Math.atan2((2 * ys[i]! - top - bottom) / (bottom - top), (2 * xs[i]! - left - right) / (right - left)),
  );
  return { canonical, triangles: Uint16Array.from(triangles), angles };
}
