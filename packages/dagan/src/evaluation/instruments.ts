// What measures: networks that find faces, tell persons apart and see pictures, each with its name and version.
import { cat, noGrad, run, type Tensor, tensor, tidy } from '@dagan/libtorch';
import { FaceAnalyzer } from '../faces/analyzer.js';
import { type ExpressionSignals, expressionSignals } from '../faces/expression.js';
import { type IdentityNetwork, loadIdentityNetwork } from '../faces/identity.js';
import type { FaceMesh } from '../faces/mesh.js';
import type { MeasuredBy } from '../faces/networks.js';
import type { HeadPose } from '../faces/pose.js';
import { type TransferSignals, transferSignals } from '../faces/transfer-signals.js';
import type { Picture } from '../media/pictures/picture.js';
import { InceptionFeatures } from '../models/perceptual/inception.js';
import { PerceptualNetworkError } from '../models/perceptual/inception-weights.js';
import { perceptualNetwork } from '../models/perceptual/perceptual-network.js';
import type { PerceptualNetwork } from '../models/perceptual/vgg19.js';
import { pictureToTensor } from '../tensors/pictures.js';
import type { InstrumentName } from './measures.js';
import { unitFeatures } from './metrics/perceptual.js';

/** Everything that is read off the face of one picture. */
export type FaceReading = {
  mesh: FaceMesh;
  pose: HeadPose;
  signals: ExpressionSignals;
  /** What expression transfer compares. */
  transfer: TransferSignals;
  /** Of length 1. */
  embedding: Float32Array;
};

/** Features of pictures for the perceptual distance. */
export type PerceptualFeatures = {
  /** What they are made with. */
  measuredBy: MeasuredBy;
  /** Unit features, a tensor [N, C, H, W] per layer. Pictures that are one object are computed once. */
  of(pictures: readonly Picture[]): Tensor[];
};

export type InstrumentOptions = {
  /** An ArcFace network as an ONNX file, in place of the default identity network. */
  identityNetwork?: string;
  /** VGG-19 as torchvision publishes it, in place of the default perceptual network. */
  vgg?: string;
  /** Where the perceptual network runs. */
  device?: string;
  /** Told if there is no perceptual network. */
  onNotice?: (text: string) => void;
};

/** All that measures, loaded once. */
export class Instruments implements AsyncDisposable {
  readonly #analyzer: FaceAnalyzer;
  readonly #identity: IdentityNetwork;
  readonly #network: { dispose(): void } | null;

  private constructor(
    analyzer: FaceAnalyzer,
    identity: IdentityNetwork,
    /** Null where its weights are not installed; the distance is then left out. */
    readonly perceptual: PerceptualFeatures | null,
    network: { dispose(): void } | null,
  ) {
    this.#analyzer = analyzer;
    this.#identity = identity;
    this.#network = network;
  }

  /**
   * @throws Error naming the file of a network that cannot be read
   */
  static async load({ identityNetwork, vgg, device = 'cpu', onNotice }: InstrumentOptions = {}): Promise<Instruments> {
    const perceptual = loadPerceptual(vgg, device, onNotice);
    const analyzer = await FaceAnalyzer.load({ mesh: 'refined' });
    const identity = await loadIdentityNetwork({ file: identityNetwork });
    return new Instruments(analyzer, identity, perceptual?.features ?? null, perceptual?.network ?? null);
  }

  /** What each kind of figure is measured by; the perceptual network may be absent. */
  get measuredBy(): Partial<Record<InstrumentName, MeasuredBy>> {
    const { mesh, pose, expression } = this.#analyzer.measuredBy;
    const { name, version } = this.#identity;
    return {
      ...{ mesh, pose, expression, identity: { name, version } },
      ...(this.perceptual && { perceptual: this.perceptual.measuredBy }),
    };
  }

  /** Reads the face of a picture, near where that of the picture before was; null where there is none. */
  async read(picture: Picture, previous?: FaceReading | null): Promise<FaceReading | null> {
    const mesh = await this.#analyzer.track(picture, previous?.mesh);
    if (!mesh) return null;
    const pose = this.#analyzer.pose(mesh);
    const embedding = await this.#identity.embed(picture, mesh);
    return {
      ...{ mesh, pose, embedding },
      ...{ signals: expressionSignals(mesh, pose), transfer: transferSignals(mesh, pose) },
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#analyzer.close();
    await this.#identity.close();
    this.#network?.dispose();
  }
}

/** The perceptual network; null, with a notice, if the default one is not installed. */
function loadPerceptual(
  vgg: string | undefined,
  device: string,
  onNotice?: (text: string) => void,
): { features: PerceptualFeatures; network: { dispose(): void } } | null {
  let network: ReturnType<typeof perceptualNetwork>;
  try {
    network = vgg === undefined ? perceptualNetwork() : perceptualNetwork('vgg19', { file: vgg });
  } catch (error) {
    if (vgg !== undefined || !(error instanceof PerceptualNetworkError)) throw error;
    onNotice?.(`no perceptual distance: ${error.message}`);
    return null;
  }
  network.to({ device, memoryFormat: 'channels_last' });
  const measuredBy =
    vgg === undefined
      ? { name: 'Inception v3 (5 layers)', version: 'nsfwjs 4.3.0' }
      : { name: 'VGG-19 (relu1_1 to relu5_1)', version: "torchvision's weights" };
  return { features: { measuredBy, of: (pictures) => featuresOf(network, pictures, device) }, network };
}

function featuresOf(network: PerceptualNetwork, pictures: readonly Picture[], device: string): Tensor[] {
  const distinct = [...new Set(pictures)];
  const which = pictures.map((picture) => distinct.indexOf(picture));
  return noGrad(() =>
    tidy(() => {
      const images = cat(distinct.map(pictureToTensor)).to({ device, memoryFormat: 'channels_last' });
      const maps = network.features(images);
      // Inception's first map is the picture itself, which is for training.
      const layers = unitFeatures(network instanceof InceptionFeatures ? maps.slice(1) : maps);
      if (distinct.length === pictures.length) return layers;
      const index = tensor(which, { dtype: 'int64' }).to({ device });
      return layers.map((map) => run('aten::index_select', [map, 0, index]));
    }),
  );
}
