// Which parts of the model compute in float16 in an exported model.
import { type Graph, type GraphNode, valuesIn } from '@dagan/libtorch';

/**
 * Modules whose results are features or colours. What becomes coordinates, masks or disparity stays in float32, as does
 * the keypoint detector, whose errors are visible as trembling.
 */
const IN_HALF = [
  'depth_network.encoder',
  'depth_network.decoder.levels',
  'generator.first',
  'generator.down_blocks',
  'generator.depth_first',
  'generator.depth_down_blocks',
  'generator.attention',
  'generator.third',
  'generator.fourth',
  'generator.decoder',
  'generator.dense_motion_network.hourglass',
];

/** Sums over many elements, for which float16 is too coarse. */
const EXACT = new Set(['aten::softmax.int', 'aten::instance_norm']);

/** Chooses the nodes of a step that compute in float16: those of the modules above, but for softmax and what goes into it. */
export function halfNodes({ nodes }: Graph): (node: GraphNode) => boolean {
  const intoSoftmax = new Set(
    nodes.filter(({ operator }) => operator === 'aten::softmax.int').flatMap((node) => valuesIn(node.arguments)),
  );
  return ({ operator, outputs, module: { path } }) =>
    IN_HALF.some((prefix) => path === prefix || path.startsWith(`${prefix}.`)) &&
    !EXACT.has(operator) &&
    !outputs.some((value) => intoSoftmax.has(value));
}
