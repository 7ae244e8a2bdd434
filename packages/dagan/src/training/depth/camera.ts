// The camera's part of the pose network: where its intrinsics start, and which parameters they are.
import { type nn, noGrad } from '@dagan/libtorch';
import type { PoseNetwork } from '../../models/pose-network.js';
import type { DepthRecipe } from './recipe.js';

/** Focal length over the picture's size from which training starts: what an untrained head gives, 72 degrees of view. */
export const INITIAL_FOCAL = Math.log(2);

/**
 * Lets an untrained pose network see every pair of frames through the same camera: focal lengths as given, principal point
 * in the picture's middle. Random weights would give each pair a camera of its own before depth knows anything.
 *
 * @param focal focal length over the picture's width and height
 */
export function initializeCamera(network: PoseNetwork, focal = INITIAL_FOCAL): void {
  if (!(focal > 0)) throw new RangeError(`the focal length must be positive, not ${focal}`);
  noGrad(() => {
    for (const head of [network.pose.focalHead, network.pose.principalPointHead]) {
      head.weight.zero_();
      head.bias!.zero_();
    }
    network.pose.focalHead.bias!.fill_(Math.log(Math.expm1(focal))); // softplus of which is the focal length
  });
}

/** The pose network's parameters: those of the intrinsics that learn, and all that are not of the intrinsics. */
export function poseParameters(
  network: PoseNetwork,
  principalPoint: DepthRecipe['principalPoint'],
): { camera: nn.Parameter[]; motion: nn.Parameter[] } {
  const focal = network.pose.focalHead.parameters();
  const offset = network.pose.principalPointHead.parameters();
  const motion = network.parameters().filter((parameter) => !focal.includes(parameter) && !offset.includes(parameter));
  return { camera: principalPoint === 'learned' ? [...focal, ...offset] : focal, motion };
}
