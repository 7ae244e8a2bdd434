// A system like MeshG (Yao, Yuan, Shao and Zhou, "Mesh Guided One-shot Face Reenactment Using Graph Convolutional Networks", ACM
// Multimedia 2020), of which no code, weights or layers are published. As there, a mesh of the portrait's face and one of the same
// face with the driver's pose and expression go through graph convolutions to a motion field, which moves features of the
// portrait. All else is ours: the mesh, the network that fits it, the layers, the losses.
import { nn, type Tensor } from '@dagan/libtorch';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { MotionSpace } from '../../tensors/motion-space.js';
import type { AnimationModel, DrivingState, NamedTensorList, SourceState, SourceTensors } from '../animation-model.js';
import { FaceFitter, type FaceFitterConfig, FaceMesh, type StandingMesh } from './face-mesh.js';
import { type EncodedPortrait, type MeshFrame, WarpingGenerator, type WarpingGeneratorConfig } from './generator.js';
import { type MeshMotionConfig, MeshMotionNetwork } from './motion-network.js';

export type MeshGLikeConfig = {
  system: 'meshg-like';
  /** Of the face mesh. */
  numVertices: number;
  fitter: FaceFitterConfig;
  motion: MeshMotionConfig;
  generator: WarpingGeneratorConfig;
};

/** A portrait. */
export type MeshSource = SourceState & EncodedPortrait & { /** Its face at rest, [1, V, 3]. */ neutral: Tensor };

/** Vertices, in the picture's plane and away from the viewer. */
const SPACE: MotionSpace = { dimensions: 3, matrices: 'jacobians' };

export class MeshGLike extends nn.Module implements AnimationModel {
  readonly mesh: FaceMesh;
  readonly faceFitter: FaceFitter;
  readonly motionNetwork: MeshMotionNetwork;
  readonly generator: WarpingGenerator;
  readonly config: MeshGLikeConfig;

  constructor(config: MeshGLikeConfig) {
    super();
    const { numVertices, fitter, motion, generator } = config;
    this.config = config;
    this.mesh = new FaceMesh(numVertices);
    this.faceFitter = new FaceFitter(fitter, numVertices);
    this.motionNetwork = new MeshMotionNetwork(motion, numVertices);
    this.generator = new WarpingGenerator(generator);
  }

  get motion(): MotionSpace {
    return SPACE;
  }

  get sizeMultiple(): number {
    return Math.max(2 ** this.config.generator.numDownBlocks, this.faceFitter.sizeMultiple);
  }

  get keypointNames(): Readonly<Record<string, number>> {
    return {};
  }

  get depthNetwork(): null {
    return null;
  }

  get sourceTensors(): SourceTensors {
    return {
      tensorsOf: ({ image, features, neutral }: MeshSource) => ({ portrait: image, features, canonical: neutral }),
      sourceOf: ({ portrait, features, canonical }, keypoints): MeshSource => ({
        ...{ image: portrait!, features: features!, keypoints, neutral: canonical!, disparity: null },
      }),
    };
  }

  source(image: Tensor): MeshSource {
    const face = this.faceFitter.forward(image);
    const neutral = this.faceFitter.neutral(this.mesh, face);
    const keypoints = standing(this.faceFitter.stand(neutral, face), face.angles);
    return { ...this.generator.encode(image), keypoints, neutral, disparity: null };
  }

  /** The portrait's mesh as the drivers' faces move, or where there is no portrait each frame's own. */
  driving(images: Tensor, source: MeshSource | null): DrivingState {
    const face = this.faceFitter.forward(images);
    const neutral = source?.neutral ?? this.faceFitter.neutral(this.mesh, face);
    return { keypoints: standing(this.faceFitter.stand(neutral, face), face.angles), disparity: null };
  }

  generate(source: MeshSource, driving: Keypoints): MeshFrame {
    return this.generator.forward(source, this.motionNetwork.forward(this.mesh, source.keypoints.value, driving.value));
  }

  attention(): null {
    return null;
  }

  seen(source: MeshSource, driving: DrivingState | null, frame: MeshFrame): NamedTensorList {
    return [
      ['kp_source.value', source.keypoints.value],
      ...(driving ? ([['kp_driving.value', driving.keypoints.value]] as const) : []),
      ['neutral', source.neutral],
      ['mask', frame.headMask],
      ['deformation', frame.deformation],
      ['occlusion_map', frame.occlusionMap],
      ['kept_pixels', frame.keptPixels],
      ['deformed', frame.deformed],
      ['prediction', frame.prediction],
    ];
  }

  /** Encoder and decoder of pictures compute in 16 bits; meshes and the field, which are coordinates, stay in float32. */
  lowerPrecision(dtype: 'bfloat16'): void {
    const { first, downBlocks, decoder } = this.generator;
    for (const part of [first, downBlocks, decoder]) part.to({ dtype });
  }
}

/** Vertices as what moves, with the head. */
const standing = ({ vertices, neutral }: StandingMesh, angles: Tensor): Keypoints => ({
  value: vertices,
  jacobian: null,
  head: { canonical: neutral, angles },
});
