// Models exported as ONNX graphs: they pass ONNX's rules, and ONNX Runtime computes with them what LibTorch computes.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cat, liveTensors, noGrad, type Tensor } from '@dagan/libtorch';
import { sizeOfName } from '@dagan/libtorch/onnx';
import { LibtorchEngine, loadOnnxRuntimeEngine, OnnxEngine } from '../src/animation/engines/index.js';
import { type Analysis, attentionRow, type Engine } from '../src/animation/index.js';
import {
  checkManifest,
  type ExportOptions,
  exportedFiles,
  exportModel,
  readManifest,
  STEPS,
  weightsIn,
} from '../src/export/index.js';
import { openClip, type Picture, readPicture, resizePicture } from '../src/media/index.js';
import { loadModel, MODEL_PRESETS, type ModelConfig, weightsHash } from '../src/models/index.js';
import { loadOnnxRuntime } from '../src/onnx-runtime.js';
import { type KeypointSet, pictureToTensor } from '../src/tensors/index.js';
import { TRAINING_PRESETS } from '../src/training/index.js';
import { names, psnr, temporaryFolder } from './media-fixtures.js';
import { formulaModel, narrow } from './small-models.js';

process.env.OMP_NUM_THREADS ??= '1';

const SIZE = 128;

/** Motion by offsets alone, attention as printed, no occlusion map. */
const OFFSETS: ModelConfig = {
  ...MODEL_PRESETS.dagan,
  estimateJacobian: false,
  generator: { ...MODEL_PRESETS.dagan.generator, attention: 'literal', estimateOcclusionMap: false },
};

/** As models trained here are: sampled on the grid that motion is built on, with kept pixels. Features are smaller than the field. */
const ALIGNED: ModelConfig = {
  ...MODEL_PRESETS.dagan,
  generator: {
    ...MODEL_PRESETS.dagan.generator,
    numDownBlocks: 3,
    keepsPixels: true,
    denseMotion: { ...MODEL_PRESETS.dagan.generator.denseMotion, alignCorners: true },
  },
};

/** Hourglasses that halve pictures less often than the depth network, as trainings at small sizes have them. */
const SHALLOW: ModelConfig = {
  ...MODEL_PRESETS.dagan,
  keypointDetector: { ...MODEL_PRESETS.dagan.keypointDetector, numBlocks: 3 },
  generator: {
    ...MODEL_PRESETS.dagan.generator,
    denseMotion: { ...MODEL_PRESETS.dagan.generator.denseMotion, numBlocks: 3 },
  },
};

const VARIANTS: Readonly<Record<string, ModelConfig>> = {
  ...MODEL_PRESETS,
  offsets: OFFSETS,
  aligned: ALIGNED,
  shallow: SHALLOW,
  starter: TRAINING_PRESETS['starter-256'].model,
};

/** What an exported model's folder holds. */
const FILES = ['drive.onnx', 'generate.onnx', 'manifest.json', 'model.safetensors', 'source.onnx'];

const temporary = await temporaryFolder();

/** Exports a small model of a variant. */
async function exported(name: string, options: ExportOptions = {}): Promise<string> {
  const { precision = 'float32', weights = precision, size = 'free' } = options;
  const folder = join(temporary, `${name}-${precision}-${weights}-${size}`);
  if (!existsSync(folder)) {
    using model = formulaModel(narrow(VARIANTS[name]!));
    await exportModel(model, folder, options);
  }
  return folder;
}

/** Coloured noise that is the same in every run. */
function noisyPicture(seed: number, width = SIZE, height = width): Picture {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const x = Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453;
    return 256 * (x - Math.floor(x));
  });
  return { width, height, data };
}

type Values = Record<string, { dims: readonly number[]; data: Float32Array }>;

