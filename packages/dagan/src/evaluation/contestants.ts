// What is compared: models, and the copy of the source frame that any of them has to beat.
import type { Engine } from '../animation/engine.js';
import { InnerMouth, type InnerMouthChoice } from '../animation/inner-mouth.js';
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

export type ModelContestantOptions = Pick<Contestant, 'name' | 'identity'> & {
  facts?: Contestant['facts'];
  /**
   * What mouths show that are shut in the source. Default `painted`: the networks' own frames. With `auto` frames are those of
   * animations, which says nothing where the driver is the true result (`self`).
   */
  innerMouth?: InnerMouthChoice;
};

/** A model in an engine, which is disposed of with it. */
export function modelContestant(
  engine: Engine,
  { name, identity, facts = {}, innerMouth = 'painted' }: ModelContestantOptions,
): Contestant {
  let transfer: MotionTransfer;
  let mouth: InnerMouth | undefined;
  return {
    name,
    identity,
    batchSize: engine.batchSize,
    facts: { ...facts, engine: engine.description },
    async begin(portrait, motion, pose) {
      const { keypoints } = await engine.setSource(portrait);
      mouth = InnerMouth.of(engine.keypointNames ?? {}, innerMouth);
      const reference = pose ? (await engine.drive([pose]))[0]!.keypoints : undefined;
      // The published arithmetic, so that figures compare: heads may grow and shrink with the driver's.
      const settings = { names: engine.keypointNames, space: engine.motion, ...motion, mostGrowth: Infinity };
      transfer = new MotionTransfer(keypoints, { ...settings, reference });
    },
    async render(driving) {
      const found = await engine.drive(driving);
      const moved = found.map(({ keypoints }) => transfer.next(keypoints));
      const painted = await engine.generate(moved);
      return painted.map((picture, i) => {
        const driver = { picture: driving[i]!, keypoints: found[i]!.keypoints, hasFace: true };
        return mouth?.in({ picture, keypoints: moved[i]! }, transfer, driver) ?? picture;
      });
    },
    dispose: () => engine.dispose(),
  };
}
