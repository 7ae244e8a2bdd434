// The systems whose models are known: the one list that files, commands and training go by.
import type { SystemConfig } from '../animation-model.js';
import { ConfigError } from '../config/config-check.js';
import type { NamedShapes, System } from '../system.js';
import { DAGAN } from './dagan-system.js';
import { MARIONETTE } from './marionette-system.js';
import { MESHG_LIKE } from './meshg-like-system.js';
import { MONKEY_NET } from './monkey-net-system.js';
import { NEURALHEAD } from './neuralhead-system.js';
import { OSFV } from './osfv-system.js';
import { X2FACE } from './x2face-system.js';

/** DaGAN, whose files do not say which system they hold, comes last. */
export const SYSTEMS: readonly System[] = [X2FACE, MONKEY_NET, OSFV, MESHG_LIKE, NEURALHEAD, MARIONETTE, DAGAN];

/** The system of a configuration. @throws ConfigError for one that is not known */
export function systemOf({ system = DAGAN.name }: SystemConfig): System {
  const found = SYSTEMS.find(({ name }) => name === system);
  if (found) return found;
  const known = SYSTEMS.map(({ name }) => name).join(', ');
  throw new ConfigError(`there is no system '${system}'; known are ${known}`);
}

/** The system that tensors of a file belong to, by our names. */
export function systemOfTensors(tensors: NamedShapes): System {
  const names = [...tensors.keys()];
  return SYSTEMS.find(({ owns }) => names.some(owns)) ?? DAGAN;
}

/**
 * A model's configuration from a value of unknown origin, such as parsed JSON.
 *
 * @throws ConfigError, naming the first key that is missing, unknown, of the wrong type or out of range
 */
export function checkSystemConfig(value: unknown): SystemConfig {
  const system = typeof value === 'object' && value !== null && 'system' in value ? value.system : undefined;
  return systemOf(typeof system === 'string' ? { system } : {}).checkConfig(value);
}
