// The engine of a figure: one that shows much of its networks, behind the face mesh where that says where keypoints are.
import type { MeshFinder } from '../animation/mesh-keypoints.js';
import { FaceAnalyzer } from '../faces/analyzer.js';
import { type ChosenEngine, chooseEngine, type EngineChoice, type EngineUse } from './choose-engine.js';
import { type KeypointSource, withKeypointsOf } from './choose-keypoints.js';
import type { Teller } from './events.js';

export type FigureEngineChoice = EngineChoice & {
  /** Where named keypoints come from; default `auto`: the mesh for models that have such keypoints, as in an animation. */
  keypoints?: KeypointSource;
};

/** Frees the engine, and the face networks before it. */
export type FigureEngine = ChosenEngine & AsyncDisposable;

/**
 * The engine and model that are asked for. Every picture's face is looked for by itself: pictures beside each other show
 * different people.
 *
 * @throws DaganError, CheckpointError or ExportedModelError if what is asked for is not there
 */
export async function chooseFigureEngine(
  choice: FigureEngineChoice,
  tell: Teller,
  { use }: Required<EngineUse>,
): Promise<FigureEngine> {
  const chosen = await chooseEngine(choice, tell, { use });
  let analyzer: FaceAnalyzer | undefined;
  const finder = async (): Promise<MeshFinder> => {
    const loaded = await FaceAnalyzer.load({ mesh: 'refined' });
    analyzer = loaded;
    return { track: (picture) => loaded.track(picture) };
  };
  const close = async (): Promise<void> => {
    chosen.engine.dispose();
    await analyzer?.close();
  };
  try {
    const engine = await withKeypointsOf(choice.keypoints, chosen.engine, finder);
    return { ...chosen, engine, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}
