// The motion of a clip as a template: looked at once, it drives any portrait without the clip.
import { drivenBy } from '../animation/animate.js';
import { planCut } from '../animation/crop.js';
import { tellAbsences } from '../animation/face-watch.js';
import { MotionTransfer } from '../animation/motion.js';
import { type MotionTemplate, OTHER_MODEL, type TemplateFrame, templateFor } from '../animation/motion-template.js';
import { DaganError } from '../errors.js';
import type { Picture } from '../media/pictures/picture.js';
import { openClip } from '../media/process/clip.js';
import { PLANE } from '../tensors/motion-space.js';
import type { Listening } from './animate-clip.js';
import { chooseEngine, type EngineChoice } from './choose-engine.js';
import { type KeypointSource, withKeypointsOf } from './choose-keypoints.js';
import { NETWORK_SIZE } from './choose-model.js';
import { padded, squareOf } from './clip-squares.js';
import type { ReferenceFrame } from './driver.js';
import { Teller } from './events.js';
import { FaceFinder } from './find-faces.js';
import { readMotion, writeMotion } from './motion-file.js';
import { checkWritable, guardInputs } from './pairs.js';
import type { CropChoice } from './told-squares.js';

export type RecordMotionOptions = EngineChoice &
  Listening & {
    /** The clip. */
    driving: string;
    /** Where the template goes. */
    output: string;
    /**
     * The template of a portrait, as this makes one of its picture. What is written is then what the portrait's keypoints are to do,
     * frame by frame, and not the driver's: all that is left for whoever runs the exported graphs elsewhere.
     */
    portrait?: string;
    /** The square of the clip that is looked at. Default: that of the largest face. */
    crop?: CropChoice;
    /**
     * The frame from which motion is measured: the one most like a face at rest that looks straight ahead (default), the
     * first of the range, or one of the whole clip by its number.
     */
    referenceFrame?: ReferenceFrame;
    keypoints?: KeypointSource;
    /** First frame, and the frame before which to stop. */
    start?: number;
    end?: number;
  };

/**
 * Writes the motion of a clip as a template.
 *
 * @returns the template that was written
 * @throws DaganError, MediaError or CheckpointError, which name file and problem; the signal's reason if it was aborted
 */
export async function recordMotion(options: RecordMotionOptions): Promise<MotionTemplate> {
  const { driving, output, portrait, crop = { kind: 'auto' }, referenceFrame = 'auto', start, end, signal } = options;
  guardInputs(output, [driving, ...(portrait === undefined ? [] : [portrait])]);
  await checkWritable(output);
  const own = portrait === undefined ? undefined : { path: portrait, template: readMotion(portrait) };
  const tell = new Teller(options.onEvent);
  const range = { start, end };
  await using clip = await openClip(driving, { ...range, onWarning: (text) => tell.warn('codec', text, {}) });
  await using faces = new FaceFinder(tell);
  const chosen = await chooseEngine(options, tell);
  try {
    const engine = await withKeypointsOf(options.keypoints, chosen.engine, () => faces.analyzer());
    if ((engine.motion ?? PLANE).dimensions !== 2) {
      throw new DaganError('not-in-the-plane', 'what moves in this model is no set of points in the plane', {});
    }
    tell.notice('engine', engine.description, { description: engine.description });
    const followed = await faces.clip(clip, range, { crop, withLook: true, signal });
    const cut = planCut(followed.square, clip.sourceWidth, clip.sourceHeight, NETWORK_SIZE);
    const analysis = await engine.setSource(await reference());
    const watch = await faces.watch(followed);
    const rate = clip.constantFrameRate ? clip.frameRate : undefined;
    const progress = tell.progress(output, clip.frameCount);
    const frames: TemplateFrame[] = [];
    let duration = 0;
    const squares = padded(clip.frames({ transform: cut.transform }), { cut, start });
    for await (const batch of drivenBy(engine, squares, { watch })) {
      signal?.throwIfAborted();
      for (const { input, driving: seen, hasFace } of batch) {
        frames.push({ keypoints: seen.keypoints, timestamp: input.timestamp, hasFace });
        duration = input.timestamp + input.duration;
      }
      progress.update(frames.length);
    }
    progress.end();
    const absences = watch?.absences ?? [];
    const rested = tellAbsences(absences);
    if (rested !== undefined) tell.warn('face-absent', `${driving}: ${rested}`, { path: driving, absences });
    const template = {
      ...{ frames, duration, frameRate: rate, reference: analysis.keypoints },
      ...{ names: engine.keypointNames ?? {}, model: chosen.metadata.sha256 },
    };
    const written = own ? carriedOut(template, own) : template;
    writeMotion(output, written);
    return written;

    /** The frame from which motion is measured; it stands for the portrait. */
    async function reference(): Promise<Picture> {
      if (referenceFrame !== 'auto')
        return squareOf(clip, referenceFrame === 'first' ? (start ?? 0) : referenceFrame, cut);
      const look = followed.face?.restingLook();
      const found = look && (await faces.nearest(clip, look, followed, { range, cut, signal }));
      if (!found) return squareOf(clip, start ?? 0, cut);
      const message = `${clip.path}: frame ${found.frame} is most like a face at rest; motion is measured from it`;
      tell.notice('reference-frame', message, { path: clip.path, frame: found.frame, by: 'face' });
      return found.picture;
    }
  } finally {
    chosen.engine.dispose();
  }
}

/** What a portrait is to do that repeats a template's motion. @throws DaganError if its own is one of another model */
function carriedOut(template: MotionTemplate, own: { path: string; template: MotionTemplate }): MotionTemplate {
  const { reference, names, model } = template;
  const user = { count: reference.value.length / 2, hasJacobians: reference.jacobian !== null, names, model };
  const portrait = templateFor(own.template, user)?.frames[0]?.keypoints;
  if (!portrait) throw new DaganError('other-model', `${own.path}: ${OTHER_MODEL}`, { path: own.path });
  const motion = new MotionTransfer(portrait, { reference, names });
  const frames = template.frames.map((frame) => ({
    ...frame,
    keypoints: motion.next(frame.keypoints, frame.timestamp, frame.hasFace),
    hasFace: true, // where the driver shows none, the portrait rests
  }));
  return { ...template, frames, reference: portrait };
}
