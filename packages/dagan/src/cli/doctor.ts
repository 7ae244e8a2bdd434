// `dagan doctor`: what this machine offers for animation, what is missing, and the line that mends it.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addonPath, aptLine, type Blas, type BuildRecord, currentBlas, readBuildRecord } from '@dagan/libtorch/build';
import { loadCodecs } from '../media/codecs.js';

/** How a finding weighs: `fail` means that `dagan animate` cannot work. */
export type Mark = 'ok' | 'note' | 'warn' | 'fail';

/** One line of the report. */
export interface Finding {
  mark: Mark;
  /** What was looked at, a word or two. */
  subject: string;
  /** What was found. */
  text: string;
  /** What to do about it, shown on a line of its own. */
  remedy?: string;
}

const signs: Record<Mark, string> = { ok: '✓', note: '·', warn: '!', fail: '✗' };

/** Runs the examination, prints its report and returns the exit code: 1 only if `dagan animate` cannot work. */
export async function runDoctor(): Promise<number> {
  const findings = await examine();
  console.log(formatFindings(findings));
  return exitCodeOf(findings);
}

/** The report as text, one line a finding. */
export async function doctorReport(): Promise<string> {
  return formatFindings(await examine());
}

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
export async function examine(): Promise<Finding[]> {
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
    weightsFinding(fileURLToPath(new URL('../../../../../weights/', import.meta.url))),
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

/** Instruction sets that decide how fast LibTorch computes. */
export interface ProcessorFeatures {
  avx2: boolean;
  avx512: boolean;
  /** Dot products of bfloat16 in vector registers (`avx512_bf16`). */
  avx512Bf16: boolean;
  /** Tile matrix unit, and whether it multiplies bfloat16: the fastest path. */
  amxTiles: boolean;
  amxBf16: boolean;
  /** Arm's bfloat16 and int8 matrix instructions. */
  armBf16: boolean;
  armI8mm: boolean;
}

/** Reads instruction sets from words as `/proc/cpuinfo` (`flags`, `Features`) and `sysctl` (`hw.optional.arm.FEAT_...: 1`) list them. */
export function parseProcessorFeatures(text: string): ProcessorFeatures {
  const words = new Set(
    text
      .split('\n')
      .flatMap((line) => {
        const [, name, value] = /^(?:hw\.optional\.(?:arm\.)?)(\S+): (\d)$/.exec(line.trim()) ?? [];
        if (name !== undefined) return value === '1' ? [name] : [];
        return line.split(/[\s:]+/);
      })
      .map((word) => word.toLowerCase().replace(/^feat_/, '')),
  );
  const has = (...names: string[]) => names.some((name) => words.has(name));
  return {
    avx2: has('avx2', 'avx2_0'),
    avx512: has('avx512f'),
    avx512Bf16: has('avx512_bf16'),
    amxTiles: has('amx_tile'),
    amxBf16: has('amx_bf16'),
    armBf16: has('bf16'),
    armI8mm: has('i8mm'),
  };
}

/** Judges the processor: bfloat16 units are what makes animation fast, AVX2 or Arm's NEON what makes it bearable. */
export function processorFinding(model: string, features: ProcessorFeatures): Finding {
  const names: [boolean, string][] = [
    [features.avx2, 'AVX2'],
    [features.avx512, 'AVX-512'],
    [features.avx512Bf16, 'AVX-512 bf16'],
    [features.amxTiles, 'AMX tiles'],
    [features.amxBf16, 'AMX bf16'],
    [features.armBf16, 'Arm bf16'],
    [features.armI8mm, 'Arm i8mm'],
  ];
  const present = names.filter(([there]) => there).map(([, name]) => name);
  const bf16 = features.amxBf16 || features.avx512Bf16 || features.armBf16;
  const speed = features.amxBf16
    ? 'bfloat16 in matrix units, the fastest'
    : bf16
      ? 'bfloat16 in vector units'
      : 'no bfloat16 units, float32 is used';
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

/** Instruction sets of this processor; none where they cannot be found out. */
export function processorFeatures(): ProcessorFeatures {
  try {
    if (platform() === 'darwin')
      return parseProcessorFeatures(execFileSync('sysctl', ['hw.optional'], { encoding: 'utf8' }));
    const lines = readFileSync('/proc/cpuinfo', 'utf8').split('\n');
    return parseProcessorFeatures(lines.find((line) => /^(flags|Features)\s*:/.test(line)) ?? '');
  } catch {
    return parseProcessorFeatures('');
  }
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
    const lines = (error as Error).message.trim().split('\n');
    return [{ mark: 'fail', subject: 'LibTorch', text: lines[0]!, remedy: 'npm run setup' }];
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
      remedy: 'npm ci',
    };
  }
}

async function imageFinding(): Promise<Finding> {
  try {
    const { default: sharp } = await import('sharp');
    return { mark: 'ok', subject: 'Images', text: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}` };
  } catch (error) {
    const text = `sharp cannot be loaded: ${(error as Error).message.trim().split('\n')[0]}`;
    return { mark: 'fail', subject: 'Images', text, remedy: 'npm ci --include=optional' };
  }
}

/** Lists the weights in a directory. None is no hindrance: `--checkpoint` names a file anywhere. */
export function weightsFinding(directory: string): Finding {
  const remedy = 'name a checkpoint with --checkpoint FILE; published .pth.tar files work as they are';
  try {
    const files = readdirSync(directory).filter((name) => /\.(safetensors|pth|tar|onnx)$/.test(name));
    if (files.length > 0) {
      const list = files
        .sort()
        .map((name) => `${name} (${(statSync(join(directory, name)).size / 1e6).toFixed(1)} MB)`);
      return { mark: 'ok', subject: 'Weights', text: list.join(', ') };
    }
  } catch {
    // An absent directory holds no weights either.
  }
  return { mark: 'note', subject: 'Weights', text: 'none in weights/', remedy };
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
