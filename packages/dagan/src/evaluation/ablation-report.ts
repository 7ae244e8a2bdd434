// The ablation's table, as text, Markdown and a page.
import { TRANSFER_SIGNAL_LABELS, type TransferSignal } from '../faces/transfer-signals.js';
import type { AblationPlan, PaperFigures } from './ablation-rows.js';
import type { MeasureId, Protocol } from './measures.js';
import { measureOf } from './measures.js';
import { type Cell, escaped, page, table } from './page.js';
import { alignedTable, bestOf, type EvaluationResult, nearestToOne, shownFigure, shownTransfer } from './summary.js';

/** What `ablation.json` holds. */
export type AblationResult = {
  format: 'dagan-ablation-1';
  program: string;
  plan: AblationPlan;
  /** Whether the face-depth network was trained. */
  trainedDepth: boolean;
  rows: { preset: string; label: string; parameters: number; paper: PaperFigures }[];
  /** Copying the source comes first, then the rows. */
  self: EvaluationResult;
  cross: EvaluationResult;
};

/** Columns: of our measurement by each protocol, and of the paper. */
const MEASURED: readonly (readonly [Protocol, MeasureId])[] = [
  ['self', 'l1'],
  ['self', 'psnr'],
  ['self', 'ssim'],
  ['self', 'perceptual'],
  ['self', 'akd'],
  ['self', 'l1Mouth'],
  ['self', 'l1Eyes'],
  ['cross', 'csim'],
  ['cross', 'prmse'],
  ['cross', 'aucon'],
];
/** Further columns: slopes of expression transfer. */
const TRANSFERRED: readonly (readonly [Protocol, TransferSignal])[] = [
  ['self', 'mouthOpening'],
  ['self', 'mouthWidth'],
  ['self', 'lids'],
  ['cross', 'mouthOpening'],
];
const PAPER: readonly (keyof PaperFigures)[] = ['csim', 'prmse', 'aucon'];

/** A row of the table: a name, our figures, the paper's. */
type Line = { label: string; size: string; figures: string[]; best: boolean[]; paper: string[] };

function lines({ rows, self, cross }: AblationResult): Line[] {
  const measured = MEASURED.map(([protocol, id]) => {
    const values = (protocol === 'self' ? self : cross).contestants.map(({ overall }) => overall[id]);
    return { figures: values.map((value) => shownFigure(id, value)), best: bestOf(id, values.slice(1)) };
  });
  const transferred = TRANSFERRED.map(([protocol, name]) => {
    const all = (protocol === 'self' ? self : cross).contestants.map(({ expression }) => expression[name]);
    return { figures: all.map(shownTransfer), best: nearestToOne(all.slice(1).map(({ slope }) => slope)) };
  });
  const columns = [...measured, ...transferred];
  const labels = ['Copy of the source', ...rows.map(({ label }) => label)];
  return labels.map((label, at) => {
    const row = rows[at - 1];
    return {
      label,
      size: row ? `${(row.parameters / 1e6).toFixed(1)} M` : '',
      figures: columns.map(({ figures }) => figures[at]!),
      best: columns.map(({ best }) => best === at - 1),
      paper: PAPER.map((id) => row?.paper[id].toFixed(measureOf(id).digits === 4 ? 3 : 2) ?? ''),
    };
  });
}

const headings = (): string[] => {
  const arrow = (id: MeasureId): string => (measureOf(id).better === 'lower' ? '↓' : '↑');
  return [
    ...MEASURED.map(([protocol, id]) => `${protocol === 'cross' ? 'cross ' : ''}${measureOf(id).label} ${arrow(id)}`),
    ...TRANSFERRED.map(([protocol, name]) => `${protocol === 'cross' ? 'cross ' : ''}${TRANSFER_SIGNAL_LABELS[name]}`),
    ...PAPER.map((id) => `paper ${measureOf(id).label} ${arrow(id)}`),
  ];
};

/** The table for a terminal; the best row of each column has a star. */
export function ablationTable(result: AblationResult): string {
  const cells = lines(result).map(({ label, size, figures, best, paper }) => [
    label,
    size,
    ...figures.map((figure, i) => figure + (best[i] ? '*' : ' ')),
    ...paper,
  ]);
  return alignedTable([['', 'weights', ...headings()], ...cells]);
}

/** Under what the figures came about, sentence by sentence. */
function conditions({ plan, trainedDepth, self, cross }: AblationResult): string[] {
  const { steps, batchSize, size, channels } = plan;
  const weights = Object.entries(plan.weights ?? {}).map(([name, weight]) => `${name} ${weight}`);
  return [
    `Every row: ${steps} steps of ${batchSize} pairs at ${size} x ${size} pixels, ${channels} channels in the first layers.`,
    ...(weights.length > 0 ? [`Weights of losses other than the presets': ${weights.join(', ')}.`] : []),
    trainedDepth
      ? 'Rows with FDN or CAM use one trained face-depth network.'
      : 'The face-depth network of the rows with FDN or CAM was NOT trained, so these rows say nothing about depth.',
    `Same person: ${self.cases} clips, ${self.frames} frames; cross-identity: ${cross.cases} pairs, ${cross.frames} frames.`,
    "Mouth opening, mouth width, lids: slope / correlation of the generated change on the driver's; 1 copies it, 0 does nothing.",
    "The paper's figures are those of its Table 4 (Hong et al., CVPR 2022): across identities on CelebV, with other measuring " +
      'networks and full training: the order of rows may be compared, the figures may not.',
  ];
}

/** The table in Markdown. */
export function ablationMarkdown(result: AblationResult): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const head = ['model', 'weights', ...headings()];
  const body = lines(result).map(({ label, size, figures, best, paper }) =>
    row([label, size, ...figures.map((figure, i) => (best[i] ? `**${figure}**` : figure)), ...paper]),
  );
  const rule = row(head.map((_, i) => (i === 0 ? '---' : '---:')));
  return `# Ablation\n\n${conditions(result).join('\n')}\n\n${[row(head), rule, ...body].join('\n')}\n`;
}

/** The table as a page, beside the reports of both protocols. */
export function ablationHtml(result: AblationResult): string {
  const rows = lines(result).map(({ label, size, figures, best, paper }): Cell[] => [
    escaped(label),
    size,
    ...figures.map((figure, i): Cell => (best[i] ? { html: figure, kind: 'best' } : figure)),
    ...paper,
  ]);
  const body = [
    '<h1>Ablation: face depth (FDN) and attention (CAM)</h1>',
    ...conditions(result).map((sentence) => `<p>${escaped(sentence)}</p>`),
    table(['', 'weights', ...headings().map(escaped)], rows),
    '<p class="faint">Every clip, plots and worst cases: self/report.html and cross/report.html in the same folder. ' +
      `Made by ${escaped(result.program)}.</p>`,
  ];
  return page('Ablation', body.join('\n'));
}
