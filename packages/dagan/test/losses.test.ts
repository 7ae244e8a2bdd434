// Loss terms: against the reference data, against what can be worked out by hand, and their gradients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cat,
  eye,
  full,
  grad,
  liveTensors,
  manualSeed,
  noGrad,
  ones,
  stack,
  type Tensor,
  tensor,
  tidy,
  zeros,
} from '@dagan/libtorch';
import { type FaceLandmark, landmarkPlace, MOUTH_AND_EYES, TRAVELLING_POINTS } from '../src/faces/landmarks.js';
import { ThinPlateSpline } from '../src/geometry/index.js';
import {
  attentionFocusLoss,
  discriminatorLoss,
  edgeAwareSmoothness,
  enlargedParts,
  equivarianceJacobianLoss,
  equivarianceValueLoss,
  featureMatchingLoss,
  generatorAdversarialLoss,
  ImagePyramid,
  keypointDistanceLoss,
  landmarkLoss,
  meshMotionLoss,
  minimumReprojection,
  OBJECTIVE_WEIGHTS,
  objective,
  perceptualDifferences,
  perceptualLoss,
  photometricError,
  pixelLoss,
  structuralError,
  structuralSimilarity,
} from '../src/losses/index.js';
import { fillByFormula } from '../src/models/files/formula-weights.js';
import { type PerceptualNetwork, Vgg19 } from '../src/models/perceptual/vgg19.js';
import { coordinateGrid } from '../src/tensors/grid.js';
import { assertClose, assertGradients, assertRelative, scatter } from './compare.js';
import { publishedShapes, referenceTensors, sharedMissing } from './shared.js';

const reference = referenceTensors('losses.safetensors');

/** Pictures in [0, 1], float64. */
const pictures = (shape: readonly number[], seed = 1): Tensor => scatter(shape, seed).mul(0.5).add(0.5);

/** A perceptual network small enough to check by hand: the picture, and its squares. */
const tinyNetwork: PerceptualNetwork = { layers: 2, features: (image) => [image, image.square()] };

test('pyramid and perceptual loss equal the published ones, scale by scale and layer by layer', {
  skip: sharedMissing,
}, () => {
  noGrad(() =>
    tidy(() => {
      const pyramid = new ImagePyramid();
      const generated = pyramid.forward(reference('generated'));
      for (const [scale, image] of generated) assertClose(image, reference(`pyramid.${scale}`), 1e-6, `scale ${scale}`);

      const vgg = fillByFormula(new Vgg19(), { prefix: 'vgg19' });
      const differences = perceptualDifferences(vgg, generated, pyramid.forward(reference('driving')));
      assertClose(differences, reference('perceptual.per_scale_layer'), 1e-6, 'per scale and layer');
      const total = differences.sum().mul(OBJECTIVE_WEIGHTS.perceptual).item();
      assertRelative(total, reference('perceptual.total_weight10').item(), 1e-6);
      vgg.dispose();
    }),
  );
});

test('equivariance losses equal the published ones', { skip: sharedMissing }, () => {
  const transform = new ThinPlateSpline(reference('tps.theta'), reference('tps.control_params'));
  const driving = { value: reference('kp_driving.value'), jacobian: reference('kp_driving.jacobian') };
  const transformed = { value: reference('tps.coords'), jacobian: reference('kp_transformed.jacobian') };
  const value = equivarianceValueLoss(driving, transformed, transform).item();
  assertRelative(value, reference('equivariance_value').item(), 1e-6);
  const jacobian = equivarianceJacobianLoss(driving, transformed, transform).item();
  assertRelative(jacobian, reference('equivariance_jacobian').item(), 1e-5);
});

test('the sign form of the keypoint distance equals the published one', { skip: sharedMissing }, () => {
  const loss = keypointDistanceLoss({ value: reference('kp_driving.value') }, { form: 'sign' }).item();
  assertRelative(loss, reference('kp_distance.sign_form_threshold_0.2').item(), 1e-6);
});

