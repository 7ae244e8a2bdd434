// Names of the tensors of models like MeshG, which nobody has published.
import type { SystemNames } from '../system.js';

export const MESHG_LIKE_NAMES: SystemNames = {
  parts: ['mesh.', 'face_fitter.', 'motion_network.', 'generator.'],
  rows: [],
};
