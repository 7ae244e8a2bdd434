// Configurations: presets, published YAML files, and what is said of damaged ones.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkModelConfig,
  configFromYaml,
  MODEL_PRESETS,
  type ModelConfig,
  modelPreset,
  readYamlConfig,
} from '../src/models/index.js';
import { temporaryFolder } from './media-fixtures.js';

const folder = await temporaryFolder();

/** A file in the published layout, with the published values of the networks. */
const YAML = `dataset_params:
  root_dir: frames
  frame_shape: [256, 256, 3]
  id_sampling: True
model_params:
  common_params:
    num_kp: 10
    num_channels: 3
    estimate_jacobian: True
  kp_detector_params:
     temperature: 0.1
     block_expansion: 32
     max_features: 1024
     scale_factor: 0.25
     num_blocks: 5
  generator_params:
    block_expansion: 64
    max_features: 512
    num_down_blocks: 2
    num_bottleneck_blocks: 6
    estimate_occlusion_map: True
    dense_motion_params:
      block_expansion: 64
      max_features: 1024
      num_blocks: 5
      scale_factor: 0.25
  discriminator_params:
    scales: [1]
    block_expansion: 32
train_params:
  lr_generator: 2.0e-4
  loss_weights:
    perceptual: [10, 10, 10, 10, 10]
visualizer_params:
  colormap: 'gist_rainbow'
`;

const without = (line: RegExp): string => {
  assert.match(YAML, line);
  return YAML.replace(line, '');
};
const changed = (from: string, to: string): string => {
  assert.ok(YAML.includes(from));
  return YAML.replace(from, to);
};

test('the published file gives the published models, with what its programs take from the command line', () => {
  assert.deepEqual(configFromYaml(YAML, { numKeypoints: 15 }), MODEL_PRESETS.dagan);
  assert.equal(configFromYaml(YAML).numKeypoints, 10);
  assert.deepEqual(configFromYaml(YAML, { numKeypoints: 15, decoder: 'spade' }), MODEL_PRESETS['dagan-spade']);
  assert.deepEqual(configFromYaml(YAML, { numKeypoints: 15, depth: { layers: 50 } }), MODEL_PRESETS['dagan-resnet50']);
  assert.deepEqual(configFromYaml(YAML, { depth: null }), MODEL_PRESETS.fomm);
  assert.deepEqual(configFromYaml(YAML, { attention: 'none' }), MODEL_PRESETS['fomm-fdn']);
  assert.deepEqual(configFromYaml(YAML, { depthGuidedKeypoints: false }), MODEL_PRESETS['fomm-cam']);
});

test('what the published constructors have defaults for may be left out', () => {
  assert.equal(configFromYaml(without(/ +estimate_jacobian: True\n/)).estimateJacobian, false);
  assert.equal(configFromYaml(without(/ +estimate_occlusion_map: True\n/)).generator.estimateOcclusionMap, false);
  assert.equal(configFromYaml(without(/ +scale_factor: 0.25\n(?= +num_blocks)/)).keypointDetector.scaleFactor, 1);
  const variance = changed('      num_blocks: 5\n', '      num_blocks: 5\n      kp_variance: 0.02\n');
  assert.equal(configFromYaml(variance).generator.denseMotion.keypointVariance, 0.02);
});