test('photometric and smoothness terms equal the published ones', { skip: sharedMissing }, () => {
  const [warped, target] = [reference('view.warped'), reference('pose.frame0')];
  assertRelative(structuralError(warped, target).mean().item(), reference('view.ssim_loss_map_mean').item(), 1e-5);
  const colors = photometricError(warped, target, { alpha: 0 }).mean().item();
  assertRelative(colors, reference('view.l1_mean').item(), 1e-5);
  const published = photometricError(warped, target, { alpha: 0.85 }).mean().item();
  assertRelative(published, reference('view.reprojection_0.85').item(), 1e-5);
  const smoothness = edgeAwareSmoothness(reference('view.disp'), target).item();
  assertRelative(smoothness, reference('view.smoothness').item(), 1e-5);
});

test('a pyramid keeps flat colour away from the border and has the sizes of its scales', () => {
  const pyramid = new ImagePyramid([1, 0.5, 0.25]).forward(full([1, 3, 64, 64], 0.7));
  assert.deepEqual(
    [...pyramid].map(([scale, image]) => [scale, image.size(2), image.size(3)]),
    [
      [1, 64, 64],
      [0.5, 32, 32],
      [0.25, 16, 16],
    ],
  );
  for (const image of pyramid.values()) {
    const inner = image.narrow(2, 4, image.size(2) - 8).narrow(3, 4, image.size(3) - 8);
    assertClose(inner, full(inner.shape, 0.7), 1e-5);
  }
});

test('the perceptual loss weighs its layers, and only the generated frame gets a gradient', () => {
  const real = pictures([1, 3, 4, 4]).requiresGrad_();
  const generated = pictures([1, 3, 4, 4], 2).requiresGrad_();
  const pair = [new Map([[1, generated]]), new Map([[1, real]])] as const;
  const [image, square] = perceptualDifferences(tinyNetwork, ...pair)
    .view(2)
    .toArray() as number[];
  assertRelative(perceptualLoss(tinyNetwork, ...pair).item(), image! + square!, 1e-6);
  const weighted = perceptualLoss(tinyNetwork, ...pair, { layerWeights: [3, 0.5] });
  assertRelative(weighted.item(), 3 * image! + 0.5 * square!, 1e-6);
  const [forGenerated, forReal] = grad([weighted], [generated, real], { allowUnused: true });
  assert.ok(forGenerated!.abs().sum().item() > 0);
  assert.equal(forReal, null);

  assert.throws(() => perceptualLoss(tinyNetwork, ...pair, { layerWeights: [1] }), /1 layer weights .* 2 feature maps/);
  assert.throws(() => perceptualLoss(tinyNetwork, pair[0], new Map([[0.5, real]])), /lacks scale 1/);
});

test('gradients of the perceptual loss are right', () => {
  const real = new Map([[1, pictures([1, 3, 4, 4])]]);
  assertGradients((image) => perceptualLoss(tinyNetwork, new Map([[1, image]]), real), [pictures([1, 3, 4, 4], 2)]);
});

test('VGG-19 takes torchvision weights with a prefix and a classifier, stays frozen, and lets gradients through', () => {
  const original = new Vgg19();
  const state = new Map([...original.stateDict('vgg')].concat([['vgg.classifier.0.weight', zeros([2, 2])]]));
  const copy = Vgg19.fromStateDict(state, { prefix: 'vgg.' });
  const image = pictures([1, 3, 16, 16]).to({ dtype: 'float32' }).requiresGrad_();
  const maps = copy.features(image);
  assert.deepEqual(
    maps.map((map) => [...map.shape]),
    [64, 128, 256, 512, 512].map((channels, i) => [1, channels, 16 / 2 ** i, 16 / 2 ** i]),
  );
  assertClose(maps[4]!.detach(), original.features(image)[4]!.detach(), 0);
  assert.ok(copy.parameters().every((parameter) => !parameter.requiresGrad));
  const [gradient] = grad([maps[4]!.sum()], [image]);
  assert.ok(gradient!.abs().sum().item() > 0);

  const broken = new Map(state).set('vgg.features.5.weight', zeros([128, 64, 1, 1]));
  assert.throws(
    () => Vgg19.fromStateDict(broken, { prefix: 'vgg.' }),
    /features\.5\.weight is \[128,64,1,1\] instead of/,
  );
  assert.throws(() => Vgg19.fromStateDict(state), /26 tensors are missing/);
});

