// Several portraits of a person, which few models take.
import type { Engine } from '../animation/engine.js';
import { DaganError } from '../errors.js';

/** @throws DaganError for an engine whose model takes one portrait */
export function requireMerging({ mergesPortraits = false }: Engine): void {
  if (mergesPortraits) return;
  throw new DaganError('one-portrait', 'this model takes one portrait of a person, and does not merge several', {});
}
