// A camera of the system (Video4Linux), read by FFmpeg.
import { type Camera, NewestFrames } from './camera.js';
import { Ffmpeg, requireDevice } from './ffmpeg.js';
import { ppmPictures } from './ppm.js';

/** Wider pictures are made smaller before they are handed over: the networks see less of them. */
const WIDEST = 960;

const MISSING = 'there is no such camera; `v4l2-ctl --list-devices` lists those that there are';

/** Checks before any work what can be checked. @throws MediaError if the device is not there, or FFmpeg is not installed */
export const requireCamera = (path: string): void => requireDevice(path, MISSING);

/** @throws MediaError if the device is not there; what FFmpeg says comes with the first picture */
export function openDeviceCamera(path: string): Camera {
  const words = [
    ...['-fflags', 'nobuffer', '-f', 'v4l2', '-i', path],
    ...['-vf', `scale=w='min(iw,${WIDEST})':h=-2`, '-f', 'image2pipe', '-c:v', 'ppm', '-'],
  ];
  const ffmpeg = new Ffmpeg(path, words, MISSING);
  return new NewestFrames(ppmPictures(ffmpeg.output()), () => ffmpeg.close());
}