/** All outputs of all steps for a portrait and driving frames, by ONNX Runtime alone. */
async function runSteps(folder: string, portrait: Tensor, frames: Tensor): Promise<Values> {
  const { InferenceSession, Tensor: Value } = await loadOnnxRuntime();
  const value = (tensor: Tensor) => new Value('float32', tensor.toFloat32Array(), tensor.shape);
  const step = async (name: string, feeds: Record<string, InstanceType<typeof Value>>) => {
    const session = await InferenceSession.create(join(folder, `${name}.onnx`), {
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
    });
    const results = await session.run(Object.fromEntries(session.inputNames.map((input) => [input, feeds[input]!])));
    await session.release();
    return results as Record<string, InstanceType<typeof Value>>;
  };
  const image = value(portrait);
  const seen = await step('drive', { image });
  const source = { ...seen, ...(await step('source', { ...seen, image })) };
  const driving = await step('drive', { image: value(frames) });
  const ofSource = { ...source, image, source_keypoints: source.keypoints!, source_jacobians: source.jacobians! };
  const generated = await step('generate', {
    ...ofSource,
    keypoints: driving.keypoints!,
    jacobians: driving.jacobians!,
  });
  const { keypoints, jacobians, ...rest } = source;
  const drivingJacobians = driving.jacobians ? { jacobians: driving.jacobians } : {};
  return { ...rest, ...generated, keypoints: driving.keypoints!, ...drivingJacobians } as unknown as Values;
}

/** The same by LibTorch, from the model as it was trained. */
function computeSteps(config: ModelConfig, portrait: Tensor, frames: Tensor): Map<string, Tensor> {
  using model = formulaModel(config);
  return noGrad(() => {
    const source = model.source(portrait);
    const driving = model.driving(frames);
    const generated = model.generate(source, driving.keypoints);
    const found: Record<string, Tensor | null> = {
      disparity: source.disparity,
      small_image: source.smallImage,
      features: source.features,
      query: source.query,
      prediction: generated.prediction,
      deformation: generated.deformation,
      occlusion_map: generated.occlusionMap,
      attention_key: model.generator.attention?.key(generated.warpedFeatures) ?? null,
      keypoints: driving.keypoints.value,
      jacobians: driving.keypoints.jacobian,
    };
    return new Map(Object.entries(found).filter((entry): entry is [string, Tensor] => entry[1] !== null));
  });
}

/** The largest difference of any output from LibTorch's; all outputs must be there. */
function furthest(actual: Values, expected: ReadonlyMap<string, Tensor>): Record<string, number> {
  assert.deepEqual(Object.keys(actual).sort(), [...expected.keys()].sort());
  return Object.fromEntries(
    [...expected].map(([name, tensor]) => {
      assert.deepEqual(actual[name]!.dims, tensor.shape, name);
      const { data } = actual[name]!;
      const differences = tensor.toFloat32Array().map((value, i) => Math.abs(value - data[i]!));
      return [name, differences.reduce((most, value) => Math.max(most, value), 0)];
    }),
  );
}

const stacked = (pictures: readonly Picture[]): Tensor => cat(pictures.map(pictureToTensor));

test('every variant of the model computes in ONNX Runtime what it computes in LibTorch, at any size and batch', async () => {
  for (const name of Object.keys(VARIANTS)) {
    const folder = await exported(name);
    const config = narrow(VARIANTS[name]!);
    const shapes =
      name === 'dagan'
        ? [
            [128, 128, 3],
            [256, 128, 1],
          ]
        : [[128, 128, 1]];
    for (const [width, height, count] of shapes as [number, number, number][]) {
      const portrait = pictureToTensor(noisyPicture(1, width, height));
      const frames = stacked(Array.from({ length: count }, (_, i) => noisyPicture(i + 2, width, height)));
      const differences = furthest(await runSteps(folder, portrait, frames), computeSteps(config, portrait, frames));
      const { features = 0, attention_key = 0, ...others } = differences;
      for (const [output, off] of Object.entries({
        ...others,
        features: features / 10,
        attention_key: attention_key / 10,
      })) {
        assert.ok(off < 1e-4, `${name} at ${width} x ${height}: ${output} is off by ${off}`);
      }
    }
  }
});

/** Frames of the examples at the size of the published networks. */
async function realPictures(): Promise<{ portrait: Picture; frames: Picture[] }> {
  const example = (file: string) => fileURLToPath(new URL(`../../../../examples/${file}`, import.meta.url));
  const portrait = resizePicture(await readPicture(example('portrait.png')), 256, 256);
  const frames: Picture[] = [];
  await using clip = await openClip(example('driving.mp4'), { start: 20, end: 22 });
  for await (const { picture } of clip.frames()) frames.push(resizePicture(picture, 256, 256));
  return { portrait, frames };
}

