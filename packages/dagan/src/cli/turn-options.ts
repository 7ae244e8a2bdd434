// Options that turn a head to angles of choice, beside a driver or with none.
import { type Command, InvalidArgumentError } from 'commander';
import type { HeadAngles } from '../animation/free-view.js';
import type { HeadTurn } from '../pipelines/head-turn.js';
import { UsageError } from './errors.js';
import { amount } from './options.js';
import { optionsIn } from './remedies.js';

export type TurnOptions = { yaw?: HeadAngle; pitch?: HeadAngle; roll?: HeadAngle };

/** An angle in degrees, or two to go from and to. */
type HeadAngle = number | readonly [from: number, to: number];

/** Options about what drives, which mean nothing where only the head turns. */
const OF_DRIVERS = [
  ...['relative', 'absolute', 'adaptScale', 'referenceFrame', 'strength', 'motion', 'smooth'],
  ...['drivingCrop', 'drivingFace', 'start', 'end'],
];

export const addTurnOptions = (command: Command): Command =>
  command
    .option(
      '--yaw <degrees>',
      "turn the head to so many degrees in place of the driver's, for models with heads in space; without a driver also from " +
        'one angle to another, such as -20:20',
      headAngle,
    )
    .option('--pitch <degrees>', 'nod likewise', headAngle)
    .option('--roll <degrees>', 'tilt likewise', headAngle);

const turnOf = ({ yaw, pitch, roll }: TurnOptions): HeadTurn => ({ yaw, pitch, roll });

/** The turn of a head that nothing drives. @throws UsageError if there is none, or an option is about drivers */
export function turnAlone(options: TurnOptions): HeadTurn {
  const turn = turnOf(options);
  if (Object.values(turn).every((angle) => angle === undefined)) {
    throw new UsageError('name a portrait and a driving clip, or angles of the head (--yaw, --pitch, --roll)');
  }
  const given: Readonly<Record<string, unknown>> = options;
  const idle = OF_DRIVERS.find((name) => given[name] !== undefined);
  if (idle) throw new UsageError(optionsIn(`\`${idle}\` is about what drives the portrait, and nothing does`));
  return turn;
}

/** Angles in place of the driver's. @throws UsageError for an angle that changes */
export function anglesBesideDriver(options: TurnOptions): HeadAngles {
  const single = Object.entries(turnOf(options)).map(([name, angle]) => {
    if (typeof angle !== 'object') return [name, angle] as const;
    const range = angle.join(':');
    throw new UsageError(`--${name} ${range}: a head goes from one angle to another where nothing else drives it`);
  });
  return Object.fromEntries(single);
}

/** Reads `20` or `-20:20`. */
function headAngle(text: string): HeadAngle {
  const [from, to, ...rest] = text.split(':').map(amount(-90, 90));
  if (rest.length > 0) throw new InvalidArgumentError('It must be one angle, or two with a colon between them.');
  return to === undefined ? from! : [from!, to];
}
