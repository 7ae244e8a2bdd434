// What a model for animation is, whichever system it belongs to: what it makes of a portrait (once), of a driving frame, and of
// both. Engines, model files, training and evaluation know models by this alone; docs/architecture.md, "A system".
import type { nn, Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../tensors/keypoint-set.js';
import type { MotionSpace } from '../tensors/motion-space.js';
import type { DepthNetwork } from './depth-network.js';

/** The configuration of a model: plain data, kept in its file. Each system has its own, told apart by `system`. */
export type SystemConfig = {
  /** Name of the system; DaGAN and the first-order model, whose files are older, leave it out. */
  readonly system?: string;
};

/** What is computed once per portrait; tensors beside the keypoints belong to the system. */
export type SourceState = { readonly keypoints: Keypoints; readonly disparity: Tensor | null /* [1, 1, H, W] */ };

/** What is computed once per driving frame. */
export type DrivingState = { readonly keypoints: Keypoints; readonly disparity: Tensor | null /* [N, 1, H, W] */ };

/** A generated frame. */
export type Frame = {
  readonly prediction: Tensor; // [N, 3, H, W] in [0, 1]
  /** Where in the portrait each place comes from, (x, y), of motion in space what is seen of it in the plane; null without such a field. */
  readonly deformation: Tensor | null; // [N, h, w, 2]
  /** 1 where the moved portrait is used, 0 where it is painted anew; null if the system does not say. */
  readonly occlusionMap: Tensor | null; // [N, 1, h, w]
};

/** Where the places of a portrait look in a frame, of models with attention. */
export type AttentionMaps = {
  readonly width: number;
  readonly height: number;
  readonly query: Tensor; // [1, w h, C]
  readonly key: Tensor; // [1, C, w h]
};

/** Tensors by the names that the published code gives them. */
export type NamedTensorList = readonly (readonly [name: string, value: Tensor | null])[];

/**
 * The portrait's side as tensors by name, as exported graphs hand it over, and back. Keypoints go their own way, but where drivers
 * are seen in the portrait's shape: then `canonical` [1, K, 3] is that (`HeadStance`).
 */
export type SourceTensors = {
  tensorsOf(source: SourceState): Record<string, Tensor>;
  /** @param side of the pictures in pixels */
  sourceOf(tensors: Readonly<Record<string, Tensor>>, keypoints: Keypoints, side: number): SourceState;
};

/**
 * A model. Pictures are [N, 3, H, W] in [0, 1]. What `source`, `driving` and `generate` hand over is the system's own and opaque to
 * others, but for what the types above name; engines keep and free all tensors in a source state, however deep they lie.
 */
export type AnimationModel = nn.Module & {
  readonly config: SystemConfig;
  /** What moves. */
  readonly motion: MotionSpace;
  /** Sides of pictures are multiples of this, in pixels. */
  readonly sizeMultiple: number;
  /** Keypoints that stand on landmarks of the face, by the landmarks' names; empty where none do. */
  readonly keypointNames: Readonly<Record<string, number>>;
  /** The face-depth network, whose disparity is shown; null where there is none. */
  readonly depthNetwork: DepthNetwork | null;

  /** For export as graphs; systems whose operators have no form in ONNX leave it out. */
  readonly sourceTensors?: SourceTensors;
  /** Whether several portraits of a person make one source; otherwise `source` is given one. */
  readonly mergesPortraits?: boolean;

  /**
   * The portrait's side.
   *
   * @param image [1, 3, H, W]
   * @param others further portraits of the same person, each [1, 3, H, W], for models that merge several
   * @param landmarks of each portrait, [1, K, 2], for models that are moved by points of the face mesh (`motion.meshPoints`)
   */
  source(image: Tensor, others?: readonly Tensor[], landmarks?: readonly Tensor[]): SourceState;
  /**
   * What moves, in driving frames; a TypeError in models that points of the face mesh move, which are not looked for here.
   *
   * @param source the portrait, for systems that see the driver's motion in the portrait's own shape; null where there is none
   *   yet, then each frame is its own portrait
   */
  driving(images: Tensor, source: SourceState | null): DrivingState;
  /** Frames for what moves, which has been transferred to the portrait. One source serves a whole batch. */
  generate(source: SourceState, driving: Keypoints): Frame;

  /** Null for models without attention. */
  attention(source: SourceState, frame: Frame): AttentionMaps | null;
  /** Everything on the way to a frame, for `dagan inspect`. @param driving null where the frame has no driving picture */
  seen(source: SourceState, driving: DrivingState | null, frame: Frame): NamedTensorList;
  /** Converts what may compute in 16 bits, after `prepareForInference` has rearranged the model; see docs/architecture.md. */
  lowerPrecision(dtype: 'bfloat16'): void;
};