/** What an engine makes of a portrait and frames. */
async function animated(engine: Engine, portrait: Picture, frames: readonly Picture[]) {
  const source = await engine.setSource(portrait);
  const driving = await engine.drive(frames, { withDisparity: true });
  const pictures = await engine.generate(driving.map(({ keypoints }) => keypoints));
  return { source, driving, pictures };
}

const differenceOf = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.equal(a.length, b.length);
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
};

test('on a real portrait and clip the ONNX engine gives the keypoints, disparity and frames of the LibTorch engine', async () => {
  const { portrait, frames } = await realPictures();
  for (const name of ['dagan', 'fomm-cam', 'fomm', 'dagan-spade', 'aligned', 'starter']) {
    const libtorch = new LibtorchEngine(formulaModel(narrow(VARIANTS[name]!)), { size: 256 });
    const onnx = await loadOnnxRuntimeEngine(await exported(name), { threads: 1 });
    const [expected, actual] = [await animated(libtorch, portrait, frames), await animated(onnx, portrait, frames)];
    assert.equal(onnx.size, 256);
    assert.ok(differenceOf(actual.source.keypoints.value, expected.source.keypoints.value) < 1e-4);
    assert.equal(actual.source.disparity === null, expected.source.disparity === null);
    for (const [i, { keypoints, disparity }] of expected.driving.entries()) {
      assert.ok(differenceOf(actual.driving[i]!.keypoints.value, keypoints.value) < 1e-4, name);
      assert.ok(differenceOf(actual.driving[i]!.keypoints.jacobian ?? [], keypoints.jacobian ?? []) < 1e-3, name);
      if (disparity) assert.ok(differenceOf(actual.driving[i]!.disparity!.data, disparity.data) < 1e-3, name);
      else assert.equal(actual.driving[i]!.disparity, null);
      assert.ok(differenceOf(actual.pictures[i]!.data, expected.pictures[i]!.data) <= 1, name);
    }
    const [plain] = await onnx.drive(frames.slice(0, 1));
    assert.equal(plain!.disparity, null); // it was not asked for
    libtorch.dispose();
    onnx.dispose();
  }
});

test('what the networks see on the way to a frame is the same in both engines, and in threads', async () => {
  const { portrait, frames } = await realPictures();
  for (const name of ['dagan', 'aligned', 'fomm', 'starter']) {
    const libtorch = new LibtorchEngine(formulaModel(narrow(VARIANTS[name]!)), { size: 256 });
    const onnx = await loadOnnxRuntimeEngine(await exported(name), { threads: 1 });
    const threads = await loadOnnxRuntimeEngine(await exported(name), { threads: 2 });
    const seen = async (engine: Engine) => {
      await engine.setSource(portrait);
      const [{ keypoints }] = (await engine.drive([frames[1]!])) as [Analysis];
      const [picture] = await engine.generate([keypoints]);
      const inspection = await engine.inspect(keypoints, { withTensors: true });
      assert.ok(differenceOf(inspection.picture.data, picture!.data) <= 1);
      assert.equal((await engine.inspect(keypoints)).tensors, null);
      return inspection;
    };
    const expected = await seen(libtorch);
    for (const engine of [onnx, threads]) {
      const actual = await seen(engine);
      assert.ok(differenceOf(actual.deformation!.data, expected.deformation!.data) < 1e-3, name);
      if (expected.occlusion) assert.ok(differenceOf(actual.occlusion!.data, expected.occlusion.data) < 1e-3, name);
      assert.equal(actual.attention === null, expected.attention === null, name);
      if (expected.attention) {
        const { width, height } = expected.attention;
        assert.deepEqual([actual.attention!.width, actual.attention!.height], [width, height], name);
        for (const place of [0, Math.floor(1.5 * width), width * height - 1]) {
          const rows = [actual, expected].map(({ attention }) => attentionRow(attention!, place).data);
          assert.ok(differenceOf(rows[0]!, rows[1]!) < 1e-4, `${name}, row ${place}`);
          assert.ok(Math.abs(rows[0]!.reduce((sum, value) => sum + value, 0) - 1) < 1e-4);
        }
        assert.throws(() => attentionRow(actual.attention!, width * height), RangeError);
      }
      const common = ['deformation', 'source_feature', 'warped_feature', 'deformed', 'prediction'];
      for (const key of [...common, ...(expected.occlusion ? ['occlusion_map'] : [])]) {
        const [own, theirs] = [actual.tensors!.get(key)!, expected.tensors!.get(key)!];
        assert.deepEqual(own.shape, theirs.shape, key);
        const range = theirs.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
        assert.ok(differenceOf(own.data, theirs.data) < 2e-3 * range, `${name}: ${key}`);
      }
      for (const key of ['mask', 'sparse_deformed', 'refined_feature']) assert.ok(expected.tensors!.has(key), key);
    }
    assert.equal(expected.tensors!.has('source_disp3'), name !== 'fomm');
    assert.equal(expected.tensors!.has('kept_pixels'), ['aligned', 'starter'].includes(name));
    for (const engine of [libtorch, onnx, threads]) engine.dispose();
  }
});

