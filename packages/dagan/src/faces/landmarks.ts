// Points of the face by name: where its lips and lids are, so that keypoints can be led there.

/** Mesh points. Left and right are the person's own. */
export const FACE_LANDMARKS = {
  upperLip: 13,
  lowerLip: 14,
  rightMouthCorner: 61,
  leftMouthCorner: 291,
  rightUpperLid: 159,
  leftUpperLid: 386,
} as const;

/** Name of a landmark. */
export type FaceLandmark = keyof typeof FACE_LANDMARKS;

/** All names, in the order of tensors of landmarks. */
export const FACE_LANDMARK_NAMES = Object.keys(FACE_LANDMARKS) as readonly FaceLandmark[];

/** The landmark that a mirrored picture shows in a landmark's place. */
export function mirroredLandmark(name: FaceLandmark): FaceLandmark {
  if (name.startsWith('right')) return name.replace('right', 'left') as FaceLandmark;
  return name.replace('left', 'right') as FaceLandmark;
}
