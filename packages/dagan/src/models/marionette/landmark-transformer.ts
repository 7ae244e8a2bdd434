// The landmark transformer of MarioNETte (+LT; Ha et al., 2020): the driver's landmarks in the portrait's shape. Landmarks are a person's
// shape and an expression; what moves is the expression and the pose. The paper finds expressions in 3-D landmarks by principal components
// and trains a network on pictures and landmarks to find them. Here landmarks lie in the plane, the components are learned with the network,
// which sees landmarks alone, and two frames of a person teach both: their difference is one of expression.
import { nn, stack, type Tensor, where } from '@dagan/libtorch';
import { LANDMARK_POINTS } from '../drawn-landmarks.js';
import type { LandmarkTransformerConfig } from './config.js';

/** The outer corners of the eyes, whose line is a head's tilt. */
const CORNERS = [33, 263].map((point) => LANDMARK_POINTS.indexOf(point));

/** How much the size of expressions counts beside their differences. */
const SMALL = 0.01;

/** Landmarks without the place, size and tilt of the head, and these. */
type Placed = {
  /** [N, 68, 2], with a mean of 0 and a mean square of 1. */
  shape: Tensor;
  /** The middle, [N, 1, 2]. */
  middle: Tensor;
  /** Size times cosine and sine of the tilt, [N, 1] each. */
  along: Tensor;
  across: Tensor;
};

/** Points turned and scaled like complex numbers: [N, 68, 2] by [N, 1] and [N, 1]. */
function turned(points: Tensor, along: Tensor, across: Tensor): Tensor {
  const [x, y] = [points.select(2, 0), points.select(2, 1)]; // [N, 68]
  return stack([x.mul(along).sub(y.mul(across)), x.mul(across).add(y.mul(along))], 2);
}

function placed(landmarks: Tensor): Placed {
  const middle = landmarks.mean([1], true);
  const centred = landmarks.sub(middle);
  const size = centred.square().sum([2]).mean([1], true).sqrt(); // [N, 1]
  const line = centred.select(1, CORNERS[1]!).sub(centred.select(1, CORNERS[0]!)); // [N, 2]
  const length = line.square().sum([1], true).sqrt().clamp(1e-6); // [N, 1]
  const [cosine, sine] = [line.narrow(1, 0, 1).div(length), line.narrow(1, 1, 1).div(length)];
  const shape = turned(centred, cosine.div(size), sine.neg().div(size));
  return { shape, middle, along: cosine.mul(size), across: sine.mul(size) };
}

export class LandmarkTransformer extends nn.Module {
  readonly hidden: nn.ModuleList<nn.Linear>;
  readonly numbers: nn.Linear;
  /** What each number does to the points, [136, numExpressions]. */
  readonly components: nn.Linear;

  constructor({ numExpressions, hidden }: LandmarkTransformerConfig) {
    super();
    const coordinates = 2 * LANDMARK_POINTS.length;
    this.hidden = new nn.ModuleList([new nn.Linear(coordinates, hidden), new nn.Linear(hidden, hidden)]);
    this.numbers = new nn.Linear(hidden, numExpressions);
    this.components = new nn.Linear(numExpressions, coordinates);
  }

  /**
   * The portrait's shape with the driver's expression, placed as the driver is. Sets of which not all is known stay as they are.
   *
   * @param portrait and driver, [N or 1, 68, 2]
   */
  forward(portrait: Tensor, driver: Tensor): Tensor {
    const [own, other] = [placed(portrait), placed(driver)];
    const shape = own.shape.add(this.#expression(other.shape)).sub(this.#expression(own.shape));
    const moved = turned(shape, other.along, other.across).add(other.middle);
    return where(moved.eq(moved), moved, driver);
  }

  /**
   * How wrong the difference of two frames' expressions is, and a little of how large expressions are, so that what does not change with
   * the frame stays the person's -> [].
   *
   * @param first and second frame of the same people, [N, 68, 2]
   */
  loss(first: Tensor, second: Tensor): Tensor {
    const shapes = [first, second].map((landmarks) => placed(landmarks).shape);
    const [one, two] = shapes.map((shape) => this.#expression(shape));
    const change = shapes[1]!.sub(shapes[0]!);
    const wrong = two!.sub(one!).sub(change).abs().mean();
    return wrong.add(one!.square().add(two!.square()).mean().mul(SMALL));
  }

  /** What the expression adds to a shape without pose, [N, 68, 2]. */
  #expression(shape: Tensor): Tensor {
    let x = shape.flatten(1);
    for (const layer of this.hidden) x = layer.forward(x).relu();
    return this.components.forward(this.numbers.forward(x)).reshape(shape.size(0), LANDMARK_POINTS.length, 2);
  }
}
