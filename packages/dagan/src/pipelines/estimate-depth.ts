// Depth of pictures, from whichever file the face-depth network is in.
import { existsSync } from 'node:fs';
import { type nn, noGrad, tidy } from '@dagan/libtorch';
import { DaganError } from '../errors.js';
import { depthOfDisparity } from '../geometry/disparity.js';
import type { Picture } from '../media/pictures/picture.js';
import { resizePicture } from '../media/pictures/resize.js';
import type { DepthNetwork } from '../models/depth-network.js';
import { loadDepthFile } from '../models/files/depth-file.js';
import type { ModelMetadata } from '../models/files/model-file.js';
import type { PoseNetwork } from '../models/pose-network.js';
import { pictureToTensor, tensorToMaps } from '../tensors/pictures.js';
import { resizeMap, type ScalarMap } from '../tensors/values.js';
import { cameraOfMatrix, cameraOfView, type PinholeCamera, scaleCamera } from '../visualization/camera.js';
import { depthSurface, type Surface } from '../visualization/surface.js';
import { chooseEngine, type EngineChoice, exportForFigure, requireLibtorch } from './choose-engine.js';
import { applyThreads, chooseDevice, chooseModel, NETWORK_SIZE } from './choose-model.js';
import type { Teller } from './events.js';

export type DepthChoice = EngineChoice & {
  /** File of the face-depth network alone, which runs on LibTorch. */
  depth?: string;
  /** Degrees across the picture; by default what the file's pose network says, else `FIELD_OF_VIEW`. */
  fieldOfView?: number;
};

/** Degrees across a picture that nothing tells more of: a face filling half of it, about a metre away. */
export const FIELD_OF_VIEW = 40;

/** What is known of a picture's depth, at the picture's size. */
export type Relief = {
  picture: Picture;
  /** In (0, 1), 1 is near. */
  disparity: ScalarMap;
  /** Along the line of sight's z, in the network's unit. */
  depth: ScalarMap;
  camera: PinholeCamera;
  surface: Surface;
};

/** What finds depth in pictures of the networks' size. */
type DepthSight = {
  disparity(picture: Picture): Promise<ScalarMap>;
  /** The camera that took a picture, in its pixels, where that is known. */
  camera?(picture: Picture): PinholeCamera;
  dispose(): void;
};

/** Finds the depth of squares. */
export class DepthEstimator implements Disposable {
  readonly #sight: DepthSight;
  readonly #fieldOfView: number | undefined;

  constructor(
    sight: DepthSight,
    readonly metadata: ModelMetadata,
    { fieldOfView }: { fieldOfView?: number } = {},
  ) {
    this.#sight = sight;
    this.#fieldOfView = fieldOfView;
  }

  /** Disparity of a square, at its own size. */
  async disparity(picture: Picture): Promise<ScalarMap> {
    const small = await this.#sight.disparity(resizePicture(picture, NETWORK_SIZE, NETWORK_SIZE));
    return picture.width === small.width ? small : resizeMap(small, picture.width, picture.height);
  }

  /** Disparity, depth and the surface that they make. */
  async relief(picture: Picture): Promise<Relief> {
    const { width, height } = picture;
    const disparity = await this.disparity(picture);
    // Where disparity is interpolated before it becomes depth, planes stay planes.
    const depth = { width, height, data: disparity.data.map((value) => depthOfDisparity(value)) };
    const camera = scaleCamera(this.#camera(picture), width / NETWORK_SIZE);
    return { picture, disparity, depth, camera, surface: depthSurface(picture, depth, camera) };
  }

  /** Where the camera of figures is known from, for people. */
  get cameraSource(): string {
    if (this.#fieldOfView === undefined && this.#sight.camera) return "the file's pose network";
    return `a field of view of ${this.#fieldOfView ?? FIELD_OF_VIEW} degrees`;
  }

  /** Frees the networks. */
  [Symbol.dispose](): void {
    this.#sight.dispose();
  }

  /** The camera in pixels of the network's square. */
  #camera(picture: Picture): PinholeCamera {
    if (this.#fieldOfView !== undefined || !this.#sight.camera) {
      return cameraOfView(NETWORK_SIZE, NETWORK_SIZE, this.#fieldOfView ?? FIELD_OF_VIEW);
    }
    return this.#sight.camera(resizePicture(picture, NETWORK_SIZE, NETWORK_SIZE));
  }
}

/**
 * The face-depth network that is named, else that of the model.
 *
 * @throws DaganError if there is none, or both are named; CheckpointError for a file without one
 */
export async function chooseDepth(choice: DepthChoice, tell: Teller): Promise<DepthEstimator> {
  const { depth, fieldOfView } = choice;
  if (depth === undefined && (choice.engine === 'onnx' || exportForFigure(choice) !== undefined)) {
    const { engine, config, metadata } = await chooseEngine(choice, tell, { use: 'figure' });
    if ('depth' in config && config.depth) {
      const disparity = async (picture: Picture): Promise<ScalarMap> =>
        (await engine.drive([picture], { withDisparity: true }))[0]!.disparity!;
      return new DepthEstimator({ disparity, dispose: () => engine.dispose() }, metadata, { fieldOfView });
    }
    engine.dispose();
    throw new DaganError('no-depth', 'this model has no face-depth network', {});
  }
  if (depth !== undefined) {
    if (choice.checkpoint !== undefined || choice.depthEncoder !== undefined || choice.depthDecoder !== undefined) {
      throw new DaganError('two-depth-networks', 'a depth network of its own takes no other files', {});
    }
    if (!existsSync(depth)) throw new DaganError('no-file', `${depth}: no such file`, { path: depth });
  }
  requireLibtorch(depth === undefined ? choice : { checkpoint: depth });
  applyThreads(choice);
  const device = chooseDevice(choice.device);
  if (depth !== undefined) {
    const { network, poseNetwork, metadata } = loadDepthFile(depth);
    return new DepthEstimator(sightOf(network, { poseNetwork, device }), metadata, { fieldOfView });
  }
  const { model, metadata } = chooseModel(choice, tell);
  if (!model.depthNetwork) throw new DaganError('no-depth', 'this model has no face-depth network', {});
  return new DepthEstimator(sightOf(model.depthNetwork, { device, owner: model }), metadata, { fieldOfView });
}

/** Networks on LibTorch, in float32. */
function sightOf(
  network: DepthNetwork,
  {
    poseNetwork = null,
    device,
    owner = network,
  }: { poseNetwork?: PoseNetwork | null; device: string; owner?: nn.Module },
): DepthSight {
  for (const module of [network, poseNetwork]) module?.eval().requiresGrad_(false).to({ device });
  const input = (picture: Picture) => pictureToTensor(picture).to({ device });
  return {
    disparity: async (picture) => noGrad(() => tidy(() => tensorToMaps(network.forward(input(picture)))[0]!)),
    ...(poseNetwork && {
      camera: (picture: Picture) =>
        noGrad(() =>
          tidy(() => {
            const image = input(picture);
            return cameraOfMatrix(poseNetwork.forward(image, image).intrinsics.toFloat32Array());
          }),
        ),
    }),
    dispose: () => {
      owner.dispose();
      poseNetwork?.dispose();
    },
  };
}