/** Between them all parts that compute in float16. */
const HALVED = ['dagan', 'dagan-spade', 'dagan-resnet50', 'fomm', 'offsets', 'aligned'];

test('float16 halves the weights and keeps 40 dB', async () => {
  const { portrait, frames } = await realPictures();
  for (const name of HALVED) {
    const [exact, half] = [await exported(name), await exported(name, { precision: 'float16', size: 256 })];
    const pictures: Picture[][] = [];
    const bytes: number[] = [];
    for (const folder of [exact, half]) {
      const engine = await loadOnnxRuntimeEngine(folder, { threads: 1 });
      pictures.push((await animated(engine, portrait, frames.slice(0, 1))).pictures);
      bytes.push(readManifest(folder).weights.bytes);
      engine.dispose();
    }
    const quality = psnr(pictures[0]![0]!, pictures[1]![0]!);
    assert.ok(quality >= 40, `${name}: ${quality} dB`);
    assert.ok(bytes[1]! < 0.6 * bytes[0]!, `${name}: ${bytes}`);
  }
});

test('LibTorch runs the same file of weights as the graphs, which hold none themselves; in 16 bits it is half as long', async () => {
  const { portrait, frames } = await realPictures();
  const lengths: number[] = [];
  for (const weights of ['float32', 'float16'] as const) {
    const folder = await exported('dagan', { weights });
    const { graphs, weights: file, metadata } = readManifest(folder);
    lengths.push(file.bytes);
    for (const { file: name, bytes } of Object.values(graphs)) {
      assert.ok(bytes < 200_000, `${name} is ${bytes} bytes long, of ${file.bytes} of all weights`);
    }
    const loaded = loadModel({ checkpoint: weightsIn(folder) });
    assert.equal(loaded.metadata.sha256, metadata.sha256);
    const libtorch = new LibtorchEngine(loaded.model, { size: 256 });
    const onnx = await loadOnnxRuntimeEngine(folder, { threads: 1 });
    assert.match(onnx.description, /cpu, float32, 1 threads/);
    const [expected, actual] = [await animated(libtorch, portrait, frames), await animated(onnx, portrait, frames)];
    assert.ok(differenceOf(actual.source.keypoints.value, expected.source.keypoints.value) < 1e-4);
    for (const i of [0, 1]) assert.ok(differenceOf(actual.pictures[i]!.data, expected.pictures[i]!.data) <= 1);
    libtorch.dispose();
    onnx.dispose();
  }
  assert.ok(lengths[1]! < 0.6 * lengths[0]!, `${lengths}`);
});

test('weights that float16 cannot hold are refused, and an earlier export stays as it was', async () => {
  const folder = join(temporary, 'large');
  const write = async (scale: number): Promise<void> => {
    using model = formulaModel(narrow(MODEL_PRESETS.fomm));
    const { weight } = model.generator.first.conv;
    noGrad(() => weight.detach().copy_(weight.mul(scale)));
    await exportModel(model, folder, { weights: 'float16' });
  };
  await write(1);
  const before = readManifest(folder);
  await assert.rejects(write(1e9), /float16 cannot hold the values of generator\.first\.conv\.weight/);
  assert.deepEqual(readManifest(folder), before);
  assert.ok(weightsIn(folder));
  assert.deepEqual(await names(folder), FILES);
});

