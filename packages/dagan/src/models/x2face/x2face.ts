// X2Face (Wiles, Koepke and Zisserman, "X2Face: A network for controlling face generation by using images, audio, and pose
// codes", ECCV 2018): portraits are warped into one embedded face, from which a driving frame's code samples the result.
// There is no keypoint: what moves is a code of 128 numbers.
import { F, nn, type Tensor } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import { matching } from '../../tensors/precision.js';
import { thinned } from '../../tensors/thinned.js';
import type { AnimationModel, SourceTensors } from '../animation-model.js';
import { UNet, type UNetConfig } from './u-net.js';

export type X2FaceConfig = Pick<UNetConfig, 'numLevels' | 'blockExpansion' | 'maxFeatures'> & {
  system: 'x2face';
  /** Length of the driving code; that of the embedding network is `maxFeatures`. */
  codeChannels: number;
};

/** The configuration of the published weights, for pictures of 256 x 256. */
export const X2FACE_PUBLISHED: X2FaceConfig = {
  system: 'x2face',
  numLevels: 8,
  blockExpansion: 64,
  maxFeatures: 512,
  codeChannels: 128,
};

/** A portrait's way into the embedded face. */
export type Unwrapping = {
  /** What the embedding network says: flow before its bound, confidence before `exp`, [N, 3, H, W]. */
  raw: Tensor;
  /** Where the embedded face looks in the portrait, [N, H, W, 2]. */
  grid: Tensor;
  /** How much the portrait counts at each place of the embedded face, [N, 1, H, W], more than 0.1. */
  confidence: Tensor;
  /** The portrait, looked at there, [N, 3, H, W]. */
  unwrapped: Tensor;
};

/** What is computed once per person. */
export type X2FaceSource = {
  /** One portrait each, [N, 3, H, W]. */
  portraits: readonly Tensor[];
  /** [N, 3, H, W] */
  embeddedFace: Tensor;
  /** The first portrait's own code as keypoints of one coordinate, [N, codeChannels, 1]. */
  keypoints: Keypoints;
  disparity: null;
};

/** What is computed once per driving frame. */
export type X2FaceDriving = { image: Tensor; keypoints: Keypoints; disparity: null };

/** A frame, and where in the embedded face it looks. */
export type X2FaceFrame = {
  deformation: Tensor; // [N, H, W, 2]
  prediction: Tensor; // [N, 3, H, W]
  occlusionMap: null;
};

/** What is added to every confidence, so that their sum is never nothing. */
const LEAST_CONFIDENCE = 0.1;

/** A code: numbers without a place. */
const CODE: MotionSpace = { dimensions: 1, matrices: 'jacobians' };

export class X2Face extends nn.Module implements AnimationModel {
  readonly embeddingNetwork: UNet;
  readonly drivingNetwork: UNet;
  readonly depthNetwork = null;
  readonly mergesPortraits = true;
  readonly config: X2FaceConfig;

  constructor(config: X2FaceConfig = X2FACE_PUBLISHED) {
    super();
    const { codeChannels, numLevels, blockExpansion, maxFeatures } = config;
    const levels = { numLevels, blockExpansion, maxFeatures };
    this.config = config;
    this.embeddingNetwork = new UNet({ ...levels, outChannels: 3, codeChannels: maxFeatures, skips: true });
    this.drivingNetwork = new UNet({ ...levels, outChannels: 2, codeChannels, skips: false });
  }

  get motion(): MotionSpace {
    return CODE;
  }

  get sizeMultiple(): number {
    return 2 ** this.config.numLevels;
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return {};
  }

  get sourceTensors(): SourceTensors {
    return {
      tensorsOf: ({ embeddedFace }: X2FaceSource) => ({ embedded_face: embeddedFace }),
      sourceOf: ({ embedded_face: face }, keypoints): X2FaceSource => ({
        ...{ portraits: [], embeddedFace: face!, keypoints, disparity: null },
      }),
    };
  }

  /**
   * @param image the portrait whose pose motion begins from, [N, 3, H, W] in [0, 1]
   * @param others of the same person, each likewise
   */
  source(image: Tensor, others: readonly Tensor[] = []): X2FaceSource {
    const portraits = [image, ...others];
    const { keypoints } = this.driving(image);
    return { portraits, embeddedFace: this.embed(portraits), keypoints, disparity: null };
  }

  /** The code of driving frames [N, 3, H, W]. */
  driving(image: Tensor): X2FaceDriving {
    const value = this.code(image).flatten(1).unsqueeze(2);
    return { image, keypoints: { value, jacobian: null }, disparity: null };
  }

  /** A frame per code; one embedded face may serve a whole batch. */
  generate({ embeddedFace }: X2FaceSource, driving: Keypoints): X2FaceFrame {
    return this.look(embeddedFace, driving);
  }

  /** What codes see in an embedded face. */
  look(embeddedFace: Tensor, { value }: Keypoints): X2FaceFrame {
    const shrink = 2 ** this.config.numLevels;
    const [height, width] = [embeddedFace.size(2) / shrink, embeddedFace.size(3) / shrink];
    const code = value.reshape(value.size(0), this.config.codeChannels, height, width);
    const deformation = displaced(this.flow(code).tanh()); // the published code bounds the bounded flow once more
    return { deformation, prediction: sample(embeddedFace, deformation), occlusionMap: null };
  }

