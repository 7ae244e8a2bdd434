// Models from and to files: published layouts, our own format, and what is said of files that do not fit.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { noGrad, readStateDict, saveStateDict, type Tensor, tensor, tidy, zeros } from '@dagan/libtorch';
import { CheckpointError, openCheckpoint } from '@dagan/libtorch/checkpoint';
import {
  configOf,
  DaGAN,
  loadModel,
  MODEL_PRESETS,
  type ModelConfig,
  ownName,
  PoseNetwork,
  publishedName,
  readNamed,
  saveModel,
  weightsHash,
} from '../src/models/index.js';
import { assertClose, largestDifference } from './compare.js';
import { temporaryFolder } from './media-fixtures.js';
import { publishedShapes, sharedMissing, sharedPath } from './shared.js';
import { formulaModel, loadDagan, narrow, noise } from './small-models.js';

const folder = await temporaryFolder();
const path = (name: string): string => join(folder, name);

const dagan = narrow(MODEL_PRESETS.dagan);
const model = formulaModel(dagan);

/** A model's tensors under their published names. */
const publishedState = (of: DaGAN): Map<string, Tensor> =>
  new Map([...of.stateDict()].map(([name, value]) => [publishedName(name), value]));

/** Those whose names begin with `prefix`, which is taken off if `strip` is set. */
const part = (state: Map<string, Tensor>, prefix: string, strip = false): Map<string, Tensor> =>
  new Map(
    [...state].flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[strip ? name.slice(prefix.length) : name, value] as const] : [],
    ),
  );

const state = publishedState(model);
const faces = new Map([...part(state, 'generator.'), ...part(state, 'kp_detector.')]);
const encoder = part(state, 'depth_encoder.', true);
const decoder = part(state, 'depth_decoder.', true);

const write = (name: string, tensors: ReadonlyMap<string, Tensor>): string => {
  saveStateDict(path(name), tensors);
  return path(name);
};

const withPrefix = (tensors: Map<string, Tensor>, prefix: string): Map<string, Tensor> =>
  new Map([...tensors].map(([name, value]) => [`${prefix}${name}`, value]));

/** Fails unless two models hold the same weights and configuration. */
function assertSame(loaded: DaGAN, expected: DaGAN): void {
  assert.deepEqual([...loaded.stateDict().keys()], [...expected.stateDict().keys()]);
  assert.equal(weightsHash(loaded.stateDict()), weightsHash(expected.stateDict()));
}

const says = (files: Parameters<typeof loadModel>[0], message: RegExp): void => {
  assert.throws(
    () => loadModel(files),
    (error: Error) => {
      assert.ok(error instanceof CheckpointError, `${error}`);
      assert.match(error.message, message);
      return true;
    },
  );
};

test('one file with all four parts under published names is a model, ready for use', () => {
  const { model: loaded, metadata, unused } = loadDagan({ checkpoint: write('all.safetensors', state) });
  assertSame(loaded, model);
  assert.deepEqual([metadata, unused], [{}, []]);
  assert.equal(loaded.training, false);
  assert.ok(loaded.parameters().every((parameter) => !parameter.requiresGrad));
  loaded.dispose();
});

test('the depth network may come in files of its own, under its own names, which may hold more', () => {
  const checkpoint = write('faces.safetensors', faces);
  // As published: the picture's size beside the encoder's tensors.
  const size = (value: number): Tensor => tensor(BigInt64Array.of(BigInt(value)), { shape: [] });
  const extra = new Map([...encoder, ['height', size(256)], ['width', size(256)], ['use_stereo', size(0)]]);
  const depthEncoder = write('encoder.safetensors', extra);
  const depthDecoder = write('decoder.safetensors', decoder);
  const { model: loaded, unused } = loadDagan({ checkpoint, depthEncoder, depthDecoder });
  assertSame(loaded, model);
  assert.deepEqual([...unused].sort(), ['depth_encoder.height', 'depth_encoder.use_stereo', 'depth_encoder.width']);
  loaded.dispose();

  const both = write(
    'depth.safetensors',
    new Map([...part(state, 'depth_encoder.'), ...part(state, 'depth_decoder.')]),
  );
  const again = loadDagan({ checkpoint, depthEncoder: both, depthDecoder: both });
  assertSame(again.model, model);
  assert.deepEqual(again.unused, []);
  again.model.dispose();
});

