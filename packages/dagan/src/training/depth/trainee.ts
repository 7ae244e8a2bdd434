// Depth and pose network while they are trained, with their optimisers and the guard. They learn, are tried, saved and exported;
// their state dict is what a checkpoint holds.
import { type nn, type Tensor, tidy } from '@dagan/libtorch';
import { DepthNetwork } from '../../models/depth-network.js';
import { saveDepthFile } from '../../models/files/depth-file.js';
import type { ModelMetadata } from '../../models/files/model-file.js';
import { PoseNetwork } from '../../models/pose-network.js';
import { batchOn } from '../batches/batches.js';
import { joinSections, loadSections, type Sections } from '../loop/state-sections.js';
import { joinRanks, type TrainingPlace } from '../ranks/ranks.js';
import type { Evaluated, Learned, LearnOptions, Trainee } from '../run/training-stage.js';
import { initializeCamera } from './camera.js';
import type { DepthTrainingConfig } from './config.js';
import { evaluateDepth, framesFor } from './evaluation.js';
import { DepthGuard, type DepthGuardState } from './guard.js';
import type { FrameTriple } from './objective.js';
import { depthSheet } from './pictures.js';
import { DepthStep } from './step.js';

export class DepthTrainee implements Trainee<FrameTriple> {
  readonly depthNetwork: DepthNetwork;
  readonly poseNetwork: PoseNetwork;
  readonly step: DepthStep;
  readonly #guard: DepthGuard;

  /**
   * New networks with random weights, the same in all ranks, that see every pair of frames through the same camera.
   *
   * @param patience steps before the guard judges; its own default if not given
   */
  constructor(
    readonly config: DepthTrainingConfig,
    readonly place: TrainingPlace,
    { patience }: { patience?: number } = {},
  ) {
    const layout = { device: place.device, memoryFormat: 'channels_last' } as const;
    this.depthNetwork = new DepthNetwork(config.depth).to(layout);
    this.poseNetwork = new PoseNetwork(config.pose).to(layout);
    initializeCamera(this.poseNetwork, config.focal);
    const networks = [this.depthNetwork, this.poseNetwork];
    joinRanks(networks, networks, place);
    this.step = new DepthStep(this.depthNetwork, this.poseNetwork, config, place);
    this.#guard = new DepthGuard(patience);
  }

  /** The networks are the same for pictures of any size. */
  resized(): this {
    return this;
  }

  learn(batch: FrameTriple, { step, learningRate, drawing }: LearnOptions): Learned {
    this.step.learningRate = learningRate;
    const learned = tidy(() => {
      const moved = framesFor(this.config.recipe, batchOn(batch, this.place.device));
      const { losses, gradientNorm, statistics, seen } = this.step.run(moved, step);
      const sheet = drawing ? depthSheet(moved, seen) : null;
      return { losses, gradientNorms: { networks: gradientNorm }, statistics, sheet };
    });
    return { ...learned, warning: this.#guard.update(learned.statistics)?.message ?? null };
  }

  async evaluate(batches: AsyncIterable<FrameTriple>, options: { drawing: boolean }): Promise<Evaluated> {
    this.#train(false);
    try {
      return await evaluateDepth(this.step.objective, batches, this.place, options);
    } finally {
      this.#train();
    }
  }

  /** Every tensor by name. Only the optimisers' step numbers are new; the others stay their owners' own. */
  stateDict(): Map<string, Tensor> {
    return joinSections(this.#sections());
  }

  /** @throws StateDictError if the tensors are not those of such a training */
  loadStateDict(state: nn.StateDict): void {
    loadSections(this.#sections(), state);
  }

  memory(): DepthGuardState {
    return this.#guard.state;
  }

  recall(memory: unknown): void {
    if (memory) this.#guard.state = memory as DepthGuardState;
  }

  /**
   * Writes both networks as a file that animation training takes. It also says what camera they see, the mean over some fifty
   * steps.
   */
  export(path: string, metadata: ModelMetadata): void {
    const { depth, pose, size } = this.config;
    const { mean } = this.#guard.state;
    const camera = mean && { focal_x: `${mean.focalX}`, focal_y: `${mean.focalY}` };
    saveDepthFile(path, joinSections(this.#networks), { depth, pose, size }, { ...metadata, ...camera });
  }

  [Symbol.dispose](): void {
    this.step.dispose();
    this.depthNetwork.dispose();
    this.poseNetwork.dispose();
  }

  #train(training = true): void {
    this.depthNetwork.train(training);
    this.poseNetwork.train(training);
  }

  get #networks(): Sections {
    return [
      ['depth_network.', this.depthNetwork],
      ['pose_network.', this.poseNetwork],
    ];
  }

  #sections(): Sections {
    return [
      ...this.#networks,
      ['adam.networks.', this.step.networkOptimizer],
      ['adam.camera.', this.step.cameraOptimizer],
    ];
  }
}
