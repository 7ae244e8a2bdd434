// What animation asks of whoever runs the networks. Nothing here knows LibTorch, ONNX Runtime, Node or a browser.
import type { FaceMesh } from '../faces/mesh.js';
import type { Picture } from '../media/pictures/picture.js';
import type { KeypointSet } from '../tensors/keypoint-set.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import type { MotionField, ScalarMap, TensorValues } from '../tensors/values.js';
import type { AttentionFactors } from './attention-row.js';

/** What an engine finds in a picture. */
export type Analysis = {
  keypoints: KeypointSet;
  /** Disparity in (0, 1), 1 is near; null if the model uses no depth here or the engine was not asked for it. */
  disparity: ScalarMap | null;
};

/** A generated frame, with what the generator saw on the way to it. */
export type Inspection = {
  picture: Picture;
  /** Where in the portrait each place comes from, (x, y) with -1 and 1 at its borders: [height, width, 2]; null if the model has no such field. */
  deformation: MotionField | null;
  /** 1 where the warped portrait is used, 0 where it has to be painted; null if the model has no occlusion map. */
  occlusion: ScalarMap | null;
  /** Where places of the portrait's depth look in the frame (`attentionRow`); null if the model has no attention. */
  attention: AttentionFactors | null;
  /**
   * All of it and more by the names of the published code, where `withTensors` asked for them. `deformation`
   * [1, h, w, 2], `occlusion_map` [1, 1, h, w], `deformed` and `prediction` [1, 3, H, W], `source_feature` and
   * `warped_feature` [1, C, h, w] come from every engine. That of LibTorch, which has the networks and not only their
   * results, gives `source_disp1` to `3` [1, 1, H / 2^s, W / 2^s], `mask` [1, K + 1, h, w], `sparse_deformed`
   * [1, K + 1, 3, h, w], `refined_feature` [1, C, h, w] and `kept_pixels` [1, 1, H, W] too.
   */
  tensors: ReadonlyMap<string, TensorValues> | null;
};

export type SourceOptions = {
  keypoints?: KeypointSet;
  others?: readonly Picture[];
  /** Of each of the others. */
  othersKeypoints?: readonly KeypointSet[];
  face?: FaceMesh;
};

export type InspectOptions = { withTensors?: boolean; driving?: Picture };

/** How driving frames are looked at. */
export type DriveOptions = {
  /** Computes the frames' disparity too, for display. */
  withDisparity?: boolean;
  /** The face that drives, frame by frame, where somebody follows it; undefined in frames that do not show it. */
  faces?: Promise<readonly (FaceMesh | undefined)[]>;
};

/** Runs the three parts of the model: the portrait once, then driving frames, then the frames to generate. */
export type Engine = {
  /** What runs the networks, for people: "LibTorch 1.13.0, bfloat16, 2 threads". */
  readonly description: string;
  /** Pictures go in and come out with this side, in pixels. */
  readonly size: number;
  /** Frames that are best handed over together. */
  readonly batchSize: number;
  /** Which of the keypoints stand on landmarks of the face, by the landmarks' names (`FACE_LANDMARKS`); none if not given. */
  readonly keypointNames?: Readonly<Record<string, number>>;
  /** What moves; keypoints in the plane if not given. */
  readonly motion?: MotionSpace;
  /** Whether several portraits of a person are merged; otherwise it takes one. */
  readonly mergesPortraits?: boolean;
  /**
   * Takes a portrait as the one to animate; replaces the one before.
   *
   * @param options.keypoints taken for the portrait's instead of those that the network finds; needed where points of the face mesh
   *   move the model (`motion.meshPoints`), and then those of the others too
   * @param options.others further portraits of the same person, for engines that merge several
   * @param options.face the face in the portrait, where it is known: there may be others in it
   */
  setSource(portrait: Picture, options?: SourceOptions): Promise<Analysis>;
  /** Keypoints of driving frames (a TypeError where the face mesh finds them: `MeshGuidedEngine`), as the portrait has them that was taken before, if one was. */
  drive(frames: readonly Picture[], options?: DriveOptions): Promise<Analysis[]>;
  /** The portrait with the keypoints given; they are already transferred to it. */
  generate(keypoints: readonly KeypointSet[]): Promise<Picture[]>;
  /**
   * One frame like those of `generate`, with what was seen on the way to it.
   *
   * @param options.withTensors gives everything as tensors too
   * @param options.driving the frame that the keypoints are of: what was seen in it is then among the tensors
   */
  inspect(keypoints: KeypointSet, options?: InspectOptions): Promise<Inspection>;
  /**
   * Another engine on the same networks, with a portrait of its own: for several faces at once. What is disposed of there
   * is that portrait; the networks stay this engine's, and end with it.
   */
  twin(): Engine;
  /** Frees the model and the portrait. */
  dispose(): void;
};
