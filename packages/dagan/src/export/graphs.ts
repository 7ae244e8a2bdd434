// The model's three steps as graphs, recorded from its networks: source, drive and generate.
import { type FreeDimension, type Graph, recordPreparation, type Tensor, trace, zeros } from '@dagan/libtorch';
import type { AnimationModel, SourceState, SourceTensors } from '../models/animation-model.js';
import { sizeMultiple } from '../models/config/config.js';
import type { DaGAN } from '../models/dagan.js';
import { prepareForInference } from '../models/inference/inference.js';
import type { Keypoints } from '../tensors/keypoint-set.js';
import type { BySteps } from './manifest.js';

/** The steps, in the order in which they are used. */
export const STEPS = ['source', 'drive', 'generate'] as const;

export type Step = (typeof STEPS)[number];

/** Tensors by name, without those that a model does not have. */
const present = (tensors: Readonly<Record<string, Tensor | null>>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(tensors).filter((entry): entry is [string, Tensor] => entry[1] !== null));

/**
 * Records the three steps of a model in float32, which is prepared for use thereby (`prepareForInference`). The graphs hold
 * the model's tensors as they were before, under their names, and compute from them what the preparation made of them.
 *
 * | step | inputs | outputs |
 * |---|---|---|
 * | drive | image [N, 3, H, W] | keypoints [N, K, 2], jacobians [N, K, 2, 2], disparity [N, 1, H, W] |
 * | source | image [1, 3, H, W], disparity [1, 1, H, W] | small_image [1, 3, h, w], features [1, C, h, w], query [1, h w, C / 8] |
 * | generate | keypoints, jacobians [N, ...]; of the source: source_keypoints, source_jacobians, small_image, features, query, image | prediction [N, 3, H, W], deformation [N, h, w, 2], occlusion_map [N, 1, h, w], attention_key [N, C / 8, h w] |
 *
 * The portrait goes through drive too: so the weights of keypoints and depth are there once. A model without jacobians,
 * depth, occlusion or attention has no inputs and outputs of that kind; `image` is an input of generate only where the
 * moved source is looked at (SPADE decoder, kept pixels), `disparity` an output of drive where keypoints are guided by
 * depth, else an output of source where only attention looks at depth.
 *
 * @param size side of the pictures where it shall be fixed; else height and width are free, and so is N in any case
 */
export function traceDagan(model: DaGAN, { size }: { size?: number } = {}): Record<Step, Graph> {
  const unit = sizeMultiple(model.config);
  const batch: FreeDimension = { name: 'batch', low: 2, high: 3 };
  // The depth network's decoder reflects the borders of features a 32nd of the size, which must be two wide for that.
  const least = model.config.depth ? Math.max(unit, 64) : unit;
  const sides = ['height', 'width'].map((name) => ({ name, low: least, high: 2 * least }));
  const spatial = size === undefined ? sides : [];
  const picture = (count: number, { height = size, width = size }: Partial<Record<string, number>>): Tensor =>
    zeros([count, 3, height!, width!]);
  using preparation = recordPreparation(model, () => prepareForInference(model));
  const source = trace(
    {
      inputs: (sizes) => ({
        image: picture(1, sizes),
        ...(model.config.depthGuidedKeypoints ? { disparity: picture(1, sizes).narrow(1, 0, 1) } : {}),
      }),
      body: ({ image, disparity }) => {
        const found = disparity ? null : (model.depthNetwork?.forward(image!) ?? null);
        const { smallImage, features, query } = model.generator.encodeSource(image!, disparity ?? found);
        return present({ disparity: found, small_image: smallImage, features, query });
      },
    },
    { dimensions: spatial, preparation },
  );
  const drive = trace(
    {
      inputs: (sizes) => ({ image: picture(sizes.batch!, sizes) }),
      body: ({ image }) => {
        const { keypoints, disparity } = model.driving(image!);
        return present({ ...named(keypoints), disparity });
      },
    },
    { dimensions: [batch, ...spatial], preparation },
  );
  const generate = trace(
    {
      inputs: (sizes) => {
        const state = model.source(picture(1, sizes));
        const { value, jacobian } = state.keypoints;
        const repeated = (tensor: Tensor): Tensor => tensor.repeat(sizes.batch!, ...tensor.shape.slice(1).map(() => 1));
        return present({
          keypoints: repeated(value),
          jacobians: jacobian && repeated(jacobian),
          source_keypoints: value,
          source_jacobians: jacobian,
          small_image: state.smallImage,
          features: state.features,
          query: state.query,
          image: state.image,
        });
      },
      body: (inputs) => {
        const state = {
          image: inputs.image!,
          smallImage: inputs.small_image!,
          features: inputs.features!,
          query: inputs.query ?? null,
          keypoints: { value: inputs.source_keypoints!, jacobian: inputs.source_jacobians ?? null },
          disparity: null,
        };
        const generated = model.generate(state, { value: inputs.keypoints!, jacobian: inputs.jacobians ?? null });
        const { prediction, deformation, occlusionMap, warpedFeatures } = generated;
        const key = model.generator.attention?.key(warpedFeatures) ?? null;
        return present({ prediction, deformation, occlusion_map: occlusionMap, attention_key: key });
      },
    },
    { dimensions: [batch, ...spatial], preparation },
  );
  return { source, drive, generate };
}

