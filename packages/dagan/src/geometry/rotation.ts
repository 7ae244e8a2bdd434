// 3 x 3 matrices that turn points in space.

/** A 3 x 3 matrix, row by row. */
export type Matrix3 = readonly number[];

/**
 * The rotation nearest to a matrix: the orthogonal factor of its polar decomposition, by Newton's iteration
 * X <- (X + X^-T) / 2 (Higham 1986, "Computing the polar decomposition"). The determinant must be positive.
 */
export function nearestRotation(matrix: Matrix3): Matrix3 {
  let current = matrix;
  for (let round = 0; round < 100; round++) {
    const cofactors = cofactorsOf(current);
    const determinant = current[0]! * cofactors[0]! + current[1]! * cofactors[1]! + current[2]! * cofactors[2]!;
    if (!(determinant > 0)) throw new RangeError('the points do not determine a rotation');
    const next = current.map((value, index) => (value + cofactors[index]! / determinant) / 2);
    const change = Math.max(...next.map((value, index) => Math.abs(value - current[index]!)));
    current = next;
    if (change < 1e-12) break;
  }
  return current;
}

/** The determinant. */
export function determinantOf(m: Matrix3): number {
  const cofactors = cofactorsOf(m);
  return m[0]! * cofactors[0]! + m[1]! * cofactors[1]! + m[2]! * cofactors[2]!;
}

/** The inverse of any matrix whose determinant is not 0. */
export function inverseOf(m: Matrix3): Matrix3 {
  const determinant = determinantOf(m);
  return inverseRotation(cofactorsOf(m)).map((cofactor) => cofactor / determinant);
}

/** The matrix of cofactors, which is the determinant times the inverse's transpose. */
function cofactorsOf(m: Matrix3): number[] {
  const [a, b, c, d, e, f, g, h, i] = m as readonly [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return [
    e * i - f * h,
    f * g - d * i,
    d * h - e * g,
    c * h - b * i,
    a * i - c * g,
    b * g - a * h,
    b * f - c * e,
    c * d - a * f,
    a * e - b * d,
  ];
}

/** The rotation back: the transpose. */
export function inverseRotation(m: Matrix3): Matrix3 {
  return [m[0]!, m[3]!, m[6]!, m[1]!, m[4]!, m[7]!, m[2]!, m[5]!, m[8]!];
}

/** Every point [N, 3] times a matrix. */
export function multiplied(points: ArrayLike<number>, m: Matrix3): Float64Array {
  const [a, b, c, d, e, f, g, h, i] = m as [number, number, number, number, number, number, number, number, number];
  const result = new Float64Array(points.length);
  for (let at = 0; at < points.length; at += 3) {
    const x = points[at]!;
    const y = points[at + 1]!;
    const z = points[at + 2]!;
    result[at] = a * x + b * y + c * z;
    result[at + 1] = d * x + e * y + f * z;
    result[at + 2] = g * x + h * y + i * z;
  }
  return result;
}

/**
 * A rotation carried out in part: about its axis, by a multiple of its angle.
 *
 * @param share 0 does not turn, 1 turns as the rotation does; any number
 */
export function powerOf(rotation: Matrix3, share: number): Matrix3 {
  if (share === 1) return rotation;
  const [a, b, c, d, e, f, g, h, i] = rotation as [
    ...[number, number, number],
    ...[number, number, number],
    ...[number, number, number],
  ];
  const axis = [h - f, c - g, d - b] as const;
  const twice = Math.hypot(...axis); // twice the angle's sine
  if (twice < 1e-9) return [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const [x, y, z] = axis.map((value) => value / twice) as [number, number, number];
  const angle = share * Math.atan2(twice, a + e + i - 1);
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const rest = 1 - cosine;
  return [
    ...[cosine + x * x * rest, x * y * rest - z * sine, x * z * rest + y * sine],
    ...[x * y * rest + z * sine, cosine + y * y * rest, y * z * rest - x * sine],
    ...[x * z * rest - y * sine, y * z * rest + x * sine, cosine + z * z * rest],
  ];
}
