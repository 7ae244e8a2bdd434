// Depth of pictures, from whichever file the command line names the face-depth network in.
import { existsSync } from 'node:fs';
import { noGrad, tensor, tidy } from '@dagan/libtorch';
import { disparityToDepth } from '../geometry/index.js';
import { type Picture, resizePicture } from '../media/index.js';
import { type DepthNetwork, loadDepthFile, type ModelMetadata, type PoseNetwork } from '../models/index.js';
import { pictureToTensor, tensorToMaps } from '../tensors/pictures.js';
import type { ScalarMap } from '../tensors/values.js';
import {
  cameraOfMatrix,
  cameraOfView,
  depthSurface,
  type PinholeCamera,
  resizeMap,
  type Surface,
  scaleCamera,
} from '../visualization/index.js';
import { UsageError, UserError } from './errors.js';
import { chooseDevice, chooseModel, NETWORK_SIZE } from './model.js';
import type { ModelOptions } from './options.js';
import type { Reporter } from './report.js';

export type DepthChoice = ModelOptions & {
  /** File of the face-depth network alone. */
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

/** Finds the depth of squares. */
export class DepthEstimator {
  constructor(
    private readonly network: DepthNetwork,
    private readonly poseNetwork: PoseNetwork | null,
    readonly metadata: ModelMetadata,
    private readonly options: { device: string; fieldOfView?: number },
  ) {
    for (const module of [network, poseNetwork]) module?.eval().requiresGrad_(false).to({ device: options.device });
  }

  /** Disparity of a square, at its own size. */
  disparity(picture: Picture): ScalarMap {
    const small = noGrad(() => tidy(() => tensorToMaps(this.network.forward(this.#input(picture)))[0]!));
    return picture.width === small.width ? small : resizeMap(small, picture.width, picture.height);
  }

  /** Disparity, depth and the surface that they make. */
  relief(picture: Picture): Relief {
    const { width, height } = picture;
    const disparity = this.disparity(picture);
    // Where disparity is interpolated before it becomes depth, planes stay planes.
    const depths = tidy(() => disparityToDepth(tensor(disparity.data)).toFloat32Array());
    const depth = { width, height, data: depths };
    const camera = scaleCamera(this.#camera(picture), width / NETWORK_SIZE);
    return { picture, disparity, depth, camera, surface: depthSurface(picture, depth, camera) };
  }

  /** Where the camera of figures is known from, for people. */
  get cameraSource(): string {
    const { fieldOfView } = this.options;
    if (fieldOfView === undefined && this.poseNetwork) return "the file's pose network";
    return `a field of view of ${fieldOfView ?? FIELD_OF_VIEW} degrees`;
  }

  /** The camera in pixels of the network's square. */
  #camera(picture: Picture): PinholeCamera {
    const { fieldOfView } = this.options;
    const { poseNetwork } = this;
    if (fieldOfView !== undefined || !poseNetwork) {
      return cameraOfView(NETWORK_SIZE, NETWORK_SIZE, fieldOfView ?? FIELD_OF_VIEW);
    }
    return noGrad(() =>
      tidy(() => {
        const image = this.#input(picture);
        return cameraOfMatrix(poseNetwork.forward(image, image).intrinsics.toFloat32Array());
      }),
    );
  }

  #input(picture: Picture) {
    const small = resizePicture(picture, NETWORK_SIZE, NETWORK_SIZE);
    return pictureToTensor(small).to({ device: this.options.device });
  }
}

/** The face-depth network that the options name, else that of the default model. */
export function chooseDepth(options: DepthChoice, reporter: Reporter): DepthEstimator {
  const { depth, fieldOfView } = options;
  const device = chooseDevice(options.device);
  if (depth !== undefined) {
    if (options.checkpoint !== undefined || options.depthEncoder !== undefined || options.depthDecoder !== undefined) {
      throw new UsageError('--depth names the depth network; leave --checkpoint and the other files out');
    }
    if (!existsSync(depth)) throw new UserError(`${depth}: no such file`);
    const { network, poseNetwork, metadata } = loadDepthFile(depth);
    return new DepthEstimator(network, poseNetwork, metadata, { device, fieldOfView });
  }
  const { model, metadata } = chooseModel(options, reporter);
  if (!model.depthNetwork) {
    throw new UserError(
      'this model has no face-depth network: choose another with --checkpoint, or name one with --depth',
    );
  }
  return new DepthEstimator(model.depthNetwork, null, metadata, { device, fieldOfView });
}