test('VGG-19 has the names and shapes of the published layers up to relu5_1', { skip: sharedMissing }, () => {
  const shapes = publishedShapes('vgg19_features');
  for (const [name, value] of new Vgg19().stateDict('vgg19')) assert.deepEqual([...value.shape], shapes[name], name);
});

test('adversarial losses are zero for the side that has won, and push scores towards 1 and 0', () => {
  const scores = (value: number) => new Map([[1, { prediction: full([2, 1, 3, 3], value) }]]);
  assert.equal(generatorAdversarialLoss(scores(1)).item(), 0);
  assert.equal(generatorAdversarialLoss(scores(-1)).item(), 4);
  assert.equal(discriminatorLoss(scores(1), scores(0)).item(), 0);
  assert.equal(discriminatorLoss(scores(0), scores(2)).item(), 5);
  const twoScales = new Map([...scores(0), [0.5, { prediction: full([2, 1, 2, 2], 3) }]]);
  assert.equal(generatorAdversarialLoss(twoScales).item(), 1 + 4);
});

test('adversarial losses of 16-bit scores are computed in float32', () => {
  const prediction = full([1, 1, 2, 2], 0.1234).to({ dtype: 'bfloat16' });
  const loss = generatorAdversarialLoss(new Map([[1, { prediction }]]));
  assert.equal(loss.dtype, 'float32');
  assertRelative(loss.item(), (1 - prediction.toFloat32Array()[0]!) ** 2, 1e-6);
});

test('feature matching compares block by block and teaches the generated side only', () => {
  const [a, b] = [full([1, 2, 4, 4], 0.5).requiresGrad_(), full([1, 4, 2, 2], 1).requiresGrad_()];
  const [c, d] = [full([1, 2, 4, 4], 0.25).requiresGrad_(), full([1, 4, 2, 2], 3).requiresGrad_()];
  const loss = featureMatchingLoss(new Map([[1, { features: [a, b] }]]), new Map([[1, { features: [c, d] }]]));
  assert.equal(loss.item(), 0.25 + 2);
  const gradients = grad([loss], [a, b, c, d], { allowUnused: true });
  assert.deepEqual(
    gradients.map((gradient) => gradient !== null),
    [false, false, true, true],
  );
});

test('keypoints that move with the picture cost nothing, and others do', () => {
  const transform = new ThinPlateSpline(
    eye(3)
      .slice(0, 0, 2)
      .unsqueeze(0)
      .add(scatter([2, 2, 3]).mul(0.1)),
    scatter([2, 1, 25], 2).mul(0.01),
  );
  const value = scatter([2, 5, 2], 3);
  const jacobian = eye(2, { dtype: 'float64' }).add(scatter([2, 5, 2, 2], 4).mul(0.2));
  const transformed = { value, jacobian };
  const driving = {
    value: transform.warpCoordinates(value),
    jacobian: transform.jacobian(value).matmul(jacobian),
  };
  assert.ok(equivarianceValueLoss(driving, transformed, transform).item() < 1e-12);
  assert.ok(equivarianceJacobianLoss(driving, transformed, transform).item() < 1e-12);
  assert.ok(equivarianceValueLoss(transformed, transformed, transform).item() > 1e-3);
  assert.ok(equivarianceJacobianLoss(transformed, transformed, transform).item() > 1e-3);
  assert.throws(
    () => equivarianceJacobianLoss({ ...driving, jacobian: null }, transformed, transform),
    /needs keypoints with jacobians/,
  );
});

test('gradients of the equivariance losses reach both sets of keypoints', () => {
  const transform = new ThinPlateSpline(
    eye(3, { dtype: 'float64' })
      .slice(0, 0, 2)
      .unsqueeze(0)
      .add(scatter([1, 2, 3]).mul(0.1)),
    scatter([1, 1, 25], 2).mul(0.01),
  );
  const values = [scatter([1, 4, 2], 3), scatter([1, 4, 2], 4)];
  const near = (seed: number) => eye(2, { dtype: 'float64' }).add(scatter([1, 4, 2, 2], seed).mul(0.2));
  assertGradients((d, t) => equivarianceValueLoss({ value: d }, { value: t }, transform), values);
  assertGradients(
    (t, jacobianD, jacobianT) =>
      equivarianceJacobianLoss({ value: t, jacobian: jacobianD }, { value: t, jacobian: jacobianT }, transform),
    [values[1]!, near(5), near(6)],
    1e-5,
  );
});

