// A tiny model, trained for a minute on one clip: enough to see that a training learns, too little to be of use.
//
//   node examples/dist/train-tiny.js [CLIP] [RUN] [STEPS]
import { copyFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type AnimationTrainingConfig, datasetPairs, trainAnimation, trainingPreset } from 'dagan';

const [clip = 'examples/driving.mp4', folder = 'runs/tiny', steps = '60'] = process.argv.slice(2);

// A data set is a folder with clips in train/, and in test/ what it is tried on. One clip has to do for the first.
const data = join(folder, 'data');
mkdirSync(join(data, 'train'), { recursive: true });
copyFileSync(clip, join(data, 'train', basename(clip)));

const preset = trainingPreset('debug');
const config: AnimationTrainingConfig = {
  ...preset,
  steps: Number(steps),
  learningRate: 1e-3,
  phases: [{ size: 128, share: 1, adversarial: false }],
  weights: { ...preset.weights, perceptual: 0, pixel: 100 }, // the paper compares pictures by VGG-19 instead
};

const { step } = await trainAnimation({
  config,
  folder,
  data: await datasetPairs(data, { seed: config.seed, heldOut: 0, heldOutSamples: 0, workers: 1 }),
  perceptual: null,
  place: { device: 'cpu', group: null }, // a group of ranks trains together
  every: { checkpoint: 0, evaluation: 0, pictures: 0 },
  keep: 1,
  observers: () => [
    {
      step: ({ step, losses }) => {
        if (step === 1 || step % 10 === 0) console.log(`step ${step}: pixel loss ${losses.pixel!.toFixed(2)}`);
      },
    },
  ],
});
console.log(`${join(folder, 'model.safetensors')}: the model after ${step} steps`);
