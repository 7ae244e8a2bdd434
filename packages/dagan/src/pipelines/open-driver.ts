// Opens what moves a portrait, whichever kind of driver it is.
import { DaganError } from '../errors.js';
import { ClipDriver } from './clip-driver.js';
import type { Driver, DriverOptions, DriverTools } from './driver.js';
import { isSweep } from './head-turn.js';
import { driverFile, readMotion } from './motion-file.js';
import { isMotionName } from './motion-format.js';
import { TemplateDriver } from './template-driver.js';
import { TurnDriver } from './turn-driver.js';

/**
 * Opens what moves a portrait.
 *
 * @param path a clip, a picture, a folder of frames, a template's file or the name of one that comes with the package; undefined where
 *   the head only turns (`turn`)
 * @throws MediaError, CheckpointError or DaganError, naming the file
 */
export async function openDriver(
  path: string | undefined,
  options: DriverOptions,
  tools: DriverTools,
): Promise<Driver> {
  const { direction = 'forward', loops = 1, speed = 1, turn } = options;
  const isPlain = direction === 'forward' && loops === 1 && speed === 1;
  if ((path === undefined) === (turn === undefined)) {
    const message = 'a portrait is driven by a clip, or by angles of its head without one';
    throw new DaganError('unclear-inputs', message, {});
  }
  if (path === undefined) {
    if (!isPlain && !isSweep(turn!)) {
      throw new DaganError('still-turn', 'a head that stands still is not reversed, repeated or slowed', {});
    }
    return new TurnDriver(turn!, options);
  }
  const file = driverFile(path);
  if (isMotionName(file)) return new TemplateDriver(path, readMotion(file), options);
  if (!isPlain) {
    throw new DaganError('not-a-template', `${path}: only motion templates are reversed, repeated or slowed`, { path });
  }
  return ClipDriver.open(path, options, tools);
}
