// Which pixels of a picture show a person, hair and shoulders included: MediaPipe's selfie segmentation.
import { defaultRuntime, readFaceModel } from '#faces/defaults';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import { FACE_MODELS, type FaceModelReader } from './face-models.js';
import type { MeasuredBy, Network, NetworkRuntime } from './networks.js';

/** Side of the pictures that the network sees, whatever their proportions were. */
const SIZE = 256;

/** The network is sure below and above; between, at outlines, the share rises smoothly. */
const SURE = [0.2, 0.8] as const;

export type PersonMaskOptions = {
  /** Gives the file `personMask`. Default: that of @dagan/faces (Node). */
  models?: FaceModelReader;
  /** What runs the network. Default: ONNX Runtime with one thread (Node). */
  runtime?: NetworkRuntime;
};

/** How much of each pixel is of a person, 0 to 1: [height, width]. */
export type Shares = { width: number; height: number; data: Float32Array };

/** Finds people in pictures. */
export class PersonMask implements AsyncDisposable {
  readonly #network: Network;
  readonly #input: string;
  readonly #output: string;

  private constructor(network: Network) {
    this.#network = network;
    this.#input = network.inputs[0]!.name;
    this.#output = network.outputs[0]!.name;
  }

  /** What measures, for reports. */
  readonly measuredBy: MeasuredBy = {
    name: 'MediaPipe selfie segmentation, 256 x 256',
    version: '@mediapipe/selfie_segmentation 0.1.1675465747',
  };

  /** Loads the network. Throws what `models` throws. */
  static async load({ models = readFaceModel, runtime }: PersonMaskOptions = {}): Promise<PersonMask> {
    const runs = runtime ?? (await defaultRuntime());
    return new PersonMask(await runs.load(await models(FACE_MODELS.personMask)));
  }

  /** The mask of a picture, at 256 x 256 whatever its size. */
  async find(picture: Picture): Promise<Shares> {
    const { data } = resizePicture(picture, SIZE, SIZE);
    const image = new Float32Array(3 * SIZE * SIZE); // [3, 256, 256]
    for (let at = 0, pixel = 0; at < data.length; pixel++) {
      for (let channel = 0; channel < 3; channel++) image[channel * SIZE * SIZE + pixel] = data[at++]! / 255;
    }
    const found = await this.#network.run({ [this.#input]: { shape: [1, 3, SIZE, SIZE], data: image } });
    const [least, most] = SURE;
    const shares = found[this.#output]!.data.map((value) => {
      const t = Math.min(1, Math.max(0, (value - least) / (most - least)));
      return t * t * (3 - 2 * t);
    });
    return { width: SIZE, height: SIZE, data: shares };
  }

  /** Frees the network. */
  close(): Promise<void> {
    return this.#network.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
