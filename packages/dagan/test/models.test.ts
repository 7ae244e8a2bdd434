// The networks' properties, whatever their weights are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cat, eye, F, full, grad, noGrad, ones, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';
import { sourceOf } from '../src/models/field.js';
import { movedIrises } from '../src/models/gaze.js';
import {
  AntiAliasDownsample,
  type AttentionForm,
  CrossModalAttention,
  DaGAN,
  DenseMotionNetwork,
  DepthNetwork,
  fillByFormula,
  fnv1a,
  formulaTensor,
  Generator,
  KeypointDetector,
  keypointsToGaussian,
  MODEL_PRESETS,
  type ModelConfig,
  publishedName,
  sparseMotions,
} from '../src/models/index.js';
import { type Lids, refinedByLandmarks } from '../src/models/landmark-motion.js';
import { openedBy } from '../src/models/openings.js';
import type { ResidualDecoder } from '../src/models/residual-decoder.js';
import { sharedAffine } from '../src/models/shared-affine.js';
import { stretchOf } from '../src/models/stretch.js';
import { coordinateGrid } from '../src/tensors/grid.js';
import type { Keypoints } from '../src/tensors/keypoint-set.js';
import { occlude, warp } from '../src/tensors/warp.js';
import { assertClose, largestDifference, scatter } from './compare.js';
import { formulaModel, narrow, noise } from './small-models.js';

const float = (shape: readonly number[], seed: number): Tensor => scatter(shape, seed).to({ dtype: 'float32' });

/** Runs without gradients and frees what was made. */
const computing = (body: () => void) => () => noGrad(() => tidy(body));

/** K keypoints per picture, with jacobians near the identity. */
const keypoints = (seed: number, { count = 5, n = 1 } = {}): Keypoints => ({
  value: float([n, count, 2], seed),
  jacobian: eye(2).add(float([n, count, 2, 2], seed + 1).mul(0.3)),
});

/** Whether all elements lie in an interval. */
const assertWithin = (values: Tensor, low: number, high: number): void => {
  const [least, most] = [values.amin().item(), values.amax().item()];
  assert.ok(least >= low && most <= high, `${least} to ${most}, allowed is ${low} to ${high}`);
};

test(
  'every preset builds and paints a frame, with the parts that its name says',
  computing(() => {
    for (const [name, preset] of Object.entries<ModelConfig>(MODEL_PRESETS)) {
      using model = formulaModel(narrow(preset));
      const attends = /^dagan|cam/.test(name);
      const guided = /^dagan|fdn/.test(name);
      assert.equal(model.generator.attention !== null, attends, name);
      assert.equal(model.keypointDetector.depthGuided, guided, name);
      assert.equal(model.depthNetwork !== null, attends || guided, name);
      const source = model.source(noise(128, { seed: 1 }));
      const driving = model.driving(noise(128, { seed: 2 }));
      const generated = model.generate(source, driving.keypoints);
      assert.equal(driving.keypoints.value.size(1), name.startsWith('fomm') ? 10 : 15, name);
      assert.deepEqual(generated.prediction.shape, [1, 3, 128, 128], name);
      assertWithin(generated.prediction, 0, 1);
      assertWithin(driving.keypoints.value, -1, 1);
      assert.equal(source.disparity !== null, attends || guided, name);
      assert.equal(driving.disparity !== null, guided, name);
    }
  }),
);

test('every parameter that a frame depends on gets a gradient in training', () => {
  tidy(() => {
    using model = fillByFormula(new DaGAN(narrow(MODEL_PRESETS.dagan)), { rename: publishedName });
    const source = model.source(noise(128, { seed: 1 }));
    const { keypoints } = model.driving(noise(128, { seed: 2 }));
    model.generate(source, keypoints).prediction.square().mean().backward();
    const without = [...model.namedParameters()].filter(([, parameter]) => parameter.grad === null);
    // ImageNet's classes and the smaller disparities, which a frame does not depend on.
    for (const [name] of without)
      assert.match(name, /^depth_network\.(encoder\.encoder\.fc|decoder\.disparity_heads\.[123])\./);
    assert.equal(without.length, 2 + 3 * 2);
    for (const [name, parameter] of model.namedParameters()) {
      assert.ok(parameter.grad === null || parameter.grad.isFinite().all().item() === 1, name);
    }
  });
});

test(
  'a model of offsets alone (Eq. 7) has no jacobians and animates',
  computing(() => {
    using model = formulaModel(narrow({ ...MODEL_PRESETS.dagan, estimateJacobian: false }));
    assert.equal(model.keypointDetector.jacobian, null);
    const source = model.source(noise(128, { seed: 1 }));
    const driving = model.driving(noise(128, { seed: 2, count: 2 }));
    assert.equal(driving.keypoints.jacobian, null);
    assert.deepEqual(model.generate(source, driving.keypoints).prediction.shape, [2, 3, 128, 128]);
  }),
);

