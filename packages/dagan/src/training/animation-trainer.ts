// The training of the animation model, from the first step to the last. Every rank runs this loop; rank 0 writes.
//
//   dagan train animation --data clips/ --preset starter-256 --output runs/starter          one process
//   dagan train animation --data clips/ --preset starter-256 --output runs/starter --nproc 2   two, on this machine
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { manualSeed, type Tensor, tensor, tidy } from '@dagan/libtorch';
import type { Picture } from '../media/picture.js';
import type { PerceptualNetwork } from '../models/vgg19.js';
import { type AnimationTrainingConfig, checkTrainingConfig, phaseOf } from './animation-config.js';
import type { FramePair } from './animation-objective.js';
import { AnimationState, type TrainingPlace } from './animation-state.js';
import { NonFiniteLossError } from './animation-step.js';
import { type BestResult, CheckpointFolder } from './checkpoints.js';
import { evaluateReconstruction } from './evaluation.js';
import type { FramePairSource, PairProvider } from './frame-pairs.js';
import type { TrainingObserver } from './observers.js';
import { animationSheet } from './pictures.js';
import { randomStates, restoreRandomStates } from './random-state.js';
import { learningRateFactor } from './schedule.js';

export type AnimationRun = {
  config: AnimationTrainingConfig;
  /** Folder of the run: checkpoints, `model.safetensors` (the average), `best.safetensors`, logs. */
  folder: string;
  data: PairProvider;
  /** Null only if the perceptual term has weight 0. */
  perceptual: PerceptualNetwork | null;
  place: TrainingPlace;
  /** Loads weights to start from; not called when a run goes on. */
  start?: (state: AnimationState) => void;
  /** Goes on from the folder's newest checkpoint, if there is one. */
  resume?: boolean;
  /** Steps between checkpoints, evaluations and pictures; 0 for none but checkpoints at the end. */
  every: { checkpoint: number; evaluation: number; pictures: number };
  /** How many of the newest checkpoints stay. */
  keep: number;
  /** Makes those who are told of steps after the given one; called in rank 0. */
  observers?: (step: number) => TrainingObserver[];
  /** Ends the run after the present step, with a checkpoint. */
  signal?: AbortSignal;
  /** What the exported models' metadata say beside the training's own. */
  metadata?: Readonly<Record<string, string>>;
};

export type TrainingOutcome = {
  /** Steps behind the last checkpoint. */
  step: number;
  /** Whether the run was ended before its last step. */
  interrupted: boolean;
  best: BestResult | null;
};

/**
 * Trains until the configuration's last step, or until the signal.
 *
 * @throws NonFiniteLossError after having written the state before the step; RangeError for a configuration that cannot
 *   be; CheckpointError if the run's last checkpoint cannot be written
 */
