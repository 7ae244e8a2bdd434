// The evaluation as a page to read: tables, plots, worst cases as pictures.
import { TRANSFER_SIGNAL_LABELS, TRANSFER_SIGNALS } from '../faces/transfer-signals.js';
import { type MeasureId, measureOf } from './measures.js';
import { changePairs } from './metrics/expression-transfer.js';
import { type Cell, escaped, page, table } from './page.js';
import { colourKey, cumulative, plot, type Series } from './plots.js';
import type { CaseRow } from './rows.js';
import {
  bestOf,
  type ContestantSummary,
  type EvaluationResult,
  expressionCells,
  shownFigure,
  shownTransfer,
} from './summary.js';

/** Measures that are plotted, of those there are. */
const PLOTTED: readonly MeasureId[] = ['l1', 'perceptual', 'akd', 'csim', 'prmse', 'aucon'];

/** Dots in a plot of expression transfer, of each model. */
const DOTS = 300;

/** Worst cases shown for each model. */
const WORST = 6;

/**
 * The page.
 *
 * @param rows the figures of frames: per contestant, per case
 * @param readPicture gives the file of a worst case (WebP); null if somebody has removed it
 */
export function htmlReport(
  result: EvaluationResult,
  rows: readonly (readonly CaseRow[])[],
  readPicture: (file: string) => Uint8Array | null,
): string {
  const { protocol, cases, frames, settings, contestants } = result;
  const title = protocol === 'self' ? 'Evaluation: same person' : 'Evaluation: cross-identity';
  const what =
    protocol === 'self'
      ? 'The first frame of each clip (or a listed one) is animated by the clip, and the result is compared with the clip itself.'
      : 'A person is animated by the clip of another one. There is no true result; likeness is judged against the portrait, pose and expression against the driving frame.';
  const body = [
    `<h1>${title}</h1>`,
    `<p>${what} The column <b>copy</b> shows the source frame unchanged: what any model has to beat.</p>`,
    `<p class="faint">${cases} cases, ${frames} scored frames. ${settingsInWords(settings)}. Made by ${escaped(result.program)}.</p>`,
    '<h2>Overall</h2>',
    overallTable(result),
    '<p class="faint">Means over all scored frames; for root mean square errors, the root of the mean square. In brackets: the change against the copy. Figures of different measuring networks do not compare; see the last table before you put them beside published ones.</p>',
    '<h2>Expression transfer</h2>',
    "<p>Where the driver opens the mouth, widens it, smiles, closes the eyes, raises the brows or looks aside: how much of it the result does as well. The slope of the generated change on the driver's is 1 for a perfect copy of the movement and 0 for a face that does nothing; the correlation says how surely they go together.</p>",
    expressionTransferTable(result),
    `<p class="faint">Slope / correlation, over all cases: sums of squares and products around the means of each case, added up before they are divided. "Varies": standard deviation of the driver's signal, in distances between the outer corners of the face's own eyes. Frames in which a face was not found are left out. Measured by ${escaped(result.expressionMeasuredBy)}.</p>`,
    colourKey(contestants.map(({ name }) => name)),
    `<div class="plots">${expressionPlots(result, rows)}</div>`,
    '<h2>Plots</h2>',
    colourKey(contestants.map(({ name }) => name)),
    `<div class="plots">${plots(result, rows)}</div>`,
    '<h2>Worst cases</h2>',
    `<p class="faint">Source, driving frame, result. The worst frame of the worst cases, by ${worstBy(result)}.</p>`,
    ...contestants.slice(1).map((contestant) => worstCases(result, contestant, readPicture)),
    '<h2>Every case</h2>',
    ...contestants.map((contestant) => caseTable(result, contestant)),
    '<h2>Models</h2>',
    factsTable(contestants),
    '<h2>What the figures are, and what measured them</h2>',
    measuresTable(result),
  ];
  return page(title, body.join('\n'));
}