test(
  'sparse motions: the background stays, offsets move all alike, each driving keypoint goes to its source',
  computing(() => {
    const [driving, source] = [keypoints(1), keypoints(3)];
    const grid = coordinateGrid(16, 24);
    const first = sparseMotions(driving, source, 16, 24);
    assert.deepEqual(first.shape, [1, 6, 16, 24, 2]);
    assertClose(first.select(1, 0).squeeze(0), grid, 0);

    const offsets = sparseMotions({ ...driving, jacobian: null }, { ...source, jacobian: null }, 16, 24);
    for (let k = 0; k < 5; k++) {
      const shift = source.value.select(1, k).sub(driving.value.select(1, k)); // p_s - p_d, [1, 2]
      assertClose(offsets.select(1, k + 1).squeeze(0), grid.add(shift), 1e-6);
      // T(z) = p_s + J_s J_d^-1 (z - p_d), written out for one pixel.
      const z = grid.select(0, 3).select(0, 5).sub(driving.value.select(1, k)).reshape(2, 1);
      const change = source
        .jacobian!.select(1, k)
        .squeeze(0)
        .matmul(driving.jacobian!.select(1, k).squeeze(0).inverse());
      const expected = change.matmul(z).reshape(1, 2).add(source.value.select(1, k));
      assertClose(
        first
          .select(1, k + 1)
          .select(1, 3)
          .select(1, 5),
        expected,
        1e-5,
      );
    }

    const same = { value: driving.value, jacobian: source.jacobian };
    assertClose(sparseMotions(same, same, 16, 24), grid.expand(1, 6, 16, 24, 2), 1e-5);
    const alike = { value: source.value, jacobian: driving.jacobian };
    assertClose(sparseMotions(driving, alike, 16, 24), offsets, 1e-5);
  }),
);

test(
  'one source serves a batch of keypoints as it serves each of them',
  computing(() => {
    using model = formulaModel(narrow(MODEL_PRESETS.dagan));
    const source = model.source(noise(128, { seed: 1 }));
    const batch = model.driving(noise(128, { seed: 2, count: 3 })).keypoints;
    const together = model.generate(source, batch);
    for (let i = 0; i < 3; i++) {
      const one = { value: batch.value.narrow(0, i, 1), jacobian: batch.jacobian!.narrow(0, i, 1) };
      const alone = model.generate(source, one);
      assertClose(together.deformation.narrow(0, i, 1), alone.deformation, 1e-5);
      assertClose(together.prediction.narrow(0, i, 1), alone.prediction, 1e-5);
    }
  }),
);

test(
  'where sampling agrees with the grid of motion, no motion moves nothing; as published it shrinks the picture by a 64th',
  computing(() => {
    const { generator } = MODEL_PRESETS.dagan;
    for (const size of [128, 256]) {
      const image = noise(size);
      for (const alignCorners of [true, false]) {
        const denseMotion = { ...generator.denseMotion, alignCorners, scaleFactor: 64 / size };
        using model = formulaModel(narrow({ ...MODEL_PRESETS.dagan, generator: { ...generator, denseMotion } }));
        const source = model.source(image);
        const { deformed, sparseDeformed, deformation } = model.generate(source, source.keypoints);
        const grid = coordinateGrid(64, 64).reshape(1, 64, 64, 2);
        assertClose(deformation, grid, 1e-5);
        if (alignCorners) {
          assertClose(deformed, image, 1e-3);
          const small = model.generator.denseMotionNetwork.shrink(image).unsqueeze(1);
          assertClose(sparseDeformed.narrow(1, 0, 1), small, 1e-3);
        } else assertClose(deformed, warp(image, grid), 1e-3);
        // Half a pixel of the field is lost at either side, as much as the field is finer than the picture.
        assert.equal(largestDifference(deformed, image) > 0.1, !alignCorners, `${size}, ${alignCorners}`);
      }
    }
  }),
);

test(
  'kept pixels are those of the moved source, others are painted, as the decoder says',
  computing(() => {
    const { generator } = MODEL_PRESETS.dagan;
    const images = [noise(128, { seed: 1 }), noise(128, { seed: 2 })] as const;
    const paint = (keepsPixels: boolean, bias = 0) => {
      using model = formulaModel(narrow({ ...MODEL_PRESETS.dagan, generator: { ...generator, keepsPixels } }));
      if (keepsPixels) (model.generator.decoder as ResidualDecoder).kept!.bias!.fill_(bias);
      return model.generate(model.source(images[0]), model.driving(images[1]).keypoints);
    };
    const painted = paint(false).prediction;
    const { prediction: kept, deformed } = paint(true, 1e4);
    assertClose(kept, deformed, 1e-6);
    assertClose(paint(true, -1e4).prediction, painted, 1e-6);
    assert.ok(largestDifference(kept, painted) > 0.1);
    const mixed = paint(true).prediction;
    const beyond = mixed.sub(painted).mul(mixed.sub(deformed)).toFloat32Array(); // below 0 between the two
    assert.ok(beyond.every((product) => product < 1e-6));
  }),
);