test('a depth network in files of its own takes the place of the one in the checkpoint', () => {
  using deep = formulaModel({ ...dagan, depth: { layers: 50, width: 1 / 8 } });
  const other = publishedState(deep);
  const { model: loaded } = loadDagan({
    checkpoint: write('all.safetensors', state),
    depthEncoder: write('encoder50.safetensors', part(other, 'depth_encoder.', true)),
    depthDecoder: write('decoder50.safetensors', part(other, 'depth_decoder.', true)),
  });
  assertSame(loaded, deep);
  loaded.dispose();
});

/** A file of published faces and depth parts, each under what a framework put before the names. */
function wrapped(before: string, inside = ''): Parameters<typeof loadModel>[0] {
  const within = new Map([...faces].map(([name, value]) => [name.replace('.', `.${inside}`), value]));
  return {
    checkpoint: write('wrapped.safetensors', withPrefix(within, before)),
    depthEncoder: write('wrapped-encoder.safetensors', withPrefix(encoder, before)),
    depthDecoder: write('wrapped-decoder.safetensors', withPrefix(decoder, before)),
  };
}

test('what frameworks put before names comes off, also one on the other, before all names or those of a network', () => {
  const cases = [
    ['module.', ''],
    ['', 'module.'],
    ['model.', ''],
    ['state_dict.', 'module.'],
    ['_orig_mod.', '_orig_mod.'],
    ['state_dict.model._orig_mod.module.', '_orig_mod.module.'],
  ] as const;
  for (const [before, inside] of cases) {
    const { model: loaded, unused } = loadDagan(wrapped(before, inside));
    assertSame(loaded, model);
    assert.deepEqual(unused, [], before + inside);
    loaded.dispose();
  }
});

test("our own names are read under a framework's as well, without our metadata", () => {
  const config: ModelConfig = { ...dagan, generator: { ...dagan.generator, keepsPixels: true } };
  using made = formulaModel(config);
  const checkpoint = write('ours.safetensors', withPrefix(new Map(made.stateDict()), 'state_dict.model.'));
  const { model: loaded, unused } = loadDagan({ checkpoint });
  assertSame(loaded, made);
  assert.deepEqual([loaded.config.generator.keepsPixels, unused], [true, []]);
  loaded.dispose();
});

test('every name has one published name, which leads back to it, and ours stay as they are', () => {
  for (const [preset, config] of Object.entries<ModelConfig>(MODEL_PRESETS)) {
    using made = new DaGAN(narrow(config));
    const pose = new PoseNetwork({ layers: 18, width: 1 / 8 });
    const names = [...made.stateDict().keys(), ...pose.stateDict('pose_network').keys()];
    assert.equal(new Set(names.map(publishedName)).size, names.length, preset);
    for (const name of names) {
      assert.equal(ownName(publishedName(name)), name);
      assert.equal(ownName(name), name);
    }
    pose.dispose();
  }
});

test('parts that stand alone in a file are recognised, and keep the names that their file has', () => {
  const bare: [prefix: string, ours: string][] = [
    ['kp_detector.', 'keypoint_detector.'],
    ['generator.', 'generator.'],
    ['depth_encoder.', 'depth_network.encoder.'],
    ['depth_decoder.', 'depth_network.decoder.'],
  ];
  for (const [prefix, ours] of bare) {
    const checkpoint = write('bare.safetensors', withPrefix(part(state, prefix, true), 'module.'));
    using file = openCheckpoint(checkpoint);
    const expected = [...model.stateDict().keys()].filter((name) => name.startsWith(ours));
    const found = readNamed(file);
    assert.deepEqual([...found.keys()].sort(), expected.sort(), prefix);
    for (const { name } of found.values()) assert.match(name, /^module\./);
  }
});