test('keypoints that crowd together are pushed apart by the hinge, while the sign form only counts them', () => {
  const crowded = tensor([
    [
      [0, 0],
      [0.1, 0],
      [0.9, 0.9],
    ],
  ]);
  // One pair of the three is too close; it stands twice among the nine.
  const hinge = (value: Tensor) => keypointDistanceLoss({ value });
  const sign = (value: Tensor) => keypointDistanceLoss({ value }, { form: 'sign' });
  assertRelative(hinge(crowded).item(), (2 * 0.1) / 9, 1e-5);
  assertRelative(sign(crowded).item(), (2 * 2) / 9, 1e-6);
  const leaf = crowded.detach().requiresGrad_();
  const [push] = grad([hinge(leaf)], [leaf]);
  const [left, right, far] = push!.select(0, 0).toArray() as number[][];
  assert.ok(left![0]! > 0 && right![0]! < 0, 'descent moves them apart');
  assert.deepEqual(far, [0, 0]);
  const [none] = grad([sign(leaf)], [leaf]);
  assert.equal(none!.abs().sum().item(), 0);

  const apart = crowded.mul(3);
  assert.equal(hinge(apart).item(), 0);
  assert.equal(sign(apart).item(), 0);
  assert.ok(keypointDistanceLoss({ value: apart }, { threshold: 0.5 }).item() > 0);
});

test('gradients of the keypoint distance are right, also of keypoints in one place', () => {
  assertGradients((value) => keypointDistanceLoss({ value }), [scatter([2, 5, 2]).mul(0.15)]);
  const together = zeros([1, 3, 2]).requiresGrad_();
  const [gradient] = grad([keypointDistanceLoss({ value: together })], [together]);
  assert.ok(gradient!.isFinite().all().item());
});

test('landmarks draw the keypoints that they lead, and only those; what cannot be seen draws nothing', () => {
  const landmarks = tensor([
    [
      [0.5, 0, 1],
      [0, -0.5, 1],
      [0, 0, 0], // not seen
      [1, 0, 1], // leads nothing
    ],
  ]);
  const value = tensor([
    [
      [0, 0],
      [0.1, 0.2],
      [0.7, -0.1],
      [0.3, 0.3],
    ],
  ]).requiresGrad_();
  const led = [2, 1, 0].map((keypoint, landmark) => ({ keypoint, landmark }));
  const loss = landmarkLoss({ value }, landmarks, led);
  // Keypoint 2 is (0.2, 0.1) from landmark 0, keypoint 1 is (0.1, 0.7) from landmark 1.
  assertRelative(loss.item(), (0.15 + 0.4) / 2, 1e-5);
  const [gradient] = grad([loss], [value]);
  assertClose(
    gradient!,
    tensor([
      [
        [0, 0],
        [0.25, 0.25],
        [0.25, -0.25],
        [0, 0],
      ],
    ]),
    1e-6,
  );
  assert.equal(landmarkLoss({ value }, zeros([1, 4, 3]), led).item(), 0);
});

test('a motion field must take the points of the mesh to where they are in the source, as much as each counts', () => {
  // Everything comes from a tenth further right and a fifth further down.
  const field = coordinateGrid(9, 9)
    .add(tensor([0.1, 0.2]))
    .unsqueeze(0)
    .requiresGrad_(); // [1, 9, 9, 2]
  const source = [
    [0.35, 0.2, 1],
    [0.3, 0.5, 1],
    [0, 0, 0],
    [0.9, 0.9, 1],
  ];
  const driving = [
    [0.25, 0, 1], // where it should be
    [0, 0.5, 1], // (-0.2, 0.2) off
    [0.5, 0.5, 1], // not seen in the source
    [0, 0, 0], // not seen in the driving frame
  ];
  const landmarks = tensor([[source, driving]]); // [1, 2, 4, 3]
  const weights = tensor([1, 3, 5, 7]);
  const loss = meshMotionLoss(field, landmarks, weights);
  assertRelative(loss.item(), (3 * 0.2) / 4, 1e-5);
  const [gradient] = grad([loss], [field]);
  assert.ok(gradient!.abs().sum().item() > 0);
  assert.equal(meshMotionLoss(field, zeros([1, 2, 4, 3]), weights).item(), 0);
});