test(
  'sizes from 128 to 512 work, upright and oblong',
  computing(() => {
    using model = formulaModel(narrow(MODEL_PRESETS.dagan));
    for (const [height, width] of [
      [256, 128],
      [128, 384],
      [512, 512],
    ] as const) {
      const image = float([1, 3, height, width], 4).abs();
      const source = model.source(image);
      assert.deepEqual(source.disparity!.shape, [1, 1, height, width]);
      assert.deepEqual(model.generate(source, source.keypoints).prediction.shape, [1, 3, height, width]);
    }
  }),
);

test(
  'the shared map is the affine one that keypoints undergo, with offsets left for what is more; without motion nothing moves',
  computing(() => {
    const source = float([1, 15, 2], 4);
    const turned = tensor([
      [0.9, -0.3],
      [0.2, 1.1],
    ]);
    const driving = source.matmul(turned.transpose(0, 1)).add(tensor([0.1, -0.2]));
    const affine = sharedAffine(driving, source); // from driving to source
    assertClose(affine.matmul(turned), eye(2).unsqueeze(0), 0.05);
    const sets = [driving, source].map((value): Keypoints => ({ value, jacobian: null })) as [Keypoints, Keypoints];
    const motions = sparseMotions(...sets, 16, 16, affine).narrow(1, 1, 15);
    // All keypoints' motions are nearly one: that of the whole.
    assert.ok(largestDifference(motions, motions.mean([1], true).expand(1, 15, 16, 16, 2)) < 0.1);
    const still = sparseMotions(sets[1], sets[1], 16, 16, sharedAffine(source, source));
    assertClose(still, coordinateGrid(16, 16).expand(1, 16, 16, 16, 2), 1e-5);
    const together = zeros([1, 15, 2]);
    assertClose(sharedAffine(together, together), eye(2).unsqueeze(0), 1e-5);
  }),
);

test(
  'with a falloff every place moves with the keypoints next to it before anything has been learned, and what is far stays',
  computing(() => {
    const motion = { blockExpansion: 8, maxFeatures: 16, numBlocks: 2, scaleFactor: 0.5, keypointVariance: 0.002 };
    // Lips that part, and a temple that moves to the right.
    const source = tensor([
      [
        [0, 0.3],
        [0, 0.32],
        [-0.5, -0.3],
      ],
    ]); // [1, 3, 2]
    const driving = tensor([
      [
        [0, 0.25],
        [0, 0.45],
        [-0.3, -0.3],
      ],
    ]);
    const fieldOf = (maskFalloff: number): Tensor => {
      using network = new DenseMotionNetwork(
        { ...motion, maskFalloff, alignCorners: true },
        { numKeypoints: 3, estimateOcclusionMap: false },
      ).eval();
      network.mask.weight.detach().zero_(); // nothing learned
      const small = network.shrink(noise(128, { seed: 3 }));
      const keypoints = (value: Tensor) => ({ value, jacobian: null });
      return network.forward(small, keypoints(driving), keypoints(source)).deformation; // [1, 64, 64, 2]
    };
    const farFromGoals = (field: Tensor): number => {
      const found = F.gridSample(field.permute(0, 3, 1, 2), driving.unsqueeze(1), { alignCorners: true }); // [1, 2, 1, 3]
      return found.squeeze(2).transpose(1, 2).sub(source).abs().amax().item();
    };
    const field = fieldOf(3);
    assert.ok(farFromGoals(field) < 0.02, `${farFromGoals(field)}`);
    assert.ok(farFromGoals(fieldOf(0)) > 0.05, 'an even mask moves all keypoints alike');
    const corner = [...field.select(1, 0).select(1, 0).toFloat32Array()];
    for (const value of corner) assert.ok(Math.abs(value + 1) < 0.02, `${corner}`);
  }),
);

test(
  'landmarks take the field where they are, also to where the network does not see them; elsewhere it is that of the free keypoints',
  computing(() => {
    const motion = { ...narrow(MODEL_PRESETS.fomm).generator.denseMotion, alignCorners: true, landmarkReach: 0.12 };
    using network = new DenseMotionNetwork(motion, {
      numKeypoints: 5,
      refining: 3,
      estimateOcclusionMap: false,
    }).eval();
    assert.equal(network.mask.weight.size(0), 3, 'the background and two free keypoints');
    const landmarks = tensor([
      [
        [-0.3, -0.2],
        [0.3, -0.2],
        [0, 0.3],
      ],
    ]); // [1, 3, 2]
    const driving = { value: cat([landmarks, zeros([1, 2, 2])], 1), jacobian: eye(2).expand(1, 5, 2, 2) };
    const source = { value: cat([landmarks.add(0.1), zeros([1, 2, 2])], 1), jacobian: eye(2).expand(1, 5, 2, 2) };
    const { deformation, mask, sparseDeformed } = network.forward(
      network.shrink(noise(128, { seed: 3 })),
      driving,
      source,
    );
    const movedAt = (places: Tensor): Tensor => {
      const field = F.gridSample(deformation.permute(0, 3, 1, 2), places.unsqueeze(1), { alignCorners: true });
      return field.squeeze(2).transpose(1, 2).sub(places);
    };
    assertClose(movedAt(landmarks), full([1, 3, 2], 0.1), 0.005);
    const far = tensor([
      [
        [-1, -1],
        [0.9, 0.9],
      ],
    ]);
    assert.ok(movedAt(far).abs().amax().item() < 0.001, 'free keypoints that do not move');
    assert.deepEqual(
      [mask.shape, sparseDeformed.shape],
      [
        [1, 6, 32, 32],
        [1, 3, 3, 32, 32],
      ],
    );
    assertClose(mask.sum([1]), ones([1, 32, 32]), 1e-5);
    const shareAt = (places: Tensor, first: number, count: number): Tensor =>
      F.gridSample(mask.narrow(1, first, count).sum([1], true), places.unsqueeze(1), { alignCorners: true }).flatten();
    assert.ok(shareAt(landmarks, 1, 3).amin().item() > 0.9, 'landmarks come after the background');
    assert.ok(shareAt(far, 1, 3).amax().item() < 0.01);
  }),
);