test('sessions that were made before one that cannot be are given back', async () => {
  const folder = await exported('fomm');
  const manifest = readManifest(folder);
  const ort = await loadOnnxRuntime();
  let open = 0;
  const counting = {
    Tensor: ort.Tensor,
    InferenceSession: {
      async create(bytes: Uint8Array, options?: Parameters<typeof ort.InferenceSession.create>[1]) {
        const session = await ort.InferenceSession.create(bytes, options);
        open++;
        const release = session.release.bind(session);
        session.release = async () => {
          open--;
          await release();
        };
        return session;
      },
    },
  };
  const read = async (file: string) =>
    file === 'generate.onnx' ? new TextEncoder().encode('no model') : await readFile(join(folder, file));
  await assert.rejects(OnnxEngine.create(counting, { manifest, read }));
  assert.equal(open, 0);
});

test('a new portrait replaces the one before; what an engine cannot do is said', async () => {
  const engine = await loadOnnxRuntimeEngine(await exported('fomm'), { size: SIZE, threads: 1 });
  assert.match(engine.description, /^ONNX Runtime [\d.]+, cpu, float32, 1 threads$/);
  const keypoints: KeypointSet = { value: new Float32Array(20), jacobian: null };
  await assert.rejects(engine.generate([keypoints]), /the engine has no portrait yet: call setSource first/);
  await assert.rejects(engine.setSource(noisyPicture(1, 64)), /works on 128 x 128 pictures, this one is 64 x 64/);
  const first = await engine.setSource(noisyPicture(1));
  const [before] = await engine.generate([first.keypoints]);
  const second = await engine.setSource(noisyPicture(2));
  const [other] = await engine.generate([second.keypoints]);
  await engine.setSource(noisyPicture(1));
  const [after, twice] = await engine.generate([first.keypoints, first.keypoints]);
  assert.ok(differenceOf(before!.data, other!.data) > 1);
  assert.ok(differenceOf(before!.data, after!.data) <= 1);
  assert.ok(differenceOf(after!.data, twice!.data) <= 1);
  engine.dispose();
  await assert.rejects(
    loadOnnxRuntimeEngine(await exported('fomm'), { size: 200 }),
    /must be a multiple of 128, not 200/,
  );
});

test('several engines in threads give what one gives, in its order, and end with it', async () => {
  const folder = await exported('dagan', { size: SIZE });
  const one = await loadOnnxRuntimeEngine(folder, { threads: 1 });
  const several = await loadOnnxRuntimeEngine(folder, { threads: 3 });
  assert.equal(one.batchSize, 1);
  assert.equal(several.batchSize, 3);
  assert.equal(several.size, SIZE);
  assert.match(several.description, /^ONNX Runtime [\d.]+, cpu, float32, 3 threads$/);
  const frames = [2, 3, 4, 5, 6, 7, 8].map((seed) => noisyPicture(seed)); // more than engines
  await assert.rejects(several.generate([{ value: new Float32Array(30), jacobian: null }]), /no portrait yet/);
  const [a, b] = [await animated(one, noisyPicture(1), frames), await animated(several, noisyPicture(1), frames)];
  assert.ok(differenceOf(a.source.keypoints.value, b.source.keypoints.value) < 1e-6);
  for (const [i, picture] of a.pictures.entries()) {
    assert.ok(differenceOf(picture.data, b.pictures[i]!.data) <= 1, `frame ${i}`);
    assert.ok(differenceOf(a.driving[i]!.disparity!.data, b.driving[i]!.disparity!.data) < 1e-5, `frame ${i}`);
    assert.ok(i === 0 || differenceOf(picture.data, a.pictures[i - 1]!.data) > 1, `frame ${i} is like that before it`);
  }
  await assert.rejects(several.setSource(noisyPicture(1, 64)), RangeError);
  one.dispose();
  several.dispose();
  await assert.rejects(several.drive(frames), /the engine is disposed of/);
});

