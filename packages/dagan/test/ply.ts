// Reads the binary PLY files that the tests meet, by what their heads say.
import assert from 'node:assert/strict';

export type PlyVertex = { x: number; y: number; z: number; color: [number, number, number] };

/** Vertices (three floats, three bytes) and triangles of a little-endian PLY file; nothing may follow them. */
export function readPly(bytes: Uint8Array): { header: string; vertices: PlyVertex[]; faces: number[][] } {
  const text = Buffer.from(bytes).toString('latin1');
  const end = text.indexOf('end_header\n') + 'end_header\n'.length;
  const header = text.slice(0, end);
  assert.ok(header.startsWith('ply\nformat binary_little_endian 1.0\n'));
  const properties = [...header.matchAll(/^property (.+)$/gm)].map(([, property]) => property);
  assert.deepEqual(properties.slice(0, 6), ['float x', 'float y', 'float z', 'uchar red', 'uchar green', 'uchar blue']);
  const countOf = (element: string): number =>
    Number(new RegExp(`^element ${element} (\\d+)$`, 'm').exec(header)?.[1] ?? 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = end;
  const vertices = Array.from({ length: countOf('vertex') }, (): PlyVertex => {
    const [x, y, z] = [0, 4, 8].map((offset) => view.getFloat32(at + offset, true)) as [number, number, number];
    const color = [12, 13, 14].map((offset) => view.getUint8(at + offset)) as [number, number, number];
    at += 15;
    return { x, y, z, color };
  });
  const faces = Array.from({ length: countOf('face') }, () => {
    assert.equal(view.getUint8(at), 3);
    const corners = [1, 5, 9].map((offset) => view.getInt32(at + offset, true));
    at += 13;
    return corners;
  });
  assert.equal(at, bytes.length);
  return { header, vertices, faces };
}
