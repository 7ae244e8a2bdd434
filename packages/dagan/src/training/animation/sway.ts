// Heads that tilt, shift and come nearer: between two frames of one short clip they seldom do, so pictures are turned for it.
import { F, noGrad, randn, stack, type Tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { TrainingSetupError } from '../run/setup-error.js';
import { type FramePair, mapFirst } from './pair.js';

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
  const swayed = Math.round(share * pairs.source.size(0));
  if (swayed === 0) return pairs;
  return tidy(() =>
    noGrad(() => {
      const driving = randomGrid(pairs.driving.narrow(0, 0, swayed), strength);
      const grids = { driving, source: randomGrid(pairs.source.narrow(0, 0, swayed), strength) };
      // Sampled as the generator warps: a grid of pixel centres taken for one of pixel edges.
      return mapFirst(pairs, swayed, (frames, layer) =>
        F.gridSample(frames, grids[layer], { paddingMode: 'reflection' }),
      );
    }),
  );
}

/** Where pixels of the swayed frames [N, C, H, W] come from, `z + w(|z|) (s R z + t - z)`: [N, H, W, 2]. */
function randomGrid(frames: Tensor, { tilt = 10, shift = 0.05, scale = 0.05 }: Omit<SwayOptions, 'share'>): Tensor {
  const { dtype, device } = frames;
  const [batch, height, width] = [frames.size(0), frames.size(2), frames.size(3)];
  const draw = (deviation: number): Tensor => randn([batch, 1, 1], { device }).mul(deviation);
  const z = coordinateGrid(height, width, { dtype, device }); // [H, W, 2]
  const inside = z
    .square()
    .sum([-1])
    .sqrt()
    .sub(STILL)
    .div(MOVING - STILL)
    .clamp(0, 1); // [H, W]
  const weight = inside.square().mul(inside.mul(-2).add(3));
  const [x, y] = [z.select(2, 0), z.select(2, 1)];
  const angle = draw((tilt * Math.PI) / 180).mul(weight); // [N, H, W]
  const size = draw(scale).mul(weight).add(1);
  const [cosine, sine] = [angle.cos().mul(size), angle.sin().mul(size)];
  return stack(
    [
      x.mul(cosine).sub(y.mul(sine)).add(draw(shift).mul(weight)),
      x.mul(sine).add(y.mul(cosine)).add(draw(shift).mul(weight)),
    ],
    -1,
  );
}
