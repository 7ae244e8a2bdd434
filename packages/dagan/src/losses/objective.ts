// The total loss of generator and keypoint detector (Eq. 10 of the paper).
import { type Tensor, tidy } from '@dagan/libtorch';

/** Weights of the terms, as the published configuration has them, and 0 for what it does not have. */
export const OBJECTIVE_WEIGHTS = {
  /** L_P, of every layer and scale. */
  perceptual: 10,
  /** The same of mouth and eyes by themselves, enlarged. */
  perceptualParts: 0,
  /** Pixels of every scale. */
  pixel: 0,
  /** Pixels of what was painted, also where it was not needed, at every scale; for models that keep pixels. */
  painted: 0,
  /** Pixels of the source moved by the motion field alone, at every scale. */
  warp: 0,
  /** L_G, of every scale. */
  generatorAdversarial: 1,
  /** Feature matching, of every block and scale. */
  featureMatching: 10,
  /** L_E of positions. */
  equivarianceValue: 10,
  /** L_E of jacobians. */
  equivarianceJacobian: 10,
  /** L_D, of source and driving frame. */
  keypointDistance: 10,
  /** Keypoints of both frames that landmarks of the face lead; of a landmark transformer the change of landmarks between them. */
  landmark: 0,
  /** The motion field at points of the face mesh. */
  meshMotion: 0,
  /** Where the attention of points of the face mesh looks. */
  attentionFocus: 0,
  /** Features of the discriminator in place of a perceptual network, with weights of their own (Monkey-Net). */
  featureReconstruction: 0,
  /** Features of a network that knows faces (X2Face, stage II). */
  identity: 0,
  /** Keypoints in space keep apart, and their middle its depth (OSFV). */
  keypointPrior: 0,
  /** Angles of the head, in degrees, against those of the face mesh (OSFV). */
  headPose: 0,
  /** How far expression moves keypoints (OSFV). */
  expression: 0,
} as const;

/** Name of a term. */
export type ObjectiveTerm = keyof typeof OBJECTIVE_WEIGHTS;

/** A weight for every term; a term of weight 0 need not be computed. */
export type ObjectiveWeights = Readonly<Record<ObjectiveTerm, number>>;

/**
 * `L = lambda_P L_P + lambda_G L_G + lambda_E L_E + lambda_D L_D` -> [].
 *
 * @param terms unweighted, each []
 * @throws RangeError if a term that has a weight is missing
 */
export function objective(
  terms: Readonly<Partial<Record<ObjectiveTerm, Tensor>>>,
  weights: ObjectiveWeights = OBJECTIVE_WEIGHTS,
): Tensor {
  return tidy(() => {
    const weighted = Object.entries(weights).flatMap(([name, weight]) => {
      if (weight === 0) return [];
      const term = terms[name as ObjectiveTerm];
      if (!term) throw new RangeError(`the term '${name}' has weight ${weight} but was not computed`);
      return [term.mul(weight)];
    });
    if (weighted.length === 0) throw new RangeError('all terms of the objective have weight 0');
    return weighted.reduce((total, term) => total.add(term));
  });
}
