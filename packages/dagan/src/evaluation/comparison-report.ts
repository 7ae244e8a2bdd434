// The tables of the comparison, as text, Markdown and a page.
import { OBJECTIVE_WEIGHTS, type ObjectiveWeights } from '../losses/objective.js';
import type { ModelOperations } from '../models/inference/operations.js';
import type { ComparisonPlan } from './comparison-rows.js';
import { type MeasureId, measureOf } from './measures.js';
import { type Cell, escaped, page, table } from './page.js';
import { PAPER_ROWS, PAPER_TABLES } from './paper-tables.js';
import { mean } from './statistics.js';
import { alignedTable, bestOf, type EvaluationResult, shownFigure } from './summary.js';

/** What `comparison.json` holds. */
export type ComparisonResult = {
  format: 'dagan-comparison-1';
  program: string;
  plan: ComparisonPlan;
  /** Whether the face-depth network of the models that have one was trained. */
  trainedDepth: boolean;
  systems: {
    /** Of the training, without `-small`. */
    name: string;
    label: string;
    parameters: number;
    operations: ModelOperations;
    /** Of its losses. */
    weights: ObjectiveWeights;
  }[];
  /** Copying the source comes first, then the systems with the first seed, then with the next. */
  self: EvaluationResult;
  cross: EvaluationResult;
};

/** A table in cells: text, and whether it is the best figure of its column. */
type Grid = {
  title: string;
  head: string[];
  rows: { text: string; best: boolean }[][];
  /** The first column of sentences; none if there are figures alone. */
  wordsFrom?: number;
};

/** Figures of one system with every seed. */
type Figures = (number | null)[];

const plain = (text: string) => ({ text, best: false });

/** The mean over seeds; null if a seed has none. */
const overSeeds = (figures: Figures): number | null => {
  const known = figures.filter((figure) => figure !== null);
  return known.length === figures.length ? mean(known) : null;
};

/** "0.0701", or of several seeds "0.0701 ± 0.0006": the mean and how far a seed is from it at most. */
function shown(id: MeasureId, figures: Figures): string {
  const middle = overSeeds(figures);
  if (middle === null || figures.length === 1) return shownFigure(id, middle);
  const spread = Math.max(...figures.map((figure) => Math.abs(figure! - middle)));
  return `${shownFigure(id, middle)} ± ${shownFigure(id, spread)}`;
}

/** As many decimals as the paper has. */
const paperFigure = (id: MeasureId, value: number | undefined): string =>
  value?.toFixed(measureOf(id).unit === 'deg' ? 2 : 3) ?? '';

/** One of the paper's tables: our figures by measure, then the paper's. */
function paperGrid(
  result: ComparisonResult,
  { id, title, data, protocol, measures }: (typeof PAPER_TABLES)[number],
): Grid {
  const { systems, plan } = result;
  const { contestants } = result[protocol];
  const figuresOf = (measure: MeasureId, system: number): Figures =>
    plan.seeds.map((_, i) => contestants[1 + i * systems.length + system]!.overall[measure] ?? null);
  // Whoever loses faces is judged on the easier rest.
  const measured: MeasureId[] = [...measures, 'missing'];
  const columns = measured.map((measure) => {
    const own = systems.map((_, system) => figuresOf(measure, system));
    const best = bestOf(measure, own.map(overSeeds));
    const copy = plain(shownFigure(measure, contestants[0]!.overall[measure]));
    return [copy, ...own.map((each, at) => ({ text: shown(measure, each), best: at === best }))];
  });
  const heading = (measure: MeasureId): string =>
    `${measureOf(measure).label} ${measureOf(measure).better === 'lower' ? '↓' : '↑'}`;
  const rows = ['copy of the source', ...systems.map(({ label }) => label)].map((label, at) => {
    const paper = at === 0 ? undefined : PAPER_ROWS[systems[at - 1]!.name]?.figures[id];
    return [
      plain(label),
      ...columns.map((column) => column[at]!),
      ...measures.map((measure, i) => plain(paperFigure(measure, paper?.[i]))),
    ];
  });
  const head = ['', ...measured.map(heading), ...measures.map((measure) => `paper: ${heading(measure)}`)];
  return { title: `${title} (the paper: ${data})`, head, rows };
}

/** What was compared: sizes and losses. */
function systemGrid({ systems }: ComparisonResult): Grid {
  const giga = (operations: number): string => (operations / 1e9).toFixed(2);
  const rows = systems.map(({ label, parameters, operations: { source, drive, generate }, weights }) => {
    const terms = (Object.keys(OBJECTIVE_WEIGHTS) as (keyof ObjectiveWeights)[]).filter((term) => weights[term] > 0);
    return [
      label,
      `${(parameters / 1e6).toFixed(2)} M`,
      giga(source),
      giga(drive + generate),
      terms.map((term) => `${term} ${weights[term]}`).join(', '),
    ].map(plain);
  });
  const head = ['', 'weights', 'GFLOP, portrait', 'GFLOP, frame', 'losses'];
  return { title: 'The systems', head, rows, wordsFrom: 4 };
}

