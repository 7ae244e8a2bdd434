// From the source's mesh and the driven one to a motion field: graph convolutions, a latent code, up to a field. That much is
// known of MeshG; the layers, and that the field begins at the affine map between the meshes, are ours.
import { cat, nn, noGrad, type Tensor } from '@dagan/libtorch';
import { coordinateGrid } from '../../tensors/grid.js';
import { exactly, matching, widened } from '../../tensors/precision.js';
import { UpBlock } from '../blocks.js';
import { sharedAffine } from '../shared-affine.js';
import type { FaceMesh } from './face-mesh.js';

export type MeshMotionConfig = {
  /** Channels of the graph convolutions. */
  graphChannels: number;
  /** Length of the latent code. */
  latent: number;
  /** Channels of the field's last block; the blocks before have twice as many each. */
  blockExpansion: number;
};

/** The motion. */
export type MeshMotion = {
  /** How much the affine map between the meshes holds, against staying where it is, [N, 1, h, w]. */
  headMask: Tensor;
  /** Where each place looks in the source, (x, y), [N, h, w, 2]. */
  deformation: Tensor;
  /** 1 where the moved source can be used, 0 where it must be painted anew, [N, 1, h, w]. */
  occlusionMap: Tensor;
};

/** A vertex sees itself and the mean around it: `x W_0 + A x W_1` (Kipf and Welling, 2017, with a weight for the vertex itself). */
class GraphConv extends nn.Module {
  readonly own: nn.Linear;
  readonly around: nn.Linear;

  constructor(inChannels: number, outChannels: number) {
    super();
    this.own = new nn.Linear(inChannels, outChannels);
    this.around = new nn.Linear(inChannels, outChannels);
  }

  /** @param x [N, V, in] @param adjacency [V, V] */
  forward(x: Tensor, adjacency: Tensor): Tensor {
    return this.own
      .forward(x)
      .add(this.around.forward(adjacency.matmul(x)))
      .relu(); // [N, V, out]
  }
}

/** Layers of the graph encoder. */
const GRAPH_LAYERS = 4;
/** Of the last one, whose vertices are all read by one linear layer. */
const LAST_CHANNELS = 16;
/** Side of the latent code's map, which is doubled so often. */
const FIRST_SIDE = 4;
const DOUBLINGS = 4;
/** What a field's output of 1 moves, in parts of half a picture: small, so that it begins at the affine map. */
const STEP = 0.2;
/** The occlusion map before its sigmoid, at first. */
const VISIBLE = 3;

export class MeshMotionNetwork extends nn.Module {
  readonly graph: nn.ModuleList<GraphConv>;
  readonly encode: nn.Linear;
  readonly decode: nn.Linear;
  readonly upBlocks: nn.ModuleList<UpBlock>;
  /** Mask, field in x and y, occlusion. */
  readonly parts: nn.Conv2d;
  readonly #deepest: number;

  constructor({ graphChannels, latent, blockExpansion }: MeshMotionConfig, numVertices: number) {
    super();
    const channels = (layer: number): number =>
      layer === 0 ? 9 : layer === GRAPH_LAYERS ? LAST_CHANNELS : graphChannels;
    this.graph = new nn.ModuleList(
      Array.from({ length: GRAPH_LAYERS }, (_, i) => new GraphConv(channels(i), channels(i + 1))),
    );
    this.encode = new nn.Linear(numVertices * LAST_CHANNELS, latent);
    const widths = Array.from(
      { length: DOUBLINGS + 1 },
      (_, i) => blockExpansion * 2 ** Math.max(0, DOUBLINGS - 1 - i),
    );
    this.#deepest = widths[0]!;
    this.decode = new nn.Linear(latent, widths[0]! * FIRST_SIDE * FIRST_SIDE);
    this.upBlocks = new nn.ModuleList(
      Array.from({ length: DOUBLINGS }, (_, i) => new UpBlock(widths[i]!, widths[i + 1]!)),
    );
    this.parts = new nn.Conv2d(widths.at(-1)!, 4, 7, { padding: 3 });
    // It begins at the affine map, half of which holds everywhere, with nothing to be painted.
    noGrad(() => {
      this.parts.weight.fill_(0);
      this.parts.bias!.fill_(0).narrow(0, 3, 1).fill_(VISIBLE);
    });
  }

  /**
   * @param source the portrait's mesh, [N or 1, V, 3]
   * @param driven the portrait's face as the driver's moves, [N, V, 3]
   */
  forward({ adjacency }: FaceMesh, source: Tensor, driven: Tensor): MeshMotion {
    const n = driven.size(0);
    const from = source.expand(n, source.size(1), 3);
    const latent = exactly(driven, () => {
      let x = cat([from, driven, from.sub(driven)], 2); // [N, V, 9]
      for (const layer of this.graph) x = layer.forward(x, adjacency);
      return this.encode.forward(x.flatten(1)).relu();
    }); // [N, L]
    const map = this.decode.forward(latent).reshape(n, this.#deepest, FIRST_SIDE, FIRST_SIDE);
    let field = matching(map, this.upBlocks.at(0).conv);
    for (const block of this.upBlocks) field = block.forward(field);
    return exactly(field, () => this.#motion(widened(field), from, driven));
  }

  /** @param field features, [N, C, h, w] */
  #motion(field: Tensor, source: Tensor, driven: Tensor): MeshMotion {
    const parts = this.parts.forward(field); // [N, 4, h, w]
    const [height, width] = [parts.size(2), parts.size(3)];
    const grid = coordinateGrid(height, width, { dtype: parts.dtype, device: parts.device }); // [h, w, 2]
    const headMask = parts.narrow(1, 0, 1).sigmoid();
    const share = headMask.permute(0, 2, 3, 1); // [N, h, w, 1]
    const carried = carriedAlong(grid, source.narrow(2, 0, 2), driven.narrow(2, 0, 2))
      .sub(grid)
      .mul(share);
    const rest = parts.narrow(1, 1, 2).permute(0, 2, 3, 1).mul(STEP);
    return { headMask, deformation: carried.add(rest).add(grid), occlusionMap: parts.narrow(1, 3, 1).sigmoid() };
  }
}

/**
 * Where places would look if the affine map that takes the driven mesh nearest to the source's held everywhere.
 *
 * @param grid [h, w, 2]
 * @param source in the plane, [N, V, 2]
 * @param driven [N, V, 2]
 * @returns [N, h, w, 2]
 */
function carriedAlong(grid: Tensor, source: Tensor, driven: Tensor): Tensor {
  const [height, width] = [grid.size(0), grid.size(1)];
  const linear = sharedAffine(driven, source); // [N, 2, 2]
  const [from, to] = [driven.mean([1], true), source.mean([1], true)]; // [N, 1, 2]
  const offset = grid.reshape(1, height * width, 2).sub(from);
  return offset.matmul(linear.transpose(1, 2)).add(to).reshape(-1, height, width, 2);
}
