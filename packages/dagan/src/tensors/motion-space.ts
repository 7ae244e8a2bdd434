// What moves in a model: what the numbers are that an engine finds in a driving frame and that animation transfers to a portrait.
/** How the numbers of a `KeypointSet` are to be read. */
export type MotionSpace = {
  /** Coordinates of a keypoint: 2 in the plane, 3 in space; 1 where the numbers are a latent code. */
  readonly dimensions: 1 | 2 | 3;
  /**
   * What a keypoint's matrix is: a jacobian, which is taken over relative to the reference frame, or the covariance of its
   * heatmap, which is taken over as the driver has it.
   */
  readonly matrices: 'jacobians' | 'covariances';
  /**
   * Points of the face mesh (of 478), where these are what moves: keypoint i stands on point i. No network of the model finds them,
   * so pictures come with them.
   */
  readonly meshPoints?: readonly number[];
};

/** Keypoints in the plane, as in DaGAN and the first-order model. */
export const PLANE: MotionSpace = { dimensions: 2, matrices: 'jacobians' };
