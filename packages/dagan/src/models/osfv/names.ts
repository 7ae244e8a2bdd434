// How OSFV's tensors are called here and in published files: zhanglonghao1992's checkpoints and SadTalker's safetensors.
import type { NameRow, SystemNames } from '../system.js';

/** The detector under the name of a part. */
const detector = (part: string): NameRow[] => [
  ['keypoint_detector.predictor.down_blocks.#.', `${part}.predictor.down_blocks.down#.`],
  ['keypoint_detector.predictor.up_blocks.#.', `${part}.predictor.up_blocks.up#.`],
];

export const OSFV_NAMES: SystemNames = {
  parts: ['generator.', 'keypoint_detector.', 'head_estimator.'],
  rows: [
    ...detector('kp_detector'),
    ...detector('kp_extractor'),
    ['keypoint_detector.', 'kp_detector.'],
    ['keypoint_detector.', 'kp_extractor.'],
    ...[1, 3, 5, 7].map(
      (block): NameRow => [`head_estimator.block${block}.#.`, `he_estimator.block${block}.b${block}_#.`],
    ),
    ['head_estimator.', 'he_estimator.'],
    ['generator.volume_blocks.#.', 'generator.resblocks_3d.3dr#.'],
    ['generator.decoder.bottleneck.#.', 'generator.resblocks_2d.2dr#.'],
  ],
};
