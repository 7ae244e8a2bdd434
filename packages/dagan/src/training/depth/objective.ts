// What depth, pose and intrinsics are judged by (Section 3.2, Eqs. 1 to 5): how well neighbouring frames rebuild a frame.
import { cat, F, linspace, noGrad, stack, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { disparityToDepth } from '../../geometry/disparity.js';
import { poseMatrix } from '../../geometry/pose.js';
import { synthesizeView } from '../../geometry/view-synthesis.js';
import { photometricError } from '../../losses/photometric.js';
import { minimumReprojection } from '../../losses/reprojection.js';
import { edgeAwareSmoothness } from '../../losses/smoothness.js';
import type { DepthNetwork } from '../../models/depth-network.js';
import type { PoseNetwork } from '../../models/pose-network.js';
import { inPrecision } from '../loop/mixed-precision.js';
import type { DepthTrainingConfig } from './config.js';
import type { DepthRecipe } from './recipe.js';

/** Neighbouring frames of a clip, [N, 3, H, W] in [0, 1] each. */
export type FrameTriple = { previous?: Tensor; target: Tensor; next: Tensor };

/** What the networks made of a batch, at full size: the panel in which one sees a collapse. */
export type DepthSeen = {
  disparity: Tensor; // [N, 1, H, W]
  /** The target rebuilt from the next frame. */
  warped: Tensor; // [N, 3, H, W]
  /** 1 where depth learns. */
  mask: Tensor; // [N, 1, H, W]
};

/** What tells a collapse, means over the batch. */
export type DepthStatistics<Value = number> = {
  /** How far depth and camera motion move the pixels, in pixels. */
  motion: Value;
  /** Mean absolute difference of neighbouring frames; pictures are in [0, 1]. */
  change: Value;
  /** Standard deviation of a picture's disparity over its mean. */
  relief: Value;
  /** Focal length over the picture's width, and over its height. */
  focalX: Value;
  focalY: Value;
  /** Share of the pixels that learn. */
  learning: Value;
};

/** One batch's terms, each [], weighted and averaged over the scales in `total`. */
export type DepthTerms = { photometric: Tensor; smoothness: Tensor; total: Tensor };

export type DepthJudgement = { terms: DepthTerms; seen: DepthSeen; statistics: DepthStatistics<Tensor> };

export class DepthObjective {
  /** @param device where the networks are */
  constructor(
    readonly depthNetwork: DepthNetwork,
    readonly poseNetwork: PoseNetwork,
    readonly config: Pick<DepthTrainingConfig, 'recipe' | 'precision'>,
    readonly device: string,
  ) {}

  get recipe(): DepthRecipe {
    return this.config.recipe;
  }

  /**
   * Judges a batch. The sources, S of them, go through geometry and losses side by side as one batch of S N.
   *
   * @param warmingUp all pixels of all sources count, whatever the recipe says
   */
  forward({ previous, target, next }: FrameTriple, { warmingUp = false } = {}): DepthJudgement {
    return tidy(() => {
      const { recipe } = this;
      const [choosing, masking] = [recipe.minimumReprojection && !warmingUp, recipe.automasking && !warmingUp];
      const size = [target.size(2), target.size(3)] as const;
      const sources = previous ? cat([previous, next]) : next; // [S N, 3, H, W]
      const targets = previous ? cat([target, target]) : target;
      const perSource = (errors: Tensor) => errors.split(target.size(0)); // [S N, ...] -> S of [N, ...]

      const pyramid = this.#inPrecision(() => this.depthNetwork.pyramid(target)).slice(0, recipe.scales);
      const { pose, intrinsics } = this.#camera({ previous, target, next });
      const still = masking ? perSource(photometricError(sources, targets, recipe.photometric)) : [];

      const scales = pyramid.map((raw, scale) => {
        const disparity = raw.to({ dtype: 'float32' }); // [N, 1, H / 2^s, W / 2^s]
        const large = scale === 0 ? disparity : F.upsampleBilinear(disparity, size);
        const depth = disparityToDepth(previous ? cat([large, large]) : large, recipe.depthRange); // [S N, 1, H, W]
        const { warped, grid } = synthesizeView(sources, { depth, intrinsics, pose }, recipe);
        const errors = perSource(photometricError(warped, targets, recipe.photometric)); // S of [N, 1, H, W]
        const judged = minimumReprojection(choosing ? errors : [stack(errors).mean([0])], still);
        const image = scale === 0 ? target : F.avgPool2d(target, 2 ** scale);
        const smoothness = edgeAwareSmoothness(disparity, image).mul(recipe.smoothness / 2 ** scale);
        return { disparity, warped, grid, mask: judged.mask, photometric: judged.error.mean(), smoothness };
      });

      const mean = (of: (scale: (typeof scales)[number]) => Tensor) => stack(scales.map(of)).mean();
      const [photometric, smoothness] = [mean((scale) => scale.photometric), mean((scale) => scale.smoothness)];
      const { disparity, warped, grid, mask } = scales[0]!;
      const statistics = noGrad(() => statisticsOf({ disparity, grid, mask, sources, targets, intrinsics }));
      const seen = { disparity: disparity.detach(), warped: perSource(warped.detach()).at(-1)!, mask };
      return { terms: { photometric, smoothness, total: photometric.add(smoothness) }, seen, statistics };
    });
  }

  /** Camera motion from the target to every source, [S N, 4, 4], and K, [S N, 3, 3]. The network sees frames in time's order. */
  #camera({ previous, target, next }: FrameTriple): { pose: Tensor; intrinsics: Tensor } {
    const first = previous ? cat([previous, target]) : target;
    const second = previous ? cat([target, next]) : next;
    const { axisAngle, translation, intrinsics } = this.#inPrecision(() => this.poseNetwork.forward(first, second));
    if (!previous) return { pose: poseMatrix(axisAngle, translation), intrinsics };
    const halves = (motion: Tensor) => motion.split(target.size(0)) as [Tensor, Tensor];
    const [rotationBefore, rotationAfter] = halves(axisAngle);
    const [translationBefore, translationAfter] = halves(translation);
    const back = poseMatrix(rotationBefore, translationBefore, { invert: true });
    return { pose: cat([back, poseMatrix(rotationAfter, translationAfter)]), intrinsics };
  }

  #inPrecision<T>(body: () => T): T {
    return inPrecision(this.config, this.device, body);
  }
}