test('where a tensor is missing, the one that ends alike is named as the file has it', () => {
  const moved = (from: RegExp, to: string): string =>
    write('moved.safetensors', new Map([...state].map(([name, value]) => [name.replace(from, to), value])));
  says(
    { checkpoint: moved(/^kp_detector\./, 'foo.') },
    /moved\.safetensors: no keypoint detector: keypoint_detector\.kp\.weight .*is missing; the file has foo\.kp\.weight$/,
  );
  says(
    { checkpoint: moved(/^generator\.final\.bias$/, 'ema.final.bias') },
    /1 tensors are missing: generator\.decoder\.final\.bias; .*; the file has ema\.final\.bias$/,
  );
  says(
    { checkpoint: moved(/^generator\./, 'netG.net.') },
    /generator\.first\.conv\.weight is missing; the file has netG\.net\.first/,
  );
  says(
    { checkpoint: moved(/^depth_encoder\./, 'netD.enc.') },
    /there is no depth network: give its files too; the file has netD\.enc\.encoder\.conv1\.weight, below a prefix/,
  );
  says(
    { checkpoint: moved(/^depth_encoder\.encoder\.layer1\.0\./, 'ema.encoder.layer1.0.') },
    /the depth encoder is not whole: .*layer1\.0\.conv1\.weight .*; the file has ema\.encoder\.layer1\.0\.conv1\.weight$/,
  );
  says(
    { checkpoint: moved(/^generator\.dense_motion_network\.hourglass\./, 'net.dense_motion_network.hourglass.') },
    /no dense motion network: .*down_blocks\.0\.conv\.weight is missing; the file has net\.dense_motion_network/,
  );
});

test('a file with two tensors for one name is refused', () => {
  const [name, value] = [...state][0]!;
  says(
    { checkpoint: write('twice.safetensors', new Map([...state, [`module.${name}`, value]])) },
    /twice\.safetensors: has two tensors for .*: .* and /,
  );
});

test('discriminator and optimisers are left out and told', () => {
  const more = ['discriminator.discs.1.conv.weight', 'optimizer_generator.state.0.exp_avg'];
  const tensors = new Map([...state, ...more.map((name) => [name, zeros([2, 2])] as const)]);
  const { model: loaded, unused } = loadDagan({ checkpoint: write('training.safetensors', tensors) });
  assertSame(loaded, model);
  assert.deepEqual([...unused].sort(), more);
  loaded.dispose();
});

test('the architecture is read off the tensors, for every preset', () => {
  for (const [name, preset] of Object.entries<ModelConfig>(MODEL_PRESETS)) {
    // Channels that no cap applies to say nothing of the cap.
    const config = { ...narrow(preset), estimateJacobian: name !== 'baseline' };
    config.generator = { ...config.generator, estimateOcclusionMap: name !== 'fomm' };
    using made = formulaModel(config);
    const checkpoint = write(`preset-${name}.safetensors`, publishedState(made));
    using file = openCheckpoint(checkpoint);
    const found = configOf(file) as ModelConfig;
    const { generator } = found;
    assert.deepEqual({ ...found, generator: { ...generator, maxFeatures: 32 } }, config, name);
    const { model: loaded } = loadDagan({ checkpoint });
    assertSame(loaded, made);
    loaded.dispose();
  }
});

test('the published shapes give the published presets', { skip: sharedMissing }, () => {
  const shapes = (...sections: string[]) =>
    new Map(sections.flatMap((section) => Object.entries(publishedShapes(section))));
  const infer = (...sections: string[]): ModelConfig => {
    const tensors = [...shapes(...sections)].map(([name, shape]) => [name, { name, shape }] as const);
    const file = { metadata: {}, tensors: new Map(tensors) } as unknown as Parameters<typeof configOf>[0];
    return configOf(file) as ModelConfig;
  };
  const resnet = (layers: number): string[] => [`depth_encoder_resnet${layers}`, `depth_decoder_resnet${layers}`];
  assert.deepEqual(infer('generator', 'kp_detector', ...resnet(18)), MODEL_PRESETS.dagan);
  assert.deepEqual(infer('generator', 'kp_detector', ...resnet(50)), MODEL_PRESETS['dagan-resnet50']);
  assert.deepEqual(infer('generator_spade', 'kp_detector', ...resnet(18)), MODEL_PRESETS['dagan-spade']);
});

