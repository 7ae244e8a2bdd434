// Surfaces as PLY files (Greg Turk, "The PLY Polygon File Format", 1994), which every 3D program reads.
import type { Surface } from './surface.js';

export type PlyOptions = {
  /** Lines of text for the file's head: what the axes and the unit are, what it was made of. */
  comments?: readonly string[];
  /** Writes the triangles as well as the points. */
  withTriangles?: boolean;
};

/** Three floats and three bytes; a count and three integers. */
const POINT_BYTES = 15;
const TRIANGLE_BYTES = 13;

/** A binary, little-endian PLY file: x, y, z and red, green, blue of every point, and the triangles where asked for. */
export function encodePly(surface: Surface, { comments = [], withTriangles = false }: PlyOptions = {}): Uint8Array {
  const { positions, colors } = surface;
  const triangles = withTriangles ? surface.triangles : new Uint32Array(0);
  const [points, faces] = [positions.length / 3, triangles.length / 3];
  const lines = [
    'ply',
    'format binary_little_endian 1.0',
    ...comments.map((text) => `comment ${text.replace(/\s+/g, ' ')}`),
    `element vertex ${points}`,
    ...['x', 'y', 'z'].map((name) => `property float ${name}`),
    ...['red', 'green', 'blue'].map((name) => `property uchar ${name}`),
    ...(withTriangles ? [`element face ${faces}`, 'property list uchar int vertex_indices'] : []),
    'end_header',
  ];
  const head = new TextEncoder().encode(`${lines.join('\n')}\n`);
  const bytes = new Uint8Array(head.length + points * POINT_BYTES + faces * TRIANGLE_BYTES);
  bytes.set(head);
  const view = new DataView(bytes.buffer);
  let at = head.length;
  for (let i = 0; i < positions.length; i += 3, at += POINT_BYTES) {
    for (let axis = 0; axis < 3; axis++) view.setFloat32(at + 4 * axis, positions[i + axis]!, true);
    bytes.set(colors.subarray(i, i + 3), at + 12);
  }
  for (let t = 0; t < triangles.length; t += 3, at += TRIANGLE_BYTES) {
    bytes[at] = 3;
    for (let corner = 0; corner < 3; corner++) view.setInt32(at + 1 + 4 * corner, triangles[t + corner]!, true);
  }
  return bytes;
}
