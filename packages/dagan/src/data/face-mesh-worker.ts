// The thread that looks through clips for `prepareMeshes`.
import { FaceAnalyzer } from '../faces/analyzer.js';
import type { FaceMesh } from '../faces/mesh.js';
import { openClip } from '../media/process/clip.js';
import { answerRequests } from '../threads/answer-requests.js';
import { type MeshOrder, REFINED_POINTS, writeMeshes } from './face-meshes.js';
import { squareTransform } from './prepare.js';

/** Side of the pictures that are looked at: the mesh network itself sees 192. */
const SIDE = 256;

let analyzer: Promise<FaceAnalyzer> | undefined;

async function look({ path, frames, target, stamp }: MeshOrder): Promise<void> {
  analyzer ??= FaceAnalyzer.load({ mesh: 'refined' });
  const faces = await analyzer;
  const length = REFINED_POINTS * 3;
  const points = new Float32Array(frames * length).fill(Number.NaN);
  await using clip = await openClip(path, { transform: squareTransform(SIDE), timeLimit: 60 });
  let mesh: FaceMesh | undefined;
  let at = 0;
  for await (const { picture } of clip.frames()) {
    mesh = await faces.track(picture, mesh);
    if (mesh && at < frames)
      points.set(
        mesh.points.map((value) => value / SIDE),
        at * length,
      );
    at++;
  }
  await writeMeshes(target, { frames, points }, stamp);
}

answerRequests<MeshOrder, null>(async (order) => {
  await look(order);
  return { answer: null };
});
