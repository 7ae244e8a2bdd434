// Stage 1: rendered heads whose geometry is known, the training step on them, its guards, and that depth is learned.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { full, liveTensors, manualSeed, noGrad, type Tensor, tensor, tidy, zerosLike } from '@dagan/libtorch';
import { renderHeadClip, type SyntheticClip } from '../src/data/synthetic-head.js';
import { disparityToDepth, synthesizeView } from '../src/geometry/index.js';
import { photometricError } from '../src/losses/index.js';
import type { Picture } from '../src/media/pictures/picture.js';
import { DepthNetwork } from '../src/models/depth-network.js';
import { PoseNetwork } from '../src/models/pose-network.js';
import { chooseSpacing, frameChange, frameSketch } from '../src/training/batches/spacing.js';
import { initializeCamera } from '../src/training/depth/camera.js';
import { depthTraining } from '../src/training/depth/config.js';
import { DepthGuard, type DepthSymptom } from '../src/training/depth/guard.js';
import { depthErrors } from '../src/training/depth/metrics.js';
import { DepthObjective, type DepthStatistics, type FrameTriple } from '../src/training/depth/objective.js';
import {
  clipTensor,
  DEPTH_PROOF,
  type DepthProofResult,
  isDepthProven,
  proveDepth,
} from '../src/training/depth/proof.js';
import { DEPTH_RECIPES, type DepthRecipe } from '../src/training/depth/recipe.js';
import { DepthStep } from '../src/training/depth/step.js';
import { NonFiniteLossError } from '../src/training/run/non-finite-loss.js';
import { largestDifference } from './compare.js';

const SIZE = 64;
const PLAN = depthTraining('published');
const PLACE = { device: 'cpu', group: null };

/** Frames as [N, 3, H, W] in [0, 1]. */
function imagesOf(frames: readonly Picture[]): Tensor {
  const { width, height } = frames[0]!;
  return tidy(() => {
    const values = Float32Array.from(frames.flatMap(({ data }) => Array.from(data, (value) => value / 255)));
    return tensor(values, { shape: [frames.length, height, width, 3] })
      .permute(0, 3, 1, 2)
      .contiguous();
  });
}

/** Row-major 4 x 4 matrix from one frame's camera to another's. */
function relativePose(clip: SyntheticClip, from: number, to: number): Tensor {
  const matrix = (i: number) => tensor(clip.poses[i]!, { shape: [1, 4, 4] });
  return matrix(to).matmul(matrix(from).inverse()).to({ dtype: 'float32' });
}

/** Photometric error of a frame rebuilt from another through the true geometry, but for a factor on the focal length. */
function rebuildingError(clip: SyntheticClip, target: number, source: number, focalFactor = 1): number {
  return tidy(() => {
    const side = clip.frames[0]!.width;
    const [to, from] = [imagesOf([clip.frames[target]!]), imagesOf([clip.frames[source]!])];
    const K = Float32Array.from(clip.intrinsics, (value, i) => (i === 0 || i === 4 ? value * focalFactor : value));
    const { warped } = synthesizeView(from, {
      depth: tensor(clip.depths[target]!, { shape: [1, 1, side, side] }),
      intrinsics: tensor(K, { shape: [1, 3, 3] }),
      pose: relativePose(clip, target, source),
    });
    return photometricError(warped, to).mean().item();
  });
}

function tripleOf(clip: SyntheticClip, at = 1): Required<FrameTriple> {
  const [previous, target, next] = [-1, 0, 1].map((i) => imagesOf([clip.frames[at + i]!])) as [Tensor, Tensor, Tensor];
  return { previous, target, next };
}

function networks(focal?: number) {
  const depth = new DepthNetwork({ layers: 18, width: 1 / 8 });
  const pose = new PoseNetwork({ layers: 18, width: 1 / 8 });
  initializeCamera(pose, focal);
  return { depth, pose };
}

