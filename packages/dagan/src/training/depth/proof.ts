// Whether stage 1 learns depth instead of painting it, put to proof: trained on rendered heads alone, without their depth, motion or
// focal length, the networks are compared with the truth on heads that they have not seen.
import { cat, keep, manualSeed, noGrad, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { Random } from '../../data/random.js';
import { renderHeadClip, type SyntheticClip } from '../../data/synthetic-head.js';
import { disparityToDepth } from '../../geometry/disparity.js';
import type { Picture } from '../../media/pictures/picture.js';
import { DepthNetwork } from '../../models/depth-network.js';
import { PoseNetwork } from '../../models/pose-network.js';
import { grid } from '../../visualization/drawing.js';
import { heatPicture } from '../../visualization/maps.js';
import { type LearningRateSchedule, learningRateFactor } from '../run/schedule.js';
import { initializeCamera } from './camera.js';
import { depthTraining } from './config.js';
import { DepthGuard } from './guard.js';
import { type DepthErrors, depthErrors } from './metrics.js';
import type { FrameTriple } from './objective.js';
import { depthSheet } from './pictures.js';
import { DEPTH_RECIPES, type DepthRecipe } from './recipe.js';
import { DepthStep, type DepthStepResult } from './step.js';

export type DepthProofOptions = {
  /** Side of the frames. */
  size: number;
  /** Clips to learn from and clips to be tried on, and the frames of each. */
  clips: number;
  heldOut: number;
  frames: number;
  /** How fast the camera moves; see `SyntheticHeadOptions`. */
  motion: number;
  steps: number;
  batchSize: number;
  /** Width of both networks, ResNet-18 at 1. */
  width: number;
  learningRate: number;
  recipe: DepthRecipe;
  /** The rendering camera's focal length over the picture's width, and the factor by which training's start is wrong. */
  focal: number;
  focalStart: number;
  seed: number;
};

export const DEPTH_PROOF: DepthProofOptions = {
  size: 64,
  clips: 100,
  heldOut: 8,
  frames: 10,
  motion: 0.8,
  steps: 4400,
  batchSize: 16,
  width: 0.5,
  learningRate: 4e-4,
  recipe: { ...DEPTH_RECIPES.scratch, scales: 1, warmup: 600, intrinsicsWarmup: 2200, intrinsicsRate: 10 },
  focal: 0.6,
  focalStart: 0.6,
  seed: 0,
};

/** The intrinsics learn in the second half, when small steps have made the motion exact enough to tell them by. */
const SCHEDULE: LearningRateSchedule = { kind: 'milestones', at: [0.5], factor: 0.25, warmup: 200 };

/** Ten times the published one: see `PoseConfig.motionScale`. */
const MOTION_SCALE = 0.1;

/** Means over all held-out frames. */
export type DepthProofResult = {
  /** Over all pixels, wall and head. */
  picture: DepthErrors;
  /** Over the head's pixels, where only its shape counts. */
  head: DepthErrors;
  /** Estimated focal length over the true one, horizontally and vertically. */
  focal: readonly [x: number, y: number];
};

export type DepthProofObserver = {
  step?(step: number, result: Pick<DepthStepResult, 'losses' | 'statistics'>): void;
  /** What the networks make of a batch that they learn from. */
  training?(step: number, sheet: Picture): void;
  /** The networks on held-out frames; the sheet shows frame, estimated and true inverse depth. */
  evaluation?(step: number, result: DepthProofResult, sheet: Picture): void;
  warning?(step: number, message: string): void;
};

/**
 * Depth within 15 %, of the whole picture and of the head alone, correlating above 0.9 with the truth over the whole; focal
 * length within 20 %, of which the larger of the two errors counts.
 */
export function isDepthProven({ picture, head, focal }: DepthProofResult): boolean {
  const focalError = Math.max(...focal.map((ratio) => Math.abs(ratio - 1)));
  return picture.absRel < 0.15 && picture.correlation > 0.9 && head.absRel < 0.15 && focalError < 0.2;
}

/** Frames as [N, 3, H, W] in [0, 1], kept. */
export function clipTensor(frames: readonly Picture[]): Tensor {
  const { width, height } = frames[0]!;
  const values = Float32Array.from(frames.flatMap(({ data }) => Array.from(data, (value) => value / 255)));
  return keep(
    tidy(() =>
      tensor(values, { shape: [frames.length, height, width, 3] })
        .permute(0, 3, 1, 2)
        .contiguous(),
    ),
  );
}

/** Trains and tries the networks; returns how they do at the end. `every` is in steps. */
export function proveDepth(
  options: DepthProofOptions = DEPTH_PROOF,
  { observer = {}, every = 500 }: { observer?: DepthProofObserver; every?: number } = {},
): DepthProofResult {
  const { size, frames, motion, focal, recipe, seed, steps } = options;
  const render = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => renderHeadClip({ size, frames, motion, focal, seed: from + i }));
  const training = render(1000 * seed, options.clips).map((clip) => clipTensor(clip.frames));
  const heldOut = render(1000 * seed + 500, options.heldOut).map((clip) => ({ clip, images: clipTensor(clip.frames) }));
  manualSeed(seed);
  const depthNetwork = new DepthNetwork({ layers: 18, width: options.width });
  const poseNetwork = new PoseNetwork({ layers: 18, width: options.width, motionScale: MOTION_SCALE });
  initializeCamera(poseNetwork, focal * options.focalStart);
  const step = new DepthStep(
    depthNetwork,
    poseNetwork,
    { ...depthTraining('scratch'), recipe },
    { device: 'cpu', group: null },
  );
  const guard = new DepthGuard();
  const random = new Random('depth proof', seed);
  let result: DepthProofResult | null = null;
  for (let taken = 0; taken < steps; taken++) {
    step.learningRate = options.learningRate * learningRateFactor(SCHEDULE, taken, steps);
    const now = (taken + 1) % every === 0 || taken + 1 === steps;
    tidy(() => {
      const batch = drawBatch(training, options, random);
      const { losses, statistics, seen } = step.run(batch, taken);
      observer.step?.(taken + 1, { losses, statistics });
      const warning = guard.update(statistics);
      if (warning) observer.warning?.(taken + 1, warning.message);
      if (now) observer.training?.(taken + 1, depthSheet(batch, seen));
    });
    if (!now) continue;
    const tried = tryOn(heldOut, depthNetwork, poseNetwork, recipe);
    result = tried.result;
    observer.evaluation?.(taken + 1, result, tried.sheet);
  }
  step.dispose();
  for (const each of [depthNetwork, poseNetwork, ...training, ...heldOut.map(({ images }) => images)]) each.dispose();
  return result!;
}