/** "Size 256, every 10, limit 3" */
function settingsInWords(settings: EvaluationResult['settings']): string {
  const words = Object.entries(settings)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => {
      const spaced = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
      return value === true ? spaced : `${spaced} ${value}`;
    });
  const text = words.join(', ');
  return escaped(text.charAt(0).toUpperCase() + text.slice(1));
}

const heading = (id: MeasureId): string => {
  const { label, unit, better } = measureOf(id);
  return `${escaped(label)}${unit ? ` <small>${escaped(unit)}</small>` : ''} ${better === 'lower' ? '↓' : '↑'}`;
};

function overallTable({ measures, contestants }: EvaluationResult): string {
  const rows = measures.map(({ id }): Cell[] => {
    const values = contestants.map(({ overall }) => overall[id]);
    const best = bestOf(id, values);
    const cells = values.map((value, at): Cell => {
      const html = `${shownFigure(id, value)}${at === 0 ? '' : changeAgainst(id, values[0], value)}`;
      return at === best ? { html, kind: 'best' } : html;
    });
    return [heading(id), ...cells];
  });
  return table(['', ...contestants.map(({ name }) => escaped(name))], rows);
}

function expressionTransferTable(result: EvaluationResult): string {
  const rows = expressionCells(result).map(({ cells, best }) =>
    cells.map((cell, at): Cell => (best !== undefined && at === best + 3 ? { html: cell, kind: 'best' } : cell)),
  );
  return table(['', 'varies', 'frames', ...result.contestants.map(({ name }) => escaped(name))], rows);
}

/** Of every signal the generated change over the driver's, a dot a frame. */
function expressionPlots({ contestants }: EvaluationResult, rows: readonly (readonly CaseRow[])[]): string {
  return TRANSFER_SIGNALS.map((name) => {
    const series = contestants.map((contestant, column): Series => {
      const pairs = rows[column]!.flatMap(({ expression }) => changePairs(expression[name]));
      const step = Math.ceil(pairs.length / DOTS) || 1;
      return { name: contestant.name, column, points: pairs.filter((_, i) => i % step === 0) };
    });
    const title = `${TRANSFER_SIGNAL_LABELS[name]}: change of the result over that of the driver`;
    return plot(series, { title, horizontal: "driver's change", kind: 'scatter' });
  }).join('\n');
}

/** " (−35 %)", for decibels " (+2.1)"; empty where a part of nothing would be meant. */
function changeAgainst(id: MeasureId, copy: number | null | undefined, value: number | null | undefined): string {
  if (!copy || typeof value !== 'number') return '';
  const [change, unit] =
    measureOf(id).unit === 'dB'
      ? [(value - copy).toFixed(1), '']
      : [((100 * (value - copy)) / Math.abs(copy)).toFixed(0), ' %'];
  const sign = Number(change) > 0 ? '+' : Number(change) < 0 ? '−' : '±';
  return ` <small>(${sign}${change.replace('-', '')}${unit})</small>`;
}

function plots({ measures, contestants }: EvaluationResult, rows: readonly (readonly CaseRow[])[]): string {
  const ids = PLOTTED.filter((id) => measures.some((measure) => measure.id === id));
  return ids
    .flatMap((id) => {
      const { label, unit } = measureOf(id);
      const name = unit ? `${label} (${unit})` : label;
      const ofCase = (contestant: ContestantSummary, at: number) => contestant.cases[at]!.figures[id] ?? null;
      const order = contestants[0]!.cases
        .map((_, at) => at)
        .sort((a, b) => (ofCase(contestants[0]!, a) ?? 0) - (ofCase(contestants[0]!, b) ?? 0));
      const byCase = contestants.map((contestant, column): Series => {
        const points = order.flatMap((at, place): [number, number][] => {
          const value = ofCase(contestant, at);
          return value === null ? [] : [[place + 1, value]];
        });
        return { name: contestant.name, column, points };
      });
      const byFrame = contestants.map((contestant, column): Series => {
        const values = rows[column]!.flatMap(({ scores }) => scores[id] ?? []).filter((value) => value !== null);
        return { name: contestant.name, column, points: values.length > 0 ? cumulative(values) : [] };
      });
      return [
        plot(byCase, {
          title: `${name}, every case`,
          horizontal: "cases in the order of the copy's figure",
          kind: 'dots',
        }),
        plot(byFrame, { title: `${name}, share of frames up to it`, horizontal: name, kind: 'line', vertical: [0, 1] }),
      ];
    })
    .join('\n');
}