test('a rendered clip is consistent: true depth, motion and intrinsics rebuild each frame from its neighbour, others do not', () => {
  for (const seed of [1, 2]) {
    const clip = renderHeadClip({ size: 96, frames: 3, seed });
    const still = tidy(() =>
      photometricError(imagesOf([clip.frames[2]!]), imagesOf([clip.frames[1]!]))
        .mean()
        .item(),
    );
    const right = rebuildingError(clip, 1, 2);
    assert.ok(right < 0.08 && right < 0.4 * still, `seed ${seed}: rebuilt with an error of ${right}, unmoved ${still}`);
    for (const factor of [0.6, 1.6]) {
      const wrong = rebuildingError(clip, 1, 2, factor);
      assert.ok(
        wrong > 1.2 * right,
        `seed ${seed}: a focal length wrong by ${factor} has an error of ${wrong} against ${right}`,
      );
    }
  }
});

test('a rendered clip shows a head before a wall, depends on its seed alone, and stands still without motion', () => {
  const options = { size: 48, frames: 2, seed: 5 } as const;
  const [clip, again, other] = [
    renderHeadClip(options),
    renderHeadClip(options),
    renderHeadClip({ ...options, seed: 6 }),
  ];
  assert.deepEqual(clip, again);
  assert.notDeepEqual(clip.frames, other.frames);
  const depthsWhere = (head: number) => Array.from(clip.depths[0]!).filter((_, i) => clip.masks[0]![i] === head);
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.ok(mean(depthsWhere(1)) < 0.75 * mean(depthsWhere(0)), 'the head is not in front of the wall');
  assert.ok(depthsWhere(0).every(Number.isFinite), 'the wall has holes');

  const frozen = renderHeadClip({ ...options, motion: 0 });
  assert.deepEqual(frozen.frames[0], frozen.frames[1]);
  const bare = renderHeadClip({ ...options, background: null });
  bare.masks[0]!.forEach((head, i) => {
    if (bare.depths[0]![i] !== Number.POSITIVE_INFINITY) return;
    assert.equal(head, 0);
    assert.deepEqual([...bare.frames[0]!.data.subarray(3 * i, 3 * i + 3)], [0, 0, 0]);
  });
  assert.ok(bare.depths[0]!.includes(Number.POSITIVE_INFINITY));
  assert.throws(() => renderHeadClip({ size: 0 }), /size must be a positive integer, not 0/);
  assert.throws(() => renderHeadClip({ frames: 1.5 }), /frames must be a positive integer, not 1.5/);
});

test('slow clips get wide spacing, fast ones narrow, still ones none, whatever the exposure', () => {
  const sketches = (motion: number) =>
    renderHeadClip({ size: 48, frames: 12, seed: 3, motion }).frames.map(frameSketch);
  const [slow, fast] = [chooseSpacing([sketches(0.02)]), chooseSpacing([sketches(0.5)])];
  assert.ok(slow !== null && fast !== null && slow > fast, `slow ${slow}, fast ${fast}`);
  assert.equal(chooseSpacing([sketches(0)]), null);
  assert.equal(chooseSpacing([sketches(0), sketches(0.5), sketches(0.5)]), fast, 'the median counts');
  assert.equal(chooseSpacing([sketches(0.02)], { most: slow - 1 }), slow - 1, 'nearly enough at the widest is enough');
  assert.equal(chooseSpacing([sketches(0.02)], { most: slow - 1, least: 0.08 }), null);
  assert.equal(chooseSpacing([]), null);
  assert.equal(chooseSpacing([[], sketches(0.5).slice(0, 1)]), null);
  const [frame] = renderHeadClip({ size: 48, frames: 1 }).frames;
  const darker: Picture = { ...frame!, data: frame!.data.map((value) => value / 2) };
  assert.ok(frameChange(frameSketch(frame!), frameSketch(darker)) < 0.02);
});

test('the depth error knows no unit, and tells wrong shapes from right ones', () => {
  const truth = [1, 2, 3, 4, 5];
  const scaled = depthErrors([10, 20, 30, 40, 50], truth);
  assert.ok(scaled.absRel < 1e-12 && Math.abs(scaled.correlation - 1) < 1e-12);
  assert.ok(Math.abs(depthErrors([5, 4, 3, 2, 1], truth).correlation + 1) < 1e-12);
  const flat = depthErrors([7, 7, 7, 7, 7], truth); // scaled to 3: off by 2, 1, 0, 1 and 2
  assert.equal(flat.correlation, 0);
  assert.ok(Math.abs(flat.absRel - (2 / 1 + 1 / 2 + 0 + 1 / 4 + 2 / 5) / 5) < 1e-12);
  const masked = depthErrors([1, 2, 99, 4, 99], [1, 2, 3, 4, Number.POSITIVE_INFINITY], [1, 1, 0, 1, 1]);
  assert.ok(masked.absRel < 1e-12);
  assert.throws(() => depthErrors([1], [1], [0]), /no pixel/);
});

