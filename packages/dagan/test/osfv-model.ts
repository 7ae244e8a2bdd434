// OSFV with the reproducible weights of the reference data, and one with few channels.
import { noGrad, tensor, tidy } from '@dagan/libtorch';
import { fillByFormula, formulaTensor } from '../src/models/files/formula-weights.js';
import { publishedNameIn } from '../src/models/files/names.js';
import { OSFV_VOX_256, type OsfvConfig } from '../src/models/osfv/config.js';
import { OSFV_NAMES } from '../src/models/osfv/names.js';
import type { Osfv } from '../src/models/osfv/osfv.js';

/** The published name of one of OSFV's tensors. */
export const osfvPublishedName = publishedNameIn(OSFV_NAMES);

/** Tensors that differ from the formula, as the reference data's README lists them: a factor on what `fillByFormula` gives. */
const FACTORS: readonly (readonly [RegExp, number])[] = [
  [/^kp_detector\.kp\.weight$/, 0.8],
  [/^he_estimator\.block.*\.norm3\.weight$/, 0.25],
  [/^he_estimator\.fc_(yaw|pitch|roll)\.weight$/, 0.6],
  [/^he_estimator\.fc_(t|exp)\.weight$/, 0.03],
  [/^generator\.resblocks_[23]d\..*\.conv2\.weight$/, 0.3],
  [/^generator\.decoder\.conv_img\.weight$/, 0.3],
  [/^generator\.final\.weight$/, 20], // the formula's 0.05 is DaGAN's alone
];

/** Fills a model as the reference data's was. @param seed of the formula */
export function fillOsfv(model: Osfv, seed = 'open'): Osfv {
  fillByFormula(model, { rename: osfvPublishedName, seed });
  noGrad(() =>
    tidy(() => {
      for (const [own, value] of model.stateDict()) {
        const name = osfvPublishedName(own);
        const factor = FACTORS.find(([pattern]) => pattern.test(name))?.[1];
        if (factor !== undefined) value.mul_(factor);
        if (name !== 'kp_detector.jacobian.bias') continue;
        // The formula knows 2x2 jacobians: what it adds to their identity is added to that of 3x3 ones.
        const flat = formulaTensor(name, value.shape, seed).toFloat32Array();
        const identity = (i: number, size: number): number => ((i % size ** 2) % (size + 1) === 0 ? 1 : 0);
        value.copy_(tensor(flat.map((each, i) => each - identity(i, 2) + identity(i, 3))));
      }
    }),
  );
  return model.eval().requiresGrad_(false);
}

/** All of OSFV with an eighth of the channels, and as few slices. */
export function smallOsfv(decoder: 'residual' | 'spade' = 'residual', estimateJacobian = false): OsfvConfig {
  const few = { blockExpansion: 8, maxFeatures: 32, numBlocks: 4 };
  return {
    ...OSFV_VOX_256,
    numKeypoints: 5,
    estimateJacobian,
    depth: 4,
    keypointDetector: { ...OSFV_VOX_256.keypointDetector, ...few },
    headEstimator: { width: 8, numBins: 66 },
    generator: {
      ...{ blockExpansion: 8, maxFeatures: 512, numDownBlocks: 2, volumeChannels: 8, numVolumeBlocks: 2 },
      ...{ numBottleneckBlocks: 2, decoder },
      denseMotion: { ...few, compress: 2, keypointVariance: 0.01 },
    },
  };
}
