// Writes what the browser tests compare with into a folder: small models as `dagan export` writes them, pictures as bytes,
// and what ONNX Runtime's Node package makes of them. Usage: node make-fixtures.js FOLDER
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  cutSquare,
  DaGAN,
  exportModel,
  openClip,
  PasteBack,
  type Picture,
  readPicture,
  resizePicture,
  trainingPreset,
} from 'dagan';
import {
  attentionRow,
  FaceFollower,
  faceLook,
  facesFromLeft,
  frameFace,
  nearestLook,
  transferKeypoints,
} from 'dagan/animation';
import { loadOnnxEngine } from 'dagan/animation/engines';
import type { ExportOptions } from 'dagan/export';
import { FaceAnalyzer } from 'dagan/faces/portable';
import { fillByFormula, publishedName } from 'dagan/models';
import { addInt8 } from 'dagan/pipelines';
import { onGrey, pairOf } from '../pictures.js';

/** The models, all of one network; where the size is free the engines take 256. */
const MODELS: Readonly<Record<string, ExportOptions>> = {
  float32: { precision: 'float32', size: 128 },
  float16: { precision: 'float16' },
  small: { precision: 'float32', size: 64 },
};

const folder = process.argv[2]!;
const example = (name: string): string => fileURLToPath(new URL(`../../../../../examples/${name}`, import.meta.url));

const portrait = await readPicture(example('portrait.png'));
const whole = onGrey(400, 320, [resizePicture(portrait, 220, 220), 130, 60]);
const pair = pairOf(portrait);
const clip: Picture[] = [];
{
  await using reader = await openClip(example('driving.mp4'), { start: 20, end: 80, every: 15 });
  for await (const { picture } of reader.frames()) clip.push(picture);
}

await exportModels();
savePicture('whole', whole);
savePicture('pair', pair);
savePicture('faceless', onGrey(300, 200));
for (const [i, frame] of clip.entries()) savePicture(`frame${i}`, frame);
const faces = await lookForFaces();
save('faces', faces);
for (const name of Object.keys(MODELS)) save(name, await animate(name));

async function exportModels(): Promise<void> {
  for (const [name, options] of Object.entries(MODELS)) {
    using model = fillByFormula(new DaGAN(trainingPreset('debug').model), { rename: publishedName, seed: 'open' });
    model.eval().requiresGrad_(false);
    await exportModel(model, join(folder, name), { ...options, metadata: { name: 'tiny', license: 'CC0-1.0' } });
  }
  cpSync(join(folder, 'float32'), join(folder, 'int8'), { recursive: true });
  await addInt8(join(folder, 'int8'), { portraits: ['portrait.png', 'mona-lisa.jpg'].map(example) });
  for (const [name, file] of [
    ['damaged-weights', 'model.safetensors'],
    ['damaged-graph', 'generate.onnx'],
    ['damaged-manifest', 'manifest.json'],
  ] as const) {
    cpSync(join(folder, 'float32'), join(folder, name), { recursive: true });
    const path = join(folder, name, file);
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 255;
    writeFileSync(path, bytes);
  }
}

/** What the Node side of the same modules finds in the pictures. */
async function lookForFaces() {
  await using analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
  const [mesh] = await facesFromLeft(analyzer, whole);
  const { square } = frameFace([mesh!.box], whole.width, whole.height);
  const follower = new FaceFollower(analyzer);
  const looks: (readonly number[])[] = [];
  for (const frame of clip) {
    const seen = await follower.see(frame);
    looks.push(faceLook(analyzer.pose(seen!), analyzer.expression(seen!)));
  }
  const look = faceLook(analyzer.pose(mesh!), analyzer.expression(mesh!));
  const framing = frameFace(follower.boxes, clip[0]!.width, clip[0]!.height);
  const pairSquares = (await facesFromLeft(analyzer, pair)).map(
    ({ box }) => frameFace([box], pair.width, pair.height).square,
  );
  return { square, pairSquares, clipSquare: framing.square, nearest: nearestLook(look, looks) };
}

/** What the engine makes in Node of the portrait, the first frame of the clip as reference, and the third. */
async function animate(name: string) {
  const engine = await loadOnnxEngine(join(folder, name), { threads: 1 });
  const source = await engine.setSource(cutSquare(whole, faces.square, engine.size));
  const [reference, driving] = await engine.drive(
    [clip[0]!, clip[2]!].map((frame) => cutSquare(frame, faces.clipSquare, engine.size)),
    { withDisparity: true },
  );
  const keypoints = transferKeypoints(source.keypoints, driving!.keypoints, reference!.keypoints, {
    motion: 'relative',
    adaptScale: false,
  });
  const { picture, occlusion, deformation, attention } = await engine.inspect(keypoints);
  const [still] = await engine.generate([source.keypoints]);
  savePicture(`${name}-picture`, picture);
  savePicture(`${name}-pasted`, new PasteBack(whole, faces.square, { still }).paste(picture));
  engine.dispose();
  return {
    size: engine.size,
    source: numbers(source.keypoints.value),
    sourceDisparity: numbers(source.disparity!.data),
    driving: numbers(driving!.keypoints.value),
    disparity: numbers(driving!.disparity!.data),
    keypoints: numbers(keypoints.value),
    jacobians: numbers(keypoints.jacobian!),
    occlusion: numbers(occlusion!.data),
    deformation: numbers(deformation!.data),
    /** Of the place at half of the width and a quarter of the height. */
    attention: numbers(
      attentionRow(attention!, (occlusion!.height / 4) * occlusion!.width + occlusion!.width / 2).data,
    ),
  };
}

function savePicture(name: string, { width, height, data }: Picture): void {
  mkdirSync(join(folder, 'pictures'), { recursive: true });
  writeFileSync(join(folder, 'pictures', `${name}.rgb`), data);
  writeFileSync(join(folder, 'pictures', `${name}.json`), JSON.stringify({ width, height }));
}

function save(name: string, value: unknown): void {
  writeFileSync(join(folder, `expected-${name}.json`), JSON.stringify(value));
}

function numbers(values: Float32Array): number[] {
  return Array.from(values);
}