test('a mistake in the file is named with its path', () => {
  const says = (text: string, message: RegExp): void => assert.throws(() => configFromYaml(text), message);
  says(without(/ +num_kp: 10\n/), /^ConfigError: model_params\.common_params\.num_kp is missing; it must be a whole/);
  says(changed('num_kp: 10', 'num_kp: ten'), /model_params\.common_params\.num_kp must be .* not "ten"/);
  says(changed('num_kp: 10', 'num_kp: 10.5'), /num_kp must be a whole number from 1 to 256, not 10\.5/);
  says(changed('num_channels: 3', 'num_channels: 1'), /model_params\.common_params\.num_channels must be 3, not 1/);
  says(
    changed('temperature: 0.1', 'temperature: 0'),
    /kp_detector_params\.temperature must be a number above 0, not 0/,
  );
  says(changed('temperature: 0.1', 'temperature: .nan'), /kp_detector_params\.temperature must be a number above 0/);
  says(changed('scale_factor: 0.25', 'scale_factor: 0.3'), /kp_detector_params\.scale_factor must be 1 \/ n/);
  says(changed('_map: True', '_map: maybe'), /estimate_occlusion_map must be true or false, not "maybe"/);
  says(changed('num_blocks: 5', 'num_blocks: [5]'), /kp_detector_params\.num_blocks must be .* not \[5\]/);
  says(
    changed('num_blocks: 5\n  generator', 'num_blocks: 5\n     numblocks: 5\n  generator'),
    /model_params\.kp_detector_params has unknown keys: numblocks; known are block_expansion, max_features/,
  );
  says(changed('train_params:', 'training:'), /the configuration has unknown keys: training; known are dataset_params/);
  says(
    changed('max_features: 512', 'max_features: 32'),
    /generator\.maxFeatures is 32, less than its blockExpansion of 64/,
  );
  says('model_params: 3', /model_params must be a mapping, not 3/);
  says('', /the configuration must be a mapping, not null/);
});

test('YAML that is broken, would build objects or blows up is refused', () => {
  const says = (text: string, message: RegExp): void => assert.throws(() => configFromYaml(text), message);
  says(
    `${YAML}\nmodel_params: {}\n`,
    /^ConfigError: is not a YAML text that can be read: Map keys must be unique at line/,
  );
  says('a: b: c', /Nested mappings are not allowed/);
  says('a: [1, 2', /is not a YAML text that can be read/);
  says(changed('num_kp: 10', 'num_kp: !!python/object/apply:os.system ["true"]'), /Unresolved tag: .*python/);
  says(`${YAML}---\na: 1\n`, /multiple documents/);
  const list = (name: string, of: string): string => `${name}: &${name} [${Array(9).fill(of).join(', ')}]\n`;
  let bomb = list('a', '1');
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg']) bomb += list(to!, `*${from}`);
  says(bomb, /is not a YAML text that can be read: Excessive alias count/);
});

test('a file is read by its path, and named when something is wrong with it', () => {
  const good = join(folder, 'vox.yaml');
  writeFileSync(good, YAML);
  assert.deepEqual(readYamlConfig(good, { numKeypoints: 15 }), MODEL_PRESETS.dagan);
  const bad = join(folder, 'bad.yaml');
  writeFileSync(bad, changed('num_kp: 10', 'num_kp: -1'));
  assert.throws(() => readYamlConfig(bad), /bad\.yaml: model_params\.common_params\.num_kp must be .* not -1/);
  assert.throws(() => readYamlConfig(join(folder, 'none.yaml')), /none\.yaml: ENOENT/);
  const large = join(folder, 'large.yaml');
  writeFileSync(large, `${YAML}#${' '.repeat(2 ** 20)}`);
  assert.throws(() => readYamlConfig(large), /large\.yaml: has \d+ bytes; a configuration has at most 1048576/);
});

test('every preset passes the check as it is, also after a way through JSON', () => {
  for (const preset of Object.values(MODEL_PRESETS)) {
    assert.deepEqual(checkModelConfig(JSON.parse(JSON.stringify(preset))), preset);
  }
  assert.deepEqual(modelPreset('fomm'), MODEL_PRESETS.fomm);
  assert.throws(() => modelPreset('fomm2'), /there is no model 'fomm2'; known are dagan, dagan-spade, .*fomm-fdn-cam/);
  assert.throws(() => modelPreset('toString'), /there is no model 'toString'/);
});

