// How Monkey-Net learns (Siarohin et al., CVPR 2019, Section 3.5): against a discriminator that knows the keypoints, and by that
// network's features in place of a perceptual one. Neither lets the keypoints learn through the discriminator's input.
import { cat, type Tensor } from '@dagan/libtorch';
import { discriminatorLoss, generatorAdversarialLoss } from '../../losses/adversarial.js';
import { featureReconstruction } from '../../losses/feature-reconstruction.js';
import { perceptualLoss } from '../../losses/perceptual.js';
import { ImagePyramid } from '../../losses/pyramid.js';
import type { AnimationModel } from '../../models/animation-model.js';
import type { Judgement } from '../../models/discriminator.js';
import { MONKEY_DISCRIMINATOR, MonkeyDiscriminator } from '../../models/monkey-net/discriminator.js';
import type { MonkeyFrame } from '../../models/monkey-net/generator.js';
import { gaussians, type MonkeyNet } from '../../models/monkey-net/monkey-net.js';
import type { Keypoints } from '../../tensors/keypoint-set.js';
import type { FramePair } from './pair.js';
import type { Judged, ObjectiveSetup, SystemObjective, SystemTraining } from './system-objective.js';

class MonkeyNetObjective implements SystemObjective {
  readonly judge: MonkeyDiscriminator;
  readonly #model: MonkeyNet;
  readonly #setup: ObjectiveSetup;
  readonly #pyramid: ImagePyramid;

  constructor(model: MonkeyNet, setup: ObjectiveSetup) {
    this.#model = model;
    this.#setup = setup;
    // As wide as the generator's encoder: its published widths for the published model.
    const { blockExpansion } = model.config.generator;
    this.judge = new MonkeyDiscriminator(model.config.numKeypoints, {
      ...MONKEY_DISCRIMINATOR,
      blockExpansion,
      maxFeatures: 8 * blockExpansion,
    }).to({ device: setup.device, memoryFormat: 'channels_last' });
    this.#pyramid = new ImagePyramid().to({ device: setup.device });
  }

  reconstruct(pair: FramePair): MonkeyFrame {
    return this.#made(pair).frame;
  }

  judged(pair: FramePair): Judged {
    const { weights } = this.#setup.config;
    const { driving, frame } = this.#made(pair);
    const generated = this.#judge(frame.prediction, driving);
    const real = this.#judge(pair.driving, driving);
    const terms: Judged['terms'] = {
      generatorAdversarial: generatorAdversarialLoss(new Map([[1, generated]])),
      featureReconstruction: featureReconstruction(real, generated).reduce((sum, term) => sum.add(term)),
    };
    if (weights.perceptual > 0) {
      const [fake, truth] = [this.#pyramid.forward(frame.prediction), this.#pyramid.forward(pair.driving)];
      terms.perceptual = perceptualLoss(this.#setup.perceptual!, fake, truth);
    }
    const judgeLoss = (): Tensor => {
      const [ofReal, ofFake] = [this.#judge(pair.driving, driving), this.#judge(frame.prediction.detach(), driving)];
      return discriminatorLoss(new Map([[1, ofReal]]), new Map([[1, ofFake]]));
    };
    return { frame, terms, judgeLoss };
  }

  dispose(): void {
    this.judge.dispose();
    this.#pyramid.dispose();
  }

  /** Both frames go through the detector together, so that batch norms see them alike. */
  #made({ source, driving }: FramePair): { driving: Keypoints; frame: MonkeyFrame } {
    const count = source.size(0);
    const { logits, keypoints } = this.#model.driving(cat([source, driving], 0));
    const part = (from: number): Keypoints => ({
      value: keypoints.value.narrow(0, from, count),
      jacobian: keypoints.jacobian!.narrow(0, from, count),
    });
    const encoded = this.#model.generator.encodeSource(source);
    const portrait = { logits: logits.narrow(0, 0, count), keypoints: part(0), encoded, disparity: null };
    return { driving: part(count), frame: this.#model.generate(portrait, part(count)) };
  }

  #judge(frames: Tensor, { value, jacobian }: Keypoints): Judgement {
    return this.judge.forward(frames, gaussians({ value: value.detach(), jacobian: jacobian!.detach() }));
  }
}

export const MONKEY_NET_TRAINING: SystemTraining = {
  terms: ['generatorAdversarial', 'featureReconstruction', 'perceptual'],
  objective: (model: AnimationModel, setup) => new MonkeyNetObjective(model as MonkeyNet, setup),
};
