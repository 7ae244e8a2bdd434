// What the processor can do for LibTorch and ONNX Runtime: its instruction sets.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { platform } from 'node:os';

/** Instruction sets that decide how fast the runtimes compute. */
export type ProcessorFeatures = {
  avx2: boolean;
  avx512: boolean;
  /** Dot products of bfloat16 in vector registers (`avx512_bf16`). */
  avx512Bf16: boolean;
  /** Dot products of 8 bits in vector registers (`avx512_vnni`, `avx_vnni`). */
  vnni: boolean;
  /** Tile matrix unit, and whether it multiplies bfloat16: the fastest path. */
  amxTiles: boolean;
  amxBf16: boolean;
  /** Arm's bfloat16 and int8 matrix instructions. */
  armBf16: boolean;
  armI8mm: boolean;
};

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
    vnni: has('avx512_vnni', 'avx512vnni', 'avx_vnni'),
    amxTiles: has('amx_tile'),
    amxBf16: has('amx_bf16'),
    armBf16: has('bf16'),
    armI8mm: has('i8mm'),
  };
}

/**
 * Whether bfloat16 is the faster arithmetic here: with AMX or AVX-512 bf16. Arm has such instructions too, but whether
 * LibTorch's convolutions use them depends on how it was built.
 */
export function multipliesBfloat16({ amxBf16, avx512Bf16 }: ProcessorFeatures): boolean {
  return amxBf16 || avx512Bf16;
}

/** Whether convolutions of 8 bits are faster than those of float32 here: with dot products of 8 bits. */
export function multipliesInt8({ vnni }: ProcessorFeatures): boolean {
  return vnni;
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
