// From portrait and clip to a video, without the page's elements: networks, decoder and encoder work beside each other.
import { framesAround, padCut, type SquareCut, tellAbsences } from 'dagan/animation';
import { type Picture, syntheticMetadata } from 'dagan/media/portable';
import { grid } from 'dagan/visualization';
import packageJson from '../package.json' with { type: 'json' };
import { type ChosenClip, cutOf } from './clip-panel.js';
import type { GeneratedFrame, LoadedModel, Portrait } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { FollowedFace } from './followed-face.js';
import { NO_ENCODER, Recording, type SavedVideo } from './media/recording.js';
import type { ChosenPortrait } from './portrait-panel.js';
import type { Settings } from './settings.js';

/** What any use of a clip needs. */
export type PreviewOrder = {
  engine: StudioEngine;
  model: LoadedModel;
  portrait: ChosenPortrait;
  driving: ChosenClip;
  settings: Settings;
  /** Ends it, and what was made is thrown away. */
  signal: AbortSignal;
  /** The portrait is ready. */
  onPortrait(portrait: Portrait): void;
  /** What is being done, before the first frame. */
  onStep(text: string): void;
};

export type AnimationOrder = PreviewOrder & {
  /** Whether what the networks see is shown. */
  insight: () => boolean;
  /** Ends it, and what was made is kept. */
  enough: AbortSignal;
  /** A frame is there; `total` where it is known. */
  onFrame(frame: GeneratedFrame, done: number, total: number | undefined): void;
};

/** What is saved with a video that this page made. */
export const metadataFor = (model: LoadedModel, { pasteBack }: Pick<Settings, 'pasteBack'>) =>
  syntheticMetadata(model.weights, pasteBack ? 'composite' : 'trained', `dagan studio ${packageJson.version}`);

/**
 * Animates a portrait by a clip.
 *
 * @throws DOMException `AbortError` if it was stopped; Error saying what to do
 */