/**
 * The same for a model of another system that says what its portraits are as tensors (`sourceTensors`), for pictures of one size:
 *
 * | step | inputs | outputs |
 * |---|---|---|
 * | source | image [1, 3, H, W] | the system's tensors |
 * | drive | image [N, 3, H, W], and of the system's tensors those that motion is seen with | keypoints [N, K, D], jacobians [N, K, D, D], head_angles [N, 3] |
 * | generate | keypoints, jacobians; source_keypoints, source_jacobians and the system's tensors, as far as they matter | prediction [N, 3, H, W], deformation [N, h, w, 2], occlusion_map [N, 1, h, w] |
 *
 * Models that points of the face mesh move are told them: `source` takes the portrait's (`source_keypoints` [1, K, 2]), and there
 * is no `drive`.
 */
export function traceSystem(
  model: AnimationModel,
  { tensorsOf, sourceOf }: SourceTensors,
  size: number,
): BySteps<Graph> {
  const batch: FreeDimension = { name: 'batch', low: 2, high: 3 };
  const picture = (count: number): Tensor => zeros([count, 3, size, size]);
  const { meshPoints } = model.motion;
  const portrait = (): Record<string, Tensor> => ({
    image: picture(1),
    ...(meshPoints && { source_keypoints: zeros([1, meshPoints.length, 2]) }),
  });
  const sourceFrom = ({ image, source_keypoints: told }: Readonly<Record<string, Tensor>>): SourceState =>
    model.source(image!, [], told ? [told] : []);
  using preparation = recordPreparation(model, () => prepareForInference(model));
  const source = trace({ inputs: portrait, body: (inputs) => tensorsOf(sourceFrom(inputs)) }, { preparation });
  const drive = meshPoints
    ? undefined
    : trace(
        {
          inputs: ({ batch: count }) => {
            const state = model.source(picture(1));
            return { image: picture(count!), source_keypoints: state.keypoints.value, ...tensorsOf(state) };
          },
          body: ({ image, source_keypoints: value, ...tensors }) => {
            const state = sourceOf(tensors, { value: value!, jacobian: null }, size);
            const { keypoints } = model.driving(image!, state);
            return present({ ...named(keypoints), head_angles: keypoints.head?.angles ?? null });
          },
        },
        { dimensions: [batch], preparation },
      );
  const generate = trace(
    {
      inputs: ({ batch: count }) => {
        const state = sourceFrom(portrait());
        const { value, jacobian } = state.keypoints;
        const repeated = (tensor: Tensor): Tensor => tensor.repeat(count!, ...tensor.shape.slice(1).map(() => 1));
        return present({
          keypoints: repeated(value),
          jacobians: jacobian && repeated(jacobian),
          source_keypoints: value,
          source_jacobians: jacobian,
          ...tensorsOf(state),
        });
      },
      body: ({ keypoints, jacobians, source_keypoints: value, source_jacobians: jacobian, ...tensors }) => {
        const state = sourceOf(tensors, { value: value!, jacobian: jacobian ?? null }, size);
        const { prediction, deformation, occlusionMap } = model.generate(state, {
          value: keypoints!,
          jacobian: jacobians ?? null,
        });
        return present({ prediction, deformation, occlusion_map: occlusionMap });
      },
    },
    { dimensions: [batch], preparation },
  );
  return { source, ...(drive && { drive }), generate };
}

const named = ({ value, jacobian }: Keypoints): Record<string, Tensor | null> => ({
  keypoints: value,
  jacobians: jacobian,
});
