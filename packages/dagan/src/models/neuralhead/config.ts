// The configuration of NeuralHead-FF: plain data, kept in a model's file.
export type NeuralHeadConfig = {
  system: 'neuralhead-ff';
  /** Channels of the first block of each network; every further one doubles them. */
  blockExpansion: number;
  /** No block has more channels than this. The last block of the embedder has as many as the embedding has numbers. */
  maxFeatures: number;
  /** Blocks of the embedder, which halve the size. */
  numEmbedderBlocks: number;
  /** Blocks of the generator that halve the size of the drawing, and that double it again. */
  numDownBlocks: number;
  /** Residual blocks in between. */
  numBottleneckBlocks: number;
};

/** The paper's sizes, for pictures of 256 x 256. */
export const NEURALHEAD_PAPER: NeuralHeadConfig = {
  system: 'neuralhead-ff',
  blockExpansion: 64,
  maxFeatures: 512,
  numEmbedderBlocks: 6,
  numDownBlocks: 4,
  numBottleneckBlocks: 4,
};
