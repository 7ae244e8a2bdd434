// Checks of configurations that come from files: types, ranges, and what goes together.

import { shown } from '../../media/errors.js';
import type { DepthConfig } from '../depth-network.js';
import type { Iris } from '../gaze.js';
import type { Lids } from '../landmark-motion.js';
import { determinesPose, type SkinPoint } from '../skin.js';
import type { ModelConfig } from './config.js';

/** A configuration has a value that is missing, unknown or impossible. The message begins with the value's path. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Returns a value in its type.
 *
 * @param path of the value, as `generator.denseMotion.numBlocks`; empty for the whole
 * @throws ConfigError
 */
export type Check<T> = (value: unknown, path: string) => T;

function wrong(value: unknown, path: string, expected: string): ConfigError {
  const what = path || 'the configuration';
  return new ConfigError(
    value === undefined
      ? `${what} is missing; it must be ${expected}`
      : `${what} must be ${expected}, not ${shown(value)}`,
  );
}

export const wholeNumber =
  (min: number, max: number): Check<number> =>
  (value, path) => {
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw wrong(value, path, `a whole number from ${min} to ${max}`);
  };

/** A finite number above 0. */
export const positive: Check<number> = (value, path) => {
  if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
  throw wrong(value, path, 'a number above 0');
};

/** 1, 1 / 2, 1 / 3, ... 1 / 16. */
export const unitFraction: Check<number> = (value, path) => {
  const parts = typeof value === 'number' ? Math.round(1 / value) : 0;
  if (parts >= 1 && parts <= 16 && Math.abs((value as number) * parts - 1) < 1e-6) return 1 / parts;
  throw wrong(value, path, '1 / n with n from 1 to 16');
};

export const flag: Check<boolean> = (value, path) => {
  if (typeof value === 'boolean') return value;
  throw wrong(value, path, 'true or false');
};

export const oneOf =
  <T extends string | number>(...choices: readonly T[]): Check<T> =>
  (value, path) => {
    const found = choices.find((choice) => choice === value);
    if (found !== undefined) return found;
    throw wrong(value, path, choices.map(shown).join(' or '));
  };

/** Null, or what `check` lets pass. */
export const nullable =
  <T>(check: Check<T>): Check<T | null> =>
  (value, path) =>
    value === null ? null : check(value, path);

/** What `check` lets pass, or `fallback` where nothing is given; without a fallback the key stays away. */
export const optional =
  <T, F extends T | undefined>(check: Check<T>, fallback?: F): Check<T | F> =>
  (value, path) =>
    value === undefined ? (fallback as F) : check(value, path);

/** Any mapping; what is in it is not looked at. */
export const mapping: Check<Readonly<Record<string, unknown>>> = (value, path) => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw wrong(value, path, 'a mapping');
};

/** A mapping with these keys and no others. */
export const fields =
  <T extends object>(checks: { readonly [K in keyof T]-?: Check<T[K]> }): Check<T> =>
  (value, path) => {
    const given = new Map(Object.entries(mapping(value, path)));
    const unknown = [...given.keys()].filter((key) => !Object.hasOwn(checks, key));
    if (unknown.length > 0) {
      const known = Object.keys(checks).join(', ');
      throw new ConfigError(
        `${path || 'the configuration'} has unknown keys: ${unknown.join(', ')}; known are ${known}`,
      );
    }
    const checked = Object.entries<Check<unknown>>(checks).map(([key, check]) => {
      return [key, check(given.get(key), path ? `${path}.${key}` : key)] as const;
    });
    return Object.fromEntries(checked.filter(([, entry]) => entry !== undefined)) as T;
  };

const CHANNELS = wholeNumber(1, 4096);

/** Checks of the numbers that configurations have in common, ours and the published ones. */
export const RANGES = {
  numKeypoints: wholeNumber(1, 256),
  blockExpansion: CHANNELS,
  maxFeatures: CHANNELS,
  numBlocks: wholeNumber(1, 8),
  numDownBlocks: wholeNumber(1, 5),
  numBottleneckBlocks: wholeNumber(0, 64),
} as const;

/** Checks of an hourglass, or of anything that halves and doubles alike. */
export const hourglassChecks = {
  blockExpansion: RANGES.blockExpansion,
  maxFeatures: RANGES.maxFeatures,
  numBlocks: RANGES.numBlocks,
};

/** Whole numbers by any name. */
const placesByName: Check<Readonly<Record<string, number>>> = (value, path) =>
  Object.fromEntries(
    Object.entries(mapping(value, path)).map(([name, place]) => [name, wholeNumber(0, 255)(place, `${path}.${name}`)]),
  );

const listOf =
  <T>(check: Check<T>, least = 0): Check<readonly T[]> =>
  (value, path) => {
    if (!Array.isArray(value) || value.length < least)
      throw wrong(value, path, least > 0 ? `a list of ${least} or more` : 'a list');
    return value.map((entry, i) => check(entry, `${path}.${i}`));
  };

/** So many keypoints. */
const keypoints =
  <T extends readonly number[]>(count: T['length']): Check<T> =>
  (value, path) => {
    const found = listOf(wholeNumber(0, 255), count)(value, path);
    if (found.length > count) throw wrong(value, path, `a list of ${count}`);
    return found as unknown as T;
  };

/** Three finite numbers. */
const vector: Check<readonly [number, number, number]> = (value, path) => {
  const three = Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
  if (three) return value as unknown as [number, number, number];
  throw wrong(value, path, 'a list of three numbers');
};