export async function makeAnimation(order: AnimationOrder): Promise<SavedVideo> {
  const { engine, model, driving, settings, signal } = order;
  const { format } = settings;
  if (!format) throw new Error(NO_ENCODER);
  const { file } = driving.clip;
  const { every } = driving.part;
  const cut = cutOf(driving, model.size);
  const portrait = await prepare(order, cut);
  const facts = await driving.clip.factsOf(driving.part);
  const total = facts.frameCount && Math.ceil(facts.frameCount / every);
  const { width, height } = settings.pasteBack ? portrait.whole : { width: model.size, height: model.size };
  const recording = await Recording.start({
    width,
    height,
    frameRate: facts.constantFrameRate ? facts.frameRate / every : undefined,
    format,
    metadata: metadataFor(model, settings),
    sound: settings.sound && facts.sound ? { file, range: facts.sound } : undefined,
  });
  const stop = (): void => recording.cancel();
  signal.addEventListener('abort', stop);
  const warnings: string[] = [];
  // A single picture shows no change that could be taken over, but a pose.
  const still = facts.frameCount === 1;
  if (still) warnings.push('one picture shows no motion, so its pose is taken over as it is');
  try {
    const { motion, adaptScale, controls, smoothing, pasteBack } = settings;
    let done = 0;
    let number = driving.part.start;
    let before: { frame: Promise<GeneratedFrame>; timestamp: number; duration: number } | undefined;
    const deliver = async ({ frame, timestamp, duration }: NonNullable<typeof before>): Promise<void> => {
      const made = await frame;
      order.onFrame(made, ++done, total);
      await recording.add(made.picture, timestamp, duration);
    };
    for await (const { picture, timestamp, duration } of driving.clip.frames({
      ...driving.part,
      transform: cut.transform,
    })) {
      signal.throwIfAborted();
      if (order.enough.aborted) break;
      const frame = engine.animate(
        {
          frame: padCut(picture, cut),
          square: null,
          insight: order.insight(),
          motion: still ? 'absolute' : motion,
          watch: driving.face !== null,
          number,
          ...{ adaptScale, controls, smoothing, timestamp, pasteBack },
        },
        { signal },
      );
      frame.catch(() => {}); // told when it is delivered
      number += every;
      // Each is shown until the next one, also where some in between are left out.
      if (before) await deliver({ ...before, duration: timestamp - before.timestamp });
      before = { frame, timestamp, duration: duration * every };
    }
    if (before) await deliver(before);
    if (done === 0) throw new DOMException('stopped before the first frame', 'AbortError');
    const absences = tellAbsences(await engine.absences());
    if (absences !== undefined) warnings.push(absences);
    warnings.push(...driving.clip.warnings);
    signal.throwIfAborted();
    order.onStep('Completing the file …');
    const saved = await recording.finish();
    return { ...saved, warnings: [...warnings, ...saved.warnings] };
  } catch (error) {
    recording.cancel();
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Frames of a preview, and the columns in which they are shown, the portrait first. */
const PREVIEW = { frames: 5, columns: 3 } as const;

/** How a clip will move a portrait. */
export type Preview = {
  /** The portrait's square and a few frames from all over the clip. */
  picture: Picture;
  frames: number;
  /** Seconds that the whole animation will take, where the number of its frames is known. */
  seconds: number | undefined;
};

/** Makes a few frames only. @throws as `makeAnimation` */
export async function makePreview(order: PreviewOrder): Promise<Preview> {
  const { engine, model, driving, settings, signal } = order;
  const { motion, adaptScale, controls } = settings;
  const cut = cutOf(driving, model.size);
  const portrait = await prepare(order, cut);
  const { clip, part, face } = driving;
  const { frameCount = PREVIEW.frames } = await clip.factsOf(part);
  const every = Math.max(1, Math.floor(frameCount / PREVIEW.frames));
  const pictures = [portrait.picture];
  let worked = 0;
  for await (const { picture } of clip.frames({ ...part, every, transform: cut.transform })) {
    order.onStep(`Preview: frame ${pictures.length} of ${Math.min(PREVIEW.frames, frameCount)}`);
    const frame = { frame: padCut(picture, cut), square: null, watch: face !== null };
    const made = await engine.animate(
      { ...frame, ...{ motion: clip.facts.frameCount === 1 ? 'absolute' : motion, adaptScale, controls } },
      { signal },
    );
    worked += made.times.total / 1000;
    if (pictures.push(made.picture) > PREVIEW.frames) break;
  }
  const frames = pictures.length - 1;
  const total = clip.facts.frameCount && frameCount / part.every;
  return {
    picture: grid(pictures, { columns: PREVIEW.columns }),
    frames,
    seconds: total && (total * worked) / frames,
  };
}

/** Gives the engine the portrait and the frame from which motion is measured. */
async function prepare(order: PreviewOrder, cut: SquareCut): Promise<Portrait> {
  const { engine, portrait: chosen, signal } = order;
  order.onStep('Preparing the portrait …');
  const portrait = await engine.setPortrait({ picture: chosen.picture, square: chosen.square }, { signal });
  order.onPortrait(portrait);
  const reference = await referenceOf(order, cut);
  if (reference) await engine.setReference({ frame: reference, square: null }, { signal });
  else await engine.resetReference();
  return portrait;
}

/** The frame from which motion is measured, as `dagan animate` finds it; undefined for the first. */
async function referenceOf(
  { engine, driving, settings, signal, onStep }: PreviewOrder,
  cut: SquareCut,
): Promise<Picture | undefined> {
  const { clip, face, every } = driving;
  if (clip.facts.frameCount === 1 || settings.motion === 'absolute' || settings.reference === 'first' || !face)
    return undefined;
  const best = await face.nearest({ signal });
  if (best === null) return undefined;
  onStep('Looking for the frame that is most like the portrait …');
  const around = framesAround(best * every, every);
  const follower = new FollowedFace(engine);
  const pictures: Picture[] = [];
  try {
    for await (const { picture } of clip.frames({ ...around, transform: cut.transform })) {
      signal.throwIfAborted();
      const square = padCut(picture, cut);
      pictures.push(square);
      if (every > 1) await follower.see(square, { signal });
    }
    const nearest = every > 1 ? await follower.nearest({ signal }) : 0;
    return pictures[nearest ?? best * every - around.start];
  } finally {
    follower.close();
  }
}