export async function trainAnimation(run: AnimationRun): Promise<TrainingOutcome> {
  const { config, folder, place, every } = run;
  const { device, group } = place;
  const [rank, worldSize] = [group?.rank ?? 0, group?.worldSize ?? 1];
  checkTrainingConfig(config, worldSize);
  const checkpoints = new CheckpointFolder(join(folder, 'checkpoints'), run.keep);
  if (rank === 0) prepareFolder(run, checkpoints);
  group?.barrier();

  // ---- where to start
  const notices: string[] = [];
  const saved = run.resume ? checkpoints.newest((text) => notices.push(text)) : null;
  let step = saved?.step ?? 0;
  let best = saved?.best ?? null;
  manualSeed(config.seed);
  let state = new AnimationState(config, phaseOf(config, step).size, run.perceptual, place);
  manualSeed(config.seed + 1 + rank + worldSize * step);
  if (saved) restore(state, saved.tensors, rank);
  else {
    run.start?.(state);
    state.restartAverages();
  }
  for (const value of saved?.tensors.values() ?? []) value.dispose();
  const request = { batchSize: config.batchSize / worldSize, rank, worldSize };
  let data = await run.data.training({ ...request, size: state.size }, saved?.data);
  const observers = new Observers(rank === 0 ? (run.observers?.(step) ?? []) : []);
  if (saved && rank === 0) checkpoints.removeAfter(step);
  if (saved) observers.notice(`going on after step ${step}, from ${saved.path}`);
  for (const text of notices) observers.notice(text);

  // ---- what is done now and then
  let written = saved ? step : -1;
  const save = (position: Position): void => {
    const random = gatherRandomStates(position.random, place);
    if (rank === 0) {
      const facts = { step: position.step, config, data: position.data, best };
      const path = checkpoints.save(facts, new Map([...state.stateDict(), ...random]));
      state.export(join(folder, 'model.safetensors'), modelMetadata(run, position.step));
      observers.saved(position.step, path);
    }
    for (const value of random.values()) value.dispose();
    written = position.step;
  };
  /** Unless it must be, a checkpoint that cannot be written is no reason to end: the next one may find room again. */
  const saveHere = ({ must = false } = {}): void => {
    if (written === step) return;
    try {
      withPosition(step, data, device, save);
    } catch (error) {
      if (must) throw error;
      observers.notice(`step ${step}: no checkpoint: ${(error as Error).message}`);
    }
  };
  const evaluate = async (): Promise<void> => {
    const pairs = run.data.heldOut({ ...request, size: state.size });
    if (!pairs) return;
    const result = await state.withAverages(() => evaluateReconstruction(state.step.objective, pairs, group));
    observers.evaluation(step, result);
    if (best && result.l1 >= best.value) return;
    best = { step, value: result.l1 };
    saveHere();
    if (rank === 0 && written === step) state.export(join(folder, 'best.safetensors'), modelMetadata(run, step));
  };

  // ---- the loop
  let stopping = false;
  try {
    while (step < config.steps && !stopping) {
      const began = performance.now();
      const { size } = phaseOf(config, step);
      if (size !== state.size) {
        state = state.resized(size);
        const position = data.state();
        await data.close?.();
        data = await run.data.training({ ...request, size }, position);
      }
      const learningRate = config.learningRate * learningRateFactor(config.schedule, step, config.steps);
      state.step.learningRate = learningRate;
      const before = { step, data: data.state(), random: randomStates(device) };
      const batch = await data.next();
      const drawing = rank === 0 && isDue(step + 1, every.pictures);
      try {
        const { losses, gradientNorms, sheet } = learn(state, batch, drawing);
        state.average(step);
        step += 1;
        const seconds = (performance.now() - began) / 1000;
        const { steps, batchSize: pairs } = config;
        observers.step({ step, steps, learningRate, size, pairs, seconds, losses, gradientNorms });
        if (sheet) await observers.pictures(step, { networks: sheet });
      } catch (error) {
        if (error instanceof NonFiniteLossError && written !== step) save(before);
        throw error;
      } finally {
        for (const value of [batch.source, batch.driving, ...before.random.values()]) value.dispose();
      }
      await setImmediate(); // lets signals through
      stopping = anyRank(run.signal?.aborted ?? false, place);
      const last = stopping || step === config.steps;
      if (isDue(step, every.evaluation) || (step === config.steps && every.evaluation > 0)) await evaluate();
      if (last || isDue(step, every.checkpoint)) saveHere({ must: last });
    }
  } finally {
    await data.close?.();
    observers.close();
    state.dispose();
  }
  return { step, interrupted: step < config.steps, best };
}

/** Where a run stands between two steps. */
type Position = { step: number; data: unknown; random: ReadonlyMap<string, Tensor> };

const isDue = (step: number, every: number): boolean => every > 0 && step % every === 0;

/** One step, and what it saw as a picture if wanted; leaves no tensors behind. */
function learn(state: AnimationState, batch: FramePair, drawing: boolean) {
  return tidy(() => {
    const { device } = state.place;
    const move = (images: Tensor) => images.to({ device, memoryFormat: 'channels_last' });
    const moved = { source: move(batch.source), driving: move(batch.driving) };
    const { losses, gradientNorms, seen } = state.step.run(moved);
    const sheet: Picture | null = drawing ? animationSheet(moved, seen) : null;
    return { losses, gradientNorms, sheet };
  });
}

function withPosition(step: number, data: FramePairSource, device: string, body: (position: Position) => void): void {
  const random = randomStates(device);
  try {
    body({ step, data: data.state(), random });
  } finally {
    for (const value of random.values()) value.dispose();
  }
}

