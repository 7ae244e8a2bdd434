// Where points of a picture go when the picture is sampled through a map: the map's inverse, which has no formula.
import { cat, noGrad, type Tensor, tidy } from '@dagan/libtorch';

/** The maps bend little, so that each round halves the error at least: 2^-12 of a picture is a thirtieth of a pixel of 128. */
const ROUNDS = 12;

/** Further out nothing is looked for: a map that bends too much to be inverted must not end in infinity. */
const BEYOND = 2;

/**
 * A picture sampled through T shows at z what it showed at T(z), so a point p of it appears where T(z) = p: found by
 * `z <- z - (T(z) - p)` from z = p.
 *
 * @param landmarks x, y and 1 where seen, else 0, [N, P, 3]; -1 and 1 are the centres of the outermost pixels
 * @param map T, [N, P, 2] -> [N, P, 2], on which pictures were sampled as if -1 and 1 were the pixels' edges
 * @param side of the pictures, in pixels
 * @returns [N, P, 3]; a point that leaves the picture is not seen any more
 */
export function movedPoints(landmarks: Tensor, map: (places: Tensor) => Tensor, side: number): Tensor {
  return tidy(() =>
    noGrad(() => {
      const target = landmarks.narrow(2, 0, 2).mul((side - 1) / side);
      let places = target;
      for (let round = 0; round < ROUNDS; round++) places = places.sub(map(places).sub(target)).clamp(-BEYOND, BEYOND);
      const within = places.abs().le(1).to({ dtype: landmarks.dtype }); // [N, P, 2]
      const seen = within
        .narrow(2, 0, 1)
        .mul(within.narrow(2, 1, 1))
        .mul(landmarks.narrow(2, 2, 1)); // [N, P, 1]
      return cat([places.mul(seen), seen], 2);
    }),
  );
}