test(
  'lids that close meet in a seam: above it is what was above the eye, below it what was below',
  computing(() => {
    const eye = (open: number): Tensor =>
      tensor([
        [
          [0, -open],
          [0, open],
          [-0.15, 0],
          [0.15, 0],
        ],
      ]); // [1, 4, 2]: upper and lower lid, corners
    const still = { mask: ones([1, 2, 64, 64]).div(2), deformation: coordinateGrid(64, 64).unsqueeze(0) };
    const seenAt = (y: number, lids: readonly Lids[]): number => {
      const { deformation } = refinedByLandmarks(still, eye(0), eye(0.06), { reach: 0.12, lids });
      const at = tensor([[[[0, y]]]]);
      return F.gridSample(deformation.permute(0, 3, 1, 2), at, { alignCorners: true })
        .flatten()
        .toFloat32Array()[1]!;
    };
    const lids: Lids = [0, 1, 2, 3];
    assert.ok(seenAt(-0.03, [lids]) < -0.055, `${seenAt(-0.03, [lids])}`);
    assert.ok(seenAt(0.03, [lids]) > 0.055, `${seenAt(0.03, [lids])}`);
    assert.ok(Math.abs(seenAt(0.03, [])) < 0.05, `by distance alone the eye shows: ${seenAt(0.03, [])}`);
  }),
);

test(
  'an iris moves along its eye, within corners that stay, as far as the eye is open; up and down it stays with the lids',
  computing(() => {
    const eye = (iris: readonly [number, number], open: number): Tensor =>
      tensor([[iris, [0, -open], [0, open], [-0.15, 0], [0.15, 0]]].map((points) => points.map((point) => [...point])));
    const still = coordinateGrid(128, 128).unsqueeze(0);
    const shiftAt = (to: readonly [number, number], open: number, place: readonly [number, number]): number[] => {
      const moved = movedIrises(still, eye(to, open), eye([0, 0], open), [[0, 1, 2, 3, 4]]);
      const from = sourceOf(moved, tensor([[[...place]]]))
        .flatten()
        .toFloat32Array();
      return place.map((at, axis) => at - from[axis]!);
    };
    const iris = shiftAt([0.04, 0], 0.04, [0.04, 0]);
    assert.ok(iris[0]! > 0.03 && iris[0]! < 0.045, `${iris[0]}`);
    assert.ok(Math.abs(shiftAt([0.04, 0], 0.04, [0.15, 0])[0]!) < 0.01, 'the corner');
    assert.ok(Math.abs(shiftAt([0.04, 0], 0.01, [0.04, 0])[0]!) < 1e-3, 'a shut eye');
    assert.ok(Math.abs(shiftAt([0, 0.03], 0.04, [0, 0.03])[1]!) < 1e-3, 'upwards');
  }),
);

test(
  'around the face the field follows landmarks that it is far from, on what moves; further away, and where they are near, it stays',
  computing(() => {
    const landmarks = tensor([
      [
        [-0.2, -0.2],
        [0.2, -0.2],
        [0, 0.3],
      ],
    ]); // [1, 3, 2]
    const still = coordinateGrid(64, 64).unsqueeze(0);
    const moving = cat([zeros([1, 1, 64, 64]), ones([1, 1, 64, 64])], 1); // no background
    const shiftAt = (mask: Tensor, by: number, [x, y]: readonly [number, number]): number => {
      const { deformation } = refinedByLandmarks({ mask, deformation: still }, landmarks, landmarks.add(by), {
        reach: 0.02,
      });
      const shift = deformation.sub(still).permute(0, 3, 1, 2);
      return F.gridSample(shift, tensor([[[[x, y]]]]), { alignCorners: true })
        .flatten()
        .toFloat32Array()[0]!;
    };
    const [hair, corner] = [
      [0, -0.35],
      [0.95, -0.95],
    ] as const;
    assert.ok(shiftAt(moving, 0.3, hair) > 0.15, `${shiftAt(moving, 0.3, hair)}`);
    assert.ok(Math.abs(shiftAt(moving, 0.3, corner)) < 0.01);
    assert.ok(Math.abs(shiftAt(moving, 0.02, hair)) < 0.002, 'what differs by little has its reasons');
    const background = cat([ones([1, 1, 64, 64]), zeros([1, 1, 64, 64])], 1);
    assert.ok(Math.abs(shiftAt(background, 0.3, hair)) < 0.01, 'the background stays');
  }),
);

