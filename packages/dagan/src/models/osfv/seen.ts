// What OSFV's networks see, for `dagan inspect`: under the names, and thinned as, in the reference numbers of the tests. `_everyK`
// keeps every K-th channel, `_everyKd` every K-th slice, `_everyKpx` every K-th row and column.
import type { Tensor } from '@dagan/libtorch';
import type { NamedTensorList } from '../animation-model.js';
import { VolumeSpadeDecoder } from './decoders.js';
import type { EncodedVolume, VolumeFrame, VolumeGenerator } from './generator.js';
import { type Head, rotationOf } from './head-estimator.js';
import type { CanonicalKeypointDetector } from './keypoint-detector.js';

type Steps = { channels?: number; slices?: number; pixels?: number };

/** Every so many-th entry of [N, C, H, W] or [N, C, D, H, W]. */
function thinned(x: Tensor, { channels = 1, slices = 1, pixels = 1 }: Steps): Tensor {
  const [height, width] = [x.ndim - 2, x.ndim - 1];
  const fewer = x.slice(1, 0, undefined, channels);
  const flatter = x.ndim === 5 ? fewer.slice(2, 0, undefined, slices) : fewer;
  return flatter.slice(height, 0, undefined, pixels).slice(width, 0, undefined, pixels);
}

export const namedKeypoints = ({
  down,
  deepest,
  logits,
  keypoints,
}: ReturnType<CanonicalKeypointDetector['look']>): NamedTensorList => [
  ['kp_down', down],
  ['kp_reshaped_every509', thinned(deepest, { channels: 509 })],
  ['kp_logits_every5_every4d_every2px', thinned(logits, { channels: 5, slices: 4, pixels: 2 })],
  ['kp_canonical.value', keypoints.value],
  ['kp_canonical.jacobian', keypoints.jacobian],
];

/** @param name `he_source` or `he_driving` */
export const namedHead = (name: string, { bins, angles, translation, expression, features }: Head): NamedTensorList => [
  ...(['yaw', 'pitch', 'roll'] as const).flatMap(
    (angle, i): NamedTensorList => [
      [`${name}.${angle}`, bins[angle]],
      [`${name}.${angle}_degrees`, angles.select(1, i)],
    ],
  ),
  [`${name}.t`, translation],
  [`${name}.exp`, expression.flatten(1)],
  [`${name}.rotation`, rotationOf(angles)],
  [`${name}.feature_every16`, features.slice(1, 0, undefined, 16)],
];

export function namedFrame(generator: VolumeGenerator, { volume }: EncodedVolume, frame: VolumeFrame): NamedTensorList {
  const { input, features, mask, spaceDeformation, occlusionMap, warped, features2d, prediction } = frame;
  return [
    ['feature_3d_every8_every4d', thinned(volume, { channels: 8, slices: 4 })],
    ['motion_input_every7_every8d_every2px', thinned(input, { channels: 7, slices: 8, pixels: 2 })],
    ['motion_feature_every27_every8d_every2px', thinned(features, { channels: 27, slices: 8, pixels: 2 })],
    ['mask_every4d_every2px', thinned(mask, { slices: 4, pixels: 2 })],
    ['deformation_every4d', spaceDeformation.slice(1, 0, undefined, 4)],
    ['occlusion_map', occlusionMap],
    ['warped_every61', thinned(warped, { channels: 61 })],
    ['decoder_input_every64', thinned(features2d, { channels: 64 })],
    ...namedDecoder(generator, features2d),
    ['prediction', prediction],
  ];
}

function namedDecoder({ decoder }: VolumeGenerator, features: Tensor): NamedTensorList {
  if (decoder instanceof VolumeSpadeDecoder) {
    const { fc, middle, up } = decoder.steps(features);
    return [
      ['decoder.fc_every128', thinned(fc, { channels: 128 })],
      ['decoder.G_middle_0_every128', middle.length > 0 ? thinned(middle[0]!, { channels: 128 }) : null],
      ['decoder.G_middle_5_every128', middle.length > 5 ? thinned(middle[5]!, { channels: 128 }) : null],
      ['decoder.up_0_every128', thinned(up[0]!, { channels: 128 })],
    ];
  }
  let x = features.to({ dtype: decoder.final.weight.dtype });
  for (const block of decoder.bottleneck) x = block.forward(x);
  return [['decoder_middle_every64_every2px', thinned(x, { channels: 64, pixels: 2 })]];
}
