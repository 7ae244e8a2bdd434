// Models prepared for use compute what they computed before, in float32 and nearly so in bfloat16.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { F, nn, noGrad, type Tensor, tidy } from '@dagan/libtorch';
import {
  type DaGAN,
  MODEL_PRESETS,
  type ModelConfig,
  type Precision,
  prepareForInference,
} from '../src/models/index.js';
import { BlockwiseConv2d, UpsamplingConv2d } from '../src/models/inference/subpixel-conv.js';
import { multipliesBfloat16, processorFeatures } from '../src/processor.js';
import { assertClose, scatter } from './compare.js';
import { formulaModel, narrow, noise } from './small-models.js';

const float = (shape: readonly number[], seed: number): Tensor => scatter(shape, seed).to({ dtype: 'float32' });

/** Runs without gradients and frees what was made. */
const computing = (body: () => void) => () => noGrad(() => tidy(body));

type Frame = { prediction: Tensor; keypoints: Tensor; disparity: Tensor | null; deformation: Tensor };

/** One frame from end to end, in float32. */
function paint(model: DaGAN, source: Tensor, driving: Tensor): Frame {
  return tidy(() => {
    const s = model.source(source);
    const d = model.driving(driving);
    const { prediction, deformation } = model.generate(s, d.keypoints);
    const exact = (x: Tensor): Tensor => x.to({ dtype: 'float32' });
    const disparity = s.disparity && exact(s.disparity);
    return {
      prediction: exact(prediction),
      keypoints: exact(d.keypoints.value),
      disparity,
      deformation: exact(deformation),
    };
  });
}

const prepared = (config: ModelConfig, precision: Precision, seed?: string): DaGAN =>
  prepareForInference(formulaModel(config, seed), { precision });

/** Peak signal-to-noise ratio of pictures in [0, 1], in dB. */
const psnr = (actual: Tensor, expected: Tensor): number =>
  -10 * Math.log10(actual.sub(expected).square().mean().item());

/**
 * Without instructions for bfloat16 LibTorch rounds sums on the way, too, and random weights enlarge it; such a processor is
 * never given bfloat16 by itself.
 */
const LEAST_BFLOAT16_DB = multipliesBfloat16(processorFeatures()) ? 38 : 28;

test(
  'every preset prepared in float32 computes what it computed before',
  computing(() => {
    for (const [name, preset] of Object.entries<ModelConfig>(MODEL_PRESETS)) {
      const config = narrow(preset);
      using plain = formulaModel(config);
      using fused = prepared(config, 'float32');
      const images = [noise(128, { seed: 1 }), noise(128, { seed: 2, count: 2 })] as const;
      const [expected, actual] = [paint(plain, ...images), paint(fused, ...images)];
      assertClose(actual.keypoints, expected.keypoints, 1e-5, `${name}: keypoints`);
      assertClose(actual.deformation, expected.deformation, 1e-5, `${name}: deformation`);
      if (actual.disparity) assertClose(actual.disparity, expected.disparity!, 1e-5, `${name}: disparity`);
      assertClose(actual.prediction, expected.prediction, 1e-4, `${name}: prediction`);
    }
  }),
);

test(
  'every preset prepared in bfloat16 paints nearly the same frame',
  computing(() => {
    for (const [name, preset] of Object.entries<ModelConfig>(MODEL_PRESETS)) {
      const config = narrow(preset);
      using exact = prepared(config, 'float32');
      using fast = prepared(config, 'bfloat16');
      const images = [noise(128, { seed: 1 }), noise(128, { seed: 2 })] as const;
      const [expected, actual] = [paint(exact, ...images), paint(fast, ...images)];
      const quality = psnr(actual.prediction, expected.prediction);
      assert.ok(quality >= LEAST_BFLOAT16_DB, `${name}: ${quality} dB`);
    }
  }),
);

test(
  'offsets alone, the literal attention, kept pixels and a model without occlusion run in both precisions',
  computing(() => {
    const { dagan } = MODEL_PRESETS;
    const generator = {
      ...dagan.generator,
      ...({ attention: 'literal', estimateOcclusionMap: false, keepsPixels: true } as const),
    };
    const config = narrow({ ...dagan, estimateJacobian: false, generator });
    using plain = formulaModel(config);
    const images = [noise(128, { seed: 3 }), noise(128, { seed: 4 })] as const;
    const expected = paint(plain, ...images).prediction;
    for (const [precision, least] of [
      ['float32', 80],
      ['bfloat16', 38],
    ] as const) {
      using model = prepared(config, precision);
      const quality = psnr(paint(model, ...images).prediction, expected);
      assert.ok(quality >= least, `${precision}: ${quality} dB`);
    }
  }),
);