/** The random numbers of all ranks, as `random.cpu.0` and so on. */
function gatherRandomStates(own: ReadonlyMap<string, Tensor>, { group, device }: TrainingPlace): Map<string, Tensor> {
  return new Map(
    [...own].flatMap(([name, value]) => {
      const where = device === 'cpu' || !group ? {} : { device };
      const all = group ? group.allGather(value.to(where)) : [value.clone()];
      return all.map((each, rank) => [`random.${name}.${rank}`, each] as const);
    }),
  );
}

/** A checkpoint's state; ranks that it does not know keep the random numbers that they have. */
function restore(state: AnimationState, tensors: ReadonlyMap<string, Tensor>, rank: number): void {
  tidy(() => state.loadStateDict(tensors));
  const own = ['cpu', 'device'].flatMap((name) => {
    const value = tensors.get(`random.${name}.${rank}`);
    return value ? [[name, value] as const] : [];
  });
  restoreRandomStates(new Map(own), state.place.device);
}

/** Whether it is so in any rank. */
function anyRank(own: boolean, { group, device }: TrainingPlace): boolean {
  if (!group || group.worldSize === 1) return own;
  return tidy(() => group.allReduce(tensor([own ? 1 : 0]).to({ device }), 'max').item() > 0);
}

/** Makes the run's folder, and refuses one that holds another run. */
function prepareFolder({ folder, config, resume }: AnimationRun, checkpoints: CheckpointFolder): void {
  if (!resume && checkpoints.steps().length > 0) {
    throw new RangeError(
      `${folder} holds a training with checkpoints: go on with it (--resume) or name another folder`,
    );
  }
  mkdirSync(checkpoints.path, { recursive: true });
  for (const place of [folder, checkpoints.path]) {
    for (const name of readdirSync(place)) if (name.endsWith('.part')) rmSync(join(place, name), { force: true });
  }
  const path = join(folder, CONFIG_FILE);
  writeFileSync(`${path}.part`, `${JSON.stringify(config, null, 2)}\n`);
  renameSync(`${path}.part`, path);
}

/** Name of a run's configuration in its folder, for people and for going on. */
const CONFIG_FILE = 'config.json';

/** What a run with checkpoints was configured to; null for a folder without. */
export function savedConfig(folder: string): AnimationTrainingConfig | null {
  const path = join(folder, CONFIG_FILE);
  if (new CheckpointFolder(join(folder, 'checkpoints'), 1).steps().length === 0 || !existsSync(path)) return null;
  return JSON.parse(readFileSync(path, 'utf8')) as AnimationTrainingConfig;
}

function modelMetadata({ config, metadata }: AnimationRun, step: number): Record<string, string> {
  return { name: config.name, training_steps: `${step}`, ...metadata };
}

/** All observers as one. Logs on a full disk must not end a training: what goes wrong is said once. */
class Observers implements Required<TrainingObserver> {
  readonly #failed = new Set<TrainingObserver>();

  constructor(private readonly all: readonly TrainingObserver[]) {}

  step: Required<TrainingObserver>['step'] = (report) => this.#each((observer) => observer.step?.(report));
  evaluation: Required<TrainingObserver>['evaluation'] = (step, result) =>
    this.#each((observer) => observer.evaluation?.(step, result));
  saved: Required<TrainingObserver>['saved'] = (step, path) => this.#each((observer) => observer.saved?.(step, path));
  notice: Required<TrainingObserver>['notice'] = (text) => this.#each((observer) => observer.notice?.(text));
  close = (): void => this.#each((observer) => observer.close?.());

  async pictures(step: number, pictures: Readonly<Record<string, Picture>>): Promise<void> {
    for (const observer of this.all) {
      try {
        await observer.pictures?.(step, pictures);
      } catch (error) {
        this.#report(observer, error);
      }
    }
  }

  #each(tell: (observer: TrainingObserver) => void): void {
    for (const observer of this.all) {
      try {
        tell(observer);
      } catch (error) {
        this.#report(observer, error);
      }
    }
  }

  #report(failing: TrainingObserver, error: unknown): void {
    if (this.#failed.has(failing)) return;
    this.#failed.add(failing);
    for (const observer of this.all) {
      if (observer !== failing && !this.#failed.has(observer))
        observer.notice?.(`the log cannot be written: ${(error as Error).message}`);
    }
  }
}