test(
  'a field that moves nothing, or all alike, stretches nothing, up to its borders; one that spreads the source fourfold, by a doubling more',
  computing(() => {
    const identity = coordinateGrid(8, 12, { dtype: 'float32', device: 'cpu' }).unsqueeze(0); // [1, 8, 12, 2]
    for (const field of [identity, identity.add(0.3), identity.mul(0.8)]) {
      assert.equal(stretchOf(field).amax().item(), 0);
    }
    const spread = stretchOf(identity.mul(0.5));
    assert.deepEqual(spread.shape, [1, 1, 8, 12]);
    assert.ok(largestDifference(spread, ones([1, 1, 8, 12])) < 1e-4);
    const folded = stretchOf(identity.mul(tensor([-1, 1])));
    assert.ok(folded.amin().item() > 3, 'what is turned over is not to be seen');
  }),
);

/** Four keypoints around a mouth that is open by so much, [1, 4, 2]. */
const mouth = (open: number): { value: Tensor } => ({
  value: tensor([
    [
      [-0.4, 0.125],
      [0, 0.125 - open],
      [0.4, 0.125],
      [0, 0.125 + open],
    ],
  ]),
});

test(
  'what is within a contour now and was not before was opened, and nothing else',
  computing(() => {
    const identity = coordinateGrid(33, 33).unsqueeze(0); // [1, 33, 33, 2]
    const around = [[0, 1, 2, 3]];
    const at = (map: Tensor, x: number, y: number): number =>
      F.gridSample(map, tensor([[[[x, y]]]]), { alignCorners: true }).item();
    const opened = openedBy(identity, mouth(0.5), mouth(0), around);
    assert.deepEqual(opened.shape, [1, 1, 33, 33]);
    for (const [x, y, expected] of [
      [0, -0.2, 1],
      [0, 0.45, 1],
      [0.1, 0.25, 1],
      [0, 0.125, 1], // on the seam
      [0, -0.6, 0],
      [0.35, 0.45, 0], // below a corner, where the rhombus is narrow
      [-0.7, 0.125, 0],
    ] as const) {
      assert.ok(Math.abs(at(opened, x, y) - expected) < 1e-5, `${x}, ${y}: ${at(opened, x, y)}`);
    }
    const none = zeros([1, 1, 33, 33]);
    assert.ok(largestDifference(openedBy(identity, mouth(0.5), mouth(0.5), around), none) < 1e-5, 'open before');
    assert.ok(largestDifference(openedBy(identity, mouth(0), mouth(0), around), none) < 1e-5, 'shut');
    // Half as open before, and the field knows: all comes from within.
    const squeezed = identity
      .sub(tensor([0, 0.125]))
      .mul(tensor([1, 0.5]))
      .add(tensor([0, 0.125]));
    const along = openedBy(squeezed, mouth(0.5), mouth(0.25), around);
    for (const [x, y] of [
      [0, 0.125],
      [0, 0.3],
      [0.1, 0],
    ] as const) {
      assert.ok(at(along, x, y) < 1e-5, `moved along: ${at(along, x, y)}`);
    }
    const reversed = openedBy(identity, mouth(0.5), mouth(0), [[3, 2, 1, 0]]);
    assert.ok(largestDifference(reversed, opened) < 1e-5, 'either way round');
  }),
);

test(
  'a mouth that opens shows nothing of the lips that were shut, whatever was learned',
  computing(() => {
    const config = {
      ...narrow(MODEL_PRESETS.fomm).generator,
      decoder: 'shuffle' as const,
      denseMotion: {
        ...narrow(MODEL_PRESETS.fomm).generator.denseMotion,
        maskFalloff: 3,
        alignCorners: true,
        contours: [[0, 1, 2, 3]],
      },
    };
    using generator = new Generator(config, 4).eval();
    generator.denseMotionNetwork.occlusion!.bias!.detach().fill_(50); // all is seen
    const animated = (driving: { value: Tensor }) =>
      noGrad(() =>
        generator.forward(
          generator.encodeSource(noise(128, { seed: 3 }), null),
          { ...driving, jacobian: null },
          { ...mouth(0), jacobian: null },
        ),
      );
    const at = (map: Tensor, x: number, y: number): number =>
      F.gridSample(map, tensor([[[[x, y]]]]), { alignCorners: true }).item();
    const open = animated(mouth(0.5));
    for (const map of [open.occlusionMap!, open.keptPixels!]) assert.ok(at(map, 0, 0.3) < 1e-3, `${at(map, 0, 0.3)}`);
    assert.ok(at(open.occlusionMap!, 0.7, -0.5) > 0.99);
    assert.ok(at(animated(mouth(0)).occlusionMap!, 0, 0.3) > 0.99);
  }),
);

