// Gradient clipping by norm (Pascanu et al., "On the difficulty of training recurrent neural networks", 2013).
import { noGrad } from '../autograd.js';
import { stack } from '../creation.js';
import type { Parameter } from '../nn/module.js';
import { call, runMany } from '../operator.js';
import { tidy } from '../scope.js';

/**
 * Scales all gradients so that their Euclidean norm, taken together, is at most `maxNorm`.
 * Returns the norm before; it is not finite if any gradient is not, and then nothing is scaled.
 */
export function clipGradNorm(parameters: readonly Parameter[], maxNorm: number): number {
  return tidy(() =>
    noGrad(() => {
      const gradients = parameters.flatMap((parameter) => parameter.grad ?? []);
      if (gradients.length === 0) return 0;
      const norms = runMany('aten::_foreach_norm.Scalar', [gradients, 2]);
      const total = stack(norms).norm().item();
      if (Number.isFinite(total) && total > maxNorm) call('aten::_foreach_mul_.Scalar', [gradients, maxNorm / total]);
      return total;
    }),
  );
}