test('a model may be exported for one size, which makes smaller graphs that take no other', async () => {
  const fixed = await exported('dagan', { size: SIZE });
  const manifest = readManifest(fixed);
  assert.equal(manifest.size, SIZE);
  assert.deepEqual(manifest.graphs.drive!.inputs, [{ name: 'image', shape: ['batch', 3, SIZE, SIZE] }]);
  const [engine, free] = [
    await loadOnnxRuntimeEngine(fixed, { threads: 1 }),
    await loadOnnxRuntimeEngine(await exported('dagan'), { size: SIZE, threads: 1 }),
  ];
  assert.equal(engine.size, SIZE);
  const frames = [noisyPicture(2), noisyPicture(3)];
  const [a, b] = [await animated(engine, noisyPicture(1), frames), await animated(free, noisyPicture(1), frames)];
  for (const i of [0, 1]) assert.ok(differenceOf(a.pictures[i]!.data, b.pictures[i]!.data) <= 1);
  engine.dispose();
  free.dispose();
  await assert.rejects(loadOnnxRuntimeEngine(fixed, { size: 256 }), /exported for pictures of 128 x 128, not 256/);
  using model = formulaModel(narrow(MODEL_PRESETS.fomm));
  await assert.rejects(
    exportModel(model, join(temporary, 'never'), { size: 100 }),
    /must be a multiple of 128, not 100/,
  );
  assert.ok(!existsSync(join(temporary, 'never')));
});

test('the manifest tells the model, the files and their hashes', async () => {
  const folder = join(temporary, 'told');
  const alive = liveTensors();
  {
    using model = formulaModel(narrow(MODEL_PRESETS.dagan));
    const metadata = { format: 'dagan-model-1', name: 'small', license: 'CC0-1.0', sha256: 'f'.repeat(64) };
    await exportModel(model, folder, { metadata, exportedBy: 'dagan test' });
  }
  assert.equal(liveTensors(), alive);
  assert.deepEqual(await names(folder), FILES);
  const manifest = checkManifest(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
  assert.deepEqual(manifest.config, narrow(MODEL_PRESETS.dagan));
  const { sha256: hash, ...told } = manifest.metadata;
  assert.deepEqual(told, { name: 'small', license: 'CC0-1.0' });
  using model = formulaModel(narrow(MODEL_PRESETS.dagan));
  assert.equal(hash, weightsHash(model.stateDict()));
  const { precision, keypoints, multiple, exported_by: by } = manifest;
  assert.deepEqual([precision, keypoints, multiple, by], ['float32', 15, 128, 'dagan test']);
  assert.equal(manifest.weights.type, 'float32');
  for (const { file, bytes, sha256 } of exportedFiles(manifest)) {
    const data = await readFile(join(folder, file));
    assert.equal(data.length, bytes);
    assert.equal(createHash('sha256').update(data).digest('hex'), sha256);
  }
  for (const { inputs } of Object.values(manifest.graphs)) {
    for (const name of inputs.flatMap(({ shape }) => shape).filter((size) => typeof size === 'string')) {
      assert.notEqual(sizeOfName(name, { batch: 1, height: 256, width: 256 }), undefined, name);
    }
  }
});

test('broken exports are refused with the file and what is wrong with it', async () => {
  const source = await exported('fomm');
  const folder = join(temporary, 'broken');
  await mkdir(folder);
  const text = await readFile(join(source, 'manifest.json'), 'utf8');
  for (const { file } of exportedFiles(readManifest(source))) {
    await writeFile(join(folder, file), await readFile(join(source, file)));
  }
  const load = (manifest: string) =>
    writeFile(join(folder, 'manifest.json'), manifest).then(() => loadOnnxRuntimeEngine(folder, { threads: 1 }));
  /** The manifest with one entry replaced; undefined takes it out. */
  const altered = (path: readonly string[], value: unknown): string => {
    const manifest = JSON.parse(text);
    let at: Record<string, unknown> = manifest;
    for (const key of path.slice(0, -1)) at = at[key] as Record<string, unknown>;
    at[path.at(-1)!] = value;
    return JSON.stringify(manifest);
  };
  const drive = (entry: string): string[] => ['graphs', 'drive', entry];
  const cases: [string, RegExp][] = [
    ['{', /manifest\.json: .*JSON.*export the model again/],
    [`${text.slice(0, 20)}&${text.slice(20)}`, /^[^\n]*manifest\.json: [^\n]*; export the model again$/],
    [altered(['architecture'], 'x'.repeat(5000)), /manifest\.json: config\.system must be "x{50,80}\.\.\., .{0,200}$/],
    ['[]', /manifest\.json: the configuration must be a mapping/],
    [altered(['format'], 'other'), /format must be "dagan-onnx-2", not "other"/],
    [altered(['keypoints'], undefined), /keypoints is missing/],
    [altered(['extra'], 1), /unknown keys: extra/],
    [altered(drive('file'), '../drive.onnx'), /graphs\.drive\.file must be the name of a file beside .* in \.onnx/],
    [altered(['weights', 'file'], 'drive.onnx'), /weights\.file must be the name of a file .* in \.safetensors/],
    [altered(['weights', 'file'], 'missing.safetensors'), /missing\.safetensors cannot be read/],
    [altered(['weights', 'type'], 'float8'), /weights\.type must be .*float16.*, not "float8"/],
    [altered(drive('sha256'), 'no'), /graphs\.drive\.sha256 must be a SHA-256/],
    [altered(drive('file'), 'missing.onnx'), /missing\.onnx cannot be read/],
    [altered(drive('sha256'), '0'.repeat(64)), /drive\.onnx is not the file that its manifest/],
  ];
  for (const [manifest, message] of cases) await assert.rejects(load(manifest), message);
  const weights = join(folder, 'model.safetensors');
  const bytes = await readFile(weights);
  await writeFile(weights, bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
  await assert.rejects(load(text), /model\.safetensors is not the file that its manifest was written for: .*copy/);
  assert.throws(() => weightsIn(folder), /model\.safetensors is not the file that its manifest was written for/);
  await writeFile(weights, bytes);
  const nonsense = Buffer.from('this is no model');
  await writeFile(join(folder, 'drive.onnx'), nonsense);
  await assert.rejects(load(text), /drive\.onnx is not the file that its manifest was written for/);
  const agreed = altered(drive('sha256'), createHash('sha256').update(nonsense).digest('hex'));
  await assert.rejects(load(agreed), /broken cannot be run on cpu: /);
  await assert.rejects(loadOnnxRuntimeEngine(temporary), /manifest\.json cannot be read: name the folder/);
});

test('ONNX Runtime keeps no record of what it is used for', async () => {
  const home = join(temporary, 'home');
  await mkdir(home);
  const module = fileURLToPath(new URL('../src/onnx-runtime.js', import.meta.url));
  const graph = join(await exported('fomm'), 'source.onnx');
  const program = `const { loadOnnxRuntime } = await import(${JSON.stringify(module)});
    const { InferenceSession } = await loadOnnxRuntime();
    await (await InferenceSession.create(${JSON.stringify(graph)})).release();`;
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env;
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], {
    env: { ...env, HOME: home, XDG_CACHE_HOME: join(home, '.cache') },
  });
  assert.deepEqual(await readdir(home), []);
});

/** Modules that a compiled module loads, by their specifiers, through all files of this workspace. */
async function loaded(module: string, seen = new Set<string>()): Promise<Set<string>> {
  const text = await readFile(fileURLToPath(module), 'utf8');
  for (const [, from] of text.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)'/gm)) {
    const target = from!.startsWith('.') ? new URL(from!, module).href : import.meta.resolve(from!);
    const ours = from!.startsWith('.') || from!.startsWith('@dagan/');
    if (seen.has(ours ? target : from!)) continue;
    seen.add(ours ? target : from!);
    if (ours) await loaded(target, seen);
  }
  return seen;
}

