// What animations have in common whatever their portraits: the engine, and what its outputs say of their origin.
import type { MotionControls } from '../animation/controls.js';
import type { Engine } from '../animation/engine.js';
import { type ContentSigner, openContentSigner } from '../media/provenance/content-credentials.js';
import type { MediaMetadata } from '../media/provenance/provenance.js';
import { chooseEngine, type EngineChoice, type EngineUse } from './choose-engine.js';
import { type KeypointSource, requireControls, withKeypointsOf } from './choose-keypoints.js';
import type { Teller } from './events.js';
import type { FaceFinder } from './find-faces.js';
import { anglesAt, type HeadTurn } from './head-turn.js';
import { provenance } from './provenance.js';

export type SetupOptions = {
  keypoints?: KeypointSource;
  controls?: MotionControls;
  turn?: HeadTurn;
  /** Whether outputs say that they are synthetic, and with what they are signed. */
  provenance?: boolean;
  signing?: { certificate: string; key: string };
};

/** An engine, and what its outputs say of their origin. */
export type Setup = {
  engine: Engine;
  /** @param isComposite whether an output shows more than what the networks paint */
  metadataOf(isComposite: boolean): MediaMetadata | undefined;
  signer?: ContentSigner;
  /** Hash of the model's weights, where it is known. */
  model?: string;
};

/**
 * Opens the engine.
 *
 * @param use what the engine is for
 * @throws DaganError, CheckpointError or ExportedModelError if there is none, or it cannot do what is asked for
 */
export async function openSetup(
  choice: EngineChoice,
  { keypoints, controls = {}, turn, provenance: says = true, signing }: SetupOptions,
  { faces, tell, use }: { faces: FaceFinder; tell: Teller } & EngineUse,
): Promise<Setup> {
  const { engine: chosen, metadata: model } = await chooseEngine(choice, tell, { use });
  try {
    requireControls(turn ? { ...controls, angles: anglesAt(turn, 0) } : controls, chosen);
    const engine = await withKeypointsOf(keypoints, chosen, () => faces.analyzer());
    tell.notice('engine', engine.description, { description: engine.description });
    const signer = signing && (await openContentSigner(signing));
    const metadataOf = (isComposite: boolean): MediaMetadata | undefined =>
      says ? provenance(model, isComposite ? 'composite' : 'trained') : undefined;
    return { engine, metadataOf, signer, model: model.sha256 };
  } catch (error) {
    chosen.dispose();
    throw error;
  }
}

/** Seconds that the networks took: once for the portrait, and for all frames. */
export type StageTimes = { source: number; drive: number; generate: number };

/** The engine, with the time that it takes added up. */
export function timedEngine(engine: Engine, stages: StageTimes): Engine {
  const timed = async <T>(stage: keyof StageTimes, work: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    const result = await work();
    stages[stage] += (performance.now() - started) / 1000;
    return result;
  };
  return {
    description: engine.description,
    size: engine.size,
    batchSize: engine.batchSize,
    keypointNames: engine.keypointNames,
    motion: engine.motion,
    mergesPortraits: engine.mergesPortraits,
    setSource: (portrait, options) => timed('source', () => engine.setSource(portrait, options)),
    drive: (frames, options) => timed('drive', () => engine.drive(frames, options)),
    generate: (keypoints) => timed('generate', () => engine.generate(keypoints)),
    inspect: (keypoints, options) => timed('generate', () => engine.inspect(keypoints, options)),
    twin: () => timedEngine(engine.twin(), stages),
    dispose: () => engine.dispose(),
  };
}

/** The longer side up to which players and graphics processors decode H.264, in pixels. */
const WIDEST = 4096;

/** Says so where few players will show a video of this size. */
export function tellOfWidth({ width, height }: { width: number; height: number }, tell: Teller): void {
  if (Math.max(width, height) <= WIDEST) return;
  tell.notice('wide-video', `many players show no video wider than ${WIDEST} pixels`, { most: WIDEST });
}
