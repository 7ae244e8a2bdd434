// An exported model in 8 bits: portraits are animated, and how large the networks' numbers become is watched.
import { animateBy, type DrivenFrame } from '../animation/animate.js';
import type { Analysis, Engine } from '../animation/engine.js';
import { OnnxEngine } from '../animation/engines/onnx.js';
import { Int8Calibration } from '../export/int8.js';
import type { Manifest } from '../export/manifest.js';
import type { Picture } from '../media/pictures/picture.js';
import { trainedSize } from '../models/files/model-file.js';
import { loadOnnxRuntime } from '../onnx-runtime.js';
import { withKeypointsOf } from './choose-keypoints.js';
import { NETWORK_SIZE } from './choose-model.js';
import type { DriverFrame, DriverTools } from './driver.js';
import { Teller } from './events.js';
import { FaceFinder } from './find-faces.js';
import { motionNames } from './motion-file.js';
import { openDriver } from './open-driver.js';
import { SquareReader } from './squares.js';
import type { CropChoice } from './told-squares.js';

export type CalibrationOptions = {
  /** Pictures of faces, unlike each other; three are enough. */
  portraits: readonly string[];
  /** Which square of them the networks see. Default: that of the largest face. */
  crop?: CropChoice;
  signal?: AbortSignal;
};

/** Of the frames of a template, one of so many is generated. */
const EVERY = 48;

/**
 * Adds to an exported model in float32 the step `generate` with convolutions of 8 bits. Every portrait is animated by the
 * motion templates of this package, or, by models whose keypoints have no names, by the other portraits.
 *
 * @throws ExportedModelError if it is no such model; MediaError for portraits that cannot be read
 */
export async function addInt8(
  folder: string,
  { portraits, crop = { kind: 'auto' }, signal }: CalibrationOptions,
  tell = new Teller(),
): Promise<Manifest> {
  const calibration = new Int8Calibration(folder);
  const { InferenceSession, Tensor } = await loadOnnxRuntime();
  const { manifest } = calibration.model;
  const size = manifest.size ?? trainedSize(manifest.metadata) ?? NETWORK_SIZE;
  const runtime = { Tensor, InferenceSession: calibration.sessions(InferenceSession) };
  const quietly = { logSeverityLevel: 3, extra: { session: { intra_op: { allow_spinning: '0' } } } } as const;
  const plain = await OnnxEngine.create(runtime, calibration.model, { size, session: quietly });
  await using faces = new FaceFinder(tell);
  await using reader = new SquareReader({ crop, size }, tell);
  const tools = { faces, tell, onWarning: () => {} };
  const progress = tell.progress('calibration', portraits.length);
  try {
    const engine = await withKeypointsOf('auto', plain, () => faces.analyzer());
    const squares: Picture[] = [];
    for (const path of portraits) squares.push((await reader.read(path)).picture);
    for (const [i, square] of squares.entries()) {
      signal?.throwIfAborted();
      const analysis = await engine.setSource(square);
      await engine.generate([analysis.keypoints]);
      if (Object.keys(engine.keypointNames ?? {}).length > 0) await playTemplates(engine, analysis, tools);
      else for (const other of await engine.drive(squares)) await engine.generate([other.keypoints]);
      progress.update(i + 1);
    }
  } finally {
    progress.end();
    plain.dispose();
  }
  return calibration.write();
}

/** Animates the engine's portrait by all templates of this package. */
async function playTemplates(engine: Engine, analysis: Analysis, tools: DriverTools): Promise<void> {
  for (const name of motionNames()) {
    await using driver = await openDriver(name, { crop: { kind: 'none' } }, tools);
    const reference = await driver.anchor(engine, analysis, { reference: undefined, model: undefined });
    const frames = animateBy(engine, analysis, some(driver.frames(engine, {})), { motion: driver.motion, reference });
    for await (const _ of frames); // what is generated is watched
  }
}

/** One of `EVERY` batches. */
async function* some(batches: AsyncIterable<DrivenFrame<DriverFrame>[]>): AsyncGenerator<DrivenFrame<DriverFrame>[]> {
  let number = 0;
  for await (const batch of batches) if (number++ % EVERY === 0) yield batch;
}
