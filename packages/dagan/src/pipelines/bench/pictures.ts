// What engines are shown when they are measured: a portrait and driving frames as squares of the networks' size.
import { centeredSquare, padCut, planCut } from '../../animation/crop.js';
import { renderHeadClip } from '../../data/synthetic-head.js';
import { readPicture } from '../../media/pictures/images.js';
import type { Picture } from '../../media/pictures/picture.js';
import { transformPicture } from '../../media/pictures/resize.js';
import { openClip } from '../../media/process/clip.js';
import { NETWORK_SIZE } from '../choose-model.js';

export type Seen = { portrait: Picture; frames: Picture[] };

/** The squares around the centres of a portrait and of a clip's first frames. */
export async function centreSquares(
  { portrait, driving }: { portrait: string; driving: string },
  count: number,
): Promise<Seen> {
  const square = (picture: Picture): Picture => {
    const { width, height } = picture;
    const cut = planCut(centeredSquare(width, height), width, height, NETWORK_SIZE);
    return padCut(transformPicture(picture, cut.transform), cut);
  };
  await using clip = await openClip(driving, { end: count });
  const frames: Picture[] = [];
  for await (const { picture } of clip.frames()) frames.push(square(picture));
  return { portrait: square(await readPicture(portrait)), frames };
}

/** A rendered head before a moving camera: what the networks cost does not depend on what they see. */
export function renderedHead(count: number): Seen {
  const [portrait, ...frames] = renderHeadClip({ size: NETWORK_SIZE, frames: count + 1 }).frames;
  return { portrait: portrait!, frames };
}
