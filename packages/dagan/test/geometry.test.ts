// Camera geometry: against the reference data, against what can be worked out by hand, and its gradients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { autocast, eye, grad, manualSeed, stack, type Tensor, tensor, zeros } from '@dagan/libtorch';
import {
  backproject,
  disparityToDepth,
  poseMatrix,
  project,
  rotationFromAxisAngle,
  synthesizeView,
  ThinPlateSpline,
} from '../src/geometry/index.js';
import { keypointsToGaussian } from '../src/models/keypoints.js';
import { coordinateGrid } from '../src/tensors/grid.js';
import { assertClose, assertGradients, scatter } from './compare.js';
import { referenceTensors, sharedMissing } from './shared.js';

const reference = referenceTensors('losses.safetensors');

/** K of a camera with focal lengths fx, fy and principal point cx, cy, [1, 3, 3]. */
const camera = (fx: number, fy: number, cx: number, cy: number): Tensor =>
  tensor([
    [
      [fx, 0, cx],
      [0, fy, cy],
      [0, 0, 1],
    ],
  ]);

/** A motion without rotation, [1, 4, 4]. */
const shift = (x: number, y: number, z: number): Tensor => poseMatrix(zeros([1, 3]), tensor([[x, y, z]]));

test('view synthesis equals the published code at every step', { skip: sharedMissing }, () => {
  const depth = disparityToDepth(reference('view.disp'));
  assertClose(depth, reference('view.depth'), 1e-6, 'depth');

  const axisAngle = reference('view.axisangle').view(1, 3);
  const translation = reference('view.translation').view(1, 3);
  const pose = poseMatrix(axisAngle, translation);
  assertClose(pose, reference('view.T'), 1e-6, 'pose');
  assertClose(poseMatrix(axisAngle, translation, { invert: true }), reference('view.T_inverted'), 1e-6, 'inverse pose');

  const intrinsics = reference('view.K');
  const view = synthesizeView(reference('pose.frame1'), { depth, intrinsics, pose }, { camera: 'published' });
  assertClose(view.grid, reference('view.pixel_grid'), 1e-5, 'grid');
  assertClose(view.warped, reference('view.warped'), 1e-4, 'warped frame');
});

test('thin-plate splines equal the published ones', { skip: sharedMissing }, () => {
  const spline = new ThinPlateSpline(reference('tps.theta'), reference('tps.control_params'));
  assertClose(spline.transformFrame(reference('driving')), reference('tps.frame'), 1e-5, 'frame');
  assertClose(spline.warpCoordinates(reference('tps.coords')), reference('tps.warped'), 1e-6, 'positions');
  assertClose(spline.jacobian(reference('tps.coords')), reference('tps.jacobian'), 1e-6, 'jacobians');
});

test('disparity 1 is the nearest depth, 0 the farthest, and more disparity is always nearer', () => {
  const depth = disparityToDepth(tensor([0, 0.25, 0.5, 1]), { minDepth: 0.5, maxDepth: 20 }).toArray() as number[];
  assert.ok(Math.abs(depth[0]! - 20) < 1e-4 && Math.abs(depth[3]! - 0.5) < 1e-6);
  assert.ok(depth[0]! > depth[1]! && depth[1]! > depth[2]! && depth[2]! > depth[3]!);
});

test('a quarter turn about z takes x to y', () => {
  const rotation = rotationFromAxisAngle(tensor([[0, 0, Math.PI / 2]]));
  assertClose(rotation.matmul(tensor([[[1], [0], [0]]])).view(3), [0, 1, 0], 1e-6);
});

test('rotations are orthogonal and do not mirror, and a pose times its inverse is the identity', () => {
  const axisAngle = scatter([6, 3], 3).mul(2);
  const rotation = rotationFromAxisAngle(axisAngle);
  const identity = eye(3, { dtype: 'float64' }).expand(6, 3, 3);
  assertClose(rotation.matmul(rotation.transpose(1, 2)), identity, 1e-9);
  const [a, b, c] = rotation.unbind(2) as [Tensor, Tensor, Tensor];
  const cross = (u: Tensor, v: Tensor) => {
    const [x, y, z] = u.unbind(1) as [Tensor, Tensor, Tensor];
    const [p, q, r] = v.unbind(1) as [Tensor, Tensor, Tensor];
    return stack([y.mul(r).sub(z.mul(q)), z.mul(p).sub(x.mul(r)), x.mul(q).sub(y.mul(p))], 1);
  };
  assertClose(cross(a, b), c, 1e-9, 'third axis');

  const translation = scatter([6, 3], 4);
  const there = poseMatrix(axisAngle, translation);
  const back = poseMatrix(axisAngle, translation, { invert: true });
  assertClose(there.matmul(back), eye(4, { dtype: 'float64' }).expand(6, 4, 4), 1e-9);
});

