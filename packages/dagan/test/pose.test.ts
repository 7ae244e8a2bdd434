// The pose network and the residual encoder under it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { autocast, F, full, noGrad, run, type Tensor, tidy } from '@dagan/libtorch';
import { poseMatrix, synthesizeView } from '../src/geometry/index.js';
import { photometricError } from '../src/losses/index.js';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { PoseDecoder, PoseNetwork } from '../src/models/pose-network.js';
import { ResnetEncoder } from '../src/models/resnet.js';
import { assertClose, assertRelative, scatter, shapesOf } from './compare.js';
import { publishedShapes, referenceTensors, sharedMissing } from './shared.js';

const reference = referenceTensors('losses.safetensors');

/** Frames in [0, 1]. */
const frames = (shape: readonly number[], seed = 1): Tensor =>
  scatter(shape, seed).mul(0.5).add(0.5).to({ dtype: 'float32' });

test('the pose network equals the published one, its camera included', { skip: sharedMissing }, () => {
  noGrad(() =>
    tidy(() => {
      const network = fillByFormula(new PoseNetwork({ layers: 18, intrinsics: 'published' })).eval();
      const [first, second] = [reference('pose.frame0'), reference('pose.frame1')];
      const motion = network.forward(first, second);
      const [axisAngle, translation] = [reference('pose.axisangle'), reference('pose.translation')]; // [1, 2, 1, 3]
      assertClose(motion.axisAngle, axisAngle.select(1, 0).view(1, 3), 1e-6, 'rotation');
      assertClose(motion.translation, translation.select(1, 0).view(1, 3), 1e-6, 'translation');
      const K = reference('pose.K').view(9).toArray() as number[];
      for (const [i, value] of (motion.intrinsics.view(9).toArray() as number[]).entries()) {
        assertRelative(value, K[i]!, 2e-6, `K[${i}]`);
      }
      network.dispose();
    }),
  );
});

test('encoders and pose decoder have the names and shapes of the published files', { skip: sharedMissing }, () => {
  tidy(() => {
    const pose = shapesOf(new PoseNetwork({ layers: 18 }));
    assert.deepEqual(pose, { ...publishedShapes('pose_encoder'), ...publishedShapes('pose_decoder') });
    for (const layers of [18, 50] as const) {
      const encoder = shapesOf(new ResnetEncoder({ layers }), 'depth_encoder');
      assert.deepEqual(encoder, publishedShapes(`depth_encoder_resnet${layers}`));
    }
  });
});

test('both encoders give five feature maps, each half the size of the one before', () => {
  noGrad(() => {
    for (const layers of [18, 50] as const) {
      const encoder = new ResnetEncoder({ layers, inputImages: 2 }).eval();
      const features = encoder.forward(frames([1, 6, 64, 96]));
      assert.deepEqual(
        features.map((map) => [...map.shape]),
        encoder.channels.map((channels, i) => [1, channels, 32 / 2 ** i, 48 / 2 ** i]),
      );
      encoder.dispose();
    }
  });
});

test('an encoder learns in every layer but the unused classifier', () => {
  const encoder = new ResnetEncoder({ layers: 18 });
  encoder
    .forward(frames([2, 3, 64, 64]))
    .at(-1)!
    .square()
    .mean()
    .backward();
  const untouched = [...encoder.namedParameters()].filter(([, parameter]) => parameter.grad === null);
  assert.deepEqual(
    untouched.map(([name]) => name),
    ['encoder.fc.weight', 'encoder.fc.bias'],
  );
  encoder.dispose();
});

/** A decoder whose layer at `position` says `value` whatever it sees. */
function decoderSaying(position: number, value: number, intrinsics: 'centred' | 'published'): PoseDecoder {
  const decoder = new PoseDecoder(512, { intrinsics });
  const layer = decoder.net.at(position);
  layer.weight.detach().zero_();
  layer.bias!.detach().fill_(value);
  return decoder;
}

