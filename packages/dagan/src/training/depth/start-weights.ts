// Weights that a training of face depth starts from.
import { noGrad } from '@dagan/libtorch';
import type { DepthConfig } from '../../models/depth-network.js';
import { loadDepthFile } from '../../models/files/depth-file.js';
import { located } from '../../models/files/located.js';
import type { PoseConfig } from '../../models/pose-network.js';
import { initializeCamera } from './camera.js';
import type { DepthTrainee } from './trainee.js';

export type DepthStart = {
  depth: DepthConfig;
  /** Null where the files hold no pose network. */
  pose: PoseConfig | null;
  /**
   * Fills the networks that are there. The camera is looked at as the file's pose network does it, unless a focal length is
   * given.
   */
  load(trainee: DepthTrainee, focal?: number): void;
};

/**
 * Depth network, and pose network if there is one, of earlier weights: a `depth.safetensors`, a checkpoint of either stage,
 * a model, or published files (`encoder.pth`, `depth.pth` and, if wanted, `pose_encoder.pth` and `pose.pth`).
 *
 * @throws CheckpointError, naming the file, if it cannot be read or holds no depth network
 */
export function depthStart(paths: readonly [string, ...string[]]): DepthStart {
  const { network, config, poseNetwork, poseConfig, metadata } = loadDepthFile(...paths);
  const ours = metadata.format?.startsWith('dagan-') ?? false;
  return {
    depth: config,
    pose: poseConfig,
    load: (trainee, focal) => {
      located(paths.join(', '), 'does not fit the networks to be trained', () => {
        trainee.depthNetwork.loadStateDict(network.stateDict());
        if (poseNetwork) trainee.poseNetwork.loadStateDict(poseNetwork.stateDict());
      });
      if (poseNetwork && !ours) centre(trainee);
      if (focal !== undefined) initializeCamera(trainee.poseNetwork, focal);
      network.dispose();
      poseNetwork?.dispose();
    },
  };
}

/** Puts the principal point in the picture's middle: the published head reads it off in another way. */
function centre({ poseNetwork }: DepthTrainee): void {
  const { weight, bias } = poseNetwork.pose.principalPointHead;
  noGrad(() => {
    weight.zero_();
    bias!.zero_();
  });
}
