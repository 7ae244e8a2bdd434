// Faces that are not found, which the other measures of faces leave out.

/**
 * 1 if the generated frame lost the face of the real one, 0 if not; null if the real frame shows none, which then does not
 * count. So the published script (`cmp_with_missing.py` of pose-evaluation) counts points: those that generation has lost,
 * over those there were. A mesh has all its points or none.
 */
export function lostFace(real: boolean, generated: boolean): 0 | 1 | null {
  if (!real) return null;
  return generated ? 0 : 1;
}