test('the centred principal point can lie to any side of the centre, the published one cannot', () => {
  const features = full([1, 512, 2, 2], 0.5);
  const centre = (value: number, form: 'centred' | 'published') => {
    const { intrinsics } = decoderSaying(5, value, form).forward(features, [100, 200]);
    const [cx, cy] = [intrinsics.select(1, 0).select(1, 2).item(), intrinsics.select(1, 1).select(1, 2).item()];
    return [cx / 200, cy / 100] as const;
  };
  for (const i of [0, 1] as const) {
    assertRelative(centre(0, 'centred')[i], 0.5, 1e-6);
    assertRelative(centre(-0.2, 'centred')[i], 0.3, 1e-6);
    assertRelative(centre(0, 'published')[i], 0.5 + Math.LN2, 1e-6);
    assert.ok(centre(-5, 'published')[i] > 0.5);
  }
});

test('focal lengths are positive and scale with the picture', () => {
  const { intrinsics } = decoderSaying(4, -3, 'centred').forward(full([1, 512, 2, 2], 0.5), [100, 200]);
  const focal = Math.log(1 + Math.exp(-3));
  assertRelative(intrinsics.select(1, 0).select(1, 0).item(), 200 * focal, 1e-5);
  assertRelative(intrinsics.select(1, 1).select(1, 1).item(), 100 * focal, 1e-5);
  assertClose(intrinsics.select(1, 2).view(3), [0, 0, 1], 0);
});

test('the photometric error teaches motion and camera, unless the camera is the published one', () => {
  const network = new PoseNetwork({ layers: 18 });
  const [first, second] = [frames([2, 3, 32, 32]), frames([2, 3, 32, 32], 2)];
  const smooth = (image: Tensor) => F.upsampleBilinear(image.narrow(2, 0, 4).narrow(3, 0, 4), [32, 32]);
  const [target, source] = [smooth(first), smooth(second)];
  const depth = frames([2, 1, 32, 32], 3).add(1);
  /** Gradient sizes of the heads of motion, focal length and principal point. */
  const gradients = (camera: 'exact' | 'published') => {
    network.zeroGrad();
    const motion = network.forward(target, source);
    const pose = poseMatrix(motion.axisAngle, motion.translation);
    const { warped } = synthesizeView(source, { depth, intrinsics: motion.intrinsics, pose }, { camera });
    photometricError(warped, target).mean().backward();
    return [3, 4, 5].map((position) => network.pose.net.at(position).weight.grad!.abs().sum().item());
  };
  const [motion, focal, centre] = gradients('exact');
  assert.ok(motion! > 0 && focal! > 0 && centre! > 0, `${motion}, ${focal}, ${centre}`);
  const [published, ...none] = gradients('published');
  assert.ok(published! > 0);
  assert.deepEqual(none, [0, 0]);
  network.dispose();
});

test('the encoder sees colours around their usual mean: a picture of 0.45 is black to it', () => {
  const encoder = new ResnetEncoder({ layers: 18 }).eval();
  const atMean = noGrad(() => encoder.forward(full([1, 3, 32, 32], 0.45))[0]!);
  // Nothing but the first normalisation's bias, which starts at zero.
  assert.ok(run('aten::count_nonzero', [atMean.abs().gt(1e-5)]).item() === 0);
  encoder.dispose();
});

test('motion and camera come in float32 from a network that runs in 16 bits', () => {
  const network = new PoseNetwork({ layers: 18 }).eval();
  const pair = [frames([1, 3, 64, 64]), frames([1, 3, 64, 64], 2)] as const;
  noGrad(() => {
    const exact = network.forward(...pair);
    const short = autocast({ dtype: 'bfloat16' }, () => network.forward(...pair));
    assert.deepEqual([short.axisAngle.dtype, short.intrinsics.dtype], ['float32', 'float32']);
    assertClose(short.intrinsics, exact.intrinsics, 1, 'K in pixels');
  });
  network.dispose();
});
