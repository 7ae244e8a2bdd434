// Frames as a camera gives them: one in, one out, with no look ahead. Here a clip takes the camera's place.
//
//   node examples/dist/live-frames.js [PORTRAIT] [CLIP] [OUTPUT] [FRAMES] [MODEL]
import {
  createClipWriter,
  FaceAnalyzer,
  loadOnnxRuntimeEngine,
  MeshGuidedEngine,
  MotionTransfer,
  openClip,
  readPicture,
  resizePicture,
} from 'dagan';

const [portrait = 'examples/portrait.png', camera = 'examples/driving.mp4', output = 'live.mp4'] =
  process.argv.slice(2);
const [frames = '25', model = 'weights/starter'] = process.argv.slice(5);

// One frame at a time has the shortest delay. The keypoints of these weights come from the mesh of the face.
await using faces = await FaceAnalyzer.load({ mesh: 'refined' });
const engine = new MeshGuidedEngine(await loadOnnxRuntimeEngine(model, { batchSize: 1 }), faces);
const { size } = engine;
const source = await engine.setSource(resizePicture(await readPicture(portrait), size, size));
const motion = new MotionTransfer(source.keypoints, { smoothing: true, names: engine.keypointNames });

await using clip = await openClip(camera, { end: Number(frames), transform: { size: [size, size], fit: 'cover' } });
await using writer = await createClipWriter(output, { width: size, height: size, frameRate: clip.frameRate });
let slowest = 0;
for await (const { picture, timestamp } of clip.frames()) {
  const began = performance.now();
  const [driving] = await engine.drive([picture]);
  const [moved] = await engine.generate([motion.next(driving!.keypoints, timestamp)]);
  slowest = Math.max(slowest, performance.now() - began);
  await writer.add(moved!);
}
await writer.finish();
engine.dispose();
console.log(`${output}: ${writer.frameCount} frames, each within ${Math.ceil(slowest)} ms`);