test('rotations far smaller than a degree keep their direction and have a gradient, also at rest', () => {
  const tiny = tensor([[3e-4, -2e-4, 1e-4]]);
  const rotation = rotationFromAxisAngle(tiny).view(9).toArray() as number[];
  // To second order R = I + W + W^2 / 2.
  assert.ok(Math.abs(rotation[1]! - (-1e-4 + (3e-4 * -2e-4) / 2)) < 1e-9);
  assert.ok(Math.abs(rotation[3]! - (1e-4 + (3e-4 * -2e-4) / 2)) < 1e-9);

  const atRest = zeros([1, 3]).requiresGrad_();
  const [gradient] = grad([rotationFromAxisAngle(atRest).select(1, 2).select(1, 1).sum()], [atRest]);
  assertClose(gradient!, tensor([[1, 0, 0]]), 1e-5, 'd R_zy / d x');
});

test('a camera at rest sees every pixel where it is, whatever the depth', () => {
  const depth = scatter([2, 1, 5, 7]).abs().add(0.1).to({ dtype: 'float32' });
  const intrinsics = camera(6.3, 5.1, 3.2, 2.4).expand(2, 3, 3);
  const grid = project(backproject(depth, intrinsics), intrinsics, shift(0, 0, 0).expand(2, 4, 4), [5, 7]);
  assertClose(grid, coordinateGrid(5, 7).expand(2, 5, 7, 2), 1e-5);

  const source = scatter([2, 3, 5, 7], 2).to({ dtype: 'float32' });
  const still = { depth, intrinsics, pose: shift(0, 0, 0).expand(2, 4, 4) };
  assertClose(synthesizeView(source, still).warped, source, 1e-4);
});

test('a sideways step moves a wall by focal length times step over distance', () => {
  // 10 pixels focal length, 0.6 to the right, 3 away: 2 pixels.
  const source = scatter([1, 3, 6, 9]).to({ dtype: 'float32' });
  const depth = zeros([1, 1, 6, 9]).add(3);
  const { warped } = synthesizeView(source, { depth, intrinsics: camera(10, 10, 4, 2.5), pose: shift(0.6, 0, 0) });
  assertClose(warped.slice(3, 0, 7), source.slice(3, 2, 9), 1e-5, 'inside');
  assertClose(warped.slice(3, 7, 9), source.slice(3, 8, 9).expand(1, 3, 6, 2), 1e-5, 'beyond the border');
});

test('the published camera cuts intrinsics to whole pixels, which leaves them without a gradient', () => {
  const scene = (intrinsics: Tensor) => ({
    depth: scatter([1, 1, 6, 8]).abs().add(1).to({ dtype: 'float32' }),
    intrinsics,
    pose: poseMatrix(tensor([[0.02, -0.03, 0.01]]), tensor([[0.1, 0.05, 0.02]])),
  });
  const source = scatter([1, 3, 6, 8], 5).to({ dtype: 'float32' });
  const whole = synthesizeView(source, scene(camera(9, 7, 4, 3)), { camera: 'published' });
  const fractional = camera(9.7, 7.4, 4.9, 3.2).requiresGrad_();
  const published = synthesizeView(source, scene(fractional), { camera: 'published' });
  assertClose(published.warped.detach(), whole.warped, 0);
  const [none] = grad([published.warped.square().sum()], [fractional]);
  assertClose(none!, zeros([1, 3, 3]), 0, 'gradient of the published camera');

  const [some] = grad([synthesizeView(source, scene(fractional)).warped.square().sum()], [fractional]);
  const [fx, , cx, , fy, cy] = some!.view(9).toArray() as number[];
  for (const value of [fx, cx, fy, cy]) assert.ok(Math.abs(value!) > 1e-3, `gradient ${value}`);
});

test('gradients of view synthesis reach depth, intrinsics, rotation, translation and source', () => {
  const source = scatter([1, 2, 5, 6]);
  const depth = scatter([1, 1, 5, 6], 2).abs().add(1);
  const intrinsics = camera(8.3, 7.1, 2.7, 2.2).to({ dtype: 'float64' });
  const axisAngle = tensor([[0.03, -0.05, 0.02]], { dtype: 'float64' });
  const translation = tensor([[0.11, -0.07, 0.05]], { dtype: 'float64' });
  const rebuild = (from: Tensor, D: Tensor, K: Tensor, rotation: Tensor, t: Tensor) =>
    synthesizeView(from, { depth: D, intrinsics: K, pose: poseMatrix(rotation, t) })
      .warped.square()
      .mean();
  assertGradients(rebuild, [source, depth, intrinsics, axisAngle, translation], 1e-5);
});

test('a spline without noise moves nothing and one with affine noise alone is its matrix', () => {
  const positions = scatter([1, 4, 2]).to({ dtype: 'float32' });
  const identity = ThinPlateSpline.random(3, { sigmaAffine: 0, sigmaSpline: 0 });
  assertClose(identity.warpCoordinates(positions), positions.expand(3, 4, 2), 1e-6);
  assertClose(identity.jacobian(positions), eye(2).expand(3, 4, 2, 2), 1e-6);

  manualSeed(3);
  const affine = ThinPlateSpline.random(2, { sigmaSpline: 0 });
  assertClose(affine.jacobian(positions), affine.theta.slice(2, 0, 2).unsqueeze(1).expand(2, 4, 2, 2), 1e-6);
});

