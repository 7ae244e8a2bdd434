// What this machine offers for animation, what is missing, and the line that mends it.
import { existsSync, readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { addonPath, aptLine, type Blas, type BuildRecord, currentBlas, readBuildRecord } from '@dagan/libtorch/build';
import { loadCodecs } from '../media/formats/codecs.js';
import { multipliesBfloat16, type ProcessorFeatures, processorFeatures } from '../processor.js';
import { defaultExport, WEIGHT_FOLDERS } from './default-model.js';

/** How a finding weighs: `fail` means that `dagan animate` cannot work. */
export type Mark = 'ok' | 'note' | 'warn' | 'fail';

/** One line of the report. */
export type Finding = {
  mark: Mark;
  /** What was looked at, a word or two. */
  subject: string;
  /** What was found. */
  text: string;
  /** What to do about it, shown on a line of its own. */
  remedy?: string;
};

const signs: Record<Mark, string> = { ok: '✓', note: '·', warn: '!', fail: '✗' };

/** 1 if a finding stands in the way of `dagan animate`, else 0. */
export function exitCodeOf(findings: readonly Finding[]): 0 | 1 {
  return findings.some((finding) => finding.mark === 'fail') ? 1 : 0;
}

/** Findings as lines: a mark, the subject and the text in columns, then remedies indented. */
export function formatFindings(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((finding) => finding.subject.length));
  return findings
    .flatMap(({ mark, subject, text, remedy }) => [
      `${signs[mark]} ${subject.padEnd(width)}  ${text}`,
      ...(remedy ? [`  ${' '.repeat(width)}  -> ${remedy}`] : []),
    ])
    .join('\n');
}

/** Looks at everything; no finding throws, each problem becomes a line. */
export async function examineMachine(): Promise<Finding[]> {
  return [
    nodeFinding(process.versions.node),
    { mark: 'ok', subject: 'System', text: `${systemName()}, ${arch()}` },
    processorFinding(processorModel(), processorFeatures()),
    {
      mark: 'ok',
      subject: 'Resources',
      text: `${availableParallelism()} cores, ${gigabytes(totalmem())} memory, ${gigabytes(freemem())} of it free`,
    },
    ...(await libtorchFindings()),
    await codecFinding(),
    await imageFinding(),
  ];
}

/** Judges Node's version, given as in `process.versions.node`. */
export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const enough = major > 20 || (major === 20 && minor >= 15);
  return enough
    ? { mark: 'ok', subject: 'Node', text: version }
    : { mark: 'fail', subject: 'Node', text: `${version} is too old`, remedy: 'install Node 20.15 or newer' };
}

/** Judges the processor: bfloat16 units are what makes animation fast, AVX2 or Arm's NEON what makes it bearable. */
export function processorFinding(model: string, features: ProcessorFeatures): Finding {
  const names: [boolean, string][] = [
    [features.avx2, 'AVX2'],
    [features.avx512, 'AVX-512'],
    [features.avx512Bf16, 'AVX-512 bf16'],
    [features.vnni, 'VNNI'],
    [features.amxTiles, 'AMX tiles'],
    [features.amxBf16, 'AMX bf16'],
    [features.armBf16, 'Arm bf16'],
    [features.armI8mm, 'Arm i8mm'],
  ];
  const present = names.filter(([there]) => there).map(([, name]) => name);
  const bf16 = multipliesBfloat16(features);
  const speed = features.amxBf16
    ? 'bfloat16 in matrix units, the fastest'
    : bf16
      ? 'bfloat16 in vector units'
      : 'float32 is used';
  const slow = !bf16 && !features.avx2 && arch() === 'x64';
  return {
    mark: slow ? 'warn' : 'ok',
    subject: 'Processor',
    text: `${model} (${present.join(', ') || 'no vector extensions of note'}): ${speed}`,
    remedy: slow ? 'expect slow computation; a processor with AVX2 or newer is several times faster' : undefined,
  };
}

function processorModel(): string {
  return cpus()[0]?.model.trim() || 'unknown model';
}

function systemName(): string {
  try {
    const name = /^PRETTY_NAME="?(.*?)"?$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    if (name) return `${name} (kernel ${release()})`;
  } catch {
    // Only Linux has the file.
  }
  return `${platform()} ${release()}`;
}

