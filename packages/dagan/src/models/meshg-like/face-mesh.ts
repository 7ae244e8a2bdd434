// The face mesh that all faces share, and what a picture's face makes of it: identity, expression, pose. MeshG fits a morphable
// model, by a network that is trained apart; here the network learns with the rest, led by landmarks.
import { cat, F, keep, nn, noGrad, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { exactly, matching, widened } from '../../tensors/precision.js';
import { AntiAliasDownsample } from '../anti-alias.js';
import { HourglassEncoder, hourglassChannels } from '../hourglass.js';
import { rotationOf } from '../osfv/head-estimator.js';

/** The mesh of a face at rest that looks at the camera; data of the model, put there before training. */
export class FaceMesh extends nn.Module {
  /** x right, y down, z away from the viewer; the middle is 0, the height 1. */
  points: Tensor; // [V, 3]
  /** Mean over a vertex and its neighbours: each row sums to 1. */
  adjacency: Tensor; // [V, V]

  constructor(numVertices: number) {
    super();
    this.points = keep(zeros([numVertices, 3]));
    this.adjacency = keep(zeros([numVertices, numVertices]));
  }

  /**
   * @param points x, y, z of every vertex, [V, 3]
   * @param edges pairs of vertices
   * @throws RangeError if there are not V vertices
   */
  fill(points: ArrayLike<number>, edges: readonly (readonly [number, number])[]): void {
    const count = this.points.size(0);
    if (points.length !== 3 * count) throw new RangeError(`the mesh has ${count} vertices, not ${points.length / 3}`);
    const joined = new Float32Array(count * count);
    for (let vertex = 0; vertex < count; vertex++) joined[vertex * count + vertex] = 1;
    for (const [a, b] of edges) {
      joined[a * count + b] = 1;
      joined[b * count + a] = 1;
    }
    noGrad(() =>
      tidy(() => {
        const all = tensor(joined, { shape: [count, count] });
        this.adjacency.copy_(all.div(all.sum([1], true)));
        this.points.copy_(tensor(Float32Array.from(points), { shape: [count, 3] }));
      }),
    );
  }
}

export type FaceFitterConfig = {
  /** Channels of the first block; every block doubles them, and halves the picture. */
  blockExpansion: number;
  maxFeatures: number;
  numBlocks: number;
  /** Pictures are seen at this scale. */
  scaleFactor: number;
  /** Numbers that say whose face it is. */
  numIdentities: number;
  /** Numbers that say what it does. */
  numExpressions: number;
};

/** What is found of faces. */
export type FittedFace = {
  identity: Tensor; // [N, I]
  expression: Tensor; // [N, E]
  /** Yaw, pitch and roll in degrees. */
  angles: Tensor; // [N, 3]
  /** Size, of which 1 is usual. */
  scale: Tensor; // [N, 1]
  /** Of the middle, from its usual place, in x and y. */
  translation: Tensor; // [N, 2]
};

/** Faces as meshes. */
export type StandingMesh = {
  /** x, y in the picture, -1 and 1 at the centres of the outermost pixels; z away from the viewer in the same unit. */
  vertices: Tensor; // [N, V, 3]
  /** The same at rest, looking at the camera, in usual size. */
  neutral: Tensor; // [N, V, 3]
};

/** Height and place of the face in the clips that are trained on (`faces/framing.ts`). */
const USUAL_HEIGHT = 1.11;
const USUAL_MIDDLE = [0, 0.108] as const;

/** The features are seen in so many by so many places. */
const PLACES = 4;

/** Degrees of an output of 1. */
const DEGREES = 30;

/** What an output of 1 moves a vertex, as a part of the face's height; small, so that faces begin as faces. */
const SHAPE = 0.1;

/** Picture -> face. */
export class FaceFitter extends nn.Module {
  readonly down: AntiAliasDownsample | null;
  readonly encoder: HourglassEncoder;
  readonly numbers: nn.Linear;
  /** Identity, and expression, -> displacements of all vertices. */
  readonly shapes: nn.Linear;
  readonly expressions: nn.Linear;
  readonly #config: FaceFitterConfig;

  constructor(config: FaceFitterConfig, numVertices: number) {
    super();
    const { scaleFactor, numIdentities, numExpressions } = config;
    const channels = hourglassChannels(config);
    this.down = scaleFactor === 1 ? null : new AntiAliasDownsample(3, scaleFactor);
    this.encoder = new HourglassEncoder(5, channels);
    this.numbers = new nn.Linear(channels.at(-1)! * PLACES * PLACES, numIdentities + numExpressions + 6);
    this.shapes = new nn.Linear(numIdentities, 3 * numVertices);
    this.expressions = new nn.Linear(numExpressions, 3 * numVertices);
    this.#config = config;
  }

  /** Sides of pictures are multiples of this. */
  get sizeMultiple(): number {
    const { numBlocks, scaleFactor } = this.#config;
    return (PLACES * 2 ** numBlocks) / scaleFactor;
  }

  /** @param image [N, 3, H, W] in [0, 1] */
  forward(image: Tensor): FittedFace {
    const small = this.down ? this.down.forward(image) : image; // [N, 3, h, w]
    const [n, height, width] = [small.size(0), small.size(2), small.size(3)];
    const grid = coordinateGrid(height, width, { dtype: small.dtype, device: small.device });
    const places = grid.permute(2, 0, 1).unsqueeze(0).expand(n, 2, height, width);
    const seen = cat([small, places], 1);
    const features = this.encoder.forward(matching(seen, this.encoder.downBlocks.at(0).conv)).at(-1)!;
    const cells = F.avgPool2d(features, [features.size(2) / PLACES, features.size(3) / PLACES]); // [N, C, 4, 4]
    const numbers = exactly(cells, () => this.numbers.forward(widened(cells.flatten(1))));
    const { numIdentities, numExpressions } = this.#config;
    const part = (from: number, length: number): Tensor => numbers.narrow(1, from, length);
    const pose = numIdentities + numExpressions;
    return {
      identity: part(0, numIdentities),
      expression: part(numIdentities, numExpressions),
      angles: part(pose, 3).mul(DEGREES),
      scale: part(pose + 3, 1).exp(),
      translation: part(pose + 4, 2),
    };
  }

  /** A person's face at rest, [N, V, 3], in usual size. */
  neutral({ points }: FaceMesh, { identity }: Pick<FittedFace, 'identity'>): Tensor {
    const [count] = points.shape as [number];
    return exactly(identity, () =>
      this.shapes.forward(identity).reshape(-1, count, 3).mul(SHAPE).add(points).mul(USUAL_HEIGHT),
    );
  }

  /**
   * The mesh `s R (neutral + expression) + t`.
   *
   * @param neutral whose face it is, [N or 1, V, 3]
   * @param face what it does
   */
  stand(neutral: Tensor, face: Omit<FittedFace, 'identity'>): StandingMesh {
    return exactly(neutral, () => this.#stand(neutral, face));
  }

  #stand(neutral: Tensor, { expression, angles, scale, translation }: Omit<FittedFace, 'identity'>): StandingMesh {
    const [n, count] = [expression.size(0), neutral.size(1)];
    const bent = this.expressions
      .forward(expression)
      .reshape(n, count, 3)
      .mul(SHAPE * USUAL_HEIGHT);
    const turned = neutral.add(bent).matmul(rotationOf(angles).transpose(1, 2)); // [N, V, 3]
    const middle = tensor(Float32Array.of(...USUAL_MIDDLE), { shape: [1, 2] }).to({ device: translation.device });
    const place = cat([translation.add(middle), translation.narrow(1, 0, 1).mul(0)], 1); // [N, 3]
    const vertices = turned.mul(scale.unsqueeze(2)).add(place.unsqueeze(1));
    return { vertices, neutral: neutral.expand(n, count, 3).contiguous() };
  }
}
