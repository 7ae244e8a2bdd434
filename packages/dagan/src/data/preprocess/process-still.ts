// One portrait to a training clip: its head is made to move.
import { join } from 'node:path';
import { analysisSize } from '../../faces/framing.js';
import { readPicture } from '../../media/pictures/images.js';
import { resizePicture, transformPicture } from '../../media/pictures/resize.js';
import { createClipWriter } from '../../media/process/clip-writer.js';
import { loadFaceSurface } from '../portraits/face-surface.js';
import { MadeUpExpressions } from '../portraits/made-up-expressions.js';
import { MovingPortrait } from '../portraits/moving-portrait.js';
import { Random } from '../random.js';
import { HeadPath } from './head-motion.js';
import { frameNumber, MARKS, type ProcessOptions, sampleOf, TIME_LIMIT, type VideoResult } from './process-video.js';
import { type FaceSample, motionOf, planClips } from './tracks.js';

/** The head is moved in a picture up to so many times as large as the clip: what is made smaller after stays sharp. */
const FINER = 2;

/**
 * Makes a clip of a portrait, `stillSeconds` long. The same name gives the same motion. The clip appears whole or not at
 * all; a picture without a face gives none.
 *
 * @param options their analyzer must be of refined meshes
 * @throws MediaError if the picture cannot be read or the clip cannot be written
 */
export async function processStill(path: string, options: ProcessOptions): Promise<VideoResult> {
  const { analyzer, root, split, name, size, frameRate, format, stillSeconds, onProgress } = options;
  const picture = await readPicture(path);
  const { width, height } = picture;
  const frames = Math.max(3, Math.round((stillSeconds ?? 0) * frameRate));
  const none: VideoResult = {
    width,
    height,
    frameRate,
    frames,
    clips: [],
    dropped: [],
    framesWithoutFace: 0,
    warnings: [],
  };
  const small = resizePicture(picture, ...analysisSize(width, height));
  const face = await analyzer.track(small);
  if (!face) return { ...none, framesWithoutFace: frames };
  const seen = sampleOf(face, 0, width / small.width, height / small.height);
  const track = { samples: [seen], start: 0, end: frames, endedBy: 'end of the video' } as const;
  const rules = { ...options, minSeconds: 0, maxSeconds: Infinity };
  const { clips, dropped } = planClips([track], none, rules);
  const plan = clips[0];
  if (!plan) return { ...none, dropped };
  const side = Math.min(Math.max(plan.crop.width, size), FINER * size);
  const square = transformPicture(picture, { crop: plan.crop, size: [side, side] });
  const mesh = await analyzer.track(square);
  if (!mesh) return { ...none, framesWithoutFace: frames };
  const surface = await loadFaceSurface();
  const portrait = new MovingPortrait(square, mesh.points, surface);
  const expressions = new MadeUpExpressions(surface);
  const headPath = new HeadPath(new Random('still', name));
  const file = `${split}/${name}#${frameNumber(0)}-${frameNumber(frames)}${format === 'mp4' ? '.mp4' : ''}`;
  const target = join(root, format === 'mp4' ? file : `${file}/`);
  await using writer = await createClipWriter(target, { width: size, height: size, frameRate, timeLimit: TIME_LIMIT });
  const samples: Pick<FaceSample, 'marks'>[] = [];
  for (let frame = 0; frame < frames; frame++) {
    const motion = headPath.at(frame / frameRate);
    const { picture: moved, points } = portrait.render({ pose: motion, expression: expressions.of(motion) }, size);
    await writer.add(moved);
    samples.push({ marks: MARKS.flatMap((index) => [points[index * 2]!, points[index * 2 + 1]!]) });
    onProgress?.(1);
  }
  await writer.finish();
  return { ...none, clips: [{ ...plan, motion: motionOf(samples, (mesh.box.height * size) / side), file, frames }] };
}
