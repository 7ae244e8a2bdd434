// Names of X2Face's tensors: the published state dict nests level in level, ours lists them.
import type { NameRow, SystemNames } from '../system.js';

/** More levels than any picture has halvings. */
const LEVELS = Array.from({ length: 12 }, (_, level) => level);

export const X2FACE_NAMES: SystemNames = {
  parts: ['embedding_network.', 'driving_network.'],
  rows: [
    ['embedding_network.', 'pix2pixUnwrapped.netG.model.'] as const,
    ['driving_network.', 'pix2pixSampler.netG.model.'] as const,
  ].flatMap(([ours, published]) =>
    LEVELS.flatMap((level): NameRow[] => {
      const nested = `${published}${'submodule.'.repeat(level)}`;
      return [
        [`${ours}down.${level}.conv.`, `${nested}down.${level === 0 ? 0 : 1}.`], // after the activation, but at the picture
        [`${ours}down.${level}.norm.`, `${nested}down.2.`],
        [`${ours}up.${level}.conv.`, `${nested}up.2.`],
        [`${ours}up.${level}.norm.`, `${nested}up.3.`],
      ];
    }),
  ),
};
