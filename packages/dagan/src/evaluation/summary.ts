// From the figures of frames to the tables: one figure per contestant and measure, overall and per case.
import type { ChangeRegression } from '../faces/change-sums.js';
import type { MeasuredBy } from '../faces/networks.js';
import { TRANSFER_SIGNAL_LABELS, TRANSFER_SIGNALS } from '../faces/transfer-signals.js';
import { combine, type InstrumentName, MEASURE_IDS, type MeasureId, measureOf, type Protocol } from './measures.js';
import { type ExpressionTransfer, expressionTransfer } from './metrics/expression-transfer.js';
import type { CaseRow } from './rows.js';

/** A column. */
export type ContestantSummary = {
  name: string;
  /** What is known of it: model, weights, steps, engine. */
  facts: Readonly<Record<string, string>>;
  /** Over all scored frames of all cases; null where no frame has a figure. */
  overall: Partial<Record<MeasureId, number | null>>;
  /** How expressions followed, over all cases. */
  expression: ExpressionTransfer;
  cases: {
    name: string;
    /** Scored frames. */
    frames: number;
    figures: Partial<Record<MeasureId, number | null>>;
    expression: ExpressionTransfer;
    worst: CaseRow['worst'];
  }[];
};

/** What `evaluation.json` holds. */
export type EvaluationResult = {
  format: 'dagan-evaluation-1';
  /** What made it. */
  program: string;
  protocol: Protocol;
  settings: Readonly<Record<string, string | number | boolean | null>>;
  /** The measures, with what each was measured by. */
  measures: {
    id: MeasureId;
    label: string;
    unit: string;
    better: 'lower' | 'higher';
    meaning: string;
    measuredBy: string;
  }[];
  /** What read the expressions of the faces. */
  expressionMeasuredBy: string;
  cases: number;
  /** Scored frames. */
  frames: number;
  contestants: ContestantSummary[];
};

/** "MediaPipe face mesh, 468 points (@mediapipe/face_mesh 0.4.1657299874)" */
const inWords = (by: MeasuredBy | undefined): string => (by ? `${by.name} (${by.version})` : 'arithmetic on pixels');

/** The measures that rows have, described. */
export function describeMeasures(
  ids: readonly MeasureId[],
  measuredBy: Partial<Record<InstrumentName, MeasuredBy>>,
): EvaluationResult['measures'] {
  return ids.map((id) => {
    const { label, unit, better, meaning, instrument } = measureOf(id);
    return { id, label, unit, better, meaning, measuredBy: inWords(measuredBy[instrument]) };
  });
}

/** What reads the signals of expression transfer. */
export const describeExpression = (measuredBy: Partial<Record<InstrumentName, MeasuredBy>>): string =>
  `lengths on the ${inWords(measuredBy.mesh)}, turned to the front`;

/** The column of one contestant. @param rows its rows, in the order of the cases */
export function summarise(
  { name, facts }: Pick<ContestantSummary, 'name' | 'facts'>,
  rows: readonly CaseRow[],
): ContestantSummary {
  const ids = MEASURE_IDS.filter((id) => rows.some(({ scores }) => scores[id]));
  const figures = (of: readonly CaseRow[]): Partial<Record<MeasureId, number | null>> =>
    Object.fromEntries(
      ids.map((id) => [
        id,
        combine(
          id,
          of.flatMap(({ scores }) => scores[id] ?? []),
        ),
      ]),
    );
  return {
    name,
    facts,
    overall: figures(rows),
    expression: expressionTransfer(rows.map(({ expression }) => expression)),
    cases: rows.map((row) => ({
      name: row.case,
      frames: row.frames.length,
      figures: figures([row]),
      expression: expressionTransfer([row.expression]),
      worst: row.worst,
    })),
  };
}

/** A figure for people: "0.0412", "22.31"; a dash for none. */
export function shownFigure(id: MeasureId, value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : value.toFixed(measureOf(id).digits);
}

/** Of some figures, the index of the best one; undefined if none is known. */
export function bestOf(id: MeasureId, values: readonly (number | null | undefined)[]): number | undefined {
  const sign = measureOf(id).better === 'lower' ? 1 : -1;
  const known = values.flatMap((value, at) => (typeof value === 'number' ? [{ at, value: sign * value }] : []));
  return known.sort((a, b) => a.value - b.value)[0]?.at;
}

/** The overall table as text: a line per measure, a column per contestant, the best marked with a star. */
export function summaryTable({ measures, contestants }: EvaluationResult): string {
  const cells = measures.map(({ id, label, unit, better }) => {
    const values = contestants.map(({ overall }) => overall[id]);
    const best = bestOf(id, values);
    const name = `${label}${unit ? `, ${unit}` : ''} ${better === 'lower' ? '↓' : '↑'}`;
    return [name, ...values.map((value, at) => shownFigure(id, value) + (at === best ? '*' : ' '))];
  });
  return alignedTable([['', ...contestants.map(({ name }) => `${name} `)], ...cells]);
}

/** A slope with its correlation for people: "0.62 / 0.85"; a dash for what is not known. */
export function shownTransfer({ slope, correlation }: ChangeRegression): string {
  const shown = (value: number | null): string => (value === null ? '–' : value.toFixed(2).replace('-0.00', '0.00'));
  return `${shown(slope)} / ${shown(correlation)}`;
}

/** The slope that comes nearest to 1, as an index; undefined if none is known. */
export function nearestToOne(slopes: readonly (number | null)[]): number | undefined {
  const known = slopes.flatMap((slope, at) => (slope === null ? [] : [{ at, error: Math.abs(1 - slope) }]));
  return known.sort((a, b) => a.error - b.error)[0]?.at;
}

/**
 * Expression transfer as cells: of every signal how much the drivers vary, in how many frames, and each contestant's slope and
 * correlation, with the number of frames where it differs from that of the first, the copy.
 */
export function expressionCells({
  frames,
  contestants,
}: Pick<EvaluationResult, 'frames' | 'contestants'>): { cells: string[]; best?: number }[] {
  return TRANSFER_SIGNALS.map((name) => {
    const all = contestants.map(({ expression }) => expression[name]);
    const { deviation, count } = all[0]!;
    const counted = count === frames ? String(count) : `${count} of ${frames}`;
    const figures = all.map((each) => shownTransfer(each) + (each.count === count ? '' : ` (${each.count} frames)`));
    return {
      cells: [TRANSFER_SIGNAL_LABELS[name], deviation.toFixed(4), counted, ...figures],
      best: nearestToOne(all.map(({ slope }) => slope)),
    };
  });
}

/** The table of expression transfer as text: a line per signal, a column per contestant, the best marked with a star. */
export function expressionTable(result: EvaluationResult): string {
  const rows = expressionCells(result).map(({ cells, best }) =>
    cells.map((cell, at) => (at < 3 ? cell : cell + (at - 3 === best ? '*' : ' '))),
  );
  const names = result.contestants.map(({ name }) => `${name} `);
  return alignedTable([['slope / correlation', 'varies', 'frames', ...names], ...rows]);
}

/** Rows of cells as lines, the first column to the left, the others to the right. */
export function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => [...row[column]!].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
