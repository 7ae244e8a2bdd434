// The table of what is measured: names, units, which way is better, what measures it, how frames add up.
import { mean, rootMeanSquare } from './statistics.js';

/** Which frames are generated and what they are compared with. */
export type Protocol = 'self' | 'cross';

/** What a figure comes from: pixels alone, or a network. */
export type InstrumentName = 'pixels' | 'perceptual' | 'mesh' | 'identity' | 'pose' | 'expression';

export type Measure = {
  /** Short name, as papers have it. */
  label: string;
  unit: string;
  better: 'lower' | 'higher';
  /** Decimals shown. */
  digits: number;
  instrument: InstrumentName;
  protocols: readonly Protocol[];
  /** Whether it repeats a quirk of the published scripts and is measured on request alone. */
  published?: boolean;
  /** Root mean square over frames instead of the mean. */
  rootMeanSquare?: boolean;
  /** What it is, for the report. */
  meaning: string;
};

const both: readonly Protocol[] = ['self', 'cross'];
const self: readonly Protocol[] = ['self'];
const cross: readonly Protocol[] = ['cross'];

/** All measures, in the order of the tables. */
export const MEASURES = {
  l1: {
    ...{ label: 'L1', unit: '', better: 'lower', digits: 4, instrument: 'pixels', protocols: self },
    meaning: 'mean absolute difference of colours in [0, 1]',
  },
  l1Bytes: {
    ...{ label: 'L1, 0-255', unit: '', better: 'lower', digits: 2, instrument: 'pixels', protocols: self },
    meaning: 'the same with colours in 0 to 255',
  },
  psnr: {
    ...{ label: 'PSNR', unit: 'dB', better: 'higher', digits: 2, instrument: 'pixels', protocols: self },
    meaning: 'peak signal-to-noise ratio, the mean over frames; identical frames count as 100 dB',
  },
  ssim: {
    ...{ label: 'SSIM', unit: '', better: 'higher', digits: 4, instrument: 'pixels', protocols: self },
    meaning: 'structural similarity, Gaussian window of 11 x 11 (sigma 1.5), range 1, mean of the colour channels',
  },
  ssimPublished: {
    ...{ label: 'SSIM, published', unit: '', better: 'higher', digits: 4, instrument: 'pixels', protocols: self },
    published: true,
    meaning: "as the published scripts: scikit-image's 7 x 7 window and constants for a range of 2, which inflate it",
  },
  perceptual: {
    ...{ label: 'Perceptual', unit: '', better: 'lower', digits: 4, instrument: 'perceptual', protocols: self },
    meaning: "distance of a network's features, each position's scaled to length 1 (LPIPS without its learned weights)",
  },
  l1Mouth: {
    ...{ label: 'L1, mouth', unit: '', better: 'lower', digits: 4, instrument: 'mesh', protocols: self },
    meaning: "L1 in the box around the real frame's lips",
  },
  psnrMouth: {
    ...{ label: 'PSNR, mouth', unit: 'dB', better: 'higher', digits: 2, instrument: 'mesh', protocols: self },
    meaning: 'PSNR there',
  },
  l1Eyes: {
    ...{ label: 'L1, eyes', unit: '', better: 'lower', digits: 4, instrument: 'mesh', protocols: self },
    meaning: "L1 in the boxes around the real frame's eyes",
  },
  psnrEyes: {
    ...{ label: 'PSNR, eyes', unit: 'dB', better: 'higher', digits: 2, instrument: 'mesh', protocols: self },
    meaning: 'PSNR there',
  },
  akd: {
    ...{ label: 'AKD', unit: 'px', better: 'lower', digits: 3, instrument: 'mesh', protocols: self },
    meaning: 'mean distance of the 468 mesh points, in pixels of a frame of 256 x 256',
  },
  akdPublished: {
    ...{ label: 'AKD, published', unit: 'px', better: 'lower', digits: 3, instrument: 'mesh', protocols: self },
    published: true,
    meaning: 'as the published script: the mean over coordinates of the absolute difference',
  },
  aed: {
    ...{ label: 'AED', unit: '', better: 'lower', digits: 4, instrument: 'identity', protocols: self },
    meaning: 'Euclidean distance of identity embeddings of length 1, to the real frame',
  },
  aedPublished: {
    ...{ label: 'AED, published', unit: '', better: 'lower', digits: 4, instrument: 'identity', protocols: self },
    published: true,
    meaning: 'as the published script: the squared distance',
  },
  csim: {
    ...{ label: 'CSIM', unit: '', better: 'higher', digits: 4, instrument: 'identity', protocols: both },
    meaning: 'cosine of identity embeddings: to the real frame (same person), to the portrait (cross-identity)',
  },
  prmse: {
    ...{ label: 'PRMSE', unit: 'deg', better: 'lower', digits: 3, instrument: 'pose', protocols: both },
    rootMeanSquare: true,
    meaning: "root mean square error of the head's yaw, pitch and roll against the driving frame",
  },
  prmseCentred: {
    ...{ label: 'PRMSE, centred', unit: 'deg', better: 'lower', digits: 3, instrument: 'pose', protocols: cross },
    rootMeanSquare: true,
    meaning:
      "the same after the median pitch of each clip is taken off: a person's features shift the pitch that is read",
  },
  aucon: {
    ...{ label: 'AUCON', unit: '', better: 'higher', digits: 4, instrument: 'expression', protocols: both },
    meaning: 'share of expression units that are on or off as in the driving frame, each against a face at rest',
  },
  missing: {
    ...{ label: 'Lost faces', unit: '', better: 'lower', digits: 4, instrument: 'mesh', protocols: both },
    meaning: 'share of the frames whose face is found in the driving frame and not in the generated one',
  },
} as const satisfies Record<string, Measure>;

export type MeasureId = keyof typeof MEASURES;

/** Ids in the order of the tables. */
export const MEASURE_IDS = Object.keys(MEASURES) as MeasureId[];

/** A measure by its id. */
export const measureOf = (id: MeasureId): Measure => MEASURES[id];

/** What a protocol measures. @param published whether with the quirks of the published scripts too */
export function measuresOf(protocol: Protocol, { published = false } = {}): MeasureId[] {
  return MEASURE_IDS.filter((id) => {
    const measure = measureOf(id);
    return measure.protocols.includes(protocol) && (published || !measure.published);
  });
}

/** One figure of frames' figures; null if none of them has one. */
export function combine(id: MeasureId, values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  return measureOf(id).rootMeanSquare ? rootMeanSquare(known) : mean(known);
}