/** The measure by which cases are bad. */
function worstMeasure({ protocol, measures }: EvaluationResult): MeasureId {
  if (protocol === 'cross') return 'csim';
  return measures.some(({ id }) => id === 'perceptual') ? 'perceptual' : 'l1';
}

const worstBy = (result: EvaluationResult): string => escaped(measureOf(worstMeasure(result)).label);

function worstCases(
  result: EvaluationResult,
  { name, cases }: ContestantSummary,
  readPicture: (file: string) => Uint8Array | null,
): string {
  const id = worstMeasure(result);
  const sign = measureOf(id).better === 'lower' ? -1 : 1;
  // A case without a figure has lost the face in every frame.
  const figureOf = ({ figures }: (typeof cases)[number]): number => {
    const figure = figures[id];
    return typeof figure === 'number' ? sign * figure : -Number.MAX_VALUE;
  };
  const chosen = cases
    .filter(({ worst }) => worst)
    .sort((a, b) => figureOf(a) - figureOf(b))
    .slice(0, WORST);
  const figures = chosen.map(({ name: title, worst, figures: found }) => {
    const bytes = readPicture(worst!.file);
    const words = `${title}, frame ${worst!.frame}; the case's ${measureOf(id).label} ${shownFigure(id, found[id])}`;
    if (!bytes) {
      const lost = `${words}; its picture, worst/${worst!.file}, was removed`;
      return `<figure><figcaption>${escaped(lost)}</figcaption></figure>`;
    }
    const data = Buffer.from(bytes).toString('base64');
    return `<figure><img src="data:image/webp;base64,${data}" alt="${escaped(words)}"><figcaption>${escaped(words)}</figcaption></figure>`;
  });
  return `<h3>${escaped(name)}</h3>\n<div class="pictures">${figures.join('\n')}</div>`;
}

function caseTable({ measures }: EvaluationResult, { name, cases }: ContestantSummary): string {
  const rows = cases.map((each): Cell[] => [
    escaped(each.name),
    String(each.frames),
    ...measures.map(({ id }) => shownFigure(id, each.figures[id])),
    ...TRANSFER_SIGNALS.map((name) => shownTransfer(each.expression[name])),
  ]);
  const transfer = TRANSFER_SIGNALS.map((name) => `${TRANSFER_SIGNAL_LABELS[name]} <small>slope / corr.</small>`);
  const head = ['case', 'frames', ...measures.map(({ id }) => heading(id)), ...transfer];
  return `<details><summary>${escaped(name)}: ${cases.length} cases</summary>\n${table(head, rows)}</details>`;
}

function factsTable(contestants: readonly ContestantSummary[]): string {
  const names = [...new Set(contestants.flatMap(({ facts }) => Object.keys(facts)))];
  const rows = contestants.map(({ name, facts }): Cell[] => [
    escaped(name),
    ...names.map((fact): Cell => ({ html: escaped(facts[fact] ?? ''), kind: 'words' })),
  ]);
  return table(['', ...names.map(escaped)], rows);
}

function measuresTable({ measures }: EvaluationResult): string {
  const rows = measures.map(({ id, meaning, measuredBy }): Cell[] => [
    heading(id),
    { html: escaped(meaning), kind: 'words' },
    { html: escaped(measuredBy), kind: 'words' },
  ]);
  return table(['', 'what it is', 'measured by'], rows);
}