test('with true depth, motion and camera in the networks place the objective is lower than with any of them wrong', () => {
  const clip = renderHeadClip({ size: SIZE, frames: 3, seed: 8 });
  tidy(() =>
    noGrad(() => {
      const truth = tensor(clip.depths[1]!, { shape: [1, 1, SIZE, SIZE] });
      const { depth, pose } = networks();
      const [near, far] = [1 / 1, 1 / 10];
      const disparity = truth
        .reciprocal()
        .sub(far)
        .div(near - far);
      const recipe: DepthRecipe = { ...DEPTH_RECIPES.paper, depthRange: { minDepth: 1, maxDepth: 10 } };
      assert.ok(largestDifference(disparityToDepth(disparity, recipe.depthRange), truth) < 1e-3);
      const motion = relativePose(clip, 1, 2);
      const { axisAngle, translation } = smallMotion(motion);
      const judge = (given: Tensor, shift: Tensor, focal: number) => {
        depth.pyramid = () => [given];
        const K = Float32Array.from(clip.intrinsics, (value, i) => (i === 0 || i === 4 ? value * focal : value));
        pose.forward = () => ({ axisAngle, translation: shift, intrinsics: tensor(K, { shape: [1, 3, 3] }) });
        return new DepthObjective(depth, pose, { ...PLAN, recipe }, 'cpu').forward(tripleFrom(clip)).terms.total.item();
      };
      const right = judge(disparity, translation, 1);
      assert.ok(right < 0.8 * judge(full([1, 1, SIZE, SIZE], 0.2), translation, 1), 'flat depth is no worse');
      assert.ok(right < 0.8 * judge(disparity, translation.neg(), 1), 'the opposite motion is no worse');
      assert.ok(right < 0.95 * judge(disparity, translation, 0.6), 'another focal length is no worse');
    }),
  );
});

/** Target and next frame. */
const tripleFrom = (clip: SyntheticClip): FrameTriple => {
  const { target, next } = tripleOf(clip);
  return { target, next };
};

/** Axis-angle and translation of a rigid motion [1, 4, 4] with a rotation by less than half a turn. */
function smallMotion(matrix: Tensor): { axisAngle: Tensor; translation: Tensor } {
  const m = matrix.toFloat32Array();
  const [x, y, z] = [m[9]! - m[6]!, m[2]! - m[8]!, m[4]! - m[1]!];
  const sine = Math.hypot(x, y, z) / 2;
  const angle = Math.atan2(sine, (m[0]! + m[5]! + m[10]! - 1) / 2);
  return {
    axisAngle: tensor([[x, y, z].map((value) => (value * angle) / (2 * sine))]),
    translation: tensor([[m[3]!, m[7]!, m[11]!]]),
  };
}

