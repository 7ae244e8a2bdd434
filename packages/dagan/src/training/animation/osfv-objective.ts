// How OSFV learns (Wang et al., CVPR 2021, Section 3.3): the driving frame, rebuilt from the source's canonical keypoints and the
// driving head; against a discriminator with hinge losses; keypoints that move along when a frame is bent; and what heads in space
// need beside. The head's pose is taught by the face mesh.
import { readFileSync } from 'node:fs';
import { type Tensor, tensor } from '@dagan/libtorch';
import { faceModelPath } from '../../face-models.js';
import { FACE_MODELS, readCanonicalFace } from '../../faces/face-models.js';
import { LandmarkPose } from '../../faces/landmark-pose.js';
import { TRAVELLING_POINTS } from '../../faces/landmarks.js';
import { ThinPlateSpline } from '../../geometry/thin-plate-spline.js';
import { discriminatorHingeLoss, generatorHingeLoss } from '../../losses/adversarial.js';
import { equivarianceJacobianLoss, equivarianceValueLoss } from '../../losses/equivariance.js';
import { featureMatchingLoss } from '../../losses/feature-matching.js';
import { expressionLoss, headPoseLoss, keypointPriorLoss } from '../../losses/head.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid, type Pyramid } from '../../losses/pyramid.js';
import type { AnimationModel } from '../../models/animation-model.js';
import type { MultiScaleDiscriminator } from '../../models/discriminator.js';
import type { VolumeFrame } from '../../models/osfv/generator.js';
import { type Head, keypointsOfHead } from '../../models/osfv/head-estimator.js';
import type { SpaceKeypoints } from '../../models/osfv/keypoint-detector.js';
import type { Osfv } from '../../models/osfv/osfv.js';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { FramePair } from './pair.js';
import { patchJudge } from './patch-judge.js';
import type { Judged, ObjectiveSetup, SystemObjective, SystemTraining } from './system-objective.js';

type Made = { canonical: SpaceKeypoints; head: Head; keypoints: SpaceKeypoints; frame: VolumeFrame };

class OsfvObjective implements SystemObjective {
  readonly judge: MultiScaleDiscriminator | null;
  readonly #model: Osfv;
  readonly #setup: ObjectiveSetup;
  readonly #pyramid: ImagePyramid;
  readonly #teacher: LandmarkPose | null;

  constructor(model: Osfv, setup: ObjectiveSetup) {
    const { weights } = setup.config;
    this.#model = model;
    this.#setup = setup;
    this.judge = patchJudge(setup, model.config.generator.blockExpansion);
    this.#pyramid = new ImagePyramid().to({ device: setup.device });
    this.#teacher = weights.headPose > 0 ? landmarkPose() : null;
  }

  reconstruct(pair: FramePair): VolumeFrame {
    return this.#made(pair).frame;
  }

  judged(pair: FramePair): Judged {
    const { weights } = this.#setup.config;
    const { canonical, head, keypoints, frame } = this.#made(pair);
    const [fake, real] = [this.#pyramid.forward(frame.prediction), this.#pyramid.forward(pair.driving)];
    const terms: Judged['terms'] = {};
    if (weights.perceptual > 0) terms.perceptual = perceptualLoss(this.#setup.perceptual!, fake, real);
    if (weights.pixel > 0) terms.pixel = pixelLoss(fake, real);
    if (this.judge) {
      const [ofFake, ofReal] = [this.judge.forward(fake), this.judge.forward(real)];
      terms.generatorAdversarial = generatorHingeLoss(ofFake);
      terms.featureMatching = featureMatchingLoss(ofReal, ofFake);
    }
    if (weights.equivarianceValue > 0 || weights.equivarianceJacobian > 0) {
      const transform = ThinPlateSpline.random(pair.driving.size(0), {}, { device: this.#setup.device });
      const bent = this.#model.headEstimator.forward(transform.transformFrame(pair.driving));
      const [seen, moved] = [keypoints, keypointsOfHead(canonical, bent)].map(projected) as [Keypoints, Keypoints];
      terms.equivarianceValue = equivarianceValueLoss(seen, moved, transform);
      if (weights.equivarianceJacobian > 0) {
        terms.equivarianceJacobian = equivarianceJacobianLoss(seen, moved, transform);
      }
    }
    if (weights.keypointPrior > 0) terms.keypointPrior = keypointPriorLoss(keypoints.value);
    if (weights.headPose > 0) terms.headPose = this.#headPose(head, pair);
    if (weights.expression > 0) terms.expression = expressionLoss(head.expression);
    return { frame, terms, judgeLoss: this.judge && (() => this.#judgeLoss(this.judge!, frame.prediction, real)) };
  }

  dispose(): void {
    this.judge?.dispose();
    this.#pyramid.dispose();
  }

  #made({ source, driving }: FramePair): Made {
    const { generator, headEstimator, keypointDetector } = this.#model;
    const canonical = keypointDetector.forward(source);
    const from = keypointsOfHead(canonical, headEstimator.forward(source));
    const head = headEstimator.forward(driving);
    const keypoints = keypointsOfHead(canonical, head);
    return { canonical, head, keypoints, frame: generator.forward(generator.encodeSource(source), keypoints, from) };
  }

  #judgeLoss(judge: MultiScaleDiscriminator, prediction: Tensor, real: Pyramid): Tensor {
    return discriminatorHingeLoss(judge.forward(real), judge.forward(this.#pyramid.forward(prediction.detach())));
  }

  /** The driving heads' angles against those that the mesh's landmarks give. */
  #headPose({ angles }: Head, { landmarks }: FramePair): Tensor {
    if (!landmarks) throw new TypeError('headPose has a weight but the batch does not say where landmarks are');
    const { device } = this.#setup;
    const places = landmarks.select(1, 1).to({ device: 'cpu' }).contiguous().toFloat32Array(); // [N, P, 3]
    const count = landmarks.size(0);
    const length = places.length / count;
    const taught = Array.from({ length: count }, (_, n) =>
      this.#teacher!.of(places.subarray(n * length, (n + 1) * length)),
    );
    const teacher = tensor(
      taught.flatMap((each) => [...(each ?? [0, 0, 0])]),
      { shape: [count, 3] },
    );
    const seen = tensor(
      taught.map((each) => (each ? 1 : 0)),
      { shape: [count] },
    );
    return headPoseLoss(angles, teacher.to({ device }), seen.to({ device }));
  }
}

/** Keypoints in space as they are seen in the plane: x and y, and the upper left 2x2 of jacobians. */
const projected = ({ value, jacobian }: SpaceKeypoints): Keypoints => ({
  value: value.narrow(2, 0, 2),
  jacobian: jacobian?.narrow(2, 0, 2).narrow(3, 0, 2) ?? null,
});

function landmarkPose(): LandmarkPose {
  return new LandmarkPose(readCanonicalFace(readFileSync(faceModelPath(FACE_MODELS.canonicalFace))), TRAVELLING_POINTS);
}

export const OSFV_TRAINING: SystemTraining = {
  terms: [
    ...(['perceptual', 'pixel', 'generatorAdversarial', 'featureMatching', 'equivarianceValue'] as const),
    ...(['equivarianceJacobian', 'keypointPrior', 'headPose', 'expression'] as const),
  ],
  objective: (model: AnimationModel, setup) => new OsfvObjective(model as Osfv, setup),
};