test(
  'with a stretch penalty what lips show when they part is occluded, and nothing of the moved source is seen or kept there',
  computing(() => {
    const source = tensor([
      [
        [0, 0.3],
        [0, 0.32],
        [-0.5, -0.3],
      ],
    ]); // [1, 3, 2]
    const driving = tensor([
      [
        [0, 0.2],
        [0, 0.5],
        [-0.5, -0.3],
      ],
    ]);
    const motion = { ...narrow(MODEL_PRESETS.fomm).generator.denseMotion, maskFalloff: 3, alignCorners: true };
    const mapsOf = (stretchPenalty: number, decoder: 'shuffle' | 'residual') => {
      const config = {
        ...narrow(MODEL_PRESETS.fomm).generator,
        decoder,
        keepsPixels: true,
        denseMotion: { ...motion, stretchPenalty },
      };
      using generator = new Generator(config, 3).eval();
      const { mask, occlusion } = generator.denseMotionNetwork;
      for (const weight of [mask.weight, occlusion!.weight]) weight.detach().zero_(); // nothing learned
      occlusion!.bias!.detach().fill_(3); // all is seen
      const keypoints = (value: Tensor) => ({ value, jacobian: null });
      const { occlusionMap, keptPixels } = noGrad(() =>
        generator.forward(generator.encodeSource(noise(128, { seed: 3 }), null), keypoints(driving), keypoints(source)),
      );
      const at = (map: Tensor, x: number, y: number): number =>
        F.gridSample(map, tensor([[[[x, y]]]]), { alignCorners: true }).item();
      return {
        between: at(occlusionMap!, 0, 0.35),
        away: at(occlusionMap!, 0.6, -0.6),
        kept: at(keptPixels!, 0, 0.35),
      };
    };
    for (const decoder of ['shuffle', 'residual'] as const) {
      const [hidden, plain] = [mapsOf(3, decoder), mapsOf(0, decoder)];
      assert.ok(hidden.between < 0.1 && hidden.kept < 0.1, `${decoder}: ${JSON.stringify(hidden)}`);
      assert.ok(hidden.away > 0.9 && plain.between > 0.9 && plain.kept > 0.1, `${decoder}: ${JSON.stringify(plain)}`);
    }
  }),
);

test(
  'a depth network may look at smaller pictures, and its disparity is as large as they were',
  computing(() => {
    using whole = fillByFormula(new DepthNetwork({ layers: 18, width: 1 / 16 }), { prefix: 'depth' }).eval();
    using half = fillByFormula(new DepthNetwork({ layers: 18, width: 1 / 16, scaleFactor: 0.5 }), {
      prefix: 'depth',
    }).eval();
    const picture = noise(128, { seed: 9 });
    const disparity = half.forward(picture);
    assert.deepEqual(disparity.shape, [1, 1, 128, 128]);
    const small = F.avgPool2d(picture, 2);
    assertClose(disparity, F.upsampleBilinear(whole.forward(small), [128, 128]), 1e-5);
  }),
);

test(
  'pooled attention answers with the means of places; scaled scores depend on the query without ReLUs',
  computing(() => {
    using network = fillByFormula(new CrossModalAttention(16, 'scaled', 2), { prefix: 'attention' }).requiresGrad_(
      false,
    );
    network.eval();
    const [depth, warped] = [float([1, 16, 8, 8], 1), float([1, 16, 8, 8], 2)];
    const query = network.query(depth);
    assert.deepEqual(
      [query.shape, network.key(warped).shape],
      [
        [1, 64, 2],
        [1, 2, 16],
      ],
    );
    const weights = network.weights(query, warped); // [1, 64, 16]
    assertClose(weights.sum([2]), ones([1, 64]), 1e-5);
    const value = F.avgPool2d(F.conv2d(warped, network.valueConv.weight, network.valueConv.bias), 2).flatten(2);
    const answer = weights.matmul(value.transpose(1, 2)).transpose(1, 2).reshape(1, 16, 8, 8);
    assertClose(network.forward(query, warped), answer.mul(network.gamma!).add(warped), 1e-5);
    network.train();
    assertClose(network.forward(query, warped), answer.mul(network.gamma!).add(warped), 1e-5);
  }),
);

/** An attention whose weights follow a formula. */
const attention = (form: AttentionForm): CrossModalAttention =>
  fillByFormula(new CrossModalAttention(16, form), { prefix: 'attention' }).requiresGrad_(false);

test(
  'attention computed in blocks is the attention as a whole, for one query or one per picture',
  computing(() => {
    for (const form of ['residual', 'literal'] as const) {
      using network = attention(form);
      // 1, 35, 256 and 513 positions: within, at and beyond the size of a block.
      for (const [height, width] of [
        [1, 1],
        [5, 7],
        [16, 16],
        [19, 27],
      ] as const) {
        const warped = float([2, 16, height, width], 5);
        for (const queries of [1, 2]) {
          const query = network.query(float([queries, 16, height, width], 6).mul(3));
          const whole = network.train().forward(query, warped);
          assertClose(network.eval().forward(query, warped), whole, 1e-5, `${form}, ${height} x ${width}, ${queries}`);
        }
      }
    }
  }),
);