test('attention must look around the point that asks, in the other frame; points that were not seen ask nothing', () => {
  // Two points that change sides from frame to frame, and one that was not seen; one-hot keys of 4 x 4 places.
  const landmarks = tensor([
    [
      [
        [-1, -1, 1],
        [1, 1, 1],
        [0, 0, 0],
      ],
      [
        [1, 1, 1],
        [-1, -1, 1],
        [0, 0, 0],
      ],
    ],
  ]); // [1, 2, 3, 3]
  const key = eye(16).unsqueeze(0); // [1, 16, 16]
  const sizes = { querySize: [2, 2], keySize: [4, 4] } as const;
  /** Each of the 2 x 2 places asks one of the keys' places. */
  const lossOf = (...asked: number[]): number => {
    const query = stack(asked.map((place) => eye(16).select(0, place).mul(50))).unsqueeze(0); // [1, 4, 16]
    return attentionFocusLoss({ query, key, ...sizes }, landmarks).item();
  };
  assert.ok(lossOf(15, 0, 0, 0) < 1e-4, 'upper left asks lower right, and the other way round');
  assert.ok(lossOf(15, 3, 3, 0) < 1e-4, 'nobody asks from the other corners');
  assert.ok(lossOf(0, 0, 0, 15) > 9, 'the places that they left');
  const near = lossOf(14, 0, 0, 1); // two thirds of a unit away
  assertRelative(near, (2 / 3) ** 2 / (2 * 0.25 ** 2), 1e-3);
  const [query, learned] = [scatter([1, 4, 16], 3).requiresGrad_(), scatter([1, 16, 16], 4).requiresGrad_()];
  assertGradients((q, k) => attentionFocusLoss({ query: q!, key: k!, ...sizes }, landmarks), [query, learned], 2e-2);
});

test('mouth and eyes are cut out and enlarged where their landmarks are', () => {
  const [height, width] = [64, 64];
  const landmarks = zeros([1, TRAVELLING_POINTS.length, 3]);
  const put = (name: FaceLandmark, x: number, y: number): void => {
    landmarks.select(1, landmarkPlace(name)).copy_(tensor([[x, y, 1]]));
  };
  put('rightMouthCorner', -0.25, 0.5);
  put('leftMouthCorner', 0.25, 0.5);
  put('upperLip', 0, 0.45);
  put('lowerLip', 0, 0.55);
  // A picture whose colours are its coordinates.
  const picture = cat([coordinateGrid(height, width), zeros([height, width, 1])], 2)
    .permute(2, 0, 1)
    .unsqueeze(0)
    .contiguous()
    .requiresGrad_(); // [1, 3, 64, 64]
  const parts = enlargedParts(picture, landmarks, MOUTH_AND_EYES);
  assert.deepEqual(parts.shape, [3, 3, 96, 96]);
  const mouth = parts.select(0, 0);
  const corner = (row: number, column: number): number[] =>
    [0, 1].map((channel) => mouth.select(0, channel).select(0, row).select(0, column).item());
  // 0.8 times the half unit between the corners of the mouth, around their middle.
  for (const [at, expected] of [
    [corner(0, 0), [-0.4, 0.1]],
    [corner(95, 95), [0.4, 0.9]],
  ] as const) {
    for (const axis of [0, 1] as const) assertRelative(at[axis]!, expected[axis], 1e-4);
  }
  // Eyes were not seen: the middle of the picture, and no smaller than a twentieth of it.
  assertRelative(parts.select(0, 1).select(0, 0).select(0, 0).select(0, 95).item(), 0.1, 1e-4);
  const [gradient] = grad([mouth.sum()], [picture]);
  assert.ok(gradient!.abs().sum().item() > 0);
});