/** All but the first two are [S N, ...]. */
function statisticsOf({
  disparity,
  mask,
  grid,
  sources,
  targets,
  intrinsics,
}: Record<'disparity' | 'mask' | 'grid' | 'sources' | 'targets' | 'intrinsics', Tensor>): DepthStatistics<Tensor> {
  const [height, width] = [grid.size(1), grid.size(2)];
  const where = { device: grid.device };
  const identity = stack(
    [
      linspace(-1, 1, width, where).view(1, width).expand(height, width),
      linspace(-1, 1, height, where).view(height, 1).expand(height, width),
    ],
    -1,
  ); // [H, W, 2]
  const toPixels = tensor([(width - 1) / 2, (height - 1) / 2]).to(where);
  const moved = grid.clamp(-2, 2).sub(identity).mul(toPixels).square().sum([-1]).sqrt(); // [S N, H, W]
  const spread = disparity.variance([1, 2, 3], { correction: 0 }).sqrt();
  const entry = (i: number) => intrinsics.select(1, i).select(1, i).mean();
  return {
    motion: moved.mean(),
    change: sources.sub(targets).abs().mean(),
    relief: spread.div(disparity.mean([1, 2, 3])).mean(),
    focalX: entry(0).div(width),
    focalY: entry(1).div(height),
    learning: mask.mean(),
  };
}