test(
  'attention weights are a distribution, and the published form adds gamma times the answer to its input',
  computing(() => {
    using network = attention('residual');
    network.eval();
    const warped = float([1, 16, 8, 8], 5);
    const query = network.query(float([1, 16, 8, 8], 6));
    const weights = network.weights(query, warped);
    assert.deepEqual(weights.shape, [1, 64, 64]);
    assertWithin(weights, 0, 1);
    assertClose(weights.sum([2]), ones([1, 64]), 1e-5);
    const value = network.valueConv.forward(warped).relu().flatten(2).transpose(1, 2);
    const answer = weights.matmul(value).transpose(1, 2).reshape(1, 16, 8, 8);
    assertClose(network.forward(query, warped), answer.mul(0.5).add(warped), 1e-5);
    network.gamma!.zero_();
    assertClose(network.forward(query, warped), warped, 0);
  }),
);

test(
  'the literal form of Eq. 9 is the answer alone, without rectifiers',
  computing(() => {
    using network = attention('literal');
    network.eval();
    assert.equal(network.gamma, null);
    const [depth, warped] = [float([1, 16, 6, 6], 8), float([1, 16, 6, 6], 9)];
    const flat = (x: Tensor): Tensor => x.flatten(2); // [1, C, 36]
    const query = flat(network.queryConv.forward(depth)).transpose(1, 2);
    const weights = query.matmul(flat(network.keyConv.forward(warped))).softmax(2);
    const value = flat(network.valueConv.forward(warped)).transpose(1, 2);
    const expected = weights.matmul(value).transpose(1, 2).reshape(1, 16, 6, 6);
    assert.ok(network.query(depth).amin().item() < 0);
    assertClose(network.forward(network.query(depth), warped), expected, 1e-5);
    using model = formulaModel(
      narrow({ ...MODEL_PRESETS.dagan, generator: { ...MODEL_PRESETS.dagan.generator, attention: 'literal' } }),
    );
    const source = model.source(noise(128));
    assert.deepEqual(model.generate(source, source.keypoints).prediction.shape, [1, 3, 128, 128]);
  }),
);

test(
  'without the depth that they need, detector and generator say so',
  computing(() => {
    using model = formulaModel(narrow(MODEL_PRESETS.dagan));
    assert.throws(
      () => model.keypointDetector.forward(noise(128), null),
      /a depth-guided keypoint detector needs the disparity/,
    );
    assert.throws(() => model.generator.encodeSource(noise(128), null), /cross-modal attention needs the disparity/);
  }),
);

test(
  'an untrained detector starts with identity jacobians',
  computing(() => {
    const config = { ...narrow(MODEL_PRESETS.fomm).keypointDetector };
    using detector = new KeypointDetector(config, {
      numKeypoints: 4,
      withJacobians: 4,
      depthGuided: false,
    }).eval();
    const { jacobian } = detector.forward(noise(128, { count: 2 }), null);
    assertClose(jacobian!, eye(2).expand(2, 4, 2, 2), 1e-5);
    using part = new KeypointDetector(config, { numKeypoints: 4, withJacobians: 1, depthGuided: false }).eval();
    part.jacobian!.bias!.detach().fill_(3);
    const { jacobian: mixed } = part.forward(noise(128, { count: 2 }), null);
    assertClose(mixed!.narrow(1, 0, 3), eye(2).expand(2, 3, 2, 2), 1e-5);
    assertClose(mixed!.narrow(1, 3, 1), full([2, 1, 2, 2], 3), 1e-4);
  }),
);

test(
  'the depth network gives disparity in (0, 1) at four scales, the first of them as asked for alone',
  computing(() => {
    for (const layers of [18, 50] as const) {
      using network = fillByFormula(new DepthNetwork({ layers, width: 1 / 8 }), { prefix: `depth${layers}` });
      network.eval();
      const image = noise(96, { count: 2 });
      const pyramid = network.pyramid(image);
      assert.deepEqual(
        pyramid.map(({ shape }) => shape),
        [96, 48, 24, 12].map((size) => [2, 1, size, size]),
      );
      for (const disparity of pyramid) assertWithin(disparity, 0, 1);
      assertClose(network.forward(image), pyramid[0]!, 0);
      assert.ok(largestDifference(pyramid[0]!.narrow(0, 0, 1), pyramid[0]!.narrow(0, 1, 1)) > 1e-4);
    }
  }),
);

test(
  'shrinking keeps flat colour away from the black surroundings, and channels apart',
  computing(() => {
    for (const [scale, size] of [
      [0.25, 64],
      [0.5, 32],
      [1 / 3, 60],
    ] as const) {
      using network = new AntiAliasDownsample(3, scale);
      assertClose(network.weight.sum([1, 2, 3]), ones([3]), 1e-5);
      const colors = tensor([0.2, 0.5, 0.9]).view(1, 3, 1, 1);
      const small = network.forward(colors.expand(1, 3, size, size));
      const side = Math.round(size * scale);
      assert.deepEqual(small.shape, [1, 3, side, side]);
      assertClose(small.slice(2, 3, side - 3).slice(3, 3, side - 3), colors.expand(1, 3, side - 6, side - 6), 1e-5);
      assert.ok(small.select(2, 0).amax().item() < 0.89);
    }
    assert.throws(() => new AntiAliasDownsample(3, 0.3), /scale must be 1 \/ n, not 0\.3/);
  }),
);

