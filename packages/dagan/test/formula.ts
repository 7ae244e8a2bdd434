// Modules filled with the weights that the reference fixtures were computed with.
import type { nn } from '@dagan/libtorch';
import { fillByFormula } from '../src/models/formula-weights.js';

export { fnv1a, formulaTensor } from '../src/models/formula-weights.js';

/** @param prefix name of the module in the published state dicts, such as `kp_detector` */
export function loadFormula<M extends nn.Module>(module: M, prefix: string, seed = 'open'): M {
  return fillByFormula(module, { prefix, seed });
}
