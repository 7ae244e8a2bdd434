// Sizes that depend on free dimensions: multilinear polynomials with rational coefficients.

/** The text between the names of a product of dimensions. */
const TIMES = '*';

/**
 * A whole number that follows from free dimensions: the sum of `coefficient * product of dimensions` over `terms`,
 * divided by `divisor`. No dimension stands in a product twice.
 */
export class FreeSize {
  /** Coefficients by product, such as 'height*width'; the key '' is the constant term. None is 0. */
  readonly terms: ReadonlyMap<string, number>;
  readonly divisor: number;

  private constructor(terms: ReadonlyMap<string, number>, divisor: number) {
    this.terms = terms;
    this.divisor = divisor;
  }

  /** The size with these coefficients in lowest terms; a plain number where no dimension counts. */
  static of(coefficients: Iterable<readonly [string, number]>, divisor: number): Size {
    const terms = [...coefficients].filter(([, coefficient]) => coefficient !== 0);
    const common = terms.reduce((found, [, coefficient]) => greatestCommonDivisor(found, coefficient), divisor);
    if (terms.every(([product]) => product === '')) return (terms[0]?.[1] ?? 0) / divisor;
    return new FreeSize(new Map(terms.map(([product, c]) => [product, c / common])), divisor / common);
  }

  /** Value for given dimensions. */
  evaluate(dimensions: Readonly<Record<string, number>>): number {
    let sum = 0;
    for (const [product, coefficient] of this.terms) {
      sum += factorsOf(product).reduce((value, name) => value * dimensions[name]!, coefficient);
    }
    return sum / this.divisor;
  }

  /** As 'height*width/16' or '(height-24)/4'; two sizes are the same if their texts are. */
  toString(): string {
    const parts = [...this.terms].sort(([a], [b]) => b.length - a.length || (a < b ? -1 : 1));
    const sum = parts
      .map(([product, coefficient], i) => {
        const sign = coefficient < 0 ? '-' : i > 0 ? '+' : '';
        const factor = Math.abs(coefficient);
        return `${sign}${product === '' ? factor : factor === 1 ? product : `${factor}${TIMES}${product}`}`;
      })
      .join('');
    if (this.divisor === 1) return sum;
    return parts.length === 1 ? `${sum}/${this.divisor}` : `(${sum})/${this.divisor}`;
  }
}

/** A size of a tensor, or a number that follows from sizes. */
export type Size = number | FreeSize;

/** A size for given dimensions. */
export const evaluated = (size: Size, dimensions: Readonly<Record<string, number>>): number =>
  typeof size === 'number' ? size : size.evaluate(dimensions);

const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? Math.abs(a) : greatestCommonDivisor(b, a % b);

/** The dimensions of a product. */
export const factorsOf = (product: string): string[] => (product === '' ? [] : product.split(TIMES));

const termsOf = (size: Size): ReadonlyMap<string, number> =>
  typeof size === 'number' ? new Map(size === 0 ? [] : [['', size]]) : size.terms;

const divisorOf = (size: Size): number => (typeof size === 'number' ? 1 : size.divisor);

export const sameSize = (a: Size, b: Size): boolean => `${a}` === `${b}`;

/** a - b */
export function difference(a: Size, b: Size): Size {
  const sum = new Map<string, number>();
  for (const [product, coefficient] of termsOf(a)) sum.set(product, coefficient * divisorOf(b));
  for (const [product, coefficient] of termsOf(b)) {
    sum.set(product, (sum.get(product) ?? 0) - coefficient * divisorOf(a));
  }
  return FreeSize.of(sum, divisorOf(a) * divisorOf(b));
}

/** a / b where that is the same number for all dimensions, else null. */
export function ratio(a: Size, b: Size): number | null {
  const [over, under] = [termsOf(a), termsOf(b)];
  const first = [...under.keys()][0];
  if (first === undefined || over.size !== under.size) return null;
  const quotient = (over.get(first) ?? 0) / under.get(first)!;
  for (const [product, coefficient] of under) {
    if (over.get(product) !== quotient * coefficient) return null;
  }
  return (quotient * divisorOf(b)) / divisorOf(a);
}

/** A dimension that may take any size, with two different sizes to try. */
export type FreeDimension = { name: string; low: number; high: number };

/** Sizes of all dimensions at a corner: bit i of `corner` chooses the high one of dimension i. */
export function cornerOf(dimensions: readonly FreeDimension[], corner: number): Record<string, number> {
  return Object.fromEntries(dimensions.map(({ name, low, high }, i) => [name, (corner >> i) & 1 ? high : low]));
}

/**
 * The multilinear polynomial with whole values at all corners of the dimensions' box.
 *
 * @param values one per corner, numbered as in `cornerOf`
 */
export function interpolate(dimensions: readonly FreeDimension[], values: readonly number[]): Size {
  if (values.every((value) => value === values[0])) return values[0]!;
  const divisor = dimensions.reduce((product, { low, high }) => product * (high - low), 1);
  const table = values.map((value) => value * divisor);
  // Along each dimension in turn, values at its ends become intercept and slope. All divisions come out even.
  for (const [i, { low, high }] of dimensions.entries()) {
    for (let corner = 0; corner < table.length; corner++) {
      if ((corner >> i) & 1) continue;
      const [start, end] = [table[corner]!, table[corner | (1 << i)]!];
      const slope = (end - start) / (high - low);
      table[corner | (1 << i)] = slope;
      table[corner] = start - slope * low;
    }
  }
  const product = (corner: number): string =>
    dimensions
      .filter((_, i) => (corner >> i) & 1)
      .map(({ name }) => name)
      .join(TIMES);
  return FreeSize.of(
    table.map((coefficient, corner) => [product(corner), coefficient]),
    divisor,
  );
}
