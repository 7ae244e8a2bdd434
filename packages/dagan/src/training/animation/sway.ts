// Heads that tilt, shift and come nearer: between two frames of one short clip they seldom do, so pictures are turned for it.
import { F, noGrad, randn, stack, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { type FramePair, mapFirst, moveLandmarks } from './pair.js';

/** How many pairs are swayed, and how strongly: standard deviations of a normal distribution, drawn for every frame. */
export type SwayOptions = {
  /** Part of every rank's batch, 0 to 1, rounded to whole pairs. The others stay as they are to the last bit. */
  share: number;
  /** In degrees, within the plane of the picture. Default 10. */
  tilt?: number;
  /** In halves of the picture's side, to the right and down. Default 0.05. */
  shift?: number;
  /** As a part of the size. Default 0.05. */
  scale?: number;
};

/** Distances from the centre, in halves of the side, up to which all moves, and from which on nothing does. */
const [MOVING, STILL] = [0.5, 1];

/** @throws TrainingSetupError naming the first value that cannot be */
export function checkSway({ share, tilt, shift, scale }: SwayOptions): void {
  const refuse = (name: string, what: string, value: number): never => {
    throw new TrainingSetupError(`sway.${name} must be ${what}, not ${value}`);
  };
  if (!(share >= 0 && share <= 1)) refuse('share', 'from 0 to 1', share);
  for (const [name, value] of Object.entries({ tilt, shift, scale })) {
    if (value !== undefined && !(value >= 0 && Number.isFinite(value))) refuse(name, 'a number from 0', value);
  }
}

/**
 * Moves the middle of both frames of the first pairs of a batch (whose order is random), of each frame in its own way,
 * with libtorch's random numbers: turned, shifted and scaled around the centre, where the heads are, and less and less
 * towards the border, which stays. All tensors of the result belong to the caller's scope; where nothing is swayed they are
 * those that were given.
 */
export function swayPairs(pairs: FramePair, { share, ...strength }: SwayOptions): FramePair {
  const { source } = pairs;
  const swayed = Math.round(share * source.size(0));
  if (swayed === 0) return pairs;
  return tidy(() =>
    noGrad(() => {
      const { dtype, device } = source;
      const [height, width] = [source.size(2), source.size(3)];
      const driving = randomSway(swayed, strength, device);
      const maps = { driving, source: randomSway(swayed, strength, device) };
      const pixels = coordinateGrid(height, width, { dtype, device }).view(1, height * width, 2);
      const gridOf = (layer: keyof typeof maps): Tensor => maps[layer](pixels).view(swayed, height, width, 2);
      const grids = { driving: gridOf('driving'), source: gridOf('source') };
      // Sampled as the generator warps: a grid of pixel centres taken for one of pixel edges.
      return mapFirst(pairs, swayed, (value, layer) =>
        layer === 'points'
          ? moveLandmarks(value, maps, width)
          : F.gridSample(value, grids[layer], { paddingMode: 'reflection' }),
      );
    }),
  );
}

/** Where places z of swayed frames, [1 or N, M, 2], come from: `z + w(|z|) (s R z + t - z)`, [N, M, 2]. */
function randomSway(
  count: number,
  { tilt = 10, shift = 0.05, scale = 0.05 }: Omit<SwayOptions, 'share'>,
  device: string,
): (places: Tensor) => Tensor {
  const draw = (deviation: number): Tensor => randn([count, 1], { device }).mul(deviation);
  const [turn, larger, right, down] = [draw((tilt * Math.PI) / 180), draw(scale), draw(shift), draw(shift)];
  return (z) => {
    const inside = z
      .square()
      .sum([-1])
      .sqrt()
      .sub(STILL)
      .div(MOVING - STILL)
      .clamp(0, 1); // [N, M]
    const weight = inside.square().mul(inside.mul(-2).add(3));
    const [x, y] = [z.select(2, 0), z.select(2, 1)];
    const angle = turn.mul(weight); // [N, M]
    const size = larger.mul(weight).add(1);
    const [cosine, sine] = [angle.cos().mul(size), angle.sin().mul(size)];
    return stack(
      [x.mul(cosine).sub(y.mul(sine)).add(right.mul(weight)), x.mul(sine).add(y.mul(cosine)).add(down.mul(weight))],
      -1,
    );
  };
}