test('every recipe learns: the gradient reaches depth, motion and, unless they are cut to whole pixels, the intrinsics', () => {
  const batch = tripleOf(renderHeadClip({ size: SIZE, frames: 3, seed: 4 }));
  const norm = (gradient: Tensor | null) => tidy(() => gradient?.norm().item() ?? 0);
  const recipes: [string, DepthRecipe][] = [
    ...Object.entries(DEPTH_RECIPES),
    ['published camera', { ...DEPTH_RECIPES.published, camera: 'published' }],
  ];
  for (const [name, recipe] of recipes) {
    tidy(() => {
      manualSeed(1);
      const { depth, pose } = networks();
      const step = new DepthStep(depth, pose, { ...PLAN, recipe }, PLACE);
      const given = recipe.frames === 3 ? batch : { target: batch.target, next: batch.next };
      const { losses, seen, statistics } = step.run(given);
      assert.deepEqual(seen.warped.shape, [1, 3, SIZE, SIZE], name);
      assert.deepEqual(seen.disparity.shape, [1, 1, SIZE, SIZE], name);
      assert.ok(Math.abs(losses.total - losses.photometric - losses.smoothness) < 1e-6, name);
      assert.equal(losses.smoothness > 0, recipe.smoothness > 0, name);
      assert.equal(statistics.learning < 1, recipe.automasking, name);
      assert.ok(Math.abs(statistics.focalX - Math.log(2)) < 1e-4, name);
      assert.ok(norm(depth.encoder.encoder.conv1.weight.grad) > 0, `${name}: no gradient for depth`);
      assert.ok(norm(pose.poseEncoder.encoder.conv1.weight.grad) > 0, `${name}: no gradient for motion`);
      const focalGradient = norm(pose.pose.focalHead.bias!.grad);
      assert.equal(focalGradient > 0, recipe.camera === 'exact', `${name}: ${focalGradient}`);
      assert.equal(
        pose.pose.principalPointHead.bias!.grad,
        null,
        `${name}: the principal point is to stay in the middle`,
      );
      step.dispose();
    });
  }
});

test('a frozen clip is seen as such: nothing changes, and automasking keeps most pixels from learning', () => {
  manualSeed(2);
  const [frame] = renderHeadClip({ size: SIZE, frames: 1, seed: 4 }).frames;
  tidy(() => {
    const image = imagesOf([frame!]);
    const { depth, pose } = networks();
    const { statistics } = new DepthObjective(depth, pose, PLAN, 'cpu').forward({
      previous: image,
      target: image,
      next: image,
    });
    assert.equal(statistics.change.item(), 0);
    assert.ok(statistics.learning.item() < 0.2, `${statistics.learning.item()} of the pixels learn`);
  });
});

test('a picture that is not finite stops the step, names the loss and leaves the networks as they were', () => {
  tidy(() => {
    const { depth, pose } = networks();
    const step = new DepthStep(depth, pose, PLAN, PLACE);
    const batch = tripleOf(renderHeadClip({ size: SIZE, frames: 3, seed: 4 }));
    const state = () => [...depth.stateDict('depth'), ...pose.stateDict('pose')];
    const before = state().map(([, value]) => value.detach().clone());
    const broken = { ...batch, target: zerosLike(batch.target).fill_(Number.NaN) };
    assert.throws(
      () => step.run(broken),
      (error) => error instanceof NonFiniteLossError && error.term === 'photometric',
    );
    state().forEach(([name, value], i) => {
      assert.equal(largestDifference(value.detach(), before[i]!), 0, name);
    });
    step.dispose();
  });
});

test('steps leave no tensors behind', () => {
  const { depth, pose } = networks();
  const step = new DepthStep(depth, pose, PLAN, PLACE);
  const batch = tripleOf(renderHeadClip({ size: SIZE, frames: 3, seed: 4 }));
  const counts = [1, 2, 3].map(() => {
    tidy(() => {
      step.run(batch);
    });
    return liveTensors();
  });
  assert.equal(counts[2], counts[1]);
  step.dispose();
  for (const each of [depth, pose, ...Object.values(batch)]) each.dispose();
});

test('the guard names each collapse once, with what to do, and is silent about healthy training and its first steps', () => {
  const healthy: DepthStatistics = { motion: 3, change: 0.06, relief: 0.2, focalX: 1.2, focalY: 1.2, learning: 0.6 };
  const cases: [DepthSymptom, Partial<DepthStatistics>, RegExp][] = [
    ['static-pairs', { change: 0.001, motion: 0.01 }, /differ by 0\.\d % only.*[Ss]pace the frames wider/],
    ['identity-pose', { motion: 0.02 }, /by 0\.1\d pixels.*2 to 5 pixels/],
    ['flat-disparity', { relief: 0.001 }, /flat.*head turns/],
    ['runaway-focal', { focalY: 40 }, /\d\.\d\d heights.*`intrinsicsRate`/],
    ['nothing-learns', { learning: 0.001 }, /[0-3]\.\d % of the pixels learn.*spacing/],
  ];
  for (const [symptom, ill, text] of cases) {
    const newGuard = () => {
      const guard = new DepthGuard(10);
      return (statistics: DepthStatistics, steps: number) =>
        Array.from({ length: steps }, () => guard.update(statistics)).flatMap((warning) => warning ?? []);
    };
    assert.deepEqual(newGuard()({ ...healthy, ...ill }, 9), [], `${symptom}: too early`);
    const follow = newGuard();
    assert.deepEqual(follow(healthy, 500), [], `${symptom}: a healthy run`);
    const warnings = follow({ ...healthy, ...ill }, 800);
    assert.deepEqual(
      warnings.map((warning) => warning.symptom),
      [symptom],
    );
    assert.match(warnings[0]!.message, text);
    assert.deepEqual(follow(healthy, 800), [], `${symptom}: recovered`);
    assert.equal(follow({ ...healthy, ...ill }, 800).length, 1, `${symptom}: a second time`);
  }
});

