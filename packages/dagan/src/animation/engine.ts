// What animation asks of whoever runs the networks. Nothing here knows LibTorch, ONNX Runtime, Node or a browser.
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { ScalarMap } from '../tensors/pictures.js';

/** What an engine finds in a picture. */
export type Analysis = {
  keypoints: KeypointSet;
  /** Disparity in (0, 1), 1 is near; null if the model uses no depth here or the engine was not asked for it. */
  disparity: ScalarMap | null;
};

/** Runs the three parts of the model: the portrait once, then driving frames, then the frames to generate. */
export interface Engine {
  /** What runs the networks, for people: "LibTorch 1.13.0, bfloat16, 2 threads". */
  readonly description: string;
  /** Pictures go in and come out with this side, in pixels. */
  readonly size: number;
  /** Frames that are best handed over together. */
  readonly batchSize: number;
  /** Takes a portrait as the one to animate; replaces the one before. */
  setSource(portrait: Picture): Promise<Analysis>;
  /** Keypoints of driving frames. Disparity is computed for display where `withDisparity` asks for it. */
  drive(frames: readonly Picture[], options?: { withDisparity?: boolean }): Promise<Analysis[]>;
  /** The portrait with the keypoints given; they are already transferred to it. */
  generate(keypoints: readonly KeypointSet[]): Promise<Picture[]>;
  /** Frees the model and the portrait. */
  dispose(): void;
}
