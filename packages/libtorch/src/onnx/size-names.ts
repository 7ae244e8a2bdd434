// Names of free dimensions in exported models say how large they are: 'batch', 'height/4', 'height*width/16'.

/**
 * The size that a dimension's name stands for.
 *
 * @param name products and one quotient of names and whole numbers
 * @param dimensions sizes of the free dimensions by name
 * @returns undefined if a name in it is not given, or it is no product
 */
export function sizeOfName(name: string, dimensions: Readonly<Record<string, number>>): number | undefined {
  const [product, divisor = '1', ...rest] = name.split('/');
  if (rest.length > 0 || !/^\d+$/.test(divisor)) return undefined;
  let size = 1;
  for (const factor of product!.split('*')) {
    const known = Object.hasOwn(dimensions, factor) ? dimensions[factor] : undefined;
    const value = /^\d+$/.test(factor) ? Number(factor) : known;
    if (value === undefined) return undefined;
    size *= value;
  }
  return size / Number(divisor);
}
