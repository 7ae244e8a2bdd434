// The configuration of MarioNETte: plain data, kept in a model's file.
export type MarionetteConfig = {
  system: 'marionette';
  /** Channels of the first block of each network; every further one doubles them. */
  blockExpansion: number;
  /** No block has more channels than this. */
  maxFeatures: number;
  /** Blocks that halve the size of the driver's drawing, and of the decoder, which double it; portraits are halved once more. */
  numDownBlocks: number;
  /** Blocks that look from the driver's drawing into the portraits. */
  numAttentionBlocks: number;
  /** Puts the driver's landmarks into the portrait's shape (+LT); null for none. */
  landmarkTransformer: LandmarkTransformerConfig | null;
};

export type LandmarkTransformerConfig = {
  /** Numbers that an expression has. */
  numExpressions: number;
  /** Width of the layers that find them. */
  hidden: number;
};

/** The paper's sizes, for pictures of 256 x 256. */
export const MARIONETTE_PAPER: MarionetteConfig = {
  system: 'marionette',
  blockExpansion: 64,
  maxFeatures: 512,
  numDownBlocks: 4,
  numAttentionBlocks: 3,
  landmarkTransformer: null,
};

export const LANDMARK_TRANSFORMER: LandmarkTransformerConfig = { numExpressions: 40, hidden: 128 };