  /** Where the embedded face looks in one portrait, [N, 3, H, W] in [0, 1]. */
  unwrap(portrait: Tensor): Unwrapping {
    const raw = this.embeddingNetwork.forward(matching(portrait, this.embeddingNetwork.down.at(0).conv)); // [N, 3, H, W]
    const grid = displaced(raw.narrow(1, 0, 2).tanh());
    const confidence = raw.narrow(1, 2, 1).exp().add(LEAST_CONFIDENCE);
    return { raw, grid, confidence, unwrapped: sample(portrait, grid) };
  }

  /** The mean of what portraits show, by confidence -> [N, 3, H, W]. */
  embed(portraits: readonly Tensor[]): Tensor {
    return mergedBy(
      portraits.map((portrait) => this.unwrap(portrait)),
      ({ confidence }) => confidence,
    );
  }

  /** The code of pictures [N, 3, H, W] -> [N, codeChannels, H / 2^levels, W / 2^levels], nowhere below 0. */
  code(image: Tensor): Tensor {
    return this.drivingNetwork
      .encode(matching(image, this.drivingNetwork.down.at(0).conv))
      .at(-1)!
      .relu();
  }

  /** The driving network's flow of a code, [N, 2, H, W] in (-1, 1). */
  flow(code: Tensor): Tensor {
    return this.#climb(code).at(-1)!.tanh();
  }

  attention(): null {
    return null;
  }

  /** Nothing computes in 16 bits: all that the networks say turns into coordinates. */
  lowerPrecision(): void {}

  /** The driving network on the way from a code [N, codeChannels, h, w]; the last is the flow before its bound. */
  #climb(code: Tensor): Tensor[] {
    return this.drivingNetwork.climb([code]);
  }

  /** Everything on the way to a frame, under the names of the reference data and those that all systems have in common. */
  seen(source: X2FaceSource, driving: X2FaceDriving | null, frame: X2FaceFrame): [string, Tensor][] {
    const { portraits, embeddedFace } = source;
    const parts = portraits.map((portrait) => this.unwrap(portrait));
    const down = this.embeddingNetwork.encode(portraits[0]!);
    const up = this.embeddingNetwork.climb(down);
    const count = COUNTS[portraits.length - 1] ?? `${portraits.length}`;
    const found: [string, Tensor | undefined][] = [
      ['embedding.down0_every16_every4px', down[0]],
      ['embedding.down3_every32', down[3]],
      ['embedding.up3_every32', up.at(-4)],
      ['embedding.up1_every32_every2px', up.at(-2)],
      ['embedding.raw_every2px', up.at(-1)],
      ...parts.flatMap(({ grid, confidence }, i): [string, Tensor][] => [
        [`${count}.embedding${i}.grid_every4px`, grid],
        [`${count}.embedding${i}.confidence_every4px`, confidence],
      ]),
      [`${count}.embedded_face_every2px`, embeddedFace],
      parts.length === 1
        ? ['one.get_unwrapped_oneimage_every4px', parts[0]!.unwrapped]
        : [`${count}.get_unwrapped_every4px`, mergedBy(parts, ({ confidence }) => confidence.sub(LEAST_CONFIDENCE))],
      ['embedded_face', embeddedFace],
      ['deformation', frame.deformation],
      ['driving.grid_every4px', frame.deformation],
      ['prediction', frame.prediction],
      [parts.length === 1 ? 'one.result' : `${count}.result_every2px`, frame.prediction],
    ];
    if (driving) {
      const code = this.code(driving.image);
      const climbed = this.#climb(code);
      found.push(
        ['driving.code', code.flatten(1)],
        ['driving.up3_every32', climbed.at(-4)],
        ['driving.raw_every2px', climbed.at(-1)!.tanh()],
        [`${count}.l1_to_driving`, frame.prediction.sub(driving.image).abs().mean()],
      );
    }
    return found.flatMap(([name, value]): [string, Tensor][] => (value ? [[name, thinned(name, value)]] : []));
  }
}

/** How the reference data call numbers of portraits. */
const COUNTS = ['one', 'two', 'three', 'four'];

/** `sum w_k x_k / sum w_k` of what portraits show, with a weight [N, 1, H, W] of each -> [N, 3, H, W]. */
function mergedBy(parts: readonly Unwrapping[], weightOf: (part: Unwrapping) => Tensor): Tensor {
  const sum = (terms: readonly Tensor[]) => terms.reduce((total, term) => total.add(term));
  const weights = parts.map(weightOf);
  return sum(parts.map(({ unwrapped }, k) => unwrapped.mul(weights[k]!))).div(sum(weights));
}

/** A flow [N, 2, H, W], added to the pixels' own places -> [N, H, W, 2]. */
function displaced(flow: Tensor): Tensor {
  const [height, width] = [flow.size(2), flow.size(3)];
  const grid = coordinateGrid(height, width, { dtype: flow.dtype, device: flow.device });
  return flow.permute(0, 2, 3, 1).add(grid);
}

/** Corners of the grid are the centres of the outermost pixels, as PyTorch sampled before 1.3; black outside. */
function sample(picture: Tensor, grid: Tensor): Tensor {
  const n = grid.size(0);
  const [channels, height, width] = [picture.size(1), picture.size(2), picture.size(3)];
  const batch = picture.size(0) === n ? picture : picture.expand(n, channels, height, width);
  return F.gridSample(batch, grid, { alignCorners: true });
}
