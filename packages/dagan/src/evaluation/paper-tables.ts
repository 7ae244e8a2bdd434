// What the paper (Hong et al., CVPR 2022) reports of DaGAN and of the systems that it compares it with.
import type { MeasureId, Protocol } from './measures.js';

/** The comparisons with other systems, in the paper's order. */
export const PAPER_TABLES = [
  {
    id: 'table1',
    title: 'Table 1: the same person',
    data: 'VoxCeleb1',
    protocol: 'self',
    measures: ['csim', 'ssim', 'psnr', 'prmse', 'aucon'],
  },
  {
    id: 'table2',
    title: 'Table 2: the same person, distances',
    data: 'VoxCeleb1',
    protocol: 'self',
    measures: ['l1', 'akd', 'aed'],
  },
  {
    id: 'table3',
    title: 'Table 3: across identities',
    data: 'CelebV',
    protocol: 'cross',
    measures: ['csim', 'prmse', 'aucon'],
  },
] as const satisfies readonly {
  id: string;
  title: string;
  /** What the paper measured on. */
  data: string;
  protocol: Protocol;
  measures: readonly MeasureId[];
}[];

export type PaperTableId = (typeof PAPER_TABLES)[number]['id'];

/** A system's figures, in the order of each table's measures; a table that it is not in is left out. */
export type PaperRow = {
  /** As the paper calls it. */
  label: string;
  figures: Partial<Record<PaperTableId, readonly number[]>>;
};

/** By the names of trainings, without `-small`. */
export const PAPER_ROWS: Readonly<Record<string, PaperRow>> = {
  x2face: {
    label: 'X2Face',
    figures: {
      table1: [0.689, 0.719, 22.537, 3.26, 0.813],
      table2: [0.078, 7.687, 0.405],
      table3: [0.45, 3.62, 0.679],
    },
  },
  'neuralhead-ff': {
    label: 'NeuralHead-FF',
    figures: { table1: [0.229, 0.635, 20.818, 3.76, 0.719], table3: [0.108, 3.3, 0.722] },
  },
  marionette: {
    label: 'MarioNETte',
    figures: { table1: [0.755, 0.744, 23.244, 3.13, 0.825], table3: [0.52, 3.41, 0.71] },
  },
  'marionette-lt': { label: 'MarioNETte+LT', figures: {} },
  'monkey-net': { label: 'Monkey-Net', figures: { table2: [0.049, 1.878, 0.199] } },
  fomm: {
    label: 'FOMM',
    figures: {
      table1: [0.813, 0.723, 30.394, 3.2, 0.886],
      table2: [0.043, 1.294, 0.14],
      table3: [0.462, 3.9, 0.667],
    },
  },
  'meshg-like': {
    label: 'MeshG',
    figures: { table1: [0.822, 0.739, 30.394, 3.2, 0.887], table3: [0.635, 3.41, 0.709] },
  },
  osfv: {
    label: 'OSFV',
    figures: {
      table1: [0.895, 0.761, 30.695, 1.64, 0.921],
      table2: [0.043, 1.62, 0.153],
      table3: [0.791, 3.15, 0.805],
    },
  },
  dagan: {
    label: 'DaGAN',
    figures: {
      table1: [0.899, 0.804, 31.22, 1.22, 0.939],
      table2: [0.036, 1.279, 0.117],
      table3: [0.723, 2.33, 0.873],
    },
  },
};