test('a seed draws the same splines again, and pictures of a batch get different ones', () => {
  manualSeed(11);
  const first = ThinPlateSpline.random(2);
  manualSeed(11);
  const again = ThinPlateSpline.random(2);
  assertClose(again.theta, first.theta, 0);
  assertClose(again.weights, first.weights, 0);
  assert.notDeepEqual(first.theta.select(0, 0).toArray(), first.theta.select(0, 1).toArray());
});

test('the jacobian of a spline is what automatic differentiation finds, and so are its derivatives', () => {
  const spline = new ThinPlateSpline(
    eye(3, { dtype: 'float64' })
      .slice(0, 0, 2)
      .unsqueeze(0)
      .add(scatter([2, 2, 3]).mul(0.1)),
    scatter([2, 1, 25], 2).mul(0.02),
  );
  const positions = scatter([2, 6, 2], 3).requiresGrad_();
  const warped = spline.warpCoordinates(positions);
  const rows = [0, 1].map((i) => grad([warped.select(2, i).sum()], [positions], { createGraph: true })[0]!);
  const automatic = stack(rows, 2); // [2, 6, 2, 2]
  const own = spline.jacobian(positions);
  assertClose(own, automatic, 1e-12);

  const weights = scatter([2, 6, 2, 2], 4);
  const [byOwn] = grad([own.mul(weights).sum()], [positions]);
  const [byAutomatic] = grad([automatic.mul(weights).sum()], [positions]);
  assertClose(byOwn!, byAutomatic!, 1e-9, 'second derivatives');
});

test('a deformed picture shows at z what the picture shows at T(z)', () => {
  // A picture whose colours are its own coordinates shows T itself.
  const size = 64;
  const picture = coordinateGrid(size, size).permute(2, 0, 1).unsqueeze(0); // [1, 2, H, W]
  const spline = new ThinPlateSpline(
    tensor([
      [
        [0.8, 0.1, 0.05],
        [-0.1, 0.7, -0.1],
      ],
    ]),
    zeros([1, 1, 25]),
  );
  const shown = spline.transformFrame(picture).permute(0, 2, 3, 1).reshape(1, -1, 2);
  const expected = spline.warpCoordinates(coordinateGrid(size, size).view(1, -1, 2));
  // Within the half pixel by which sampling takes pixel centres for edges.
  assertClose(shown, expected, 1.1 / size);
});

test('coordinates run from -1 to 1 between the centres of the outermost pixels, x first', () => {
  const grid = coordinateGrid(3, 5);
  assertClose(grid.select(0, 0).select(0, 4), [1, -1], 0);
  assertClose(grid.select(0, 2).select(0, 1), [-0.5, 1], 1e-7);
});

test('a heatmap is 1 at its keypoint and falls by its variance', () => {
  const heatmaps = keypointsToGaussian({ value: tensor([[[0.5, -1]]]) }, [5, 5], 0.04);
  assert.deepEqual(heatmaps.shape, [1, 1, 5, 5]);
  assert.equal(heatmaps.select(2, 0).select(2, 3).item(), 1);
  const below = heatmaps.select(2, 1).select(2, 3).item(); // half the picture's half: 0.5 away
  assert.ok(Math.abs(below - Math.exp(-0.25 / 0.08)) < 1e-6);
});

test('gradients of heatmaps reach the keypoints', () => {
  const value = scatter([2, 3, 2]).mul(0.8);
  assertGradients((v) => keypointsToGaussian({ value: v }, [6, 7], 0.1).square().sum(), [value]);
});

test('geometry keeps its precision inside networks that run in 16 bits', () => {
  const depth = scatter([1, 1, 6, 8]).abs().add(1).to({ dtype: 'float32' });
  const spline = ThinPlateSpline.random(1);
  const evaluate = () => {
    const pose = poseMatrix(tensor([[0.2, -0.3, 0.1]]), tensor([[0.1, 0.05, 0.02]]), { invert: true });
    const K = camera(900, 700, 401, 303);
    return [
      project(backproject(depth, K), K, pose, [6, 8]),
      spline.warpCoordinates(scatter([1, 5, 2]).to({ dtype: 'float32' })),
    ];
  };
  const [grid, positions] = evaluate();
  const [sameGrid, samePositions] = autocast({ dtype: 'bfloat16' }, evaluate);
  assertClose(sameGrid!, grid!, 0);
  assertClose(samePositions!, positions!, 0);
  assert.equal(disparityToDepth(tensor([0.5]).to({ dtype: 'bfloat16' })).dtype, 'float32');
});