/** LibTorch, the addon, BLAS, GPUs and process groups. */
async function libtorchFindings(): Promise<Finding[]> {
  const record = await readBuildRecord(dirname(addonPath()));
  try {
    const { buildInfo } = await import('@dagan/libtorch');
    const info = buildInfo();
    return [
      {
        mark: 'ok',
        subject: 'LibTorch',
        text: `${info.version}${record ? ` (${originName(record)})` : ''}, addon loads`,
      },
      ...(record ? [blasFinding(currentBlas(record.libtorch))] : []),
      gpuFinding(info.cudaDevices, record),
      ...(record ? [processGroupFinding(record)] : []),
    ];
  } catch (error) {
    const problem = (error as Error).message.trim().split('\n')[0]!;
    return [withoutLibtorch(problem, existsSync(addonPath()))];
  }
}

/**
 * LibTorch that cannot be used stands in the way, unless it was left out and the default model runs without.
 *
 * @param built whether the addon is there all the same
 */
export function withoutLibtorch(problem: string, built: boolean, folders: readonly string[] = WEIGHT_FOLDERS): Finding {
  const finding = { subject: 'LibTorch', remedy: 'npx dagan setup' };
  if (built || !runsWithout(folders)) return { ...finding, mark: 'fail', text: problem };
  const text =
    'not set up: the default model runs on ONNX Runtime; other weights, training, evaluation and export need it';
  return { ...finding, mark: 'note', text };
}

function runsWithout(folders: readonly string[]): boolean {
  try {
    return defaultExport(folders) !== undefined;
  } catch {
    return false; // whoever looks at the weights says what is wrong
  }
}

function originName({ libtorch }: BuildRecord): string {
  const place = libtorch.libraryDirs[0];
  if (libtorch.origin === 'system') return `the system's, ${place}`;
  return `${libtorch.origin === 'python' ? "Python's torch" : 'LIBTORCH'}, ${place}`;
}

/** Judges the BLAS in use: the reference one makes attention and training many times slower. */
export function blasFinding(blas: Blas): Finding {
  const place = blas.path ? ` (${blas.path})` : '';
  if (blas.kind !== 'reference') return { mark: 'ok', subject: 'BLAS', text: `${blas.kind}${place}` };
  return {
    mark: 'warn',
    subject: 'BLAS',
    text: `the reference one${place}: matrix products are 30 to 50 times slower than with OpenBLAS`,
    remedy: aptLine(['libopenblas0-openmp']),
  };
}

function gpuFinding(devices: number, record: BuildRecord | undefined): Finding {
  if (devices > 0) return { mark: 'ok', subject: 'CUDA', text: `${devices} ${devices === 1 ? 'device' : 'devices'}` };
  const why = record?.libtorch.cuda ? 'no device' : (record?.libtorch.cudaWhy ?? 'no device');
  return { mark: 'note', subject: 'CUDA', text: `not used: ${why}` };
}

function processGroupFinding({ libtorch: { distributed } }: BuildRecord): Finding {
  const names = [distributed.gloo ? 'Gloo' : '', distributed.nccl ? 'NCCL' : ''].filter((name) => name);
  if (names.length > 0)
    return { mark: 'ok', subject: 'Processes', text: `several can work together through ${names.join(' and ')}` };
  return { mark: 'note', subject: 'Processes', text: `one only: ${distributed.why}` };
}

async function codecFinding(): Promise<Finding> {
  try {
    const mediabunny = await loadCodecs();
    const can = await Promise.all([
      mediabunny.canEncodeVideo('avc').then((able) => [able, 'H.264'] as const),
      mediabunny.canEncodeVideo('vp9').then((able) => [able, 'VP9'] as const),
      mediabunny.canEncodeAudio('aac').then((able) => [able, 'AAC'] as const),
      mediabunny.canEncodeAudio('opus').then((able) => [able, 'Opus'] as const),
    ]);
    const names = (wanted: boolean) => can.filter(([able]) => able === wanted).map(([, name]) => name);
    if (names(false).length === 0) return { mark: 'ok', subject: 'Video', text: `writes ${names(true).join(', ')}` };
    return {
      mark: 'warn',
      subject: 'Video',
      text: `writes ${names(true).join(', ') || 'nothing'}, but not ${names(false).join(', ')}`,
      remedy: 'npm install @mediabunny/server@1.59.0',
    };
  } catch (error) {
    const text = (error as Error).message.split('\n')[0]!;
    return {
      mark: 'warn',
      subject: 'Video',
      text: `${text} (GIF and folders of pictures work without)`,
      remedy: 'npm install --include=optional',
    };
  }
}

async function imageFinding(): Promise<Finding> {
  try {
    const { default: sharp } = await import('sharp');
    return { mark: 'ok', subject: 'Images', text: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}` };
  } catch (error) {
    const text = `sharp cannot be loaded: ${(error as Error).message.trim().split('\n')[0]}`;
    return { mark: 'fail', subject: 'Images', text, remedy: 'npm install --include=optional' };
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