test('depth is learned from pictures alone: losses fall, a flat start becomes a head before its wall, in the right order', () => {
  manualSeed(0);
  const clip = renderHeadClip({ size: SIZE, frames: 5, seed: 1 });
  const frames = clipTensor(clip.frames);
  const { depth, pose } = networks(0.9);
  const recipe: DepthRecipe = { ...DEPTH_RECIPES.scratch, warmup: 1000 };
  const step = new DepthStep(depth, pose, { ...PLAN, recipe, learningRate: 3e-4 }, PLACE);
  const [previous, target, next] = [0, 1, 2].map((from) => frames.narrow(0, from, 3)) as [Tensor, Tensor, Tensor];
  const correlation = () => {
    depth.eval();
    const maps = tidy(() =>
      noGrad(() =>
        disparityToDepth(depth.forward(target))
          .unbind(0)
          .map((map) => map.toFloat32Array()),
      ),
    );
    depth.train();
    return maps.reduce((sum, map, i) => sum + depthErrors(map, clip.depths[i + 1]!).correlation / maps.length, 0);
  };
  const before = correlation();
  const losses = Array.from({ length: 150 }, (_, i) =>
    tidy(() => step.run({ previous, target, next }, i).losses.total),
  );
  const after = correlation();
  assert.ok(losses.at(-1)! < 0.4 * losses[0]!, `the loss went from ${losses[0]} to ${losses.at(-1)}`);
  assert.ok(before < 0.5 && after > 0.75, `the correlation with the truth went from ${before} to ${after}`);
  step.dispose();
  for (const each of [depth, pose, frames]) each.dispose();
});

test('the proof reports held-out errors and pictures, leaves nothing behind, and is only a proof within its bounds', () => {
  const seen = { steps: 0, evaluations: [] as DepthProofResult[], sheets: [] as Picture[] };
  const live = liveTensors();
  const options = { ...DEPTH_PROOF, clips: 2, heldOut: 2, frames: 4, steps: 3, batchSize: 2, width: 1 / 16 };
  const result = proveDepth(options, {
    every: 2,
    observer: {
      step: () => {
        seen.steps += 1;
      },
      training: (_, sheet) => seen.sheets.push(sheet),
      evaluation: (_, tried) => seen.evaluations.push(tried),
    },
  });
  assert.equal(liveTensors(), live);
  assert.equal(seen.steps, 3);
  assert.equal(seen.evaluations.length, 2);
  assert.deepEqual(seen.evaluations.at(-1), result);
  assert.equal(seen.sheets[0]!.width, 5 * 96 + 4 * 2);
  for (const ratio of result.focal)
    assert.ok(Math.abs(ratio - DEPTH_PROOF.focalStart) < 0.01, `the focal length is ${ratio}`);
  assert.equal(isDepthProven(result), false);
  const good = { absRel: 0.1, correlation: 0.95 };
  assert.equal(isDepthProven({ picture: good, head: good, focal: [0.9, 1.1] }), true);
  assert.equal(isDepthProven({ picture: good, head: good, focal: [0.9, 1.3] }), false);
  assert.equal(isDepthProven({ picture: { ...good, correlation: 0.8 }, head: good, focal: [1, 1] }), false);
  assert.equal(isDepthProven({ picture: good, head: { ...good, absRel: 0.2 }, focal: [1, 1] }), false);
});
