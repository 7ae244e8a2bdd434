// Random thin-plate-spline deformations, under which keypoints must move along with the picture.
import { F, randn, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { coordinateGrid } from '../tensors/grid.js';
import { exactly } from '../tensors/precision.js';

/** How strong the deformations are. */
export type DeformationOptions = {
  /** Standard deviation of the affine part's six entries. */
  sigmaAffine?: number;
  /** Standard deviation of the control points' weights; 0 leaves the affine part alone. */
  sigmaSpline?: number;
  /** Control points along each side of the picture. */
  controlPoints?: number;
};

const EPSILON = 1e-6;

/**
 * One deformation per picture, `T(z) = A (z, 1) + sum_i w_i U(|z - c_i|_1)` with `U(r) = r^2 log(r)` and control points c_i
 * on a grid; both coordinates share the weights (Siarohin et al., "First Order Motion Model for Image Animation", 2019).
 */
export class ThinPlateSpline {
  /**
   * @param theta affine part A, [N, 2, 3]
   * @param weights of the control points row by row, [N, 1, n n]
   */
  constructor(
    readonly theta: Tensor,
    readonly weights: Tensor,
  ) {}

  /** Draws `batch` deformations around the identity from libtorch's random numbers. */
  static random(
    batch: number,
    { sigmaAffine = 0.05, sigmaSpline = 0.005, controlPoints = 5 }: DeformationOptions = {},
    { device = 'cpu' }: { device?: string } = {},
  ): ThinPlateSpline {
    const [theta, weights] = tidy(() => {
      const identity = tensor([
        [1, 0, 0],
        [0, 1, 0],
      ]).to({ device });
      return [
        randn([batch, 2, 3], { device }).mul(sigmaAffine).add(identity),
        randn([batch, 1, controlPoints ** 2], { device }).mul(sigmaSpline),
      ] as const;
    });
    return new ThinPlateSpline(theta, weights);
  }

  /**
   * Moves positions.
   * @param coordinates (x, y), [N, M, 2], or [1, M, 2] for the same positions in every picture
   * @returns [N, M, 2]
   */
  warpCoordinates(coordinates: Tensor): Tensor {
    return tidy(() => {
      const linear = this.theta.slice(2, 0, 2); // [N, 2, 2]
      const shift = this.theta.slice(2, 2, 3).transpose(1, 2); // [N, 1, 2]
      const turned = exactly(coordinates, () => coordinates.matmul(linear.transpose(1, 2)));
      const affine = turned.add(shift); // [N, M, 2]
      const distance = this.#distances(coordinates); // [N, M, n n]
      const bumps = distance.square().mul(distance.add(EPSILON).log());
      return affine.add(exactly(coordinates, () => this.#weighed(bumps)));
    });
  }

  /**
   * Derivatives of `warpCoordinates`: entry [i, j] is that of coordinate i of the result by coordinate j of the position.
   * @param coordinates [N, M, 2], or [1, M, 2]
   * @returns [N, M, 2, 2], differentiable in the coordinates
   */
  jacobian(coordinates: Tensor): Tensor {
    return tidy(() => {
      const offsets = this.#offsets(coordinates); // [N, M, n n, 2]
      const distance = offsets.abs().sum([-1]); // [N, M, n n]
      const logarithm = distance.add(EPSILON).log();
      const slope = distance
        .mul(logarithm)
        .mul(2)
        .add(distance.square().div(distance.add(EPSILON))); // U'(r)
      const gradient = slope.mul(this.weights).unsqueeze(-1).mul(offsets.sign()).sum([2]); // [N, M, 2]
      return this.theta.slice(2, 0, 2).unsqueeze(1).add(gradient.unsqueeze(2)); // [N, 1, 2, 2] + [N, M, 1, 2]
    });
  }

  /** T at every pixel of pictures of a size, [N, height, width, 2]: what `transformFrame` samples at. */
  field(height: number, width: number): Tensor {
    return tidy(() => {
      const { dtype, device } = this.theta;
      const pixels = coordinateGrid(height, width, { dtype, device }).view(1, height * width, 2);
      return this.warpCoordinates(pixels).view(this.theta.size(0), height, width, 2);
    });
  }

  /**
   * Deforms pictures [N, C, H, W]: the result shows at z what the picture shows at T(z), mirrored beyond the border.
   *
   * @param field of pictures of this size, where several are deformed alike
   */
  transformFrame(frame: Tensor, field?: Tensor): Tensor {
    return tidy(() => {
      const places = field ?? this.field(frame.size(2), frame.size(3));
      // Sampled as the generator warps: a grid of pixel centres taken for one of pixel edges.
      return F.gridSample(frame, places, { paddingMode: 'reflection' });
    });
  }

  /** Sums of the control points' bumps [N or 1, M, n n], times their weights: [N, M, 1]. */
  #weighed(bumps: Tensor): Tensor {
    if (bumps.size(0) > 1) return bumps.matmul(this.weights.transpose(1, 2));
    const ofPictures = this.weights.select(1, 0); // [N, n n]
    return ofPictures.matmul(bumps.select(0, 0).transpose(0, 1)).unsqueeze(2);
  }

  /** |z - c_i|_1 of every position and control point, [N, M, n n]: distances along x and along y, of which there are few. */
  #distances(coordinates: Tensor): Tensor {
    const side = Math.sqrt(this.weights.size(2));
    const { dtype, device } = coordinates;
    const line = coordinateGrid(side, side, { dtype, device }).select(0, 0).select(1, 0); // [n]
    const along = (axis: number): Tensor => coordinates.narrow(2, axis, 1).sub(line).abs(); // [N, M, n]
    return along(1).unsqueeze(3).add(along(0).unsqueeze(2)).flatten(2);
  }

  /** From every control point to every position: [N, M, n n, 2]. */
  #offsets(coordinates: Tensor): Tensor {
    const side = Math.sqrt(this.weights.size(2));
    const { dtype, device } = coordinates;
    const points = coordinateGrid(side, side, { dtype, device }).view(1, 1, side * side, 2);
    return coordinates.unsqueeze(2).sub(points);
  }
}
