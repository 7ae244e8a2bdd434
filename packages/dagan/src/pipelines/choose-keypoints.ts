// Where keypoints come from that stand on landmarks: the face mesh or the model's own network.
import { checkAngles, checkControls, type MotionControls } from '../animation/controls.js';
import type { Engine } from '../animation/engine.js';
import { type MeshFinder, MeshGuidedEngine } from '../animation/mesh-keypoints.js';
import { DaganError } from '../errors.js';
import { PLANE } from '../tensors/motion-space.js';

/** `auto`: the mesh for models whose keypoints have names, or that points of the mesh move. */
export type KeypointSource = 'auto' | 'mesh' | 'network';

/**
 * The engine, before which the mesh stands where it is wanted. The engine stays the caller's where that fails.
 *
 * @param faces gives what follows a face, with the refined mesh; asked for only where the mesh is taken
 * @throws DaganError if the mesh is wanted of a model whose keypoints have no names, or a network of one that the mesh alone moves
 */
export async function withKeypointsOf(
  source: KeypointSource = 'auto',
  engine: Engine,
  faces: () => Promise<MeshFinder>,
): Promise<Engine> {
  const named = Object.keys(engine.keypointNames ?? {}).length > 0;
  if (engine.motion?.meshPoints) {
    if (source !== 'network') return new MeshGuidedEngine(engine, await faces());
    throw new DaganError('mesh-alone', 'landmarks that the face mesh finds move this model, and no network', {});
  }
  if (source === 'network' || (source === 'auto' && !named)) return engine;
  if (named) return new MeshGuidedEngine(engine, await faces());
  const message = 'the keypoints of this model have no names, so the face mesh cannot say where they are';
  throw new DaganError('unnamed-keypoints', message, {});
}

/** Runs a check whose TypeErrors are the user's. */
function coded(code: 'unnamed-keypoints' | 'no-head-in-space', check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new DaganError(code, error.message, {});
  }
}

/** @throws DaganError if the model cannot move what the controls ask for */
export function requireControls(controls: MotionControls, engine: Engine): void {
  coded('unnamed-keypoints', () => checkControls(controls, engine.keypointNames ?? {}));
  coded('no-head-in-space', () => checkAngles(controls, engine.motion ?? PLANE));
}
