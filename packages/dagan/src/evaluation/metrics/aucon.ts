// AUCON: how far two faces do the same (Ha et al., "MarioNETte", 2020), here with expression units of the mesh in place of
// OpenFace's action units.

/** The share of units, 0 to 1, that are on in both or off in both. */
export function unitAgreement(a: readonly boolean[], b: readonly boolean[]): number {
  if (a.length !== b.length || a.length === 0) {
    throw new RangeError(`${a.length} and ${b.length} expression units do not compare`);
  }
  return a.filter((on, i) => on === b[i]).length / a.length;
}
