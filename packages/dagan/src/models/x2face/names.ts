// Names of X2Face's tensors: the published state dict nests level in level, ours lists them.

const LEVELS = [0, 1, 2, 3, 4, 5, 6, 7];

/** What names begin with: [ours, published]. */
export const X2FACE_NAMES: readonly (readonly [ours: string, published: string])[] = [
  ['embedding_network.', 'pix2pixUnwrapped.netG.model.'] as const,
  ['driving_network.', 'pix2pixSampler.netG.model.'] as const,
].flatMap(([ours, published]) =>
  LEVELS.flatMap((level): [string, string][] => {
    const nested = `${published}${'submodule.'.repeat(level)}`;
    return [
      [`${ours}down.${level}.conv.`, `${nested}down.${level === 0 ? 0 : 1}.`], // after the activation, but at the picture
      [`${ours}down.${level}.norm.`, `${nested}down.2.`],
      [`${ours}up.${level}.conv.`, `${nested}up.2.`],
      [`${ours}up.${level}.norm.`, `${nested}up.3.`],
    ];
  }),
);