test('a model without depth ignores depth files that come with it', () => {
  using plain = formulaModel(narrow(MODEL_PRESETS.fomm));
  const { model: loaded, unused } = loadDagan({
    checkpoint: write('fomm.safetensors', publishedState(plain)),
    depthEncoder: write('encoder.safetensors', encoder),
    depthDecoder: write('decoder.safetensors', decoder),
  });
  assertSame(loaded, plain);
  assert.equal(unused.length, encoder.size + decoder.size);
  loaded.dispose();
});

test('what is missing or does not fit is named with the file it should be in', () => {
  const checkpoint = write('faces.safetensors', faces);
  const depthEncoder = write('encoder.safetensors', encoder);
  const depthDecoder = write('decoder.safetensors', decoder);
  const without = (tensors: Map<string, Tensor>, name: string): Map<string, Tensor> => {
    const rest = new Map(tensors);
    assert.ok(rest.delete(name), name);
    return rest;
  };
  says({ checkpoint }, /faces\.safetensors: this model needs face depth.*give its files too/);
  says({ checkpoint, depthEncoder }, /faces\.safetensors: there is a depth encoder but no depth decoder/);
  says({ checkpoint, depthDecoder }, /faces\.safetensors: this model needs face depth, but there is no depth network/);
  says(
    { checkpoint, depthEncoder: depthDecoder, depthDecoder },
    /decoder\.safetensors: holds no depth encoder: .*encoder\.conv1/,
  );
  says({ checkpoint, depthEncoder, depthDecoder: depthEncoder }, /encoder\.safetensors: holds no depth decoder/);
  says(
    { checkpoint: depthEncoder },
    /encoder\.safetensors: no keypoint detector: keypoint_detector\.kp\.weight \(published: kp_detector\.kp\.weight\) is missing$/,
  );
  says(
    { checkpoint: write('detector.safetensors', part(state, 'kp_detector.')) },
    /detector\.safetensors: no generator: generator\.first\.conv\.weight is missing$/,
  );

  const gap = write('gap.safetensors', without(state, 'generator.final.bias'));
  says(
    { checkpoint: gap },
    /gap\.safetensors: does not fit .* 1 tensors are missing: generator\.decoder\.final\.bias; in published files it is called generator\.final\.bias$/,
  );
  const encoderGap = write('gap-encoder.safetensors', without(encoder, 'encoder.layer3.1.bn2.weight'));
  says({ checkpoint, depthEncoder: encoderGap, depthDecoder }, /gap-encoder\.safetensors: .*layer3\.1\.bn2\.weight/);
  const decoderGap = write('gap-decoder.safetensors', without(decoder, 'decoder.12.conv.bias'));
  says(
    { checkpoint, depthEncoder, depthDecoder: decoderGap },
    /gap-decoder\.safetensors: .*depth_decoder\.decoder\.12\.conv\.bias/,
  );

  const bent = new Map([...state, ['generator.first.norm.bias', zeros([5])]]);
  says(
    { checkpoint: write('bent.safetensors', bent) },
    /bent\.safetensors: .*generator\.first\.norm\.bias is \[5\] instead of \[8\]/,
  );
  const more = new Map([...state, ['generator.second.weight', zeros([5])]]);
  says(
    { checkpoint: write('more.safetensors', more) },
    /more\.safetensors: .*1 tensors are unexpected: generator\.second\.weight/,
  );
  says({ checkpoint: path('none.safetensors') }, /none\.safetensors: no such file/);
  writeFileSync(path('text.safetensors'), 'these are no weights, and never were');
  says({ checkpoint: path('text.safetensors') }, /text\.safetensors: is no checkpoint/);
});

