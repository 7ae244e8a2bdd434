// How fast this machine animates: every engine and precision in turn, a whole animation, and where the time goes.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInfo, isBuilt, setThreads } from '@dagan/libtorch';
import { LibtorchEngine, loadLibtorchEngine } from '../../animation/engines/libtorch.js';
import { loadOnnxRuntimeEngine } from '../../animation/engines/onnx-runtime.js';
import { exportModel } from '../../export/export-model.js';
import { readManifest } from '../../export/exported-folder.js';
import { DaGAN } from '../../models/dagan.js';
import { fillByFormula } from '../../models/files/formula-weights.js';
import { loadModel, type ModelFiles, saveModel } from '../../models/files/model-file.js';
import { publishedName } from '../../models/files/names.js';
import type { Precision } from '../../models/inference/inference.js';
import { multipliesBfloat16, type ProcessorFeatures, processorFeatures } from '../../processor.js';
import { TRAINING_PRESETS } from '../../training/animation/presets.js';
import { VERSION } from '../../version.js';
import { exportOnce, requireLibtorch } from '../choose-engine.js';
import { chooseModelFiles, isExportedModel, NETWORK_SIZE } from '../choose-model.js';
import { defaultExport } from '../default-model.js';
import { Teller } from '../events.js';
import { engineFlow, type Flow, type FlowTimes, flowLines, measureFlows, publishedFlow } from './flows.js';
import { profileLibtorch, profileLines, profileOnnx, type StageProfile } from './operators.js';
import { centreSquares, renderedHead, type Seen } from './pictures.js';
import { measureWhole, type WholeTimes, wholeLine } from './whole.js';

/** What can be measured: the published way of computing on LibTorch, and the engines; LibTorch's arithmetic; models. */
export const BENCH = {
  engines: ['published', 'libtorch', 'onnx'],
  precisions: ['float32', 'bfloat16'],
  presets: Object.keys(TRAINING_PRESETS) as (keyof typeof TRAINING_PRESETS)[],
} as const;

type BenchEngine = (typeof BENCH.engines)[number];

export type BenchOptions = {
  /** The model: a file or an exported folder; by default the default model. */
  checkpoint?: string;
  /** Instead, a model of this preset whose weights follow a formula: its work is the same. */
  preset?: keyof typeof TRAINING_PRESETS;
  /** Default: those that are there. The first that is measured is what the others are compared with. */
  engines?: readonly BenchEngine[];
  /** Of LibTorch's engine. Default: float32, and bfloat16 where the processor has units for it. */
  precisions?: readonly Precision[];
  /** A portrait and a clip: what is shown to the networks, and what is animated as a whole. Default: a rendered head. */
  inputs?: { portrait: string; driving: string };
  /** Frames of a round, default 8, and rounds, default 3. */
  frames?: number;
  rounds?: number;
  /** Frames of the whole animation, which needs inputs; default 60, none for 0. */
  wholeFrames?: number;
  /** Threads of the processor; default all. */
  threads?: number;
  /** Whether operators are looked at too, with one thread. */
  profile?: boolean;
};

/** All that was measured; times in milliseconds where nothing else is said. */
export type BenchReport = {
  /** This program and the runtimes that were measured. */
  programs: readonly string[];
  processor: { name: string; features: ProcessorFeatures };
  threads: number;
  model: string;
  size: number;
  frames: number;
  rounds: number;
  flows: readonly FlowTimes[];
  whole: WholeTimes | null;
  profiles: readonly { name: string; stages: readonly StageProfile[] }[];
};

/** The model as each engine takes it. */
type Subject = { name: string; files?: ModelFiles; exported?: string };

/**
 * Measures in one run, so that ratios hold whatever else the machine does.
 *
 * @throws DaganError, CheckpointError or ExportedModelError for what is not there or cannot be read
 */
