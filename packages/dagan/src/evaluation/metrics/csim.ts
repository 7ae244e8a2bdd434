// CSIM: how much two faces are the same person's (Ha et al., "MarioNETte", 2020): the cosine of their embeddings,
// 1 for the same direction, 0 for nothing in common, -1 at the least.
export { cosineSimilarity } from '../../faces/identity.js';
