// One training step of stage 1 (Section 3.2, Eqs. 1 to 5): depth, camera motion and intrinsics from neighbouring frames alone.
import { optim } from '@dagan/libtorch';
import type { DepthNetwork } from '../../models/depth-network.js';
import type { PoseNetwork } from '../../models/pose-network.js';
import { keepingBuffers } from '../loop/buffers.js';
import { Descent } from '../loop/descent.js';
import { finiteMeansOf, rankMeansOf } from '../loop/scalars.js';
import type { TrainingPlace } from '../ranks/ranks.js';
import { poseParameters } from './camera.js';
import type { DepthTrainingConfig } from './config.js';
import { DepthObjective, type DepthSeen, type DepthStatistics, type FrameTriple } from './objective.js';

export type DepthStepConfig = Pick<DepthTrainingConfig, 'recipe' | 'precision' | 'learningRate' | 'clipNorm'>;

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
  readonly #descent: Descent;

  constructor(
    readonly depthNetwork: DepthNetwork,
    readonly poseNetwork: PoseNetwork,
    readonly config: DepthStepConfig,
    readonly place: TrainingPlace,
  ) {
    const { principalPoint } = config.recipe;
    this.objective = new DepthObjective(depthNetwork, poseNetwork, config, place.device);
    const { camera, motion } = poseParameters(poseNetwork, principalPoint);
    poseNetwork.pose.principalPointHead.requiresGrad_(principalPoint === 'learned');
    this.networkOptimizer = new optim.Adam([...depthNetwork.parameters(), ...motion]);
    this.cameraOptimizer = new optim.Adam(camera);
    this.learningRate = config.learningRate;
    const optimizers = [this.networkOptimizer, this.cameraOptimizer];
    this.#descent = new Descent('depth and pose network', optimizers, config.clipNorm, place.group);
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
    const { warmup, intrinsicsWarmup } = this.config.recipe;
    const { group } = this.place;
    this.#descent.zeroGrad();
    const { terms, statistics, seen } = this.objective.forward(batch, { warmingUp: step < warmup });
    const losses = finiteMeansOf(terms, group);
    this.#descent.backward(terms.total, { last: true });
    const gradientNorm = this.#descent.finish();
    this.networkOptimizer.step();
    if (step >= intrinsicsWarmup) this.cameraOptimizer.step();
    return { losses, gradientNorm, statistics: rankMeansOf(statistics, group), seen };
  }

  /** Rate of the networks; that of the intrinsics is the recipe's share of it. */
  set learningRate(rate: number) {
    this.networkOptimizer.lr = rate;
    this.cameraOptimizer.lr = rate * this.config.recipe.intrinsicsRate;
  }

  /** Frees the optimisers' averages; the networks stay. */
  dispose(): void {
    this.#descent.dispose();
  }
}
