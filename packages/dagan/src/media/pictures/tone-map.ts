// Pictures of high dynamic range (phones record HLG, films are PQ) as ordinary ones: BT.2020 to the primaries and the curve of
// sRGB. What a screen would show up to about white stays as it is, what is brighter is compressed into the rest. Runs in Node
// and in browsers.
import type { Picture } from './picture.js';

/** Curves of high dynamic range, by their names in WebCodecs (Rec. ITU-R BT.2100). */
export type HdrTransfer = 'hlg' | 'pq';

/** Candelas per square metre of diffuse white (Rec. ITU-R BT.2408), which becomes 1 here; the peak of HLG's screen. */
const WHITE = 203;
const HLG_PEAK = 1000;
/** Exponent of HLG's screen at that peak, less 1. */
const HLG_SYSTEM_GAMMA = 0.2;

/** Light up to here stays as it is; above, twice the way to white is half of what is left. */
const KNEE = 0.75;

/** HLG's signal, 0 to 1, to light of the scene, 0 to 1. */
function hlgToScene(signal: number): number {
  const [a, b, c] = [0.17883277, 0.28466892, 0.55991073];
  return signal <= 0.5 ? signal ** 2 / 3 : (Math.exp((signal - c) / a) + b) / 12;
}

/** PQ's signal, 0 to 1, to light of the screen, 1 for diffuse white. */
function pqToScreen(signal: number): number {
  const [m1, m2, c1, c2, c3] = [2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128];
  const power = signal ** (1 / m2);
  return ((Math.max(0, power - c1) / (c2 - c3 * power)) ** (1 / m1) * 10_000) / WHITE;
}

const DECODED: Record<HdrTransfer, Float32Array> = {
  hlg: Float32Array.from({ length: 256 }, (_, value) => hlgToScene(value / 255)),
  pq: Float32Array.from({ length: 256 }, (_, value) => pqToScreen(value / 255)),
};

/** sRGB's curve over [0, 1], finely enough for the steps of 8 bits next to black. */
const STEPS = 8191;
const ENCODED = Uint8Array.from({ length: STEPS + 1 }, (_, step) => {
  const light = step / STEPS;
  return Math.round(255 * (light <= 0.0031308 ? 12.92 * light : 1.055 * light ** (1 / 2.4) - 0.055));
});

const encode = (light: number): number => ENCODED[Math.max(0, Math.min(STEPS, Math.round(light * STEPS)))]!;

/** The curve that a track's tags name, if it is one of high dynamic range. */
export function hdrTransfer(transfer: string | null | undefined): HdrTransfer | undefined {
  return transfer === 'hlg' || transfer === 'pq' ? transfer : undefined;
}

/** Changes R'G'B' values of BT.2020 with such a curve to those of sRGB, in place. */
export function toStandardRange({ data }: Picture, transfer: HdrTransfer): void {
  const decoded = DECODED[transfer];
  for (let i = 0; i < data.length; i += 3) {
    let [red, green, blue] = [decoded[data[i]!]!, decoded[data[i + 1]!]!, decoded[data[i + 2]!]!];
    let scale = 1;
    if (transfer === 'hlg') {
      const luminance = 0.2627 * red + 0.678 * green + 0.0593 * blue;
      scale = (HLG_PEAK / WHITE) * luminance ** HLG_SYSTEM_GAMMA;
    }
    const most = Math.max(red, green, blue) * scale;
    if (most > KNEE) {
      const beyond = (most - KNEE) / (1 - KNEE);
      scale *= (KNEE + ((1 - KNEE) * beyond) / (1 + beyond)) / most;
    }
    red *= scale;
    green *= scale;
    blue *= scale;
    data[i] = encode(1.6605 * red - 0.5876 * green - 0.0728 * blue);
    data[i + 1] = encode(-0.1246 * red + 1.1329 * green - 0.0083 * blue);
    data[i + 2] = encode(-0.0182 * red - 0.1006 * green + 1.1187 * blue);
  }
}
