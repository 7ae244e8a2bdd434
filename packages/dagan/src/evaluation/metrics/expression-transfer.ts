// Expression transfer: how much of what the driver's face does the generated face does as well.
import { type ChangeRegression, regressChanges, sumChanges } from '../../faces/change-sums.js';
import { TRANSFER_SIGNALS, type TransferSignal, type TransferSignals } from '../../faces/transfer-signals.js';

/** Of every signal the changes in the frames of a case, null where a face was not found. */
export type ExpressionChanges = Record<TransferSignal, { driving: (number | null)[]; generated: (number | null)[] }>;

/** Of every signal how the generated change follows the driver's. */
export type ExpressionTransfer = Record<TransferSignal, ChangeRegression>;

/**
 * The changes in a case: of the driving frames since the reference frame, of the generated ones since the source. Each face's
 * lengths are in its own scale, so that changes compare across identities. Without a face in the reference frame or the source there
 * are none.
 *
 * @param frames the signals of every frame; null where there is no face
 * @param reference those of the driving frame that has the source's pose; for the same person those of the source itself
 * @param source those of the source
 */
export function expressionChanges(
  frames: readonly { real: TransferSignals | null; generated: TransferSignals | null }[],
  reference: TransferSignals | null,
  source: TransferSignals | null,
): ExpressionChanges {
  const change = (name: TransferSignal, now: TransferSignals | null, before: TransferSignals | null): number | null =>
    now && before ? now[name] - before[name] : null;
  return bySignal((name) => ({
    driving: frames.map(({ real }) => change(name, real, reference)),
    generated: frames.map(({ generated }) => change(name, generated, source)),
  }));
}

/** The pairs (driver's change, generated change) of a signal in the frames that have both. */
export function changePairs({ driving, generated }: ExpressionChanges[TransferSignal]): [x: number, y: number][] {
  return driving.flatMap((x, i): [number, number][] => {
    const y = generated[i] ?? null;
    return x === null || y === null ? [] : [[x, y]];
  });
}

/**
 * Slope and correlation of the generated change on the driver's, over all cases: sums of squares and products, around the means of
 * each case, are added up before they are divided. So a case weighs as much as its driver moves, still ones nothing, and what is
 * always there (a mouth that is half open in every frame) is no transfer. 1 is a perfect copy, 0 no reaction.
 */
export function expressionTransfer(cases: readonly ExpressionChanges[]): ExpressionTransfer {
  return bySignal((name) => regressChanges(cases.map((each) => sumChanges(changePairs(each[name])))));
}

function bySignal<T>(of: (name: TransferSignal) => T): Record<TransferSignal, T> {
  return Object.fromEntries(TRANSFER_SIGNALS.map((name) => [name, of(name)])) as Record<TransferSignal, T>;
}