export async function benchmark(options: BenchOptions, tell = new Teller()): Promise<BenchReport> {
  const { threads = availableParallelism(), frames: count = 8, rounds = 3, wholeFrames = 60, inputs } = options;
  const features = processorFeatures();
  const engines = options.engines ?? BENCH.engines.filter((engine) => engine === 'onnx' || isBuilt());
  const precisions = options.precisions ?? (multipliesBfloat16(features) ? ['float32', 'bfloat16'] : ['float32']);
  const withLibtorch = engines.some((engine) => engine !== 'onnx');
  if (withLibtorch || options.preset !== undefined) requireLibtorch(options);
  const folder = mkdtempSync(join(tmpdir(), 'dagan-benchmark-'));
  try {
    const subject = await subjectOf(options, engines, folder, tell);
    const seen = inputs ? await centreSquares(inputs, count) : renderedHead(count);
    if (withLibtorch) setThreads(threads);
    const opened = await flowsOf(subject, { engines, precisions, threads });
    const flows = await measureFlows(opened.flows, { ...seen, rounds });
    for (const flow of opened.flows) flow.dispose();
    const { checkpoint } = options;
    const whole =
      inputs && wholeFrames > 0
        ? await measureWhole({
            ...{ ...inputs, end: wholeFrames, threads: options.threads },
            checkpoint: options.preset === undefined ? checkpoint : (subject.exported ?? subject.files!.checkpoint),
          })
        : null;
    return {
      programs: [`dagan ${VERSION}`, ...opened.programs],
      processor: { name: cpus()[0]?.model.trim() ?? 'unknown', features },
      ...{ threads, model: subject.name, size: NETWORK_SIZE, frames: seen.frames.length, rounds, flows, whole },
      profiles: options.profile ? await profilesOf(subject, { engines, precisions }, seen) : [],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Finds or makes the model's files. */
async function subjectOf(
  { checkpoint, preset }: BenchOptions,
  engines: readonly BenchEngine[],
  folder: string,
  tell: Teller,
): Promise<Subject> {
  const onnx = engines.includes('onnx');
  if (preset !== undefined) {
    using model = fillByFormula(new DaGAN(TRAINING_PRESETS[preset].model), { rename: publishedName });
    const files = { checkpoint: join(folder, 'model.safetensors') };
    saveModel(files.checkpoint, model);
    const exported = join(folder, 'exported');
    if (onnx) await exportModel(model, exported);
    return { name: `${preset}, weights by formula`, files, ...(onnx && { exported }) };
  }
  const files = chooseModelFiles({ checkpoint });
  const own = checkpoint === undefined ? defaultExport() : isExportedModel(checkpoint) ? checkpoint : undefined;
  return {
    name: checkpoint ?? files?.checkpoint ?? 'untrained',
    ...(files && { files }),
    ...(onnx && { exported: own ?? (await exportOnce({ checkpoint }, tell)) }),
  };
}

type Wanted = { engines: readonly BenchEngine[]; precisions: readonly Precision[] };

async function flowsOf(
  { files, exported }: Subject,
  { engines, precisions, threads }: Wanted & { threads: number },
): Promise<{ flows: Flow[]; programs: string[] }> {
  const flows: Flow[] = [];
  const programs: string[] = [];
  for (const engine of BENCH.engines.filter((each) => engines.includes(each))) {
    if (engine === 'published' && files) {
      const { model } = loadModel(files);
      if (model instanceof DaGAN) flows.push(publishedFlow(model));
      else model.dispose(); // of other systems the published flow is not rebuilt
    }
    if (engine === 'libtorch' && files) {
      programs.push(`LibTorch ${buildInfo().version}`);
      for (const precision of precisions) {
        const loaded = await loadLibtorchEngine(files, { precision }, threads);
        flows.push(engineFlow(`LibTorch, ${precision}`, loaded));
      }
    }
    if (engine === 'onnx' && exported !== undefined) {
      for (const { precision, int8 } of arithmeticOf(exported)) {
        const loaded = await loadOnnxRuntimeEngine(exported, { threads, int8 });
        if (!int8) programs.push(loaded.description.split(',')[0]!);
        flows.push(engineFlow(`ONNX Runtime, ${precision}`, loaded));
      }
    }
  }
  return { flows, programs };
}

/** In what an exported model can compute. */
function arithmeticOf(folder: string): { precision: string; int8: boolean }[] {
  const { precision, int8 } = readManifest(folder);
  return [{ precision, int8: false }, ...(int8 ? [{ precision: 'int8', int8: true }] : [])];
}

/** One thread, whose computing is then all there is. */
async function profilesOf(
  { files, exported }: Subject,
  { engines, precisions }: Wanted,
  seen: Seen,
): Promise<BenchReport['profiles']> {
  const profiles: { name: string; stages: StageProfile[] }[] = [];
  if (engines.includes('libtorch') && files) {
    setThreads(1);
    for (const precision of precisions) {
      const engine = new LibtorchEngine(loadModel(files).model, { precision, batchSize: 1 });
      profiles.push({ name: `LibTorch, ${precision}`, stages: await profileLibtorch(engine, seen) });
      engine.dispose();
    }
  }
  if (engines.includes('onnx') && exported !== undefined) {
    const manifest = readManifest(exported);
    const session = { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 } as const;
    for (const { precision, int8 } of arithmeticOf(exported)) {
      const stages = await profileOnnx({ manifest, folder: exported }, { session, int8 }, seen);
      profiles.push({ name: `ONNX Runtime, ${precision}`, stages });
    }
  }
  return profiles;
}

/** A report as lines for people. */
export function benchLines(report: BenchReport): string[] {
  const { programs, processor, threads, model, size, frames, rounds, flows, whole, profiles } = report;
  const units = Object.entries(processor.features).flatMap(([name, there]) => (there ? [name] : []));
  return [
    `${programs.join(', ')}; ${processor.name} (${units.join(', ') || 'no wide instructions known'}), ${threads} threads`,
    `${model}, ${size} x ${size}, ${frames} frames, ${rounds} rounds`,
    '',
    ...flowLines(flows),
    ...(whole ? ['', wholeLine(whole)] : []),
    ...profiles.flatMap(({ name, stages }) => profileLines(name, stages)),
  ];
}
