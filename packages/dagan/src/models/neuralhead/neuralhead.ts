// NeuralHead-FF (Zakharov, Shysheya, Burkov and Lempitsky, "Few-Shot Adversarial Learning of Realistic Neural Talking Head Models",
// ICCV 2019), the feed-forward variant, which is not fine-tuned on a person. Portraits become an embedding, and drawn landmarks a
// picture in its style. Nothing is warped: every pixel is painted.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import type { AnimationModel, NamedTensorList, SourceTensors } from '../animation-model.js';
import { askTheMesh, drawLandmarks, LANDMARK_MOTION, requireLandmarks } from '../drawn-landmarks.js';
import { NEURALHEAD_PAPER, type NeuralHeadConfig } from './config.js';
import { Embedder, LandmarkGenerator } from './generator.js';

/** Of a person, what frames are painted with. */
export type NeuralHeadStyle = {
  /** Height and width of the portraits, and so of frames. */
  size: readonly [height: number, width: number];
  /** Of the adaptive norms, [N, S]. */
  style: Tensor;
  /** The first portrait's landmarks. */
  keypoints: Keypoints;
  disparity: null;
};

/** What is computed once per person. */
export type NeuralHeadSource = NeuralHeadStyle & {
  /** The mean of the portraits' embeddings, [N, E]. */
  embedding: Tensor;
};

export type NeuralHeadFrame = {
  /** What the generator sees, [N, 3, H, W]. */
  drawing: Tensor;
  prediction: Tensor; // [N, 3, H, W]
  deformation: null;
  occlusionMap: null;
};

export class NeuralHead extends nn.Module implements AnimationModel {
  readonly embedder: Embedder;
  readonly landmarkGenerator: LandmarkGenerator;
  readonly depthNetwork = null;
  readonly mergesPortraits = true;
  readonly config: NeuralHeadConfig;

  constructor(config: NeuralHeadConfig = NEURALHEAD_PAPER) {
    super();
    this.config = config;
    this.embedder = new Embedder(config);
    this.landmarkGenerator = new LandmarkGenerator(config);
  }

  get motion(): MotionSpace {
    return LANDMARK_MOTION;
  }

  get sizeMultiple(): number {
    return 2 ** Math.max(this.config.numEmbedderBlocks, this.config.numDownBlocks);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return {};
  }

  get sourceTensors(): SourceTensors {
    return {
      tensorsOf: ({ style }: NeuralHeadSource) => ({ style }),
      sourceOf: ({ style }, keypoints, side): NeuralHeadStyle => ({
        ...{ size: [side, side], style: style!, keypoints, disparity: null },
      }),
    };
  }

  /**
   * @param image the portrait whose pose motion begins from, [N, 3, H, W] in [0, 1]
   * @param others of the same person, each likewise
   * @param landmarks of each portrait, [N, 68, 2]
   * @throws TypeError if the landmarks of a portrait are missing
   */
  source(image: Tensor, others: readonly Tensor[] = [], landmarks: readonly Tensor[] = []): NeuralHeadSource {
    const portraits = [image, ...others];
    const size = [image.size(2), image.size(3)] as const;
    requireLandmarks(portraits, landmarks);
    const embeddings = portraits.map((portrait, k) =>
      this.embedder.forward(portrait, drawLandmarks(landmarks[k]!, size)),
    );
    const embedding = embeddings.reduce((sum, each) => sum.add(each)).div(embeddings.length);
    const keypoints = { value: landmarks[0]!, jacobian: null };
    return { size, embedding, style: this.landmarkGenerator.style(embedding), keypoints, disparity: null };
  }

  /** @throws TypeError always: the face mesh finds what moves this model */
  driving(): never {
    return askTheMesh();
  }

  /** A frame for each set of landmarks [N, 68, 2]; one source may serve them all. */
  generate(source: NeuralHeadStyle, { value }: Keypoints): NeuralHeadFrame {
    return this.paint(source, value);
  }

  /** The same of landmarks as a tensor. */
  paint({ size, style }: NeuralHeadStyle, landmarks: Tensor): NeuralHeadFrame {
    const drawing = drawLandmarks(landmarks, size);
    const prediction = this.landmarkGenerator.forward(drawing, style);
    return { drawing, prediction, deformation: null, occlusionMap: null };
  }

  attention(): null {
    return null;
  }

  /** Drawings of both sides' landmarks, the embedding, its style and the frame. */
  seen({ size, embedding, style, keypoints }: NeuralHeadSource, _: null, frame: NeuralHeadFrame): NamedTensorList {
    return [
      ['source_drawing', drawLandmarks(keypoints.value, size)],
      ['driving_drawing', frame.drawing],
      ['embedding', embedding],
      ['style', style],
      ['prediction', frame.prediction],
    ];
  }

  /** Nothing computes in 16 bits: the spectral norms divide weights anew in every pass. */
  lowerPrecision(): void {}
}