test('shrinking by products with matrices is the convolution with its kernel, at every size', () => {
  tidy(() => {
    for (const [scale, height, width] of [
      [0.5, 16, 19],
      [0.25, 33, 20],
      [0.125, 64, 71],
    ] as const) {
      using network = new AntiAliasDownsample(2, scale);
      const [image, same] = [0, 0].map(() => float([2, 2, height, width], 7).requiresGrad_()) as [Tensor, Tensor];
      const stride = 1 / scale;
      const padding = (network.weight.size(3) - 1) / 2;
      const [small, wanted] = [
        network.forward(image),
        F.conv2d(same, network.weight, null, { stride, padding, groups: 2 }),
      ];
      assertClose(small.detach(), wanted.detach(), 1e-6);
      const weights = float(wanted.shape, 8);
      const [ofImage, ofSame] = [grad([small.mul(weights).sum()], [image]), grad([wanted.mul(weights).sum()], [same])];
      assertClose(ofImage[0]!, ofSame[0]!, 1e-6);
    }
  });
});

test(
  'a detector finds the same by the convolutions of training as by those of use',
  computing(() => {
    using model = formulaModel(narrow(MODEL_PRESETS.dagan), 'heads');
    const detector = model.keypointDetector.eval();
    const [image, disparity] = [noise(128, { seed: 3 }), noise(128, { seed: 4 }).narrow(1, 0, 1)];
    const inUse = detector.forward(image, disparity);
    detector.kp.train();
    const inTraining = detector.forward(image, disparity);
    assertClose(inTraining.value, inUse.value, 1e-4);
    assertClose(inTraining.jacobian!, inUse.jacobian!, 1e-3);
  }),
);

test(
  'heatmaps peak at their keypoints',
  computing(() => {
    const value = coordinateGrid(9, 11).select(0, 2).select(0, 7).view(1, 1, 2);
    const [map] = keypointsToGaussian({ value }, [9, 11], 0.01).unbind(0);
    assert.equal(map!.flatten().argmax(0).item(), 2 * 11 + 7);
    assert.ok(Math.abs(map!.amax().item() - 1) < 1e-6);
  }),
);

test(
  'warping by a flat field repeats one colour, and a field of another size is stretched to the picture',
  computing(() => {
    const image = float([1, 3, 12, 12], 4);
    const centre = zeros([2, 6, 6, 2]); // between the four pixels in the middle
    const middle = image.slice(2, 5, 7).slice(3, 5, 7).mean([2, 3], true);
    assertClose(warp(image, centre), middle.expand(2, 3, 12, 12), 1e-6);
    const outside = centre.add(3);
    assert.equal(warp(image, outside).abs().amax().item(), 0);
    assertClose(occlude(image, ones([1, 1, 6, 6]).mul(0.25)), image.mul(0.25), 1e-6);
  }),
);

test('the weight formula has the values that its description states', () => {
  assert.equal(fnv1a('open/generator.first.conv.weight'), 0x803e2fb5);
  const start = (key: string, shape: readonly number[], count: number): Tensor =>
    formulaTensor(key, shape, 'open').flatten().narrow(0, 0, count);
  assertClose(start('generator.first.conv.weight', [64, 3, 7, 7], 3), [0.07183222, -0.02935108, -0.02208621], 1e-8);
  assertClose(start('generator.final.weight', [3, 64, 7, 7], 2), [0.00077545, -0.00194249], 1e-8);
  assertClose(start('kp_detector.jacobian.bias', [60], 4), [1.00594974, 0.03343229, 0.0198025, 0.98603517], 1e-7);
  using kernel = new AntiAliasDownsample(3, 0.25);
  const row = kernel.weight.select(0, 0).select(0, 0).select(0, 6).narrow(0, 0, 3);
  assertClose(row, [2.37296e-5, 0.000273464, 0.00202064], 1e-8);
});

test(
  'the formula fills by published name and seed, and leaves computed kernels alone',
  computing(() => {
    const config = narrow(MODEL_PRESETS.fomm);
    using one = formulaModel(config, 'a');
    using same = formulaModel(config, 'a');
    using other = formulaModel(config, 'b');
    const weights = (model: DaGAN): Tensor =>
      cat([...model.stateDict().values()].map((value) => value.flatten().to({ dtype: 'float32' })));
    assert.equal(largestDifference(weights(one), weights(same)), 0);
    assert.ok(largestDifference(weights(one), weights(other)) > 0.1);
    assertClose(one.keypointDetector.down!.weight, new AntiAliasDownsample(3, 0.25).weight, 0);
    assertClose(
      other.generator.decoder.stateDict().get('final.bias')!,
      formulaTensor('generator.final.bias', [3], 'b'),
      0,
    );
  }),
);