test(
  'frames in a batch are the frames one by one, in both precisions',
  computing(() => {
    for (const precision of ['float32', 'bfloat16'] as const) {
      using model = prepared(narrow(MODEL_PRESETS.dagan), precision);
      const source = noise(128, { seed: 1 });
      const frames = noise(128, { seed: 2, count: 3 });
      const together = paint(model, source, frames);
      for (let i = 0; i < 3; i++) {
        const alone = paint(model, source, frames.narrow(0, i, 1));
        const tolerance = precision === 'float32' ? 1e-5 : 0.02;
        assertClose(together.keypoints.narrow(0, i, 1), alone.keypoints, tolerance, `${precision}: keypoints of ${i}`);
        assert.ok(psnr(together.prediction.narrow(0, i, 1), alone.prediction) > (precision === 'float32' ? 80 : 38));
      }
    }
  }),
);

test(
  'other sizes that are divisible by 128 work when prepared',
  computing(() => {
    for (const size of [128, 384]) {
      const images = [noise(size, { seed: 1 }), noise(size, { seed: 2 })] as const;
      using plain = formulaModel(narrow(MODEL_PRESETS.dagan));
      using fused = prepared(narrow(MODEL_PRESETS.dagan), 'float32');
      assertClose(paint(fused, ...images).prediction, paint(plain, ...images).prediction, 1e-4, `${size}`);
    }
  }),
);

test(
  'preparing twice changes nothing more, and the model no longer trains',
  computing(() => {
    using model = prepared(narrow(MODEL_PRESETS.dagan), 'float32');
    const images = [noise(128, { seed: 1 }), noise(128, { seed: 2 })] as const;
    const once = paint(model, ...images).prediction;
    prepareForInference(model);
    assertClose(paint(model, ...images).prediction, once, 1e-6);
    assert.equal(model.training, false);
    assert.ok(model.parameters().every((parameter) => !parameter.requiresGrad));
  }),
);

/** Whole numbers from a list, the same in every run. */
function draw(seed: number): (from: number, to: number) => number {
  let at = seed;
  return (from, to) => {
    at += 1;
    const x = Math.sin(at * 12.9898) * 43758.5453;
    return from + Math.floor((x - Math.floor(x)) * (to - from + 1));
  };
}

test(
  'doubling and convolution in one is doubling, then convolution, for any shape',
  computing(() => {
    const pick = draw(1);
    for (let round = 0; round < 12; round++) {
      const [n, inner, out, height, width] = [pick(1, 3), pick(1, 9), pick(1, 9), pick(1, 13), pick(1, 13)];
      using conv = new nn.Conv2d(inner, out, 3, { padding: 1, bias: round % 3 !== 0 });
      conv.requiresGrad_(false);
      using merged = new UpsamplingConv2d(conv);
      const input = float([n, inner, height, width], round);
      const large = F.upsampleNearest(input, [2 * height, 2 * width]);
      const what = `${[n, inner, out, height, width]}`;
      assertClose(merged.forward(input), conv.forward(large), 1e-5, what);
      const repeated = F.conv2d(F.pad(large, [1, 1, 1, 1], 'replicate'), conv.weight, conv.bias);
      assertClose(merged.forward(input, 'replicate'), repeated, 1e-5, `${what}, borders repeated`);
    }
  }),
);

test(
  'a convolution in blocks of 2 x 2 pixels is the convolution, for any shape and odd kernel',
  computing(() => {
    const pick = draw(2);
    for (let round = 0; round < 12; round++) {
      const [n, inner, out, kernel] = [pick(1, 3), pick(1, 9), pick(1, 5), 2 * pick(0, 3) + 1];
      const [height, width] = [2 * pick(1, 9), 2 * pick(1, 9)];
      using conv = new nn.Conv2d(inner, out, kernel, { padding: (kernel - 1) / 2, bias: round % 3 !== 0 });
      conv.requiresGrad_(false);
      using blockwise = new BlockwiseConv2d(conv);
      const input = float([n, inner, height, width], round);
      assertClose(blockwise.forward(input), conv.forward(input), 1e-5, `${[n, inner, out, kernel, height, width]}`);
    }
  }),
);
