// The expressions of a data set's faces, collected once and kept, for that takes longer than all else that makes ready.
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { writeCached } from '../cached-tensors.js';
import { readMeshes } from '../face-meshes.js';
import { ExpressionTracks, type PackedExpressions } from './expression-tracks.js';
import { loadFaceSurface, REFINED_POINTS } from './face-surface.js';

/** Another way of collecting makes them anew. */
const VERSION = 1;
const COUNT = 1500;

/**
 * The expressions of clips whose meshes are kept, from a file if they have been collected before.
 *
 * @param meshes the files that `prepareMeshes` names
 * @param file where they are kept; it can be removed at any time
 */
export async function keptExpressions(meshes: Iterable<string>, file: string): Promise<PackedExpressions> {
  const files = [...meshes].sort();
  const stamps = await Promise.all(files.map(async (path) => [path, (await stat(path)).mtimeMs]));
  const of = createHash('sha256')
    .update(JSON.stringify([VERSION, COUNT, stamps]))
    .digest('hex');
  const kept = read(file, of);
  if (kept) return kept;
  const tracks = files.map((path) => ({ ...readMeshes(path), width: 1, height: 1 }));
  const { packed } = ExpressionTracks.of(tracks, await loadFaceSurface(), { count: COUNT });
  const shape = [packed.changes.length / (REFINED_POINTS * 3), REFINED_POINTS, 3];
  const data = new Uint8Array(packed.changes.buffer.slice(0));
  await writeCached(file, [{ name: 'changes', dtype: 'int16', shape, data }], { of, step: `${packed.step}` });
  return packed;
}

function read(file: string, of: string): PackedExpressions | undefined {
  try {
    using found = openCheckpoint(file);
    const record = found.tensors.get('changes');
    if (found.metadata.of !== of || !record) return undefined;
    const bytes = record.read();
    const changes = new Int16Array(new SharedArrayBuffer(bytes.byteLength));
    new Uint8Array(changes.buffer).set(bytes);
    return { changes, step: Number(found.metadata.step) };
  } catch {
    return undefined;
  }
}