test('structural similarity is what its definition gives, window by window', () => {
  const [x, y] = [pictures([1, 1, 5, 6]), pictures([1, 1, 5, 6], 2)];
  const at = (image: Tensor) => image.view(5, 6).toArray() as number[][];
  const [a, b] = [at(x), at(y)];
  const mirrored = (i: number, size: number) => (i < 0 ? -i : i >= size ? 2 * size - 2 - i : i);
  const expected = a.map((row, r) =>
    row.map((_, c) => {
      const pairs: [number, number][] = [];
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          const [i, j] = [mirrored(r + dy, 5), mirrored(c + dx, 6)];
          pairs.push([a[i]![j]!, b[i]![j]!]);
        }
      }
      const mean = (f: (pair: [number, number]) => number) => pairs.reduce((sum, pair) => sum + f(pair), 0) / 9;
      const [mx, my] = [mean(([p]) => p), mean(([, q]) => q)];
      const [vx, vy] = [mean(([p]) => (p - mx) ** 2), mean(([, q]) => (q - my) ** 2)];
      const covariance = mean(([p, q]) => (p - mx) * (q - my));
      const [c1, c2] = [1e-4, 9e-4];
      return ((2 * mx * my + c1) * (2 * covariance + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2));
    }),
  );
  assertClose(structuralSimilarity(x, y).view(5, 6), tensor(expected, { dtype: 'float64' }), 1e-9);
});

test('the photometric error of equal frames is zero, and its forms differ as paper and code do', () => {
  const [x, y] = [pictures([2, 3, 8, 9]), pictures([2, 3, 8, 9], 2)];
  assert.ok(photometricError(x, x, { form: 'paper' }).abs().amax().item() < 1e-12);
  const error = photometricError(x, y);
  assert.deepEqual(error.shape, [2, 1, 8, 9]);
  const structure = structuralSimilarity(x, y).rsub(1).mean([1], true);
  const color = x.sub(y).abs().mean([1], true);
  const paper = structure.mul(0.8).add(color.mul(0.2));
  assertClose(photometricError(x, y, { form: 'paper' }), paper, 1e-12);
  assertClose(error, structure.mul(0.4).add(color.mul(0.2)), 1e-12);
});

test('gradients of both photometric forms are right', () => {
  const inputs = [pictures([1, 2, 5, 5]), pictures([1, 2, 5, 5], 2)];
  for (const form of ['paper', 'published'] as const) {
    assertGradients((x, y) => photometricError(x, y, { form }).mean(), inputs, 1e-5);
  }
});

test('smoothness does not care for the scale of disparity, and forgives jumps at edges of the picture', () => {
  const disparity = pictures([1, 1, 6, 7]).add(0.1);
  const image = pictures([1, 3, 6, 7], 2);
  const loss = edgeAwareSmoothness(disparity, image).item();
  assertRelative(edgeAwareSmoothness(disparity.mul(0.01), image).item(), loss, 1e-4);
  assert.equal(edgeAwareSmoothness(full([1, 1, 6, 7], 0.3), image.to({ dtype: 'float32' })).item(), 0);

  const step = stack([zeros([6, 3]).add(0.2), zeros([6, 3]).add(0.8)], 1).view(1, 1, 6, 6);
  const flat = zeros([1, 3, 6, 6]);
  const [onFlat, onEdge] = [edgeAwareSmoothness(step, flat).item(), edgeAwareSmoothness(step, step.mul(5)).item()];
  assertRelative(onEdge, onFlat * Math.exp(-3), 1e-4);
});

test('gradients of smoothness reach disparity and picture', () => {
  const inputs = [pictures([1, 1, 5, 6]).add(0.1), pictures([1, 3, 5, 6], 2)];
  assertGradients((disparity, image) => edgeAwareSmoothness(disparity, image), inputs, 1e-5);
});

