// How models like MeshG learn: the driving frame, rebuilt from the source; landmarks of the face mesh, on which the vertices stand
// in both frames, with the source's identity in both; against a discriminator with hinge losses, if it has weight. The losses of
// the original are not known but for there being a discriminator.
import { readFileSync } from 'node:fs';
import type { Tensor } from '@dagan/libtorch';
import { faceModelPath } from '../../face-models.js';
import { FACE_MODELS, readCanonicalFace } from '../../faces/face-models.js';
import { SURFACE_POINTS } from '../../faces/landmarks.js';
import { coarseEdges } from '../../geometry/coarse-mesh.js';
import { discriminatorHingeLoss, generatorHingeLoss } from '../../losses/adversarial.js';
import { featureMatchingLoss } from '../../losses/feature-matching.js';
import { landmarkLoss } from '../../losses/landmark.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid } from '../../losses/pyramid.js';
import type { AnimationModel } from '../../models/animation-model.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { FaceMesh } from '../../models/meshg-like/face-mesh.js';
import type { MeshFrame } from '../../models/meshg-like/generator.js';
import type { MeshGLike } from '../../models/meshg-like/meshg-like.js';
import type { FramePair } from './pair.js';
import { patchJudge } from './patch-judge.js';
import type { Judged, ObjectiveSetup, SystemObjective, SystemTraining } from './system-objective.js';

type Made = { vertices: Record<'source' | 'driving', Tensor>; frame: MeshFrame };

class MeshGLikeObjective implements SystemObjective {
  readonly judge: MultiScaleDiscriminator | null;
  readonly #model: MeshGLike;
  readonly #setup: ObjectiveSetup;
  readonly #pyramid: ImagePyramid;

  constructor(model: MeshGLike, setup: ObjectiveSetup) {
    this.#model = model;
    this.#setup = setup;
    this.judge = patchJudge(setup, model.config.generator.blockExpansion);
    this.#pyramid = new ImagePyramid().to({ device: setup.device });
    putFace(model.mesh);
  }

  reconstruct(pair: FramePair): MeshFrame {
    return this.#made(pair).frame;
  }

  judged(pair: FramePair): Judged {
    const {
      perceptual,
      config: { weights },
    } = this.#setup;
    const { vertices, frame } = this.#made(pair);
    const [fake, real] = [this.#pyramid.forward(frame.prediction), this.#pyramid.forward(pair.driving)];
    const terms: Judged['terms'] = {};
    if (weights.perceptual > 0) terms.perceptual = perceptualLoss(perceptual!, fake, real);
    if (weights.pixel > 0) terms.pixel = pixelLoss(fake, real);
    if (weights.warp > 0) terms.warp = pixelLoss(this.#pyramid.forward(frame.deformed), real);
    if (weights.landmark > 0) terms.landmark = standsOn(vertices, pair);
    if (this.judge) {
      const [ofFake, ofReal] = [this.judge.forward(fake), this.judge.forward(real)];
      terms.generatorAdversarial = generatorHingeLoss(ofFake);
      terms.featureMatching = featureMatchingLoss(ofReal, ofFake);
    }
    const judgeLoss = (judge: MultiScaleDiscriminator) => (): Tensor =>
      discriminatorHingeLoss(judge.forward(real), judge.forward(this.#pyramid.forward(frame.prediction.detach())));
    return { frame, terms, judgeLoss: this.judge && judgeLoss(this.judge) };
  }

  dispose(): void {
    this.judge?.dispose();
    this.#pyramid.dispose();
  }

  #made({ source, driving }: FramePair): Made {
    const portrait = this.#model.source(source);
    const { keypoints } = this.#model.driving(driving, portrait);
    const vertices = { source: portrait.keypoints.value, driving: keypoints.value };
    return { vertices, frame: this.#model.generate(portrait, keypoints) };
  }
}

/** Every vertex, and its landmark. */
const LED = SURFACE_POINTS.map((_, place) => ({ keypoint: place, landmark: place }));

/** Landmark loss of both frames: vertices as they are seen in the plane. */
function standsOn(vertices: Made['vertices'], { landmarks }: FramePair): Tensor {
  if (!landmarks) throw new TypeError('landmark has a weight but the batch does not say where landmarks are');
  const [ofSource, ofDriving] = (['source', 'driving'] as const).map((side, which) =>
    landmarkLoss({ value: vertices[side].narrow(2, 0, 2) }, landmarks.select(1, which), LED),
  ) as [Tensor, Tensor];
  return ofSource.add(ofDriving).div(2);
}

/** Makes the mesh that of the face mesh's points that travel with pictures. */
function putFace(mesh: FaceMesh): void {
  const { points, triangles } = readCanonicalFace(readFileSync(faceModelPath(FACE_MODELS.canonicalFace)));
  const axis = (which: number): number[] => SURFACE_POINTS.map((point) => points[3 * point + which]!);
  const [x, y, z] = [axis(0), axis(1), axis(2)];
  const middle = (values: readonly number[]): number => (Math.min(...values) + Math.max(...values)) / 2;
  const [mx, my, mz] = [x, y, z].map(middle) as [number, number, number];
  const height = Math.max(...y) - Math.min(...y);
  // The canonical face has y up and z towards the viewer.
  const vertices = x.flatMap((value, i) => [value - mx, my - y[i]!, mz - z[i]!].map((length) => length / height));
  mesh.fill(vertices, coarseEdges(triangles, SURFACE_POINTS));
}

export const MESHG_LIKE_TRAINING: SystemTraining = {
  terms: ['perceptual', 'pixel', 'warp', 'landmark', 'generatorAdversarial', 'featureMatching'],
  objective: (model: AnimationModel, setup) => new MeshGLikeObjective(model as MeshGLike, setup),
};
