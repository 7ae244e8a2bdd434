// Names of Monkey-Net's tensors where ours differ. Its published convolutions are three-dimensional with a depth of 1; ours see
// frame by frame, with the same elements in the same order.
import type { SystemNames } from '../system.js';

export const MONKEY_NET_NAMES: SystemNames = {
  parts: ['generator.', 'keypoint_detector.'],
  rows: [
    ['keypoint_detector.heatmap.', 'kp_detector.predictor.decoder.conv.'],
    ['generator.dense_motion.groups.#.', 'generator.dense_motion_module.group_blocks.#.'],
    ['generator.dense_motion.parts.', 'generator.dense_motion_module.hourglass.decoder.conv.'],
    ['generator.dense_motion.', 'generator.dense_motion_module.'],
    ['generator.refinement.#.', 'generator.refinement_module.r#.'],
    ['generator.colours.', 'generator.refinement_module.conv-last.'],
  ],
  flattened: [
    'keypoint_detector.heatmap.',
    'keypoint_detector.predictor.encoder.',
    'keypoint_detector.predictor.decoder.',
    'generator.appearance_encoder.',
    'generator.dense_motion.',
    'generator.video_decoder.',
    'generator.refinement.',
    'generator.colours.',
  ],
};
