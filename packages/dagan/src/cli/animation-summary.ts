// What came out of an animation, in one line.
import type { AnimationResult } from '../pipelines/animate-clip.js';
import type { FacesResult } from '../pipelines/animate-faces.js';

/**
 * "out.mp4: 60 frames of 256 x 256 in 8.2 s, 7.3 fps (faces 0.6 s, portrait 90 ms; a frame: keypoints 20 ms, picture 100
 * ms, rest 5 ms)"
 */
export function summaryOf(output: string, result: AnimationResult | FacesResult): string {
  const { frames, width, height, seconds, faceSeconds, stages } = result;
  const perFrame = (time: number): string => `${((1000 * time) / frames).toFixed(0)} ms`;
  const rest = Math.max(0, seconds - stages.drive - stages.generate);
  const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
  const what = 'faces' in result ? `${count(result.faces, 'face')}, ` : '';
  return (
    `${output}: ${what}${count(frames, 'frame')} of ${width} x ${height} in ${seconds.toFixed(1)} s, ${(frames / seconds).toFixed(1)} fps ` +
    `(faces ${faceSeconds.toFixed(1)} s, portrait ${(1000 * stages.source).toFixed(0)} ms; a frame: keypoints ${perFrame(stages.drive)}, ` +
    `picture ${perFrame(stages.generate)}, rest ${perFrame(rest)})`
  );
}
