// How systems learn that paint from drawn landmarks, NeuralHead-FF (Zakharov et al., 2019, Section 3.3) and MarioNETte (Ha et al.,
// 2020, Section 3.4): the driving frame is painted from the other frame of the pair and the driver's landmarks, against a projection
// discriminator with hinge losses, by its features, and by two networks that look at pictures, one of which knows faces. The papers
// take VGGFace for that one, whose weights may not be passed on; here it is the identity network, which looks at the face alone.
import { run, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';
import { TRAVELLING_POINTS } from '../../faces/landmarks.js';
import { discriminatorHingeLoss, generatorHingeLoss } from '../../losses/adversarial.js';
import { featureDifferences } from '../../losses/feature-matching.js';
import { identityContentLoss } from '../../losses/identity.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid } from '../../losses/pyramid.js';
import type { AnimationModel, Frame } from '../../models/animation-model.js';
import type { Judgement } from '../../models/discriminator.js';
import { LANDMARK_POINTS } from '../../models/drawn-landmarks.js';
import { type IdentityFeatures, loadIdentityFeatures } from '../../models/perceptual/identity.js';
import { ProjectionDiscriminator, type ProjectionDiscriminatorConfig } from '../../models/projection-discriminator.js';
import type { FramePair } from './pair.js';
import type { Judged, ObjectiveSetup, SystemObjective, SystemTraining } from './system-objective.js';

/** Of each of the 68 points, its place among the points that travel with pictures. */
const PLACES = LANDMARK_POINTS.map((point) => TRAVELLING_POINTS.indexOf(point));

/** A frame, and the drawing that it was painted from, [N, 3, H, W]. */
type LandmarkFrame = Frame & { readonly drawing: Tensor };

class LandmarkObjective implements SystemObjective {
  readonly judge: ProjectionDiscriminator | null;
  readonly #model: AnimationModel;
  readonly #setup: ObjectiveSetup;
  readonly #identity: IdentityFeatures | null;
  readonly #pyramid: ImagePyramid;

  constructor(model: AnimationModel, setup: ObjectiveSetup, widths: Omit<ProjectionDiscriminatorConfig, 'people'>) {
    const { config, device, people } = setup;
    const { weights } = config;
    this.#model = model;
    this.#setup = setup;
    const judges = weights.generatorAdversarial > 0 || weights.featureMatching > 0;
    this.judge = judges
      ? new ProjectionDiscriminator({ ...widths, people }).to({ device, memoryFormat: 'channels_last' })
      : null;
    this.#identity = weights.identity > 0 ? loadIdentityFeatures().to({ device }) : null;
    this.#pyramid = new ImagePyramid().to({ device });
  }

  reconstruct(pair: FramePair): Frame {
    return this.#made(pair);
  }

  judged(pair: FramePair): Judged {
    const { weights } = this.#setup.config;
    const frame = this.#made(pair);
    const { prediction, drawing } = frame;
    const [fake, real] = [this.#pyramid.forward(prediction), this.#pyramid.forward(pair.driving)];
    const terms: Judged['terms'] = {};
    if (weights.pixel > 0) terms.pixel = pixelLoss(fake, real);
    if (weights.perceptual > 0) terms.perceptual = perceptualLoss(this.#setup.perceptual!, fake, real);
    if (this.#identity) terms.identity = identityContentLoss(this.#identity, prediction, pair.driving);
    if (!this.judge) return { frame, terms, judgeLoss: null };
    const judge = this.judge;
    const people = pair.person ?? zeros([pair.driving.size(0)], { device: this.#setup.device });
    const said = (frames: Tensor): Map<number, Judgement> => new Map([[1, judge.forward(frames, drawing, people)]]);
    const ofFake = said(prediction);
    terms.generatorAdversarial = generatorHingeLoss(ofFake);
    terms.featureMatching = featureDifferences(said(pair.driving), ofFake).mean();
    return { frame, terms, judgeLoss: () => discriminatorHingeLoss(said(pair.driving), said(prediction.detach())) };
  }

  dispose(): void {
    this.judge?.dispose();
    this.#identity?.dispose();
    this.#pyramid.dispose();
  }

  #made({ source, landmarks }: FramePair): LandmarkFrame {
    if (!landmarks) {
      throw new TypeError('the model is moved by landmarks but the batch does not say where they are');
    }
    const [from, to] = [landmarksOf(landmarks, 0), landmarksOf(landmarks, 1)];
    const portrait = this.#model.source(source, [], [from]);
    return this.#model.generate(portrait, { value: to, jacobian: null }) as LandmarkFrame;
  }
}

/** The 68 landmarks of one frame of a batch of pairs [N, 2, P, 3] -> [N, 68, 2]; those that were not seen are not numbers. */
export function landmarksOf(landmarks: Tensor, frame: 0 | 1): Tensor {
  return tidy(() => {
    const places = tensor(PLACES).to({ device: landmarks.device, dtype: 'int64' });
    const chosen = landmarks.select(1, frame).indexSelect(1, places); // [N, 68, 3]
    const unseen = chosen.narrow(2, 2, 1).eq(0);
    return run('aten::masked_fill.Scalar', [chosen.narrow(2, 0, 2), unseen, Number.NaN]);
  });
}

/** A training of one of these systems. @param widthsOf of the discriminator for a model, as wide as its own networks */
export function landmarkTraining(
  widthsOf: (model: AnimationModel) => Omit<ProjectionDiscriminatorConfig, 'people'>,
): SystemTraining {
  return {
    terms: ['pixel', 'perceptual', 'identity', 'generatorAdversarial', 'featureMatching'],
    objective: (model, setup) => new LandmarkObjective(model, setup, widthsOf(model)),
  };
}