/** What measured the figures of the tables. */
function measureGrid({ self, cross }: ComparisonResult): Grid {
  const wanted = new Set<MeasureId>(PAPER_TABLES.flatMap(({ measures }) => measures));
  const known = new Map([...self.measures, ...cross.measures].map((measure) => [measure.id, measure]));
  const rows = [...wanted].flatMap((id) => {
    const measure = known.get(id);
    return measure ? [[measure.label, measure.meaning, measure.measuredBy].map(plain)] : [];
  });
  return { title: 'What measured them', head: ['', 'what it is', 'measured by'], rows, wordsFrom: 1 };
}

const paperGrids = (result: ComparisonResult): Grid[] => PAPER_TABLES.map((each) => paperGrid(result, each));

/** Under what the figures came about, sentence by sentence. */
function conditions({ plan, trainedDepth, systems, self, cross }: ComparisonResult): string[] {
  const { steps, batchSize, size, channels, seeds, learningRate } = plan;
  const pairs = (steps * batchSize).toLocaleString('en');
  return [
    `Every system: ${steps} steps of ${batchSize} pairs (${pairs} in all) at ${size} x ${size} pixels, ${channels} channels in ` +
      `the first layers, seed${seeds.length > 1 ? 's' : ''} ${seeds.join(', ')}.`,
    learningRate === undefined
      ? 'Each has its own learning rate and its own losses.'
      : `The learning rate is ${learningRate}; each system has its own losses.`,
    ...(systems.some(({ name }) => name === 'dagan') && !trainedDepth
      ? ["DaGAN's face-depth network was NOT trained, so its row says nothing about depth."]
      : []),
    `Same person: ${self.cases} clips, ${self.frames} frames; across identities: ${cross.cases} pairs, ${cross.frames} frames.`,
    ...(seeds.length > 1 ? ['± is how far a seed is from the mean of all at most.'] : []),
    'GFLOP count two for each multiplication of convolutions and matrix products; a portrait is computed once.',
    "The paper's figures are those of its Tables 1 to 3 (Hong et al., CVPR 2022): fully trained, on other clips, with other " +
      'measuring networks. Orders of rows may be compared, figures may not.',
  ];
}

/** Tables 1 to 3 for a terminal; the best system of each column has a star. */
export function comparisonTables(result: ComparisonResult): string {
  return [systemGrid(result), ...paperGrids(result)]
    .map(({ title, head, rows }) => {
      const cells = rows.map((row) => row.map(({ text, best }, at) => (at === 0 ? text : text + (best ? '*' : ' '))));
      return `${title}\n${alignedTable([head.map((text, at) => (at === 0 ? text : `${text} `)), ...cells])}`;
    })
    .join('\n\n');
}

/** The report in Markdown. */
export function comparisonMarkdown(result: ComparisonResult): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const parts = [...paperGrids(result), systemGrid(result), measureGrid(result)].map(
    ({ title, head, rows, wordsFrom = Infinity }) =>
      [
        `## ${title}\n`,
        line(head),
        line(head.map((_, at) => (at === 0 || at >= wordsFrom ? '---' : '---:'))),
        ...rows.map((row) => line(row.map(({ text, best }) => (best ? `**${text}**` : text)))),
      ].join('\n'),
  );
  return `# Comparison of systems\n\n${conditions(result).join('\n')}\n\n${parts.join('\n\n')}\n`;
}

/** The report as a page, beside the reports of both protocols. */
export function comparisonHtml(result: ComparisonResult): string {
  const sections = [...paperGrids(result), systemGrid(result), measureGrid(result)].map(
    ({ title, head, rows, wordsFrom = Infinity }) => {
      const kindOf = (best: boolean, at: number) => (best ? 'best' : at >= wordsFrom ? 'words' : null);
      const cells = rows.map((row) =>
        row.map(({ text, best }, at): Cell => {
          const kind = kindOf(best, at);
          return kind ? { html: escaped(text), kind } : escaped(text);
        }),
      );
      return `<h2>${escaped(title)}</h2>\n${table(head.map(escaped), cells)}`;
    },
  );
  const body = [
    '<h1>Comparison of systems</h1>',
    ...conditions(result).map((sentence) => `<p>${escaped(sentence)}</p>`),
    ...sections,
    '<p class="faint">Every clip, plots and worst cases: self/report.html and cross/report.html in the same folder. ' +
      `Made by ${escaped(result.program)}.</p>`,
  ];
  return page('Comparison of systems', body.join('\n'));
}
