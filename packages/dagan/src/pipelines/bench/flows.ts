// Ways to animate, measured beside each other: milliseconds per frame and stage, from one run in which they take turns.
import { noGrad, tidy } from '@dagan/libtorch';
import type { Engine } from '../../animation/engine.js';
import { psnrOfError } from '../../evaluation/metrics/psnr.js';
import { mean, median } from '../../evaluation/statistics.js';
import type { Picture } from '../../media/pictures/picture.js';
import type { DaGAN } from '../../models/dagan.js';
import { pictureToTensor, tensorToPictures } from '../../tensors/pictures.js';

/** Milliseconds of each stage for all frames of a run, and the frames. */
export type FlowRun = { drive: number; generate: number; pictures: Picture[] };

/** What every flow can do: take the portrait once, then frames. */
export type Flow = {
  name: string;
  start(portrait: Picture): Promise<void>;
  run(frames: readonly Picture[]): Promise<FlowRun>;
  dispose(): void;
};

/** What a flow takes: milliseconds, medians over the rounds. */
export type FlowTimes = {
  name: string;
  /** Once per portrait. */
  source: number;
  /** Per frame: keypoints and their depth, the picture, both. */
  drive: number;
  generate: number;
  total: number;
  /** What all threads computed per frame, which other programs on the machine hardly change. */
  computed: number;
  /** How many times as fast as the first flow. */
  faster: number;
  /** Peak signal-to-noise ratio to the pictures of the first flow, in dB; null of the first, and where they are the same. */
  psnr: number | null;
};

/**
 * The published flow, of our own networks: float32, as trained, depth and keypoints of the driving frame, then the whole
 * generator with the source's encoder, frame by frame. Takes over the model, which is disposed of with it.
 */
export function publishedFlow(model: DaGAN): Flow {
  model.eval().requiresGrad_(false);
  // In use our attention works in blocks; the published one makes the whole matrix of weights, as ours does in training.
  model.generator.attention?.train();
  let portrait: Picture;
  return {
    name: 'published flow, float32',
    async start(picture) {
      portrait = picture;
      noGrad(() => tidy(() => void model.source(pictureToTensor(portrait))));
    },
    async run(frames) {
      const time = { drive: 0, generate: 0 };
      const pictures: Picture[] = [];
      noGrad(() =>
        tidy(() => {
          const image = pictureToTensor(portrait);
          const source = model.source(image);
          for (const frame of frames) {
            tidy(() => {
              const begin = performance.now();
              const { keypoints } = model.driving(pictureToTensor(frame));
              const middle = performance.now();
              const encoded = model.generator.encodeSource(image, source.disparity);
              const { prediction } = model.generator.forward(encoded, keypoints, source.keypoints);
              pictures.push(...tensorToPictures(prediction));
              time.drive += middle - begin;
              time.generate += performance.now() - middle;
            });
          }
        }),
      );
      return { ...time, pictures };
    },
    dispose: () => model.dispose(),
  };
}

/** What an engine does, in batches of its size. Takes over the engine, which is disposed of with it. */
export function engineFlow(name: string, engine: Engine): Flow {
  return {
    name,
    async start(picture) {
      await engine.setSource(picture);
    },
    async run(frames) {
      const time = { drive: 0, generate: 0 };
      const pictures: Picture[] = [];
      for (let i = 0; i < frames.length; i += engine.batchSize) {
        const begin = performance.now();
        const analyses = await engine.drive(frames.slice(i, i + engine.batchSize));
        const middle = performance.now();
        pictures.push(...(await engine.generate(analyses.map((analysis) => analysis.keypoints))));
        time.drive += middle - begin;
        time.generate += performance.now() - middle;
      }
      return { ...time, pictures };
    },
    dispose: () => engine.dispose(),
  };
}

/**
 * Runs flows in turn, round by round, so that whatever else the machine does meets all of them alike.
 *
 * @param flows the first is the one that others are compared with
 * @param frames square pictures of the flows' size; driving keypoints are used as they are
 */
export async function measureFlows(
  flows: readonly Flow[],
  { portrait, frames, rounds }: { portrait: Picture; frames: readonly Picture[]; rounds: number },
): Promise<FlowTimes[]> {
  const sources: number[] = [];
  for (const flow of flows) {
    await flow.start(portrait); // the first pass warms up
    const begin = performance.now();
    await flow.start(portrait);
    sources.push(performance.now() - begin);
    await flow.run(frames.slice(0, 4));
  }
  const runs: (FlowRun & { computed: number })[][] = flows.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, flow] of flows.entries()) {
      const before = process.cpuUsage();
      const run = await flow.run(frames);
      const { user, system } = process.cpuUsage(before);
      runs[i]!.push({ ...run, computed: (user + system) / 1000 });
    }
  }
  const perFrame = (i: number, stage: 'drive' | 'generate' | 'computed'): number =>
    median(runs[i]!.map((run) => run[stage])) / frames.length;
  const total = (i: number): number => perFrame(i, 'drive') + perFrame(i, 'generate');
  const reference = runs[0]![0]!.pictures;
  return flows.map(({ name }, i) => ({
    name,
    source: sources[i]!,
    drive: perFrame(i, 'drive'),
    generate: perFrame(i, 'generate'),
    total: total(i),
    computed: perFrame(i, 'computed'),
    faster: total(0) / total(i),
    psnr: i === 0 ? null : psnrOfAll(reference, runs[i]![0]!.pictures),
  }));
}

/** Of all pictures together, in dB; null where they are the same. */
function psnrOfAll(reference: readonly Picture[], pictures: readonly Picture[]): number | null {
  const errors = reference.map(({ data }, i) => {
    const other = pictures[i]!.data;
    let sum = 0;
    for (let j = 0; j < data.length; j++) sum += ((data[j]! - other[j]!) / 255) ** 2;
    return sum / data.length;
  });
  const ratio = psnrOfError(mean(errors));
  return Number.isFinite(ratio) ? ratio : null;
}

/** Lines of a table for people, the head first. */
export function flowLines(times: readonly FlowTimes[]): string[] {
  const row = (name: string, cells: readonly string[]): string =>
    name.padEnd(26) + cells.map((cell) => cell.padStart(14)).join('');
  const head = row('flow', [
    'portrait ms',
    'keypoints ms',
    'picture ms',
    'a frame ms',
    'computed ms',
    'times faster',
    'PSNR',
  ]);
  const lines = times.map(({ name, source, drive, generate, total, computed, faster, psnr }, i) => {
    const same = i === 0 ? '' : 'the same';
    const quality = psnr === null ? same : `${psnr.toFixed(1)} dB`;
    return row(name, [
      ...[source, drive, generate, total, computed].map((time) => time.toFixed(1)),
      faster.toFixed(2),
      quality,
    ]);
  });
  return [head, ...lines];
}
