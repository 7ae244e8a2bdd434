// Perceptual networks by name.
import { nn, readStateDict, tidy } from '@dagan/libtorch';
import { openCheckpoint } from '@dagan/libtorch/checkpoint';
import { loadInception, PerceptualNetworkError } from './inception-weights.js';
import { type PerceptualNetwork, Vgg19 } from './vgg19.js';

/** `default`: Inception v3 from an npm package (docs/perceptual.md). `vgg19`: the paper's, from a file of torchvision's. */
export type PerceptualNetworkName = 'default' | 'vgg19';

/**
 * A perceptual network with its weights, frozen, in float32 on the CPU. What it says of two frames is weighted by 10 in
 * Eq. 10, whichever it is.
 *
 * @param file VGG-19's state dict as torchvision publishes it; for `vgg19` only
 * @param learning whether a training learns from it: its convolutions are then computed as in training, in fewer multiplications
 * and with larger rounding errors (`F.trainingConv2d`)
 * @throws PerceptualNetworkError if the weights are not there, or the file holds another network; CheckpointError if it
 * cannot be read
 */
export function perceptualNetwork(
  name: PerceptualNetworkName = 'default',
  { file, learning = false }: { file?: string; learning?: boolean } = {},
): nn.Module & PerceptualNetwork {
  const network = loadNetwork(name, file);
  return learning ? network.train().to({ memoryFormat: 'channels_last' }) : network;
}

function loadNetwork(name: PerceptualNetworkName, file?: string): nn.Module & PerceptualNetwork {
  if (name === 'default') {
    if (file !== undefined) throw new TypeError(`the default perceptual network takes no file, but ${file} was given`);
    return loadInception();
  }
  if (file === undefined) {
    throw new PerceptualNetworkError('VGG-19 needs a file: its weights as torchvision publishes them (vgg19-*.pth)');
  }
  return loadVgg19(file);
}

function loadVgg19(file: string): Vgg19 {
  using checkpoint = openCheckpoint(file);
  const features = new Map([...checkpoint.tensors].filter(([key]) => key.startsWith('features.')));
  try {
    return tidy(() => Vgg19.fromStateDict(readStateDict(features)));
  } catch (error) {
    if (!(error instanceof nn.StateDictError)) throw error;
    throw new PerceptualNetworkError(`${file} is not the VGG-19 that torchvision publishes: ${error.message}`, {
      cause: error,
    });
  }
}
