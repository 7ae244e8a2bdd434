// What is compared: models, and the copy of the source frame that any of them has to beat.
import type { Engine } from '../animation/engine.js';
import { MotionTransfer } from '../animation/motion.js';
import type { TransferOptions } from '../animation/transfer.js';
import type { Picture } from '../media/pictures/picture.js';

/** Makes the frames that are compared with the driving ones. */
export type Contestant = {
  /** The column's name. */
  readonly name: string;
  /** Changes with whatever could change its frames, such as its weights; figures are kept under it. */
  readonly identity: string;
  /** Frames that are best asked for together. */
  readonly batchSize: number;
  /** What is known of it, for the report. */
  readonly facts: Readonly<Record<string, string>>;
  /**
   * Takes the next source.
   *
   * @param motion how it is to move
   * @param reference the driving frame that has the source's pose; null for the first that is rendered
   */
  begin(source: Picture, motion: TransferOptions, reference: Picture | null): Promise<void>;
  /** One frame for every driving frame. */
  render(driving: readonly Picture[]): Promise<Picture[]>;
  dispose(): void;
};

/** Shows the source as it is, whatever drives it. */
export function copyOfSource(): Contestant {
  let shown: Picture | undefined;
  return {
    name: 'copy',
    identity: 'copy',
    batchSize: 1,
    facts: { model: 'none: the source frame, unchanged' },
    async begin(source) {
      shown = source;
    },
    async render(driving) {
      if (!shown) throw new Error('begin comes first');
      const picture = shown;
      return driving.map(() => picture);
    },
    dispose() {},
  };
}

/** A model in an engine, which is disposed of with it. */
export function modelContestant(
  engine: Engine,
  { name, identity, facts = {} }: { name: string; identity: string; facts?: Readonly<Record<string, string>> },
): Contestant {
  let transfer: MotionTransfer;
  return {
    name,
    identity,
    batchSize: engine.batchSize,
    facts: { ...facts, engine: engine.description },
    async begin(portrait, motion, pose) {
      const { keypoints } = await engine.setSource(portrait);
      const reference = pose ? (await engine.drive([pose]))[0]!.keypoints : undefined;
      // The published arithmetic, so that figures compare: heads may grow and shrink with the driver's.
      const settings = { names: engine.keypointNames, space: engine.motion, ...motion, mostGrowth: Infinity };
      transfer = new MotionTransfer(keypoints, { ...settings, reference });
    },
    async render(driving) {
      const found = await engine.drive(driving);
      return engine.generate(found.map(({ keypoints }) => transfer.next(keypoints)));
    },
    dispose: () => engine.dispose(),
  };
}
