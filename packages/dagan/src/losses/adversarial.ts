// Adversarial loss L_G of Eq. 10 with least squares (Mao et al., "Least Squares Generative Adversarial Networks", 2017), and with
// a hinge for the systems that have it so.
import { type Tensor, tidy } from '@dagan/libtorch';
import type { Judgement } from '../models/discriminator.js';
import { widened } from '../tensors/precision.js';

/** What the discriminators of all scales say of a picture. */
export type Judgements = ReadonlyMap<number, Pick<Judgement, 'prediction'>>;

const sum = (terms: readonly Tensor[]): Tensor => terms.reduce((total, term) => total.add(term));

const squaredDistance = (prediction: Tensor, target: number): Tensor => widened(prediction).sub(target).square().mean();

/** The generator's side: `sum over scales of mean (1 - D(generated))^2` -> []. */
export function generatorAdversarialLoss(generated: Judgements): Tensor {
  return tidy(() => sum([...generated.values()].map(({ prediction }) => squaredDistance(prediction, 1))));
}

/** The discriminator's side: `sum over scales of mean (1 - D(real))^2 + mean D(generated)^2` -> []. */
export function discriminatorLoss(real: Judgements, generated: Judgements): Tensor {
  return tidy(() =>
    sum([
      ...[...real.values()].map(({ prediction }) => squaredDistance(prediction, 1)),
      ...[...generated.values()].map(({ prediction }) => squaredDistance(prediction, 0)),
    ]),
  );
}

/** The generator's side with hinge losses (Lim and Ye, "Geometric GAN", 2017): `sum over scales of -mean D(generated)` -> []. */
export function generatorHingeLoss(generated: Judgements): Tensor {
  return tidy(() => sum([...generated.values()].map(({ prediction }) => widened(prediction).mean().neg())));
}

/** The discriminator's: `sum over scales of mean max(0, 1 - D(real)) + mean max(0, 1 + D(generated))` -> []. */
export function discriminatorHingeLoss(real: Judgements, generated: Judgements): Tensor {
  const margin = (signed: Tensor): Tensor => signed.add(1).relu().mean();
  return tidy(() =>
    sum([
      ...[...real.values()].map(({ prediction }) => margin(widened(prediction).neg())),
      ...[...generated.values()].map(({ prediction }) => margin(widened(prediction))),
    ]),
  );
}
