// The evaluation as a whole: cases are shared among ranks, measured, kept, added up and reported.
import { existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { distributed } from '@dagan/libtorch';
import type { TransferOptions } from '../animation/transfer.js';
import { writeWhole, writing } from '../media/files.js';
import { writePicture } from '../media/pictures/images.js';
import { resizePicture } from '../media/pictures/resize.js';
import { grid } from '../visualization/drawing.js';
import { type CaseOptions, type EvaluationCase, findCases } from './cases.js';
import { type Contestant, copyOfSource } from './contestants.js';
import type { FrameCount } from './frame-source.js';
import type { Instruments } from './instruments.js';
import { type CaseScores, type CaseSettings, measureCase } from './measure-case.js';
import { measuresOf, type Protocol } from './measures.js';
import { htmlReport } from './report.js';
import { type CaseRow, RowStore, roundedChanges, roundedScores, rowKey } from './rows.js';
import { describeExpression, describeMeasures, type EvaluationResult, summarise } from './summary.js';

/** What is evaluated, on what, and how. */
export type EvaluateOptions = CaseOptions & {
  /** A folder of clips, or the root of a list's paths. */
  data: string;
  /** The models. The copy of the source frame is compared with them in any case. They are not disposed of. */
  contestants: readonly Contestant[];
  instruments: Instruments;
  /** Folder for results, which is made: `evaluation.json`, `report.html`, `rows/`, `worst/`. */
  output: string;
  /** Side of the frames in pixels; that of the models. */
  size: number;
  /** Every how many-th frame of a clip is scored. Default 1. */
  every?: number;
  /** How the source moves. Default: as the driving frame is (self), relative to the reference frame (cross). */
  motion?: TransferOptions['motion'];
  /** Scales relative motion by the sizes of the two faces. */
  adaptScale?: boolean;
  /** Measures with the quirks of the published scripts too. */
  paperCompatible?: boolean;
  /** What the results say they were made by. Default `dagan`. */
  program?: string;
  /** The ranks that share the cases; rank 0 writes the results when all are done. */
  group?: distributed.ProcessGroup | null;
  onProgress?: EvaluationProgress;
};

/** Told how far this process is. */
export type EvaluationProgress = {
  /** A case begins. `number` counts from 1 among the `total` that this process has to measure. */
  begin?(name: string, number: number, total: number): void;
  /** How many frames the case has, as far as known. */
  count?: FrameCount;
  /** Frames of the case that are done. */
  frames?(done: number): void;
  /** The case is done. */
  end?(): void;
};

/** Changes when figures of equal names come to mean something else; what was kept before is then not used. */
const METHOD = 3;

/** Side of the pictures in the folder `worst`. */
const WORST_SIDE = 160;

/**
 * Evaluates models on cases. What an earlier run with this folder has measured the same way is not measured again.
 *
 * @returns the results in rank 0; null in the others
 * @throws MediaError if the data are not what they should be; RangeError for options that cannot be
 */
export async function evaluate(options: EvaluateOptions): Promise<EvaluationResult | null> {
  const { data, output, group, instruments, onProgress = {} } = options;
  const [rank, worldSize] = [group?.rank ?? 0, group?.worldSize ?? 1];
  const settings = settingsOf(options);
  const contestants = named([copyOfSource(), ...options.contestants]);
  const cases = await findCases(data, options);
  checkMotion(cases, options.motion);
  const worst = join(output, 'worst');
  writing(worst, () => mkdirSync(worst, { recursive: true }));
  const store = new RowStore(output, rank);

  const known = store.read();
  const keyOf = (each: EvaluationCase, contestant: Contestant): string =>
    rowKey([METHOD, settingsFor(each, settings), instruments.measuredBy, describeCase(each), contestant.identity]);
  const missing = (each: EvaluationCase): Contestant[] =>
    contestants.filter((contestant) => !known.has(keyOf(each, contestant)));
  const own = cases.filter((each, number) => number % worldSize === rank && missing(each).length > 0);
  for (const [number, each] of own.entries()) {
    onProgress.begin?.(each.name, number + 1, own.length);
    const measured = missing(each);
    const scores = await measureCase(each, measured, instruments, settingsFor(each, settings), {
      onCount: onProgress.count,
      onFrames: onProgress.frames,
    });
    const rows: CaseRow[] = [];
    for (const [i, contestant] of measured.entries()) {
      rows.push(await toRow(each, scores[i]!, keyOf(each, contestant), worst));
    }
    store.append(rows);
    onProgress.end?.();
  }

  group?.barrier(); // all figures are on disk
  if (rank !== 0) return null;
  const rows = store.read();
  const result = resultOf(options, cases, contestants, (each, contestant) => rows.get(keyOf(each, contestant))!);
  await writeWhole(join(output, 'evaluation.json'), Buffer.from(`${JSON.stringify(result, null, 2)}\n`));
  const figuresOf = contestants.map((contestant) => cases.map((each) => rows.get(keyOf(each, contestant))!));
  const report = htmlReport(result, figuresOf, (file) => {
    const path = join(worst, file);
    return existsSync(path) ? readFileSync(path) : null;
  });
  await writeWhole(join(output, 'report.html'), Buffer.from(report));
  return result;
}

function settingsOf(options: EvaluateOptions): CaseSettings {
  const { protocol, size, every = 1, paperCompatible = false, adaptScale = false } = options;
  if (!(Number.isInteger(every) && every > 0)) {
    throw new RangeError(`every must be a positive whole number, not ${every}`);
  }
  const motion = options.motion ?? defaultMotion(protocol);
  return { protocol, size, every, motion: { motion, adaptScale }, published: paperCompatible };
}

const defaultMotion = (protocol: Protocol) => (protocol === 'self' ? 'absolute' : 'relative');

/** A single driving frame without a reference has nothing that its motion could be relative to. */
const hasReference = ({ driving, reference }: EvaluationCase): boolean => driving.kind === 'clip' || reference !== null;

function settingsFor(each: EvaluationCase, settings: CaseSettings): CaseSettings {
  if (hasReference(each)) return settings;
  return { ...settings, motion: { ...settings.motion, motion: 'absolute' } };
}

function checkMotion(cases: readonly EvaluationCase[], motion: EvaluateOptions['motion']): void {
  const without = motion === 'relative' && cases.find((each) => !hasReference(each));
  if (!without) return;
  throw new RangeError(
    `${without.name}: relative motion needs a clip, or a best_frame in the list, to be relative to; take absolute motion`,
  );
}

/** What is to be measured, with the state of the files that it comes from. */
function describeCase({ name, source, driving, reference, sourceFrame }: EvaluationCase): unknown {
  const stateOf = (path: string): unknown => {
    const { size, mtimeMs } = statSync(path);
    return [size, mtimeMs];
  };
  const paths = [source, driving, ...(reference ? [reference] : [])];
  return [name, sourceFrame, paths.map(({ path, frame }) => [frame, stateOf(path)])];
}

/** Gives contestants of one name different ones. */
function named(contestants: readonly Contestant[]): readonly Contestant[] {
  const names = contestants.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new RangeError(`two of the models are called '${twice}'`);
  return contestants;
}

async function toRow(each: EvaluationCase, scored: CaseScores, key: string, folder: string): Promise<CaseRow> {
  const { contestant, frames, scores, expression, worst } = scored;
  const kept = { scores: roundedScores(scores), expression: roundedChanges(expression) };
  const row = { key, contestant, case: each.name, frames, ...kept };
  if (!worst) return { ...row, worst: null };
  const { source, driving, generated } = worst.pictures;
  const file = `${key}.webp`;
  const pictures = [source, driving, generated].map((picture) => resizePicture(picture, WORST_SIDE, WORST_SIDE));
  await writePicture(join(folder, file), grid(pictures, { gap: 2 }));
  return { ...row, worst: { frame: worst.index, file } };
}

function resultOf(
  options: EvaluateOptions,
  cases: readonly EvaluationCase[],
  contestants: readonly Contestant[],
  rowOf: (each: EvaluationCase, contestant: Contestant) => CaseRow,
): EvaluationResult {
  const { protocol, size, every, motion, published } = settingsOf(options);
  const rows = contestants.map((contestant) => cases.map((each) => rowOf(each, contestant)));
  const ids = measuresOf(protocol, { published }).filter((id) => rows[0]!.some(({ scores }) => scores[id]));
  return {
    format: 'dagan-evaluation-1',
    program: options.program ?? 'dagan',
    protocol,
    settings: {
      data: options.data,
      ...(options.pairs !== undefined && { pairs: options.pairs }),
      ...(options.portraits !== undefined && { portraits: options.portraits }),
      size,
      every,
      motion: motion.motion,
      adaptScale: motion.adaptScale,
      paperCompatible: published,
      limit: options.limit ?? null,
      seed: options.seed ?? 0,
    },
    measures: describeMeasures(ids, options.instruments.measuredBy),
    expressionMeasuredBy: describeExpression(options.instruments.measuredBy),
    cases: cases.length,
    frames: rows[0]!.reduce((sum, { frames }) => sum + frames.length, 0),
    contestants: contestants.map((contestant, i) => summarise(contestant, rows[i]!)),
  };
}
