// Large tensors, thinned for reference data and inspection, and named for how.
import type { Tensor } from '@dagan/libtorch';

/** What a name may end with, in this order: every so many-th channel, depth, row and column. */
const ENDING = /_every(\d+)(d|px)?(?=_every|$)/g;

/**
 * What a name says of a tensor: `feature_every8` keeps channels 0, 8, 16, ... (axis 1), `_every4d` every fourth slice of depth,
 * `_every2px` every second row and column. Of fields, whose last axis is (x, y) or (x, y, z), rows and columns are the axes before
 * the last.
 */
export function thinned(name: string, tensor: Tensor): Tensor {
  const isField = tensor.ndim > 3 && tensor.size(-1) <= 3;
  const column = tensor.ndim - (isField ? 2 : 1);
  const axes = { channel: [1], d: [column - 2], px: [column - 1, column] };
  let kept = tensor;
  for (const [, step, kind] of name.matchAll(ENDING)) {
    for (const axis of axes[(kind ?? 'channel') as keyof typeof axes])
      kept = kept.slice(axis, 0, undefined, Number(step));
  }
  return kept;
}
