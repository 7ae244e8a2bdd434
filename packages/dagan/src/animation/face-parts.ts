// Which part of the face moves a landmark.

/** Parts whose motion has a strength of its own: 1 as the driver, 0 none, 2 twice as much. */
export const MOTION_PARTS = ['pose', 'mouth', 'eyes', 'brows'] as const;

export type MotionPart = (typeof MOTION_PARTS)[number];

/** Landmarks of each part; all others are the head's. Jaw and cheeks go with the mouth that moves them. */
const LANDMARKS_OF: Readonly<Record<Exclude<MotionPart, 'pose'>, readonly string[]>> = {
  mouth: [
    ...['upperLip', 'lowerLip', 'rightMouthCorner', 'leftMouthCorner', 'chin', 'upperLipRim', 'lowerLipRim'],
    ...bothSides('UpperLip', 'LowerLip', 'UpperLipRim', 'LowerLipRim', 'Jaw', 'JawCorner', 'Cheek'),
  ],
  eyes: bothSides('UpperLid', 'LowerLid', 'Iris'),
  brows: bothSides('Brow', 'InnerBrow'),
};

const PART_OF = new Map(
  MOTION_PARTS.flatMap((part) => (part === 'pose' ? [] : LANDMARKS_OF[part].map((name) => [name, part] as const))),
);

/** Names of landmarks of both sides of the face. */
export function bothSides(...names: readonly string[]): string[] {
  return names.flatMap((name) => [`right${name}`, `left${name}`]);
}

/** The part that moves a landmark. */
export const partOf = (landmark: string): MotionPart => PART_OF.get(landmark) ?? 'pose';
