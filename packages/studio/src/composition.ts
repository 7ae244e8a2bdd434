// What the frames of a file show: the animated square, the whole portrait with it, or portrait, driving frame and square side by side.
import type { Picture } from 'dagan/media/portable';
import { grid } from 'dagan/visualization';
import type { Portrait } from './engine/api.js';
import type { Settings } from './settings.js';

export type Composition = {
  width: number;
  height: number;
  /** Whether the engine gives the whole portrait. */
  pasteBack: boolean;
  /** The file's frame. @param driving the square of the driving frame, where there is one */
  frame(made: Picture, driving: Picture | null): Picture;
};

/** @param drawn whether what drives has pictures */
export function compositionOf(
  { sideBySide, pasteBack }: Pick<Settings, 'sideBySide' | 'pasteBack'>,
  { picture, whole }: Portrait,
  drawn: boolean,
): Composition {
  const { width, height } = picture;
  const asItIs = (made: Picture): Picture => made;
  if (!sideBySide) return { ...(pasteBack ? whole : { width, height }), pasteBack, frame: asItIs };
  return {
    ...{ width: (drawn ? 3 : 2) * width, height, pasteBack: false },
    frame: (made, driving) => grid(driving ? [picture, driving, made] : [picture, made]),
  };
}
