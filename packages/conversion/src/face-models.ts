// The files of @dagan/faces: which networks they hold, what each is made from, and how.
import { createHash } from 'node:crypto';
import { splitFaceAssets } from './face-assets.js';
import { tfjsToOnnx } from './tfjs-to-onnx.js';
import { regionPoints } from './tflite-regions.js';
import { tfliteToOnnx } from './tflite-to-onnx.js';

/** A file of an npm package. */
export type Source = { package: string; version: string; file: string };

/** What a file of @dagan/faces is, as its `networks.json` says. */
export type NetworkFacts = {
  network: string;
  from: readonly (Source & { sha256: string })[];
  license: string;
  /** The text of the licence, beside the file. */
  licenseFile: string;
  bytes: number;
  sha256: string;
};

/** Reads a file of an npm package. */
export type SourceReader = (source: Source) => Promise<Uint8Array>;

type Recipe = {
  network: string;
  from: readonly Source[];
  license: 'Apache-2.0' | 'MIT';
  licenseFile: string;
  make: (...sources: Uint8Array[]) => Uint8Array;
};

const FACE_MESH: Source = {
  package: '@mediapipe/face_mesh',
  version: '0.4.1657299874',
  file: 'face_mesh_solution_packed_assets.data',
};

const MEDIAPIPE = { license: 'Apache-2.0', licenseFile: 'LICENSE-MediaPipe' } as const;

const RECIPES: Readonly<Record<string, Recipe>> = {
  'canonical-face.json': {
    network: 'the face whose pose is zero, and the points that the refined mesh computes again',
    from: [FACE_MESH],
    ...MEDIAPIPE,
    make: (packed) => canonicalFace(packed!),
  },
  'face-detector.onnx': {
    network: 'BlazeFace, short range',
    from: [FACE_MESH],
    ...MEDIAPIPE,
    make: (packed) => tfliteToOnnx(splitFaceAssets(packed!).detector, 'face detector'),
  },
  'face-identity.onnx': {
    network: 'faceres, up to the 1024 numbers that tell people apart',
    from: ['models/faceres.json', 'models/faceres.bin'].map((file) => ({
      package: '@vladmandic/human',
      version: '3.3.6',
      file,
    })),
    license: 'MIT',
    licenseFile: 'LICENSE-faceres',
    make: (description, weights) =>
      tfjsToOnnx(new TextDecoder().decode(description), weights!, {
        name: 'faceres',
        outputs: [{ name: 'global_pooling/Mean', shape: ['n', 1024] }],
      }),
  },
  'face-mesh-refined.onnx': {
    network: 'attention mesh, 478 points',
    from: [FACE_MESH],
    ...MEDIAPIPE,
    make: (packed) => tfliteToOnnx(splitFaceAssets(packed!).refinedMesh, 'face mesh'),
  },
  'face-mesh.onnx': {
    network: 'face mesh, 468 points',
    from: [FACE_MESH],
    ...MEDIAPIPE,
    make: (packed) => tfliteToOnnx(splitFaceAssets(packed!).mesh, 'face mesh'),
  },
  'person-mask.onnx': {
    network: 'selfie segmentation, 256 x 256',
    from: [
      {
        package: '@mediapipe/selfie_segmentation',
        version: '0.1.1675465747',
        file: 'selfie_segmentation.tflite',
      },
    ],
    ...MEDIAPIPE,
    make: (model) => tfliteToOnnx(model!, 'person mask'),
  },
};

/** Where the facts of all files stand. */
export const FACTS_NAME = 'networks.json';

/** All files of @dagan/faces but its licences, by their names. */
export async function makeFaceModels(read: SourceReader): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const facts: Record<string, NetworkFacts> = {};
  for (const [name, { make, ...recipe }] of Object.entries(RECIPES)) {
    const sources = await Promise.all(recipe.from.map(read));
    const made = make(...sources);
    files.set(name, made);
    const from = recipe.from.map((source, at) => ({ ...source, sha256: sha256(sources[at]!) }));
    facts[name] = { ...recipe, from, bytes: made.length, sha256: sha256(made) };
  }
  return files.set(FACTS_NAME, new TextEncoder().encode(`${JSON.stringify(facts, null, 2)}\n`));
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Points, weights and triangles, and the regions of the refined mesh: lips, right and left eye. */
function canonicalFace(packed: Uint8Array): Uint8Array {
  const assets = splitFaceAssets(packed);
  const { points, weights, triangles } = assets.canonicalFace;
  const lists = { points: points.map(shortest), weights: weights.map(shortest), triangles };
  const regions = regionPoints(assets.refinedMesh);
  const lines = Object.entries({ ...lists, regions }).map(([key, list]) => `  "${key}": ${JSON.stringify(list)}`);
  return new TextEncoder().encode(`{\n${lines.join(',\n')}\n}\n`);
}

/** The shortest decimal number that single precision rounds to this value. */
function shortest(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const rounded = Number(value.toPrecision(digits));
    if (Math.fround(rounded) === value) return rounded;
  }
  return value;
}
