// What a whole animation takes beside the networks, from file to file: start, faces, decoding, encoding, memory. It runs in
// a process of its own, so that the figures are those of one animation and nothing else.
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { EngineChoice } from '../choose-engine.js';

/** What is animated, and with what. */
export type WholeOptions = EngineChoice & {
  portrait: string;
  driving: string;
  /** The frame before which to stop. */
  end?: number;
};

/** What one animation took. */
export type WholeTimes = {
  frames: number;
  /** Seconds from the process's start to its end. */
  seconds: number;
  /** Seconds until faces had been found, of which those that looking for them took; and until the first frame was done. */
  faceSeconds: number;
  firstFrameSeconds: number;
  /** Milliseconds per frame: the networks, and all else. */
  drive: number;
  generate: number;
  rest: number;
  /** The most memory that the process held, in bytes; without the codecs', which are processes of their own. */
  peakMemory: number;
};

/** What the process is told, and what it says. */
export type WholeOrder = WholeOptions & { output: string };
export type WholeReport = Omit<WholeTimes, 'seconds'>;

const SCRIPT = fileURLToPath(new URL('./whole-process.js', import.meta.url));

/** Animates into a temporary file in a process of its own. @throws Error with what that process said if it fails */
export async function measureWhole(options: WholeOptions): Promise<WholeTimes> {
  const folder = mkdtempSync(join(tmpdir(), 'dagan-benchmark-'));
  const order: WholeOrder = { ...options, output: join(folder, 'out.mp4') };
  try {
    const begin = performance.now();
    const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, JSON.stringify(order)]);
    const seconds = (performance.now() - begin) / 1000;
    return { ...(JSON.parse(stdout) as WholeReport), seconds };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One line for people. */
export function wholeLine(times: WholeTimes): string {
  const { frames, seconds, faceSeconds, firstFrameSeconds, drive, generate, rest, peakMemory } = times;
  const share = (100 * rest) / (drive + generate + rest);
  return (
    `whole animation, ${frames} frames: ${seconds.toFixed(1)} s, of which ${firstFrameSeconds.toFixed(1)} s before the ` +
    `first frame (faces ${faceSeconds.toFixed(1)} s); a frame: networks ${(drive + generate).toFixed(0)} ms, ` +
    `all else ${rest.toFixed(0)} ms (${share.toFixed(1)} %); at most ${(peakMemory / 1e6).toFixed(0)} MB`
  );
}
