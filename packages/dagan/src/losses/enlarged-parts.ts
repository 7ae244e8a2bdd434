// Mouth and eyes by themselves, enlarged. In a whole frame they are a few dozen pixels wide, and a perceptual network that begins with
// a stride sees no teeth there: what it has nothing to say of becomes a mean, which is a flat red between lips. Not in the paper.
import { cat, F, noGrad, stack, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';

/** Side of a part's picture. */
const SIDE = 96;

/** A square around the middle of points, its half side `reach` times the distance between the first two. */
export type Part = {
  /** Where they stand in tensors of landmarks. */
  points: readonly [number, number, ...number[]];
  reach: number;
};

/** Faces seen from the side have narrow mouths: no part is smaller than this, of the picture from -1 to 1. */
const LEAST = 0.1;

/**
 * L parts of N pictures, each cut out by a square and brought to 96 x 96: [N, 3, H, W] -> [L N, 3, 96, 96], all pictures of the
 * first part first. Where a face was not seen the part is the middle of the picture.
 *
 * @param landmarks x, y and 1 where seen of P points, [N, P, 3]; -1 and 1 are the centres of the outermost pixels
 */
export function enlargedParts(image: Tensor, landmarks: Tensor, parts: readonly Part[]): Tensor {
  return tidy(() => {
    const unit = noGrad(() => coordinateGrid(SIDE, SIDE, { dtype: 'float32', device: image.device }).unsqueeze(0)); // [1, 96, 96, 2]
    const exact = image.to({ dtype: 'float32' });
    const pictures = parts.map((part) => {
      const places = noGrad(() => placesOf(part, landmarks, unit)); // [N, 96, 96, 2]
      return F.gridSample(exact, places, { alignCorners: true, paddingMode: 'border' }); // [N, 3, 96, 96]
    });
    return cat(pictures, 0);
  });
}

/** Where the pixels of a part come from, [N, 96, 96, 2]. */
function placesOf({ points: places, reach }: Part, landmarks: Tensor, unit: Tensor): Tensor {
  const points = stack(
    places.map((place) => landmarks.select(1, place).narrow(1, 0, 2)),
    1,
  ); // [N, L, 2]
  const apart = points.select(1, 0).sub(points.select(1, 1)).square().sum([1]).sqrt(); // [N]
  const half = apart.mul(reach).clamp(LEAST).view(-1, 1, 1, 1);
  const middle = points.mean([1]).view(-1, 1, 1, 2);
  return unit.mul(half).add(middle);
}
