// A system: what it takes to have its models by name, from files and in files. `models/files/systems.ts` lists them.
import type { AnimationModel, SystemConfig } from './animation-model.js';

/** Names and shapes of tensors, under our names, with the names that their file gives them. */
export type NamedShapes = ReadonlyMap<string, { name: string; shape: readonly number[] }>;

/** What names begin with: [ours, published]; `#` is a number that carries over. The first row that matches counts. */
export type NameRow = readonly [ours: string, published: string];

/** How a system calls its tensors. In a file of its own beside the networks, since files are read before networks are made. */
export type SystemNames = {
  /** What the names of the networks' tensors begin with, ours: 'generator.', ... A part is loaded whole. */
  readonly parts: readonly string[];
  /** Names that differ in published files. Each direction undoes the other. */
  readonly rows: readonly NameRow[];
  /** What names of ours begin with whose published kernels have a depth of 1, which is left out. */
  readonly flattened?: readonly string[];
};

export type System = {
  /** `architecture` in files, `system` in configurations. */
  readonly name: string;
  /** Points of the face mesh that move its models (`MotionSpace.meshPoints`), so that training must be told of them. */
  readonly meshPoints?: readonly number[];
  /** Whether a tensor of this name, ours, tells that a file holds this system. */
  readonly owns: (tensor: string) => boolean;
  readonly names: SystemNames;
  /** A configuration from a value of unknown origin. @throws ConfigError */
  readonly checkConfig: (value: unknown) => SystemConfig;
  /** The configuration that tensors of a published file tell. @throws ArchitectureError */
  readonly inferConfig: (tensors: NamedShapes) => SystemConfig;
  /** A model with random weights. @throws RangeError for a configuration of another system */
  readonly build: (config: SystemConfig) => AnimationModel;
  /** The model in words, on one line. */
  readonly describe: (config: SystemConfig) => string;
  /** The same kind of model at a width and for a size; left out where comparisons take it as it is. */
  readonly sized?: (config: SystemConfig, wanted: ModelSize) => SystemConfig;
};

/** How large models are made that are to be compared. */
export type ModelSize = {
  /** Channels of each network's first layer; all widths follow. */
  channels: number;
  /** Side of the pictures in pixels. */
  size: number;
};

/** Widths of an hourglass of that size; its number of blocks is the system's own. */
export const hourglassWidths = ({ channels }: ModelSize) => ({ blockExpansion: channels, maxFeatures: 8 * channels });
