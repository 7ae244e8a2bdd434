// MarioNETte (Ha, Kersner, Kim, Seo and Kim, "MarioNETte: Few-shot Face Reenactment Preserving Identity of Unseen Targets", AAAI 2020):
// drawn landmarks of the driver look into the portraits, whose features are moved along as the picture is painted. With the landmark
// transformer (+LT) the driver's landmarks are put into the portrait's shape first.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import type { AnimationModel, NamedTensorList, SourceTensors } from '../animation-model.js';
import { askTheMesh, drawLandmarks, LANDMARK_MOTION, requireLandmarks } from '../drawn-landmarks.js';
import { blockWidths, downBlocks, type LandmarkBlock } from '../landmark-blocks.js';
import { ImageAttention, type Tokens, tokensOf } from './blender.js';
import { MARIONETTE_PAPER, type MarionetteConfig } from './config.js';
import { FrameDecoder } from './decoder.js';
import { LandmarkTransformer } from './landmark-transformer.js';
import { TargetEncoder } from './target-encoder.js';

/** Of a person, what frames are painted with. */
export type MarionetteFeatures = {
  /** Height and width of the portraits, and so of frames. */
  size: readonly [height: number, width: number];
  /** The means of all portraits' features, from the largest map to the smallest, [N, C_i, h_i, w_i]. */
  maps: readonly Tensor[];
  /** What attention looks into. */
  tokens: Tokens;
  /** The first portrait's landmarks. */
  keypoints: Keypoints;
  disparity: null;
};

/** What is computed once per person. */
export type MarionetteSource = MarionetteFeatures & {
  /** By which the first portrait's features were warped, [N, 2, H / 2, W / 2]. */
  flow: Tensor;
};

export type MarionetteFrame = {
  /** What the driver's encoder sees, [N, 3, H, W]. */
  drawing: Tensor;
  prediction: Tensor; // [N, 3, H, W]
  deformation: null;
  occlusionMap: null;
};

export class Marionette extends nn.Module implements AnimationModel {
  readonly driverEncoder: nn.ModuleList<LandmarkBlock>;
  readonly targetEncoder: TargetEncoder;
  readonly blender: nn.ModuleList<ImageAttention>;
  readonly frameDecoder: FrameDecoder;
  readonly landmarkTransformer: LandmarkTransformer | null;
  readonly depthNetwork = null;
  readonly mergesPortraits = true;
  readonly config: MarionetteConfig;

  constructor(config: MarionetteConfig = MARIONETTE_PAPER) {
    super();
    const { numDownBlocks, numAttentionBlocks, landmarkTransformer } = config;
    const channels = blockWidths(numDownBlocks + 1, config); // of the portraits; the last is for attention alone
    const driver = channels.slice(0, numDownBlocks);
    this.config = config;
    this.driverEncoder = new nn.ModuleList(downBlocks(3, driver, 'instance'));
    this.targetEncoder = new TargetEncoder(config);
    this.blender = new nn.ModuleList(
      Array.from({ length: numAttentionBlocks }, () => new ImageAttention(driver.at(-1)!, channels.at(-1)!)),
    );
    this.frameDecoder = new FrameDecoder(driver);
    this.landmarkTransformer = landmarkTransformer && new LandmarkTransformer(landmarkTransformer);
  }

  get motion(): MotionSpace {
    return LANDMARK_MOTION;
  }

  get sizeMultiple(): number {
    return 2 ** (this.config.numDownBlocks + 1);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return {};
  }

  get sourceTensors(): SourceTensors {
    return {
      tensorsOf: ({ maps, tokens: { values, places } }: MarionetteSource) => ({
        ...Object.fromEntries(maps.map((map, i) => [`map${i}`, map])),
        ...{ token_values: values, token_places: places },
      }),
      sourceOf: ({ token_values: values, token_places: places, ...maps }, keypoints, side): MarionetteFeatures => ({
        size: [side, side],
        maps: Array.from({ length: this.config.numDownBlocks }, (_, i) => maps[`map${i}`]!),
        tokens: { values: values!, places: places! },
        ...{ keypoints, disparity: null },
      }),
    };
  }

  /**
   * @param image the portrait whose pose motion begins from, [N, 3, H, W] in [0, 1]
   * @param others of the same person, each likewise
   * @param landmarks of each portrait, [N, 68, 2]
   * @throws TypeError if the landmarks of a portrait are missing
   */
  source(image: Tensor, others: readonly Tensor[] = [], landmarks: readonly Tensor[] = []): MarionetteSource {
    const portraits = [image, ...others];
    const size = [image.size(2), image.size(3)] as const;
    requireLandmarks(portraits, landmarks);
    const targets = portraits.map((portrait, k) =>
      this.targetEncoder.forward(portrait, drawLandmarks(landmarks[k]!, size)),
    );
    // Moving features is linear in them, so that the mean may be taken before.
    const maps = targets[0]!.maps.slice(0, -1).map((_, i) =>
      targets
        .map(({ maps }) => maps[i]!)
        .reduce((sum, map) => sum.add(map))
        .div(targets.length),
    );
    const tokens = tokensOf(targets.map(({ maps }) => maps.at(-1)!));
    const keypoints = { value: landmarks[0]!, jacobian: null };
    return { size, maps, tokens, flow: targets[0]!.flow, keypoints, disparity: null };
  }

  /** @throws TypeError always: the face mesh finds what moves this model */
  driving(): never {
    return askTheMesh();
  }

  /** A frame for each set of landmarks [N, 68, 2], which the landmark transformer puts into the portrait's shape if there is one. */
  generate(source: MarionetteFeatures, { value }: Keypoints): MarionetteFrame {
    return this.paint(source, this.landmarkTransformer?.forward(source.keypoints.value, value) ?? value);
  }

  /** A frame for each set of landmarks [N, 68, 2] as they are; one source may serve them all. */
  paint({ size, maps, tokens }: MarionetteFeatures, landmarks: Tensor): MarionetteFrame {
    const drawing = drawLandmarks(landmarks, size);
    let x = drawing.mul(2).sub(1);
    for (const block of this.driverEncoder) x = block.forward(x);
    for (const block of this.blender) x = block.forward(x, tokens);
    return { drawing, prediction: this.frameDecoder.forward(x, maps), deformation: null, occlusionMap: null };
  }

  attention(): null {
    return null;
  }

  /** Drawings of both sides' landmarks, as the networks see them, the flow that takes the portrait's pose out, and the frame. */
  seen({ size, flow, keypoints }: MarionetteSource, _: null, frame: MarionetteFrame): NamedTensorList {
    return [
      ['source_drawing', drawLandmarks(keypoints.value, size)],
      ['driving_drawing', frame.drawing],
      ['target_flow', flow],
      ['prediction', frame.prediction],
    ];
  }

  /** Nothing computes in 16 bits: the spectral norms divide weights anew in every pass. */
  lowerPrecision(): void {}
}