const modelConfig = fields<ModelConfig>({
  system: optional(oneOf('dagan')),
  numKeypoints: RANGES.numKeypoints,
  estimateJacobian: flag,
  semanticKeypoints: optional(placesByName),
  depthGuidedKeypoints: flag,
  depth: nullable(
    fields<DepthConfig>({
      layers: oneOf(18, 50),
      width: optional(oneOf(1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2)),
      scaleFactor: optional(unitFraction),
    }),
  ),
  keypointDetector: fields({ ...hourglassChecks, temperature: positive, scaleFactor: unitFraction }),
  generator: fields({
    blockExpansion: RANGES.blockExpansion,
    maxFeatures: RANGES.maxFeatures,
    numDownBlocks: RANGES.numDownBlocks,
    numBottleneckBlocks: RANGES.numBottleneckBlocks,
    estimateOcclusionMap: flag,
    attention: oneOf('residual', 'literal', 'scaled', 'none'),
    attentionPool: optional(wholeNumber(1, 16)),
    decoder: oneOf('residual', 'spade', 'shuffle'),
    keepsPixels: optional(flag),
    denseMotion: fields({
      ...hourglassChecks,
      scaleFactor: unitFraction,
      keypointVariance: positive,
      alignCorners: optional(flag),
      affine: optional(flag),
      maskFalloff: optional(positive),
      landmarkReach: optional(positive),
      lids: optional(listOf(keypoints<Lids>(4))),
      irises: optional(listOf(keypoints<Iris>(5))),
      skin: optional(listOf(fields<SkinPoint>({ place: vector, normal: vector, rigid: flag }))),
      stretchPenalty: optional(positive),
      contours: optional(listOf(listOf(wholeNumber(0, 255), 3))),
    }),
  }),
});

/**
 * A model's configuration from a value of unknown origin, such as parsed JSON.
 *
 * @throws ConfigError, naming the first key that is missing, unknown, of the wrong type or out of range, or does not go
 *   together with another
 */
export function checkModelConfig(value: unknown): ModelConfig {
  const config = modelConfig(value, '');
  const { depth, depthGuidedKeypoints, generator, keypointDetector, numKeypoints, semanticKeypoints = {} } = config;
  for (const [name, keypoint] of Object.entries(semanticKeypoints)) {
    if (keypoint < numKeypoints) continue;
    throw new ConfigError(`semanticKeypoints.${name} must be from 0 to ${numKeypoints - 1}, not ${keypoint}`);
  }
  const named = Object.values(semanticKeypoints);
  if (generator.denseMotion.landmarkReach !== undefined) {
    const count = new Set(named).size;
    if (count === 0 || count === numKeypoints || Math.max(...named) >= count) {
      throw new ConfigError(
        'generator.denseMotion.landmarkReach needs semanticKeypoints that are the first ones, and others after them',
      );
    }
  }
  const parts = { keypointDetector, generator, 'generator.denseMotion': generator.denseMotion };
  for (const [path, { blockExpansion, maxFeatures }] of Object.entries(parts)) {
    if (maxFeatures >= blockExpansion) continue;
    throw new ConfigError(`${path}.maxFeatures is ${maxFeatures}, less than its blockExpansion of ${blockExpansion}`);
  }
  const attends = generator.attention !== 'none';
  if (depth === null && (attends || depthGuidedKeypoints)) {
    const why = attends ? `generator.attention is '${generator.attention}'` : 'depthGuidedKeypoints is true';
    throw new ConfigError(`depth must not be null where ${why}`);
  }
  const channels = Math.min(generator.maxFeatures, generator.blockExpansion * 2 ** generator.numDownBlocks);
  if (attends && channels % 8 !== 0) {
    throw new ConfigError(
      `generator.attention needs a multiple of 8 feature channels; blockExpansion gives ${channels}`,
    );
  }
  if (generator.decoder !== 'residual' && generator.numDownBlocks !== 2) {
    throw new ConfigError(
      `generator.numDownBlocks must be 2 for the ${generator.decoder === 'spade' ? 'SPADE' : 'shuffle'} decoder, not ${generator.numDownBlocks}`,
    );
  }
  const { contours = [] } = generator.denseMotion;
  for (const name of ['stretchPenalty', 'contours'] as const) {
    if (!generator.denseMotion[name] || generator.estimateOcclusionMap) continue;
    throw new ConfigError(`generator.denseMotion.${name} needs generator.estimateOcclusionMap`);
  }
  const { landmarkReach } = generator.denseMotion;
  for (const name of ['lids', 'irises'] as const) {
    const eyes = generator.denseMotion[name] ?? [];
    if (eyes.flat().some((keypoint) => landmarkReach === undefined || keypoint >= named.length)) {
      throw new ConfigError(`generator.denseMotion.${name} must be of keypoints with names, and needs landmarkReach`);
    }
  }
  const { skin } = generator.denseMotion;
  if (skin && (landmarkReach === undefined || skin.length !== named.length)) {
    throw new ConfigError(
      'generator.denseMotion.skin must have an entry for each of semanticKeypoints, and needs landmarkReach',
    );
  }
  if (skin && !generator.estimateOcclusionMap) {
    throw new ConfigError('generator.denseMotion.skin needs generator.estimateOcclusionMap');
  }
  if (skin && !determinesPose(skin)) {
    throw new ConfigError('generator.denseMotion.skin must have rigid points that are not all in one plane');
  }
  const beyond = contours.flat().find((keypoint) => keypoint >= numKeypoints);
  if (beyond !== undefined) {
    throw new ConfigError(
      `generator.denseMotion.contours must be of keypoints from 0 to ${numKeypoints - 1}, not ${beyond}`,
    );
  }
  if (generator.decoder === 'spade' && generator.keepsPixels) {
    throw new ConfigError('generator.keepsPixels must be false for the SPADE decoder');
  }
  return config;
}