test('a damaged configuration of ours is named by the value that is wrong', () => {
  const { dagan } = MODEL_PRESETS;
  const says = (value: unknown, message: RegExp): void => assert.throws(() => checkModelConfig(value), message);
  says(undefined, /^ConfigError: the configuration is missing/);
  says([dagan], /the configuration must be a mapping, not \[/);
  says({ ...dagan, depth: undefined }, /depth is missing; it must be a mapping/);
  says({ ...dagan, depth: { layers: 34 } }, /depth\.layers must be 18 or 50, not 34/);
  says({ ...dagan, depth: { layers: 18, width: 0.3 } }, /depth\.width must be .* not 0\.3/);
  says({ ...dagan, depth: null }, /depth must not be null where generator\.attention is 'residual'/);
  says({ ...MODEL_PRESETS['baseline-fdn'], depth: null }, /depth must not be null where depthGuidedKeypoints is true/);
  says({ ...dagan, numKeypoints: 1e9 }, /numKeypoints must be a whole number from 1 to 256, not 1000000000/);
  const denseMotion = { ...dagan.generator.denseMotion, alignCorners: 1 };
  says(
    { ...dagan, generator: { ...dagan.generator, denseMotion } },
    /generator\.denseMotion\.alignCorners must be .* not 1/,
  );
  says({ ...dagan, color: 'red' }, /has unknown keys: color/);
  const generator = (part: Partial<ModelConfig['generator']>) => ({
    ...dagan,
    generator: { ...dagan.generator, ...part },
  });
  says(generator({ blockExpansion: 3, maxFeatures: 9 }), /generator\.attention needs a multiple of 8 feature channels/);
  says(
    generator({ decoder: 'spade', numDownBlocks: 3 }),
    /generator\.numDownBlocks must be 2 for the SPADE decoder, not 3/,
  );
  const motion = MODEL_PRESETS.dagan.generator.denseMotion;
  const around = (contours: number[][]): ModelConfig => generator({ denseMotion: { ...motion, contours } });
  says(around([[0, 1]]), /generator\.denseMotion\.contours\.0 must be a list of 3 or more, not/);
  says(around([[0, 1, 15]]), /generator\.denseMotion\.contours must be of keypoints from 0 to 14, not 15/);
  says(
    generator({ estimateOcclusionMap: false, denseMotion: { ...motion, contours: [[0, 1, 2]] } }),
    /generator\.denseMotion\.contours needs generator\.estimateOcclusionMap/,
  );
  says(generator({ keepsPixels: 1 as unknown as boolean }), /generator\.keepsPixels must be true or false, not 1/);
  says(
    generator({ decoder: 'spade', keepsPixels: true }),
    /generator\.keepsPixels must be false for the SPADE decoder/,
  );
  says(
    generator({ decoder: 'shuffle', numDownBlocks: 3 }),
    /generator\.numDownBlocks must be 2 for the shuffle decoder, not 3/,
  );
  says({ ...dagan, semanticKeypoints: { chin: 15 } }, /semanticKeypoints\.chin must be from 0 to 14, not 15/);
  says({ ...dagan, semanticKeypoints: { chin: -1 } }, /semanticKeypoints\.chin must be a whole number from 0/);
  const refined = generator({ denseMotion: { ...motion, landmarkReach: 0.12 } });
  says(
    generator({ denseMotion: { ...motion, lids: [[0, 1, 2, 3]] } }),
    /denseMotion\.lids must be of keypoints with names, and needs landmarkReach/,
  );
  const point = { place: [0, 0, 0] as const, normal: [0, 0, -1] as const, rigid: true };
  const skinned = (skin: object[], changes: object = {}): ModelConfig => ({
    ...generator({ ...changes, denseMotion: { ...motion, landmarkReach: 0.12, skin: skin as (typeof point)[] } }),
    semanticKeypoints: { chin: 0 },
  });
  says(skinned([point, point]), /denseMotion\.skin must have an entry for each of semanticKeypoints/);
  says(skinned([point], { estimateOcclusionMap: false }), /denseMotion\.skin needs generator\.estimateOcclusionMap/);
  says(skinned([point]), /denseMotion\.skin must have rigid points that are not all in one plane/);
  says(skinned([{ ...point, normal: [0, 1] }]), /denseMotion\.skin\.0\.normal must be a list of three numbers, not/);
  for (const semanticKeypoints of [undefined, { chin: 0, noseTip: 2 }]) {
    says(
      { ...refined, semanticKeypoints },
      /landmarkReach needs semanticKeypoints that are the first ones, and others/,
    );
  }
  says(generator({ numDownBlocks: 0 }), /generator\.numDownBlocks must be a whole number from 1 to 5, not 0/);
});
