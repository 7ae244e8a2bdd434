// Spectral normalisation (Miyato et al., "Spectral Normalization for Generative Adversarial Networks", 2018).
import { noGrad } from '../autograd.js';
import { randn } from '../creation.js';
import type { Pair } from '../functional.js';
import { run } from '../operator.js';
import { keep, tidy } from '../scope.js';
import type { Tensor } from '../tensor.js';
import { Conv2d, type Conv2dOptions } from './conv.js';

const EPSILON = 1e-12;

const normalized = (vector: Tensor): Tensor => vector.div(vector.norm().clamp(EPSILON));

/**
 * A convolution whose weight is divided by its largest singular value. The value comes from power iteration: one step in
 * every training pass, none in use. State dicts hold `weight_orig`, `weight_u` and `weight_v`, as PyTorch's do.
 */
export class SpectralNormConv2d extends Conv2d {
  weightU: Tensor; // [out]
  weightV: Tensor; // [in / groups * kH * kW]

  constructor(inChannels: number, outChannels: number, kernel: Pair, options: Conv2dOptions = {}) {
    super(inChannels, outChannels, kernel, options);
    const columns = this.weight.numel / outChannels;
    this.weightU = keep(tidy(() => normalized(randn([outChannels]))));
    this.weightV = keep(tidy(() => normalized(randn([columns]))));
  }

  protected override tensorName(field: string): string {
    return field === 'weight' ? 'weight_orig' : super.tensorName(field);
  }

  protected override effectiveWeight(): Tensor {
    const matrix = this.weight.reshape(this.weight.size(0), -1); // [out, columns]
    if (this.training) noGrad(() => this.#iterate(matrix.detach()));
    // Clones, because the next pass changes u and v while this pass's graph still needs them.
    const sigma = run('aten::dot', [this.weightU.clone(), run('aten::mv', [matrix, this.weightV.clone()])]); // []
    return this.weight.div(sigma);
  }

  #iterate(matrix: Tensor): void {
    tidy(() => {
      this.weightV.copy_(normalized(run('aten::mv', [matrix.transpose(0, 1), this.weightU])));
      this.weightU.copy_(normalized(run('aten::mv', [matrix, this.weightV])));
    });
  }
}
