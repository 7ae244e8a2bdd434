// Ways to animate, measured beside each other: milliseconds per frame and stage, and their ratios, from one run.
import { noGrad, tidy } from '@dagan/libtorch';
import { DaGAN, type Engine, type ModelConfig, type Picture, pictureToTensor, tensorToPictures } from 'dagan';
import { fillByFormula, publishedName } from 'dagan/models';
import { exampleFrames, examplePortrait, psnr } from './example.js';
import { median } from './statistics.js';

/** What every flow can do: take the portrait once, then frames one batch after the other. */
export type Flow = {
  name: string;
  start(portrait: Picture): Promise<void>;
  /** Milliseconds of each stage for all frames, and the frames. */
  run(frames: readonly Picture[]): Promise<{ drive: number; generate: number; pictures: Picture[] }>;
  dispose(): void;
};

/** A model whose weights follow a formula; they have its shapes, so the work is its work. */
export const formulaModel = (config: ModelConfig): DaGAN => fillByFormula(new DaGAN(config), { rename: publishedName });

/**
 * The published flow, built from our own networks: float32, as trained, depth and keypoints of the driving frame, then the
 * whole generator with the source's encoder, frame by frame.
 */
export function publishedFlow(config: ModelConfig): Flow {
  const model = formulaModel(config).eval().requiresGrad_(false);
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

/** Whatever an engine does, in batches of its size. */
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

/** Runs flows in turn, round by round, and prints a table; the first is the one that others are compared with. */
export async function compareFlows(
  flows: readonly Flow[],
  { frameCount, rounds }: { frameCount: number; rounds: number },
): Promise<void> {
  const portrait = await examplePortrait();
  const frames = await exampleFrames(frameCount);
  const sourceTimes = new Map<Flow, number>();
  for (const flow of flows) {
    await flow.start(portrait); // the first pass warms up
    const begin = performance.now();
    await flow.start(portrait);
    sourceTimes.set(flow, performance.now() - begin);
    await flow.run(frames.slice(0, 4));
  }
  const results = new Map(flows.map((flow) => [flow, { drive: [] as number[], generate: [] as number[] }]));
  const lastPictures = new Map<Flow, Picture[]>();
  for (let round = 0; round < rounds; round++) {
    for (const flow of flows) {
      const { drive, generate, pictures } = await flow.run(frames);
      results.get(flow)!.drive.push(drive / frameCount);
      results.get(flow)!.generate.push(generate / frameCount);
      lastPictures.set(flow, pictures);
    }
  }
  const reference = lastPictures.get(flows[0]!)!;
  const baseline = median(results.get(flows[0]!)!.drive) + median(results.get(flows[0]!)!.generate);
  console.log(
    'flow                      source once ms  drive ms  generate ms  total ms  times faster  PSNR to the first',
  );
  for (const flow of flows) {
    const drive = median(results.get(flow)!.drive);
    const generate = median(results.get(flow)!.generate);
    const total = drive + generate;
    const quality = flow === flows[0] ? '' : `${psnr(reference, lastPictures.get(flow)!).toFixed(1)} dB`;
    console.log(
      `${flow.name.padEnd(26)}${sourceTimes.get(flow)!.toFixed(1).padStart(14)}${drive.toFixed(1).padStart(10)}${generate.toFixed(1).padStart(13)}${total.toFixed(1).padStart(10)}` +
        `${(baseline / total).toFixed(2).padStart(14)}  ${quality}`,
    );
  }
}
