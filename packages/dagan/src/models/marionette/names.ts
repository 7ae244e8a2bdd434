// Names of MarioNETte's tensors. Its authors published no weights, so there are none but ours.
import type { SystemNames } from '../system.js';

export const MARIONETTE_NAMES: SystemNames = {
  parts: ['driver_encoder.', 'target_encoder.', 'blender.', 'frame_decoder.', 'landmark_transformer.'],
  rows: [],
};
