// Who is in the picture: an embedding whose cosine tells the same person from others. By default `faceres`, a MobileNet
// (Savchenko, "Efficient facial representations for age, gender and identity recognition in organizing photo albums
// using multi-output ConvNet", 2019); or any ArcFace network (Deng et al., "ArcFace", 2019) as an
// ONNX file of the user's.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Picture } from '../media/pictures/picture.js';
import { FACE_MODELS } from './face-models.js';
import { type FaceMesh, regionOfMesh } from './mesh.js';
import type { MeasuredBy, Network, NetworkRuntime } from './networks.js';
import { type Region, sampleRegion } from './sampling.js';

/** A network that embeds faces. Figures of different networks do not compare. */
export type IdentityNetwork = AsyncDisposable &
  Readonly<MeasuredBy> & {
    /** Length of an embedding. */
    readonly dimensions: number;
    /**
     * The embedding of a face, of length 1: compare by `cosineSimilarity`.
     *
     * @param face its mesh, plain or refined
     */
    embed(picture: Picture, face: Pick<FaceMesh, 'points' | 'box'>): Promise<Float32Array>;
    /** Frees the network. */
    close(): Promise<void>;
  };

/** Which network is to be loaded, and how. */
export type IdentityNetworkOptions = {
  /** An ArcFace network as an ONNX file: input `[1, 3, 112, 112]`, one output `[1, n]`. Default: `faceres`. */
  file?: string;
  /** What runs the network. Default: ONNX Runtime with one thread (Node). */
  runtime?: NetworkRuntime;
};

/**
 * Loads the default network, or the user's.
 *
 * @throws Error that names the file and what is wrong with it if it is no ArcFace network, or is not there
 */
export async function loadIdentityNetwork({ file, runtime }: IdentityNetworkOptions = {}): Promise<IdentityNetwork> {
  const chosen = runtime ?? (await import('./onnx-runtime.js')).onnxRuntime();
  return file === undefined ? loadFaceres(chosen) : loadArcFace(file, chosen);
}

/** Cosine of the angle between two vectors of the same length: 1 for the same direction, 0 for nothing in common. */
export function cosineSimilarity(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new RangeError(`embeddings of ${a.length} and ${b.length} numbers do not compare`);
  let [product, normA, normB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    normA += a[i]! ** 2;
    normB += b[i]! ** 2;
  }
  return product / Math.sqrt(normA * normB);
}

const FACERES = { size: 224, margin: 1.4, output: 'global_pooling/Mean', dimensions: 1024 } as const;

/** What the network was taught to subtract from blue, green and red. */
const FACERES_MEAN = [103.939, 116.779, 123.68] as const;

async function loadFaceres(runtime: NetworkRuntime): Promise<IdentityNetwork> {
  const { readFaceModel } = await import('./defaults.js');
  const { size, margin, output, dimensions } = FACERES;
  const network = await runtime.load(await readFaceModel(FACE_MODELS.identity));
  return {
    name: 'faceres',
    version: '@vladmandic/human 3.3.6',
    dimensions,
    async embed(picture, face) {
      const region = regionOfMesh(face, margin);
      const planes = sampleRegion(picture, region, size, { scale: 1, offset: 0, border: 'edge' });
      const area = size * size;
      const data = new Float32Array(planes.length);
      for (let channel = 0; channel < 3; channel++) {
        const plane = planes.subarray((2 - channel) * area, (3 - channel) * area); // red, green, blue to blue first
        for (let at = 0; at < area; at++) data[channel * area + at] = plane[at]! - FACERES_MEAN[channel]!;
      }
      const outputs = await network.run({ input_1: { shape: [1, 3, size, size], data } });
      return unitLength(outputs[output]!.data);
    },
    close: () => network.release(),
    [Symbol.asyncDispose]: () => network.release(),
  };
}

/** Side of the pictures that ArcFace networks take. */
const ARCFACE_SIZE = 112;

/** Where ArcFace's training pictures have the eyes, as they are seen from left to right, nose tip and mouth corners. */
const ARCFACE_POINTS: readonly (readonly [number, number])[] = [
  [38.2946, 51.6963],
  [73.5318, 51.5014],
  [56.0252, 71.7366],
  [41.5493, 92.3655],
  [70.7299, 92.2041],
];

/** The same places on the mesh: the corners of the eyes, around their middle; the tip of the nose; the mouth's corners. */
const ARCFACE_MESH: readonly (readonly number[])[] = [[33, 133], [263, 362], [1], [61], [291]];