test('minimum reprojection takes the best source at every pixel and masks what is best left unmoved', () => {
  manualSeed(1);
  const map = (...values: number[]) => tensor(values, { shape: [1, 1, 1, values.length] });
  const [first, second] = [map(0.1, 0.5, 0.3), map(0.4, 0.2, 0.3)];
  const plain = minimumReprojection([first, second]);
  assertClose(plain.error, map(0.1, 0.2, 0.3), 0);
  assertClose(plain.mask, ones([1, 1, 1, 3]), 0);

  const masked = minimumReprojection([first, second], [map(0.9, 0.9, 0.05), map(0.9, 0.1, 0.9)]);
  assertClose(masked.error, map(0.1, 0.1, 0.05), 1e-4);
  assertClose(masked.mask, map(1, 0, 0), 0);
  assert.throws(() => minimumReprojection([]), /at least one source/);
});

test('only the source that explains a pixel learns from it', () => {
  const [first, second] = [
    tensor([[[[0.1, 0.5, 0.7]]]]).requiresGrad_(),
    tensor([[[[0.4, 0.2, 0.7]]]]).requiresGrad_(),
  ];
  const still = tensor([[[[0.9, 0.9, 0.01]]]]);
  const { error } = minimumReprojection([first, second], [still]);
  const [a, b] = grad([error.sum()], [first, second]);
  assertClose(a!.view(3), [1, 0, 0], 0);
  assertClose(b!.view(3), [0, 1, 0], 0);
});

test('the pixel loss adds the mean difference of every scale and leaves the real frame alone', () => {
  const pyramid = (...values: number[]) => new Map(values.map((value, i) => [0.5 ** i, full([1, 3, 4, 4], value)]));
  const [generated, real] = [pyramid(0.5, 0.75), pyramid(0.25, 1)];
  for (const image of [...generated.values(), ...real.values()]) image.requiresGrad_();
  const loss = pixelLoss(generated, real);
  assert.equal(loss.item(), 0.5);
  loss.backward();
  assert.ok(Math.abs(generated.get(1)!.grad!.sum().item() - 1) < 1e-5);
  assert.ok(Math.abs(generated.get(0.5)!.grad!.sum().item() + 1) < 1e-5);
  assert.equal(real.get(1)!.grad, null);
  assert.throws(() => pixelLoss(generated, pyramid(0.25)), /lacks scale 0.5; it has 1/);
});

test('pixel loss counts every place as often as its importance says', () => {
  const [generated, real] = [new Map([[1, zeros([1, 3, 2, 2])]]), new Map([[1, full([1, 3, 2, 2], 0.5)]])];
  const importance = tensor([
    [1, 1],
    [1, 5],
  ]).expand(1, 3, 2, 2);
  assert.equal(pixelLoss(generated, real, new Map([[1, importance]])).item(), 0.5 * ((1 + 1 + 1 + 5) / 4));
});

test('the objective adds its terms by weight and names a term that is missing', () => {
  const weights = { ...OBJECTIVE_WEIGHTS, featureMatching: 0, equivarianceJacobian: 0, keypointDistance: 0 };
  const terms = { perceptual: tensor(2), generatorAdversarial: tensor(3), equivarianceValue: tensor(0.5) };
  assert.equal(objective(terms, weights).item(), 20 + 3 + 5);
  assert.throws(() => objective(terms), /'featureMatching' has weight 10 but was not computed/);
});

test('losses free all tensors that they do not return', () => {
  const [x, y] = [pictures([1, 3, 8, 8]), pictures([1, 3, 8, 8], 2)];
  const keypoints = { value: scatter([1, 4, 2]) };
  const evaluate = () => {
    photometricError(x, y).dispose();
    edgeAwareSmoothness(x.narrow(1, 0, 1), y).dispose();
    keypointDistanceLoss(keypoints).dispose();
    landmarkLoss(keypoints, zeros([1, 3, 3]), [{ keypoint: 3, landmark: 0 }]).dispose();
    perceptualLoss(tinyNetwork, new Map([[1, x]]), new Map([[1, y]])).dispose();
  };
  tidy(evaluate);
  const before = liveTensors();
  for (let i = 0; i < 20; i++) tidy(evaluate);
  assert.equal(liveTensors(), before);
});
