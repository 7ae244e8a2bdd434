// How X2Face learns (Wiles et al., 2018, Section 3.2-3.3). Stage I: the driving frame, rebuilt from one other frame of the clip, has
// the same colours. Stage II: a network that knows faces must find the same face in it, and the portrait's in frames that someone
// else drives.
import { cat, type Tensor } from '@dagan/libtorch';
import { identityContentLoss, identityLoss } from '../../losses/identity.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid } from '../../losses/pyramid.js';
import type { AnimationModel } from '../../models/animation-model.js';
import { type IdentityFeatures, loadIdentityFeatures } from '../../models/perceptual/identity.js';
import type { X2Face, X2FaceFrame } from '../../models/x2face/x2face.js';
import type { FramePair } from './pair.js';
import type { Judged, ObjectiveSetup, SystemObjective, SystemTraining } from './system-objective.js';

class X2FaceObjective implements SystemObjective {
  readonly judge = null;
  readonly #model: X2Face;
  readonly #setup: ObjectiveSetup;
  readonly #identity: IdentityFeatures | null;
  readonly #pyramid: ImagePyramid;

  constructor(model: X2Face, setup: ObjectiveSetup) {
    this.#model = model;
    this.#setup = setup;
    this.#identity = setup.config.weights.identity > 0 ? loadIdentityFeatures().to({ device: setup.device }) : null;
    this.#pyramid = new ImagePyramid().to({ device: setup.device });
  }

  reconstruct(pair: FramePair): X2FaceFrame {
    return this.#made(pair).frame;
  }

  judged(pair: FramePair): Judged {
    const { weights } = this.#setup.config;
    const { face, code, frame } = this.#made(pair);
    const { prediction } = frame;
    const terms: Judged['terms'] = {};
    if (weights.pixel > 0) terms.pixel = pixelLoss(new Map([[1, prediction]]), new Map([[1, pair.driving]]));
    if (weights.perceptual > 0) {
      const [fake, real] = [this.#pyramid.forward(prediction), this.#pyramid.forward(pair.driving)];
      terms.perceptual = perceptualLoss(this.#setup.perceptual!, fake, real);
    }
    if (this.#identity) {
      const content = identityContentLoss(this.#identity, prediction, pair.driving);
      const crossed = this.#model.look(face, { value: ofTheNext(code), jacobian: null }).prediction;
      terms.identity = content.add(identityLoss(this.#identity, crossed, pair.source));
    }
    return { frame, terms, judgeLoss: null };
  }

  dispose(): void {
    this.#identity?.dispose();
    this.#pyramid.dispose();
  }

  #made({ source, driving }: FramePair): { face: Tensor; code: Tensor; frame: X2FaceFrame } {
    const face = this.#model.embed([source]); // [N, 3, H, W]
    const { keypoints } = this.#model.driving(driving);
    return { face, code: keypoints.value, frame: this.#model.look(face, keypoints) };
  }
}

/** Codes [N, C, 1] of the pairs that follow each in the batch; who stands there is mostly somebody else. */
function ofTheNext(code: Tensor): Tensor {
  return cat([code.narrow(0, 1, code.size(0) - 1), code.narrow(0, 0, 1)], 0);
}

export const X2FACE_TRAINING: SystemTraining = {
  terms: ['pixel', 'perceptual', 'identity'],
  objective: (model: AnimationModel, setup) => new X2FaceObjective(model as X2Face, setup),
};
