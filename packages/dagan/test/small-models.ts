// Models with few channels and reproducible weights: all parts of the published ones, quick to compute.
import { nn, noGrad, ones, run, type Tensor, tidy } from '@dagan/libtorch';
import {
  DaGAN,
  fillByFormula,
  type LoadedModel,
  loadModel,
  type ModelConfig,
  type ModelFiles,
  publishedName,
} from '../src/models/index.js';
import { scatter } from './compare.js';

/** The same architecture with an eighth of the channels or less. */
export function narrow(config: ModelConfig): ModelConfig {
  const few = { blockExpansion: 8, maxFeatures: 32 };
  const { depth, keypointDetector, generator } = config;
  return {
    ...config,
    depth: depth && { ...depth, width: 1 / 8 },
    keypointDetector: { ...keypointDetector, ...few },
    generator: { ...generator, ...few, denseMotion: { ...generator.denseMotion, ...few } },
  };
}

/** Sets the vectors of spectral normalisation, which the formula leaves out, to what training would: singular vectors. */
function settleSpectralNorms(model: DaGAN): void {
  for (const [, module] of model.namedModules()) {
    if (!(module instanceof nn.SpectralNormConv2d)) continue;
    const { weight, weightU, weightV } = module;
    noGrad(() =>
      tidy(() => {
        const matrix = weight.reshape(weight.size(0), -1);
        const unit = (vector: Tensor): Tensor => vector.div(vector.norm());
        weightU.copy_(unit(ones([weightU.numel])));
        for (let i = 0; i < 10; i++) {
          weightV.copy_(unit(run('aten::mv', [matrix.transpose(0, 1), weightU])));
          weightU.copy_(unit(run('aten::mv', [matrix, weightV])));
        }
      }),
    );
  }
}

/** A model whose weights follow the formula, ready for use. */
export function formulaModel(config: ModelConfig, seed = 'open'): DaGAN {
  const model = fillByFormula(new DaGAN(config), { rename: publishedName, seed });
  settleSpectralNorms(model);
  return model.eval().requiresGrad_(false);
}

/** Pictures [N, 3, size, size] in [0, 1]: noise that is the same in every run. */
export function noise(size: number, { seed = 1, count = 1 } = {}): Tensor {
  return scatter([count, 3, size, size], seed).mul(0.5).add(0.5).to({ dtype: 'float32' });
}

/** A model from files, which must be a DaGAN. */
export function loadDagan(files: ModelFiles): LoadedModel & { model: DaGAN } {
  const { model, ...rest } = loadModel(files);
  if (model instanceof DaGAN) return { model, ...rest };
  throw new TypeError(`${files.checkpoint} holds no DaGAN`);
}
