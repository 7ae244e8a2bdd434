// What our files say of their format, in their metadata under `format`.

/** A model for animation; see `saveModel`. */
export const MODEL_FORMAT = 'dagan-model-1';

/** A face-depth network, with or without the pose network; see `saveDepthFile`. */
export const DEPTH_FORMAT = 'dagan-depth-1';

/** The stages of training. */
export type StageName = 'depth' | 'animation';

/**
 * A checkpoint of each stage. That of `animation` holds a model (`model.`) and averages of what was trained of it (`average.`);
 * that of `depth` the networks as a depth file does.
 */
export const TRAINING_FORMATS: Readonly<Record<StageName, string>> = {
  depth: 'dagan-depth-training-1',
  animation: 'dagan-training-1',
};

/** The stage whose checkpoint a file is; null for anything else. */
export function stageOf({ metadata }: { metadata: Readonly<Record<string, string>> }): StageName | null {
  const stages = Object.keys(TRAINING_FORMATS) as StageName[];
  return stages.find((stage) => TRAINING_FORMATS[stage] === metadata.format) ?? null;
}
