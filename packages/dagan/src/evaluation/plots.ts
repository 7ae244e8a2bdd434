// Plots as SVG: figures by case, the share of frames up to a figure, and one change over another.
import { colourClass, escaped } from './page.js';

/** A line or a group of dots in the colour of a column. */
export type Series = {
  name: string;
  /** Decides the colour. */
  column: number;
  points: readonly (readonly [x: number, y: number])[];
};

type PlotOptions = {
  title: string;
  /** Words below the horizontal axis. */
  horizontal: string;
  /** Dots at places that are whole numbers, lines, or dots anywhere beside the line on which both coordinates are equal. */
  kind: 'dots' | 'line' | 'scatter';
  /** Range of the vertical axis; by default that of the points. */
  vertical?: readonly [number, number];
};

const WIDTH = 400;
const HEIGHT = 230;
const EDGE = { left: 46, right: 10, top: 12, bottom: 34 };

/** A plot of series over common axes, as a figure with its title. */
export function plot(series: readonly Series[], { title, horizontal, kind, vertical }: PlotOptions): string {
  const all = series.flatMap(({ points }) => points);
  if (all.length === 0) return '';
  const [dots, scatter] = [kind === 'dots', kind === 'scatter'];
  // Both axes of a scatter plot have one range, or a flat cloud would look like a steep one.
  const xs = rangeOf(scatter ? all.flat() : all.map(([x]) => x), dots || scatter ? 0.04 : 0);
  const ys =
    vertical ??
    (scatter
      ? xs
      : rangeOf(
          all.map(([, y]) => y),
          0.06,
        ));
  const place = (value: number, [least, most]: readonly [number, number], from: number, to: number): string =>
    (from + ((value - least) / (most - least)) * (to - from)).toFixed(1);
  const x = (value: number): string => place(value, xs, EDGE.left, WIDTH - EDGE.right);
  const y = (value: number): string => place(value, ys, HEIGHT - EDGE.bottom, EDGE.top);
  const lines = ticks(ys).map(
    (value) =>
      `<path class="axis" d="M${EDGE.left} ${y(value)}H${WIDTH - EDGE.right}"/>` +
      `<text x="${EDGE.left - 6}" y="${Number(y(value)) + 4}" text-anchor="end">${shortNumber(value)}</text>`,
  );
  const marks = ticks(xs, dots ? 1 : 0).map(
    (value) =>
      `<path class="axis" d="M${x(value)} ${HEIGHT - EDGE.bottom}v4"/>` +
      `<text x="${x(value)}" y="${HEIGHT - EDGE.bottom + 16}" text-anchor="middle">${shortNumber(value)}</text>`,
  );
  const equal = scatter ? `<path class="axis" d="M${x(xs[0])} ${y(xs[0])}L${x(xs[1])} ${y(xs[1])}"/>` : '';
  const radius = scatter ? 1.8 : 3;
  const drawn = series.map(({ name, column, points }) => {
    const label = `<title>${escaped(name)}</title>`;
    if (kind === 'line') {
      const path = points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${x(px)} ${y(py)}`).join('');
      return `<path class="${colourClass(column)}" fill="none" stroke="currentColor" stroke-width="2" d="${path}">${label}</path>`;
    }
    const circles = points.map(([px, py]) => `<circle cx="${x(px)}" cy="${y(py)}" r="${radius}"/>`).join('');
    return `<g class="${colourClass(column)}" fill="currentColor" fill-opacity=".8">${label}${circles}</g>`;
  });
  const middle = (EDGE.left + WIDTH - EDGE.right) / 2;
  return `<figure><figcaption>${escaped(title)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">${lines.join('')}${marks.join('')}${equal}
${drawn.join('\n')}
<text x="${middle}" y="${HEIGHT - 4}" text-anchor="middle">${escaped(horizontal)}</text></svg></figure>`;
}

/** The points (value, share of the values that are not greater), at most some 200 of them. `values` must not be empty. */
export function cumulative(values: readonly number[]): [x: number, y: number][] {
  const sorted = [...values].sort((a, b) => a - b);
  const step = Math.max(1, Math.floor(sorted.length / 200));
  const points = sorted.flatMap((value, i): [number, number][] =>
    i % step === 0 || i === sorted.length - 1 ? [[value, (i + 1) / sorted.length]] : [],
  );
  return [[sorted[0]!, 0], ...points];
}

/** A key of the columns' colours. */
export function colourKey(names: readonly string[]): string {
  const items = names.map((name, i) => `<li><i class="${colourClass(i)}"></i>${escaped(name)}</li>`);
  return `<ul class="key">${items.join('')}</ul>`;
}

/** From the least to the greatest, and a part more on either side. */
function rangeOf(values: readonly number[], margin: number): [number, number] {
  const [least, most] = values.reduce(
    ([a, b], value) => [Math.min(a, value), Math.max(b, value)],
    [Infinity, -Infinity],
  );
  const room = most! > least! ? margin * (most! - least!) : 0.5;
  return [least! - room, most! + room];
}

/** About four round values inside a range, `smallest` apart at the least. */
function ticks([least, most]: readonly [number, number], smallest = 0): number[] {
  const rough = (most - least) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(smallest, power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!);
  const first = Math.ceil(least / step - 1e-9);
  const count = Math.floor(most / step + 1e-9) - first + 1;
  return Array.from({ length: count }, (_, i) => (first + i) * step);
}

const shortNumber = (value: number): string => String(Number(value.toPrecision(4)));
