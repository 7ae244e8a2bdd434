// How systems learn that paint from drawn landmarks, NeuralHead-FF (Zakharov et al., 2019, Section 3.3) and MarioNETte (Ha et al.,
// 2020, Section 3.4): the driving frame is painted from the other frame of the pair and the driver's landmarks, against a projection
// discriminator with hinge losses, by its features, and by two networks that look at pictures, one of which knows faces. The papers
// take VGGFace for that one, whose weights may not be passed on; here it is the identity network, which looks at the face alone.
import { run, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';
import { TRAVELLING_POINTS } from '../../faces/landmarks.js';
import { discriminatorHingeLoss, generatorHingeLoss } from '../../losses/adversarial.js';
import { featureDifferences } from '../../losses/feature-matching.js';
import { identityContentLoss } from '../../losses/identity.js';
import type { ObjectiveTerm } from '../../losses/objective.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { pixelLoss } from '../../losses/pixel.js';
import { ImagePyramid } from '../../losses/pyramid.js';
import type { AnimationModel, Frame, SourceState } from '../../models/animation-model.js';
import type { Judgement } from '../../models/discriminator.js';
import { LANDMARK_POINTS } from '../../models/drawn-landmarks.js';
import type { LandmarkTransformer } from '../../models/marionette/landmark-transformer.js';
import { type IdentityFeatures, loadIdentityFeatures } from '../../models/perceptual/identity.js';
import { ProjectionDiscriminator, type ProjectionDiscriminatorConfig } from '../../models/projection-discriminator.js';
import { TrainingSetupError } from '../run/setup-error.js';
import type { FramePair } from './pair.js';
import type { Judged, ObjectiveSetup, SystemObjective, SystemTraining } from './system-objective.js';

/** Of each of the 68 points, its place among the points that travel with pictures. */
const PLACES = LANDMARK_POINTS.map((point) => TRAVELLING_POINTS.indexOf(point));

/** A frame, and the drawing that it was painted from, [N, 3, H, W]. */
type LandmarkFrame = Frame & { readonly drawing: Tensor };

/** A model that points of the face mesh move, which it sees as a drawing. */
export type LandmarkModel = AnimationModel & {
  /** A frame for each set of landmarks [N, 68, 2] as they are. */
  paint(source: SourceState, landmarks: Tensor): LandmarkFrame;
  /** Puts landmarks into a portrait's shape; it learns beside the rest, from landmarks alone. */
  readonly landmarkTransformer?: LandmarkTransformer | null;
};

class LandmarkObjective implements SystemObjective {
  readonly judge: ProjectionDiscriminator | null;
  readonly #model: LandmarkModel;
  readonly #setup: ObjectiveSetup;
  readonly #identity: IdentityFeatures | null;
  readonly #pyramid: ImagePyramid;

  constructor(model: LandmarkModel, setup: ObjectiveSetup, widths: Omit<ProjectionDiscriminatorConfig, 'people'>) {
    const { config, device, people } = setup;
    const { weights } = config;
    if (weights.landmark > 0 && !model.landmarkTransformer) {
      throw new TrainingSetupError(
        `the loss 'landmark' has weight ${weights.landmark}, but this model has no landmark transformer that would learn by it: set it to 0, or train marionette-lt`,
      );
    }
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
    const { portrait, to } = this.#told(pair);
    return this.#model.generate(portrait, { value: to, jacobian: null });
  }

  judged(pair: FramePair): Judged {
    const { weights } = this.#setup.config;
    const { portrait, from, to } = this.#told(pair);
    const frame = this.#model.paint(portrait, to);
    const { prediction, drawing } = frame;
    const [fake, real] = [this.#pyramid.forward(prediction), this.#pyramid.forward(pair.driving)];
    const terms: Judged['terms'] = {};
    if (weights.pixel > 0) terms.pixel = pixelLoss(fake, real);
    if (weights.perceptual > 0) terms.perceptual = perceptualLoss(this.#setup.perceptual!, fake, real);
    if (this.#identity) terms.identity = identityContentLoss(this.#identity, prediction, pair.driving);
    const { landmarkTransformer } = this.#model;
    if (weights.landmark > 0) {
      terms.landmark = differences(landmarkTransformer!, from, to);
    }
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

  #told({ source, landmarks }: FramePair): { portrait: SourceState; from: Tensor; to: Tensor } {
    if (!landmarks) {
      throw new TypeError('the model is moved by landmarks but the batch does not say where they are');
    }
    const [from, to] = [landmarksOf(landmarks, 0), landmarksOf(landmarks, 1)];
    return { portrait: this.#model.source(source, [], [from]), from, to };
  }
}

/** The landmark transformer's loss over the pairs whose landmarks are all known, []; 0 where there are none. */
function differences(transformer: LandmarkTransformer, from: Tensor, to: Tensor): Tensor {
  const sums = tidy(() => from.add(to).sum([1, 2]).toFloat32Array());
  const known = [...sums.keys()].filter((pair) => !Number.isNaN(sums[pair]!));
  if (known.length === 0) return zeros([], { device: from.device });
  const rows = tensor(known, { dtype: 'int64' }).to({ device: from.device });
  return transformer.loss(from.indexSelect(0, rows), to.indexSelect(0, rows));
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
  more: readonly ObjectiveTerm[] = [],
): SystemTraining {
  return {
    terms: ['pixel', 'perceptual', 'identity', 'generatorAdversarial', 'featureMatching', ...more],
    objective: (model, setup) => new LandmarkObjective(model as LandmarkModel, setup, widthsOf(model)),
  };
}