async function loadArcFace(file: string, runtime: NetworkRuntime): Promise<IdentityNetwork> {
  const { readModelFile } = await import('./model-file.js');
  const { name, bytes: model } = await readModelFile(file);
  let network: Network;
  let raw: boolean;
  try {
    network = await runtime.load(model);
    raw = normalisesItself(model);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${file}: is not an ONNX model that can be run (${reason})`, { cause: error });
  }
  const { input, output, dimensions } = await checkedArcFace(network, file);
  // Networks that hold their own normalisation take bytes; the others -1 to 1.
  const scaling = raw ? { scale: 1, offset: 0 } : { scale: 1 / 127.5, offset: -1 };
  return {
    name,
    version: `sha256 ${await sha256(model)}`,
    dimensions,
    async embed(picture, face) {
      const region = alignedRegion(face);
      const data = sampleRegion(picture, region, ARCFACE_SIZE, { ...scaling, border: 'black' });
      const outputs = await network.run({ [input]: { shape: [1, 3, ARCFACE_SIZE, ARCFACE_SIZE], data } });
      return unitLength(outputs[output]!.data);
    },
    close: () => network.release(),
    [Symbol.asyncDispose]: () => network.release(),
  };
}

/** Names of the input and the output, and the length of an embedding, of a network that is an ArcFace network. */
async function checkedArcFace(
  network: Network,
  file: string,
): Promise<{ input: string; output: string; dimensions: number }> {
  const describe = (shape: readonly (number | string)[]): string => `[${shape.join(', ')}]`;
  const [input, ...otherInputs] = network.inputs;
  const shape = [1, 3, ARCFACE_SIZE, ARCFACE_SIZE];
  const fits =
    input?.shape.length === 4 &&
    input.shape.every((size, axis) => size === shape[axis] || typeof size === 'string' || !(size > 0));
  if (!input || !fits || otherInputs.length > 0) {
    await network.release();
    const found = network.inputs.map((value) => `${value.name} ${describe(value.shape)}`).join(' and ');
    throw new Error(`${file}: takes ${found}; an ArcFace network takes one input ${describe(shape)}`);
  }
  const blank = new Float32Array(3 * ARCFACE_SIZE ** 2);
  const outputs = Object.entries(await network.run({ [input.name]: { shape, data: blank } }));
  const [first, ...otherOutputs] = outputs;
  if (!first || otherOutputs.length > 0 || first[1].shape.length !== 2 || first[1].shape[0] !== 1) {
    await network.release();
    const found = outputs.map(([name, value]) => `${name} ${describe(value.shape)}`).join(' and ');
    throw new Error(`${file}: gives ${found}; an ArcFace network gives one output [1, n]`);
  }
  return { input: input.name, output: first[0], dimensions: first[1].data.length };
}

/**
 * Whether an ONNX model subtracts and multiplies before its first convolution, as those converted from MXNet do, which
 * then take bytes as they are.
 */
function normalisesItself(model: Uint8Array): boolean {
  const operators = new Set<string>();
  eachField(model, 7, (graph) =>
    eachField(graph, 1, (node) =>
      eachField(node, 4, (operator) => {
        if (!operators.has('Conv')) operators.add(new TextDecoder().decode(operator));
      }),
    ),
  );
  return operators.has('Sub') && operators.has('Mul');
}

/** Calls `read` with the content of every field of that number in a protocol buffer. */
function eachField(message: Uint8Array, number: number, read: (content: Uint8Array) => void): void {
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag();
    if (field === number && wire === WireType.LengthDelimited) read(reader.bytes());
    else reader.skip(wire, field);
  }
}

/** The region whose points lie where ArcFace's pictures have them: the best similarity in the least-squares sense. */
function alignedRegion({ points }: Pick<FaceMesh, 'points'>): Region {
  const targets = ARCFACE_MESH.map((indices): [number, number] => {
    const mean = (axis: number): number =>
      indices.reduce((sum, index) => sum + points[index * 3 + axis]!, 0) / indices.length;
    return [mean(0), mean(1)];
  });
  const middle = (list: readonly (readonly [number, number])[], axis: 0 | 1): number =>
    list.reduce((sum, point) => sum + point[axis], 0) / list.length;
  const from = [middle(ARCFACE_POINTS, 0), middle(ARCFACE_POINTS, 1)] as const;
  const to = [middle(targets, 0), middle(targets, 1)] as const;
  // As complex numbers: target = factor (point - from) + to, factor = sum(conj(p) t) / sum(|p|^2).
  let [real, imaginary, spread] = [0, 0, 0];
  for (const [i, point] of ARCFACE_POINTS.entries()) {
    const [px, py] = [point[0] - from[0], point[1] - from[1]];
    const [tx, ty] = [targets[i]![0] - to[0], targets[i]![1] - to[1]];
    real += px * tx + py * ty;
    imaginary += px * ty - py * tx;
    spread += px * px + py * py;
  }
  [real, imaginary] = [real / spread, imaginary / spread];
  const [x, y] = [ARCFACE_SIZE / 2 - from[0], ARCFACE_SIZE / 2 - from[1]];
  return {
    centerX: to[0] + real * x - imaginary * y,
    centerY: to[1] + imaginary * x + real * y,
    side: ARCFACE_SIZE * Math.hypot(real, imaginary),
    angle: Math.atan2(imaginary, real),
  };
}

function unitLength(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array(bytes));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
