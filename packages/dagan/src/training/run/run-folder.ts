// The folder of a run: checkpoints, models, configuration. Files are written whole or not at all.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { withCode } from '../../errors.js';
import { oneLine } from '../../media/errors.js';
import { writeWholeSync, writing } from '../../media/files.js';
import type { StageName } from '../../models/files/formats.js';
import { CheckpointFolder } from './checkpoints.js';
import { TrainingSetupError } from './setup-error.js';

/** Name of a run's configuration in its folder, for people and for going on. */
const CONFIG_FILE = 'config.json';

const CHECKPOINTS = 'checkpoints';

/** What each stage trains, in words. */
const SUBJECT: Readonly<Record<StageName, string>> = { depth: 'face depth', animation: 'an animation model' };

export class RunFolder {
  readonly checkpoints: CheckpointFolder;

  /** @param keep how many of the newest checkpoints stay */
  constructor(
    readonly path: string,
    readonly stage: StageName,
    keep: number,
  ) {
    this.checkpoints = new CheckpointFolder(join(path, CHECKPOINTS), keep);
  }

  /** Path of a file in it. */
  file(name: string): string {
    return join(this.path, name);
  }

  /** The model with the best result on held-out samples. */
  get best(): string {
    return this.file('best.safetensors');
  }

  /**
   * Looks whether a run can live here, and changes nothing.
   *
   * @param resume whether it is to go on with what is there
   * @throws TrainingSetupError if the folder holds another run
   */
  check({ resume = false }: { resume?: boolean }): void {
    if (this.checkpoints.steps().length === 0) return;
    if (!resume) {
      const message = `${this.path} holds a training with checkpoints: go on with it or name another folder`;
      throw withCode(new TrainingSetupError(message), 'training-in-folder', { path: this.path });
    }
    readConfig(this.path, this.stage);
  }

  /** Makes the folder, clears it of what an ended process has left half-written, and writes the configuration into it. */
  prepare(config: object): void {
    writing(this.path, () => mkdirSync(this.checkpoints.path, { recursive: true }));
    for (const place of [this.path, this.checkpoints.path]) {
      for (const name of readdirSync(place)) if (name.endsWith('.part')) rmSync(join(place, name), { force: true });
    }
    writeWholeSync(this.file(CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
  }
}

/**
 * What a run with checkpoints was configured to; null for a folder without.
 *
 * @throws TrainingSetupError if it is a run of the other stage, or its configuration is damaged
 */
export function savedConfig<Config extends object>(folder: string, stage: StageName): Config | null {
  if (new CheckpointFolder(join(folder, CHECKPOINTS), 1).steps().length === 0) return null;
  return readConfig(folder, stage) as Config | null;
}

function readConfig(folder: string, stage: StageName): object | null {
  const path = join(folder, CONFIG_FILE);
  if (!existsSync(path)) return null;
  let config: { stage?: StageName };
  try {
    config = JSON.parse(readFileSync(path, 'utf8')) as typeof config;
  } catch (error) {
    throw new TrainingSetupError(`${path} is damaged (${oneLine(error)}): name another folder`);
  }
  const found = config.stage ?? 'animation';
  if (found === stage) return config;
  const message = `${folder} holds a training of ${SUBJECT[found]}, not of ${SUBJECT[stage]}: go on with it or name another folder`;
  throw withCode(new TrainingSetupError(message), 'training-in-folder', { path: folder, stage: found });
}