test('what runs exported models needs neither Node nor LibTorch, so that browsers can have it', async () => {
  const modules = [...(await loaded(new URL('../src/onnx.js', import.meta.url).href))];
  assert.ok(modules.some((name) => name.endsWith('/animation/engines/onnx.js')));
  assert.deepEqual(
    modules.filter((name) => name.startsWith('node:') || name.includes('native') || name.includes('onnxruntime-node')),
    [],
  );
});

/** Python with the package `onnx`, where someone has named one: a yardstick that the tests do without. */
const python = process.env.DAGAN_ONNX_PYTHON;

if (python) {
  test("the ONNX project's own checker accepts every variant, and both precisions", async () => {
    const program = `import sys, onnx
for path in sys.argv[1:]: onnx.checker.check_model(path, full_check=True)`;
    const exports: [string, ExportOptions][] = [
      ...Object.keys(VARIANTS).map((name): [string, ExportOptions] => [name, {}]),
      ...HALVED.map((name): [string, ExportOptions] => [name, { precision: 'float16', size: 256 }]),
      ['dagan', { weights: 'float16' }],
    ];
    const folders = await Promise.all(exports.map(([name, options]) => exported(name, options)));
    const files = folders.flatMap((folder) => STEPS.map((step) => join(folder, `${step}.onnx`)));
    await promisify(execFile)(python, ['-c', program, ...files]);
  });
}