test('other networks are refused: a ResNet-34, a detector of five channels, impossible sizes', () => {
  const resnet34 = new Map(encoder);
  for (const [layer, count] of [
    [1, 3],
    [2, 4],
    [3, 6],
    [4, 3],
  ] as const) {
    for (let i = 2; i < count; i++) resnet34.set(`encoder.layer${layer}.${i}.conv1.weight`, zeros([1]));
  }
  says(
    {
      checkpoint: write('faces.safetensors', faces),
      depthEncoder: write('resnet34.safetensors', resnet34),
      depthDecoder: write('decoder.safetensors', decoder),
    },
    /resnet34\.safetensors: the depth encoder has 3,4,6,3 basic blocks; only ResNet-18 and ResNet-50 are known/,
  );
  const changed = (name: string, shape: number[]): string =>
    write('changed.safetensors', new Map([...state, [name, zeros(shape)]]));
  says(
    { checkpoint: changed('kp_detector.predictor.encoder.down_blocks.0.conv.weight', [16, 5, 3, 3]) },
    /changed\.safetensors: the keypoint detector takes 5 channels; 3 \(picture\) or 4 \(and depth\) are known/,
  );
  says(
    { checkpoint: changed('generator.first.conv.weight', [5000, 3, 7, 7]) },
    /changed\.safetensors: generator\.blockExpansion must be a whole number from 1 to 4096, not 5000/,
  );
});

test('our own file brings back weights, configuration and metadata, also what no tensor tells', () => {
  const config: ModelConfig = {
    ...dagan,
    numKeypoints: 7,
    keypointDetector: { ...dagan.keypointDetector, temperature: 0.2 },
    generator: {
      ...dagan.generator,
      attention: 'literal',
      denseMotion: { ...dagan.generator.denseMotion, keypointVariance: 0.02 },
    },
  };
  using made = formulaModel(config);
  saveModel(path('own.safetensors'), made, { name: 'seven', license: 'CC0-1.0', step: '12' });
  const { model: loaded, metadata, unused } = loadDagan({ checkpoint: path('own.safetensors') });
  assertSame(loaded, made);
  assert.deepEqual(loaded.config, config);
  assert.deepEqual(unused, []);
  const { name, license, step, architecture, sha256 } = metadata;
  assert.deepEqual([name, license, step, architecture], ['seven', 'CC0-1.0', '12', 'dagan']);
  assert.equal(sha256, weightsHash(made.stateDict()));
  noGrad(() =>
    tidy(() => {
      const image = noise(128);
      assert.equal(largestDifference(loaded.driving(image).keypoints.value, made.driving(image).keypoints.value), 0);
    }),
  );
  loaded.dispose();
  says(
    { checkpoint: path('own.safetensors'), depthEncoder: write('encoder.safetensors', encoder) },
    /own\.safetensors: is complete; leave the files of the depth encoder and decoder out/,
  );
});

test('a model in 16 bits loads in float32, as near as 16 bits can be', () => {
  using half = formulaModel(dagan);
  half.to({ dtype: 'float16' });
  saveModel(path('half.safetensors'), half);
  const { model: loaded } = loadDagan({ checkpoint: path('half.safetensors') });
  const expected = model.stateDict();
  for (const [name, value] of loaded.stateDict()) {
    assert.equal(value.dtype, expected.get(name)!.dtype, name);
    assertClose(value.to({ dtype: 'float32' }), expected.get(name)!.to({ dtype: 'float32' }), 1e-3, name);
  }
  loaded.dispose();
});

test('a damaged file of ours is told: its configuration, its weights, its tensors', () => {
  saveModel(path('good.safetensors'), model);
  const bytes = readFileSync(path('good.safetensors'));
  const header = Number(bytes.readBigUInt64LE(0));
  /** The file with its header's text changed. */
  const damaged = (from: string, to: string): string => {
    const text = bytes.subarray(8, 8 + header).toString();
    assert.ok(text.includes(from), from);
    const json = Buffer.from(text.trimEnd().replace(from, to));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path('damaged.safetensors'), Buffer.concat([length, json, bytes.subarray(8 + header)]));
    return path('damaged.safetensors');
  };
  const config = (from: string, to: string): string => damaged(from.replaceAll('"', '\\"'), to.replaceAll('"', '\\"'));
  const told = /damaged\.safetensors: has a damaged configuration in its metadata: /;
  says(
    { checkpoint: config('"numKeypoints":15', '"numKeypoints":"15"') },
    new RegExp(`${told.source}numKeypoints must be`),
  );
  says({ checkpoint: config('"numKeypoints":15,', '') }, new RegExp(`${told.source}numKeypoints is missing`));
  says({ checkpoint: config('{"numKeypoints"', '{numKeypoints') }, told);
  says(
    { checkpoint: damaged('"config":', '"configuration":') },
    new RegExp(`${told.source}the configuration is missing`),
  );
  says(
    { checkpoint: config('"numKeypoints":15', '"numKeypoints":10') },
    /damaged\.safetensors: does not fit the model it describes: 4 tensors have another shape: .*mask\.bias is \[16\] instead of \[11\]/,
  );

  const flipped = Buffer.from(bytes);
  flipped[bytes.length - 1000]! ^= 1;
  writeFileSync(path('flipped.safetensors'), flipped);
  says(
    { checkpoint: path('flipped.safetensors') },
    /flipped\.safetensors: is damaged: its weights are not those whose hash/,
  );
  writeFileSync(path('short.safetensors'), bytes.subarray(0, bytes.length - 10));
  says({ checkpoint: path('short.safetensors') }, /short\.safetensors: ends too early/);
});

