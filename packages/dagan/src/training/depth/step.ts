// One training step of stage 1 (Section 3.2, Eqs. 1 to 5): depth, camera motion and intrinsics from neighbouring frames alone.
import { backward, type distributed, type nn, optim } from '@dagan/libtorch';
import type { DepthNetwork } from '../../models/depth-network.js';
import type { PoseNetwork } from '../../models/pose-network.js';
import { keepingBuffers } from '../loop/buffers.js';
import { finiteMeansOf, rankMeansOf } from '../loop/scalars.js';
import { NonFiniteLossError } from '../run/non-finite-loss.js';
import { poseParameters } from './camera.js';
import {
  DepthObjective,
  type DepthObjectiveOptions,
  type DepthSeen,
  type DepthStatistics,
  type FrameTriple,
} from './objective.js';
import { DEPTH_LEARNING_RATE, DEPTH_RECIPES, type DepthRecipe } from './recipe.js';

export type DepthStepOptions = Partial<DepthObjectiveOptions> & {
  recipe?: DepthRecipe;
  learningRate?: number;
  /** Largest Euclidean norm of all gradients together; null for any. */
  clipNorm?: number | null;
  /** The ranks that train together, each with its share of the batch. */
  group?: distributed.ProcessGroup | null;
};

export type DepthStepResult = {
  losses: Readonly<Record<'photometric' | 'smoothness' | 'total', number>>;
  /** Norm of all gradients before clipping. */
  gradientNorm: number;
  statistics: DepthStatistics;
  seen: DepthSeen;
};

export class DepthStep {
  readonly networkOptimizer: optim.Adam;
  readonly cameraOptimizer: optim.Adam;
  readonly objective: DepthObjective;
  readonly #parameters: readonly nn.Parameter[];
  readonly #gradients: optim.GradientAverager;
  readonly #clipNorm: number | null;
  readonly #group: distributed.ProcessGroup | null;

  constructor(
    readonly depthNetwork: DepthNetwork,
    readonly poseNetwork: PoseNetwork,
    {
      recipe = DEPTH_RECIPES.published,
      precision = 'float32',
      device = 'cpu',
      learningRate = DEPTH_LEARNING_RATE,
      clipNorm = 1,
      group = null,
    }: DepthStepOptions = {},
  ) {
    this.objective = new DepthObjective(depthNetwork, poseNetwork, recipe, { precision, device });
    const { camera, motion } = poseParameters(poseNetwork, recipe.principalPoint);
    poseNetwork.pose.principalPointHead.requiresGrad_(recipe.principalPoint === 'learned');
    this.networkOptimizer = new optim.Adam([...depthNetwork.parameters(), ...motion]);
    this.cameraOptimizer = new optim.Adam(camera);
    this.learningRate = learningRate;
    this.#parameters = [...this.networkOptimizer.parameters, ...camera];
    this.#gradients = new optim.GradientAverager(this.#parameters, group);
    this.#clipNorm = clipNorm;
    this.#group = group;
  }

  /**
   * Learns from a batch. The result's tensors belong to the caller's scope.
   * @param step number of steps taken before this one, in the whole training; the recipe's warm-ups go by it
   * @throws NonFiniteLossError, in all ranks if it comes up in one, without having changed the networks
   */
  run(batch: FrameTriple, step = Number.POSITIVE_INFINITY): DepthStepResult {
    return keepingBuffers([this.depthNetwork, this.poseNetwork], () => this.#run(batch, step));
  }

  #run(batch: FrameTriple, step: number): DepthStepResult {
    const { warmup, intrinsicsWarmup } = this.objective.recipe;
    for (const optimizer of this.optimizers) optimizer.zeroGrad();
    const { terms, statistics, seen } = this.objective.forward(batch, { warmingUp: step < warmup });
    const losses = finiteMeansOf(terms, this.#group);
    this.#gradients.start();
    backward([terms.total]);
    this.#gradients.finish();
    const gradientNorm = optim.clipGradNorm(this.#parameters, this.#clipNorm ?? Number.POSITIVE_INFINITY);
    if (!Number.isFinite(gradientNorm)) throw new NonFiniteLossError('gradient of depth and pose network');
    this.networkOptimizer.step();
    if (step >= intrinsicsWarmup) this.cameraOptimizer.step();
    return { losses, gradientNorm, statistics: rankMeansOf(statistics, this.#group), seen };
  }

  get optimizers(): readonly optim.Adam[] {
    return [this.networkOptimizer, this.cameraOptimizer];
  }

  /** Rate of the networks; that of the intrinsics is the recipe's share of it. */
  set learningRate(rate: number) {
    this.networkOptimizer.lr = rate;
    this.cameraOptimizer.lr = rate * this.objective.recipe.intrinsicsRate;
  }

  /** Frees the optimisers' averages; the networks stay. */
  dispose(): void {
    for (const optimizer of this.optimizers) optimizer.dispose();
    this.#gradients.dispose();
  }
}
