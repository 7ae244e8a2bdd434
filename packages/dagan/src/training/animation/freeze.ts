// Parts of a model that do not learn.
import type { nn } from '@dagan/libtorch';
import { TrainingSetupError } from '../run/setup-error.js';

/** The parts at these paths. */
export function partsOf(model: nn.Module, paths: readonly string[]): [string, nn.Module][] {
  return [...model.namedModules()].filter(([path]) => paths.includes(path));
}

/** @throws TrainingSetupError if the model has no such part */
export function freeze(model: nn.Module, paths: readonly string[]): void {
  const parts = partsOf(model, paths);
  const unknown = paths.find((path) => !parts.some(([found]) => found === path));
  if (unknown !== undefined) {
    const known = [...model.namedModules()]
      .map(([path]) => path)
      .filter((path) => path !== '' && path.split('.').length <= 2);
    throw new TrainingSetupError(`the model has no part '${unknown}' to freeze; parts are ${known.join(', ')}`);
  }
  for (const [, part] of parts) part.requiresGrad_(false);
}
