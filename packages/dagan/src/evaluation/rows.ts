// Figures of finished cases on disk, so that an evaluation that was ended goes on, and one with a further model measures that
// model alone. Every process appends to a file of its own; all files are read.
import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writing } from '../media/files.js';
import type { MeasureId } from './measures.js';
import type { ExpressionChanges } from './metrics/expression-transfer.js';

/** The figures of one contestant in one case. */
export type CaseRow = {
  /** Of everything that decides the figures, see `rowKey`. */
  key: string;
  contestant: string;
  case: string;
  /** Numbers of the scored frames in the driving clip. */
  frames: number[];
  /** A figure per frame; null where there is none (a face that was not found, say). */
  scores: Partial<Record<MeasureId, (number | null)[]>>;
  /** How mouth, lids and brows changed in every frame, driving and generated. */
  expression: ExpressionChanges;
  /** The frame that came out worst, and the picture file of it in the folder `worst`. */
  worst: { frame: number; file: string } | null;
};

/** Significant digits that are kept. */
const DIGITS = 7;

/** A name for whatever the parts are: equal for equal parts, on any machine. */
export function rowKey(parts: unknown): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** Figures as they are kept, so that they are the same whether just measured or read again. */
export function roundedScores(scores: CaseRow['scores']): CaseRow['scores'] {
  return Object.fromEntries(Object.entries(scores).map(([id, values]) => [id, values.map(rounded)]));
}

/** Changes as they are kept, likewise. */
export function roundedChanges(changes: ExpressionChanges): ExpressionChanges {
  const entries = Object.entries(changes).map(([name, { driving, generated }]) => [
    name,
    { driving: driving.map(rounded), generated: generated.map(rounded) },
  ]);
  return Object.fromEntries(entries);
}

const rounded = (value: number | null): number | null => (value === null ? null : Number(value.toPrecision(DIGITS)));

/** The rows of a folder. */
export class RowStore {
  readonly #folder: string;
  readonly #rank: number;

  /** @param output the evaluation's folder */
  constructor(output: string, rank = 0) {
    this.#rank = rank;
    this.#folder = join(output, 'rows');
    writing(this.#folder, () => mkdirSync(this.#folder, { recursive: true }));
  }

  /** All rows, by key. A line that was cut off when its process ended is no row. */
  read(): Map<string, CaseRow> {
    const rows = new Map<string, CaseRow>();
    for (const name of readdirSync(this.#folder).sort()) {
      if (!name.endsWith('.jsonl')) continue;
      for (const line of readFileSync(join(this.#folder, name), 'utf8').split('\n')) {
        const row = parsed(line);
        if (row) rows.set(row.key, row);
      }
    }
    return rows;
  }

  /** Adds rows, each a line. */
  append(rows: readonly CaseRow[]): void {
    // The line that another process may have left unfinished must not swallow the first of these.
    const text = rows.map((row) => `\n${JSON.stringify(row)}\n`).join('');
    const path = join(this.#folder, `${this.#rank}.jsonl`);
    writing(path, () => appendFileSync(path, text));
  }
}

function parsed(line: string): CaseRow | null {
  if (line === '') return null;
  try {
    const row = JSON.parse(line) as CaseRow;
    return typeof row.key === 'string' && row.scores && row.expression ? row : null;
  } catch {
    return null;
  }
}
