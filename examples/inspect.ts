// What the networks see of a pair of pictures: every tensor by its published name, one sheet of pictures, numbers of one's own.
//
//   node examples/dist/inspect.js [PORTRAIT] [CLIP] [OUTPUT] [MODEL]
import {
  FaceAnalyzer,
  inspectPair,
  loadOnnxRuntimeEngine,
  MeshGuidedEngine,
  openClip,
  readPicture,
  resizePicture,
  writePicture,
} from 'dagan';
import { inspectionSheet } from 'dagan/pipelines';

const [
  portrait = 'examples/portrait.png',
  clip = 'examples/driving.mp4',
  output = 'seen.png',
  model = 'weights/starter',
] = process.argv.slice(2);

// The keypoints of these weights come from the mesh of the face.
await using faces = await FaceAnalyzer.load({ mesh: 'refined' });
const engine = new MeshGuidedEngine(await loadOnnxRuntimeEngine(model, { batchSize: 1 }), faces);
const { size } = engine;
await using frames = await openClip(clip, { start: 40, end: 41, transform: { size: [size, size], fit: 'cover' } });
for await (const { picture: driving } of frames.frames()) {
  const source = resizePicture(await readPicture(portrait), size, size);
  const seen = await inspectPair(engine, { source, driving });
  for (const [name, { shape }] of seen) console.log(name.padEnd(24), `[${shape.join(', ')}]`);
  const occlusion = seen.get('occlusion_map'); // [1, 1, h, w], for models that have one
  const kept = occlusion && occlusion.data.reduce((sum, value) => sum + value, 0) / occlusion.data.length;
  if (kept) console.log(`${(100 * kept).toFixed(1)} % of the features come from the portrait, the rest is painted`);
  await writePicture(output, inspectionSheet(seen));
}
engine.dispose();
