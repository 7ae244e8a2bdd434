// Names of NeuralHead-FF's tensors. Its authors published no weights, so there are none but ours.
import type { SystemNames } from '../system.js';

export const NEURALHEAD_NAMES: SystemNames = { parts: ['embedder.', 'landmark_generator.'], rows: [] };