test('a model that could not be saved leaves the file before it as it was', () => {
  saveModel(path('kept.safetensors'), model);
  const before = readFileSync(path('kept.safetensors'));
  using gone = formulaModel(narrow(MODEL_PRESETS.fomm));
  gone.generator.first.conv.weight.dispose();
  assert.throws(() => saveModel(path('kept.safetensors'), gone), /disposed/);
  assert.ok(before.equals(readFileSync(path('kept.safetensors'))));
});

test("the published checkpoints in both of PyTorch's formats are the same model", { skip: sharedMissing }, () => {
  // The tiny published checkpoints bring no depth network.
  using depth = formulaModel({ ...MODEL_PRESETS.dagan, depth: { layers: 18 } });
  const all = publishedState(depth);
  const files = {
    depthEncoder: write('encoder18.safetensors', part(all, 'depth_encoder.', true)),
    depthDecoder: write('decoder18.safetensors', part(all, 'depth_decoder.', true)),
  };
  const load = (name: string) => loadDagan({ ...files, checkpoint: sharedPath(`fixtures/${name}`) });
  const zip = load('checkpoint-tiny.pth.tar');
  assert.equal(zip.model.config.numKeypoints, 5);
  assert.equal(zip.model.config.generator.numBottleneckBlocks, 2);
  assert.ok(zip.unused.length > 0);
  for (const name of zip.unused) assert.match(name, /^(discriminator|optimizer_\w+)\./);

  const tinyShapes = { ...publishedShapes('tiny_generator'), ...publishedShapes('tiny_kp_detector') };
  const weights = publishedState(zip.model);
  for (const [name, shape] of Object.entries(tinyShapes)) assert.deepEqual(weights.get(name)!.shape, shape, name);
  assert.equal(weights.get('generator.AttnModule.gamma')!.item(), 0.5);

  const legacy = load('checkpoint-tiny-legacy.pth.tar');
  assertSame(legacy.model, zip.model);
  assert.deepEqual([...legacy.unused].sort(), [...zip.unused].sort());

  says(
    { checkpoint: sharedPath('fixtures/checkpoint-tiny.pth.tar') },
    /checkpoint-tiny\.pth\.tar: this model needs face depth/,
  );
  says(
    { ...files, checkpoint: sharedPath('fixtures/checkpoint-tiny-malicious.pth.tar') },
    /checkpoint-tiny-malicious\.pth\.tar: is refused: its pickle names .* Nothing was run/,
  );
  // A state dict of the detector alone, in half precision: no model, but that network's weights.
  const half = sharedPath('fixtures/checkpoint-tiny-half.pth');
  says({ checkpoint: half }, /checkpoint-tiny-half\.pth: no generator: generator\.first\.conv\.weight is missing$/);
  using file = openCheckpoint(half);
  const detector = legacy.model.keypointDetector;
  detector.loadStateDict(readStateDict(file.tensors));
  for (const [name, value] of detector.stateDict()) {
    const exact = weights.get(`kp_detector.${name}`)!;
    assert.equal(value.dtype, exact.dtype);
    assertClose(value, exact, 1e-3, name);
  }
  for (const loaded of [zip, legacy]) loaded.model.dispose();
});
