// Everything that depth training changes, in one object: networks and optimisers. What a checkpoint holds.
import type { nn, Tensor } from '@dagan/libtorch';
import { DepthNetwork } from '../../models/depth-network.js';
import { saveDepthFile } from '../../models/files/depth-file.js';
import type { ModelMetadata } from '../../models/files/model-file.js';
import { PoseNetwork } from '../../models/pose-network.js';
import { joinSections, loadSections, type Sections } from '../loop/state-sections.js';
import { joinRanks, type TrainingPlace } from '../ranks/ranks.js';
import { initializeCamera } from './camera.js';
import type { DepthTrainingConfig } from './config.js';
import { DepthStep } from './step.js';

export class DepthState {
  readonly depthNetwork: DepthNetwork;
  readonly poseNetwork: PoseNetwork;
  readonly step: DepthStep;

  /** New networks with random weights, the same in all ranks, that see every pair of frames through the same camera. */
  constructor(
    readonly config: DepthTrainingConfig,
    readonly place: TrainingPlace,
  ) {
    const { depth, pose, recipe, learningRate, clipNorm, precision, focal } = config;
    const { device, group } = place;
    const layout = { device, memoryFormat: 'channels_last' } as const;
    this.depthNetwork = new DepthNetwork(depth).to(layout);
    this.poseNetwork = new PoseNetwork(pose).to(layout);
    initializeCamera(this.poseNetwork, focal);
    const networks = [this.depthNetwork, this.poseNetwork];
    joinRanks(networks, networks, place);
    this.step = new DepthStep(this.depthNetwork, this.poseNetwork, {
      ...{ recipe, learningRate, clipNorm, precision, device, group },
    });
  }

  train(training = true): void {
    this.depthNetwork.train(training);
    this.poseNetwork.train(training);
  }

  /** Every tensor by name. Only the optimisers' step numbers are new; the others stay their owners' own. */
  stateDict(): Map<string, Tensor> {
    return joinSections(this.#sections());
  }

  /** @throws StateDictError if the tensors are not those of such a training */
  loadStateDict(state: nn.StateDict): void {
    loadSections(this.#sections(), state);
  }

  /** Writes both networks as a file that `dagan train animation --depth` takes. */
  export(path: string, metadata: ModelMetadata): void {
    const { depth, pose, size } = this.config;
    saveDepthFile(path, joinSections(this.#networks), { depth, pose, size }, metadata);
  }

  dispose(): void {
    this.step.dispose();
    this.depthNetwork.dispose();
    this.poseNetwork.dispose();
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
