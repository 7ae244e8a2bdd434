// Faces that are asked for and not there.
import { DaganError, type InputRole } from '../errors.js';
import type { Box } from '../faces/geometry.js';

export type MissingFace = {
  path: string;
  role: InputRole;
  /** Those that there are, from left to right. */
  faces: readonly Box[];
  number?: number;
  /** How many frames were looked at, of a clip. */
  frames?: number;
};

/** The error that names the faces that there are. */
export function noSuchFace({ path, role, faces, number, frames }: MissingFace): DaganError {
  if (faces.length === 0 || number === undefined) {
    const where = frames === undefined ? 'in it' : `in the ${frames} frames looked at`;
    return new DaganError('no-face', `${path}: no face is found ${where}`, { path, role, frames });
  }
  const list = faces.map((box, i) => {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2].map(Math.round);
    return `${i + 1} around (${x}, ${y}), ${Math.round(box.height)} pixels high`;
  });
  const count = faces.length === 1 ? 'one face' : `${faces.length} faces`;
  const message = `${path}: there is no face ${number}, as it shows ${count}, counted from the left: ${list.join('; ')}`;
  return new DaganError('no-such-face', message, { path, role, number, faces });
}
