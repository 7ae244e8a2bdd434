// The weights of Inception v3 from the npm package nsfwjs, which ships them: no download at run time.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { noGrad, tensor, tidy } from '@dagan/libtorch';
import { InceptionFeatures } from './inception.js';

/** A perceptual network's weights are not there, or are not what they should be. `message` says what to do. */
export class PerceptualNetworkError extends Error {
  override readonly name = 'PerceptualNetworkError';
}

const PACKAGE = 'nsfwjs@4.3.0';

/** Added to the variance by the batch norms of the file. */
const EPSILON = 1e-3;

/** A tensor of the file; each of its bytes q stands for the number `min + scale q`. */
type Entry = {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: { min: number; scale: number; dtype: string };
};

/** TensorFlow.js's description of a network and of the files that hold its tensors, one after the other. */
type Description = { weightsManifest: { paths: string[]; weights: Entry[] }[] };

/** Tensors by name, still as bytes: the classifier's, most of the file, are never needed as numbers. */
type Weights = ReadonlyMap<string, { shape: readonly number[]; min: number; scale: number; bytes: Uint8Array }>;

/**
 * Inception v3 with the weights that ImageNet taught it. The package's classifier was trained on top of them with these
 * layers locked (docs/perceptual.md), so they are Keras's, rounded to 8 bits.
 *
 * @param from module from which the package is looked for, as Node.js looks for any
 * @throws PerceptualNetworkError if the package is absent, or does not hold this network
 */
export function loadInception(from: string | URL = import.meta.url): InceptionFeatures {
  const folder = findFolder(createRequire(from));
  const weights = readWeights(folder);
  const network = new InceptionFeatures();
  try {
    noGrad(() => tidy(() => fill(network, weights, folder)));
  } catch (error) {
    network.dispose();
    throw error;
  }
  return network;
}

function findFolder(require: NodeJS.Require): string {
  let entry: string;
  try {
    entry = require.resolve('nsfwjs/models/inception_v3');
  } catch (error) {
    throw new PerceptualNetworkError(
      `the default perceptual network takes its weights from the npm package ${PACKAGE}, which is not installed. ` +
        `Install it: npm install ${PACKAGE} --legacy-peer-deps (its weights are all that is used; TensorFlow.js is not ` +
        "needed). Or give torchvision's VGG-19",
      { cause: error },
    );
  }
  return path.resolve(path.dirname(entry), '../../models/inception_v3');
}

/** All tensors of the package's network. */
function readWeights(folder: string): Weights {
  try {
    const [group] = (readScript(folder, 'model.min.js') as Description).weightsManifest;
    const parts = group!.paths.map((name) => Buffer.from(readScript(folder, `${name}.min.js`) as string, 'base64'));
    return byName(group!.weights, Buffer.concat(parts));
  } catch (error) {
    throw new PerceptualNetworkError(`${folder} does not hold the network that ${PACKAGE} has: ${error}`, {
      cause: error,
    });
  }
}

/** What one of the package's scripts exports. Their text is large, so Node.js is not left to remember it. */
function readScript(folder: string, name: string): unknown {
  const file = path.join(folder, name);
  const require = createRequire(file);
  try {
    return require(file);
  } finally {
    delete require.cache[fs.realpathSync(file)];
  }
}

function byName(entries: readonly Entry[], bytes: Uint8Array): Weights {
  const found = new Map<string, { shape: readonly number[]; min: number; scale: number; bytes: Uint8Array }>();
  let position = 0;
  for (const { name, shape, quantization } of entries) {
    if (quantization?.dtype !== 'uint8') throw new TypeError(`${name} is not stored in 8 bits`);
    const size = shape.reduce((product, length) => product * length, 1);
    const { min, scale } = quantization;
    found.set(name, { shape, min, scale, bytes: bytes.subarray(position, position + size) });
    position += size;
  }
  if (position !== bytes.length) throw new RangeError(`its tensors take ${position} bytes, but it has ${bytes.length}`);
  return found;
}

/** Copies the weights, each batch norm folded into the convolution before it: w / d, beta - mean / d. */
function fill(network: InceptionFeatures, weights: Weights, folder: string): void {
  for (const [i, conv] of network.convolutions().entries()) {
    const [to, from, height, width] = conv.weight.shape;
    const find = (name: string, shape: readonly (number | undefined)[]) => {
      const found = weights.get(name);
      if (found?.shape.join() === shape.join()) {
        return tensor(
          Float32Array.from(found.bytes, (q) => found.min + found.scale * q),
          { shape: [...found.shape] },
        );
      }
      const given = found ? `is [${found.shape}]` : 'is missing';
      throw new PerceptualNetworkError(`${folder}: ${name} ${given}; [${shape}] is expected, as in ${PACKAGE}`);
    };
    const kernel = find(`conv2d_${i + 1}/kernel`, [height, width, from, to]);
    const [beta, mean, variance] = ['beta', 'moving_mean', 'moving_variance'].map((part) =>
      find(`batch_normalization_${i + 1}/${part}`, [to]),
    );
    const scale = variance!.add(EPSILON).sqrt().reciprocal(); // [to]
    conv.weight.copy_(kernel.mul(scale).permute(3, 2, 0, 1)); // from [height, width, from, to]
    conv.bias!.copy_(beta!.sub(mean!.mul(scale)));
  }
}
