// The pinhole camera behind a picture, in plain numbers, and where a camera stands that looks at the face from elsewhere.

/** Focal lengths and principal point in pixels. Pixel (u, v) has its centre at (u, v), as `backproject` has it. */
export type PinholeCamera = { focalX: number; focalY: number; centerX: number; centerY: number };

/** Right, down and away from the camera. */
export type Point3 = readonly [x: number, y: number, z: number];

/**
 * From one camera's coordinates to another's: `R p + t` as [R t; 0 1], row by row, 16 numbers.
 */
export type Pose = Float64Array;

/** A picture of this size, taken straight ahead with square pixels. @param fieldOfView across its width, in degrees */
export function cameraOfView(width: number, height: number, fieldOfView: number): PinholeCamera {
  if (!(fieldOfView > 0 && fieldOfView < 180)) {
    throw new RangeError(`the field of view must be between 0 and 180 degrees, not ${fieldOfView}`);
  }
  const focal = width / 2 / Math.tan((fieldOfView * Math.PI) / 360);
  return { focalX: focal, focalY: focal, centerX: (width - 1) / 2, centerY: (height - 1) / 2 };
}

/** The camera of a matrix K in pixels, nine numbers row by row. */
export function cameraOfMatrix(intrinsics: ArrayLike<number>): PinholeCamera {
  return {
    focalX: intrinsics[0]!,
    focalY: intrinsics[4]!,
    centerX: intrinsics[2]!,
    centerY: intrinsics[5]!,
  };
}

/** The same camera where each of its pixels has become `factor` by `factor` pixels. */
export function scaleCamera({ focalX, focalY, centerX, centerY }: PinholeCamera, factor: number): PinholeCamera {
  return {
    focalX: focalX * factor,
    focalY: focalY * factor,
    centerX: (centerX + 0.5) * factor - 0.5,
    centerY: (centerY + 0.5) * factor - 0.5,
  };
}

/**
 * The pose of a camera that has gone around `pivot`, which stays where it was in the picture: by `yaw` degrees to its own
 * right, so that what is near moves to the left, and by `pitch` degrees upwards.
 */
export function orbit([x, y, z]: Point3, yaw: number, pitch: number): Pose {
  const [a, b] = [(yaw * Math.PI) / 180, (pitch * Math.PI) / 180];
  const [ca, sa, cb, sb] = [Math.cos(a), Math.sin(a), Math.cos(b), Math.sin(b)];
  const rows = [
    [ca, 0, sa],
    [sa * sb, cb, -ca * sb],
    [-sa * cb, sb, ca * cb],
  ] as const;
  const pivot = [x, y, z];
  const moved = rows.flatMap((row, i) => [...row, pivot[i]! - (row[0] * x + row[1] * y + row[2] * z)]);
  return Float64Array.from([...moved, 0, 0, 0, 1]);
}

/** How far a turning camera goes, in degrees to each side. */
export type Swing = { yaw: number; pitch: number };

/**
 * Yaw and pitch of a camera that swings around the face along a lying figure of eight: it starts where the picture was
 * taken, comes back there, and begins anew without a jerk.
 *
 * @param phase 0 at the start, 1 at the end of one round
 */
export function swingAt(phase: number, { yaw, pitch }: Swing): { yaw: number; pitch: number } {
  const turn = 2 * Math.PI * phase;
  return { yaw: yaw * Math.sin(turn), pitch: pitch * Math.sin(2 * turn) };
}
