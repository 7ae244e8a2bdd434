// A perceptual distance of the kind of LPIPS (Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
// Metric", 2018), of whatever network there is. Figures of different networks do not compare, nor with LPIPS's own.
import { stack, type Tensor, tidy } from '@dagan/libtorch';

/** Keeps features of nothing from being divided by zero. */
const EPSILON = 1e-10;

/** Features with the vector of channels at each position divided by its length: a tensor [N, C, H, W] per layer. */
export function unitFeatures(maps: readonly Tensor[]): Tensor[] {
  return tidy(() => maps.map((map) => map.div(map.square().sum([1], true).sqrt().add(EPSILON))));
}

/**
 * `mean over layers of mean over positions of |a - b|^2`, where |.| is the length of a position's vector of channels: 0 for
 * the same features, 2 where nothing is in common. It is LPIPS without its learned weights of channels.
 *
 * @param a features of N pictures, from `unitFeatures`
 * @param b those of the N pictures to compare them with
 * @returns N distances
 */
export function featureDistances(a: readonly Tensor[], b: readonly Tensor[]): number[] {
  if (a.length !== b.length) throw new RangeError(`features of ${a.length} and of ${b.length} layers do not compare`);
  return tidy(() => {
    // Summed over channels and positions, then divided by the number of positions.
    const layers = a.map((map, layer) => {
      const [, , height, width] = map.shape as [number, number, number, number];
      return map
        .sub(b[layer]!)
        .square()
        .sum([1, 2, 3])
        .div(height * width); // [N]
    });
    return [...stack(layers).mean([0]).toFloat32Array()];
  });
}