/** Neighbouring frames of random clips, in time's order or against it, some mirrored. */
function drawBatch(clips: readonly Tensor[], { batchSize, recipe }: DepthProofOptions, random: Random): FrameTriple {
  const triples = Array.from({ length: batchSize }, () => {
    const clip = clips[random.below(clips.length)]!;
    const at = 1 + random.below(clip.size(0) - 2);
    const [step, mirrored] = [random.chance(0.5) ? 1 : -1, random.chance(0.5)];
    return [at - step, at, at + step].map((i) => (mirrored ? clip.narrow(0, i, 1).flip(3) : clip.narrow(0, i, 1)));
  });
  const [previous, target, next] = [0, 1, 2].map((i) => cat(triples.map((triple) => triple[i]!))) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  return recipe.frames === 3 ? { previous, target, next } : { target, next };
}

function tryOn(
  heldOut: readonly { clip: SyntheticClip; images: Tensor }[],
  depthNetwork: DepthNetwork,
  poseNetwork: PoseNetwork,
  recipe: DepthRecipe,
): { result: DepthProofResult; sheet: Picture } {
  depthNetwork.eval();
  poseNetwork.eval();
  const [picture, head]: [DepthErrors[], DepthErrors[]] = [[], []];
  const focal: (readonly [number, number])[] = [];
  const shown: Picture[] = [];
  for (const { clip, images } of heldOut) {
    tidy(() =>
      noGrad(() => {
        const size = images.size(3);
        const depths = disparityToDepth(depthNetwork.forward(images), recipe.depthRange).unbind(0);
        for (const [i, depth] of depths.entries()) {
          const [estimated, truth] = [depth.toFloat32Array(), clip.depths[i]!];
          picture.push(depthErrors(estimated, truth));
          head.push(depthErrors(estimated, truth, clip.masks[i]!));
          if (i > 0) continue;
          const heat = (values: Float32Array) =>
            heatPicture({ width: size, height: size, data: values.map((value) => 1 / value) });
          shown.push(clip.frames[i]!, heat(estimated), heat(truth));
        }
        const pairs = images.size(0) - 1;
        const { intrinsics } = poseNetwork.forward(images.narrow(0, 0, pairs), images.narrow(0, 1, pairs));
        const K = intrinsics.mean([0]).toFloat32Array();
        focal.push([K[0]! / clip.intrinsics[0]!, K[4]! / clip.intrinsics[4]!]);
      }),
    );
  }
  depthNetwork.train();
  poseNetwork.train();
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const meanErrors = (errors: readonly DepthErrors[]): DepthErrors => ({
    absRel: mean(errors.map(({ absRel }) => absRel)),
    correlation: mean(errors.map(({ correlation }) => correlation)),
  });
  return {
    result: {
      picture: meanErrors(picture),
      head: meanErrors(head),
      focal: [mean(focal.map(([x]) => x)), mean(focal.map(([, y]) => y))],
    },
    sheet: grid(shown, { columns: 12, gap: 2 }),
  };
}
