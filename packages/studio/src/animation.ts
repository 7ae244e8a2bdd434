// From portrait and driver to a video, without the page's elements: networks, decoder and encoder work beside each other.
import { tellAbsences } from 'dagan/animation';
import { type MediaMetadata, type Picture, syntheticMetadata } from 'dagan/media/portable';
import { grid } from 'dagan/visualization';
import packageJson from '../package.json' with { type: 'json' };
import { compositionOf } from './composition.js';
import type { Driver, DriverFrame } from './driver.js';
import type { GeneratedFrame, LoadedModel, Portrait } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { NO_ENCODER, Recording, type SavedVideo } from './media/recording.js';
import type { ChosenPortrait } from './portrait-panel.js';
import type { Settings } from './settings.js';

/** What any use of a driver needs. */
export type PreviewOrder = {
  engine: StudioEngine;
  model: LoadedModel;
  portrait: ChosenPortrait;
  driver: Driver;
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
export function metadataFor(
  model: LoadedModel,
  { pasteBack, innerMouth }: Pick<Settings, 'pasteBack' | 'innerMouth'>,
): MediaMetadata {
  const isComposite = pasteBack || (innerMouth !== 'painted' && model.hasInnerMouth);
  return syntheticMetadata(model.weights, isComposite ? 'composite' : 'trained', `dagan studio ${packageJson.version}`);
}

/**
 * Animates a portrait.
 *
 * @throws DOMException `AbortError` if it was stopped; Error saying what to do
 */
export async function makeAnimation(order: AnimationOrder): Promise<SavedVideo> {
  const { engine, model, driver, settings, signal } = order;
  const { format } = settings;
  if (!format) throw new Error(NO_ENCODER);
  const portrait = await prepare(order);
  const facts = await driver.facts();
  const { width, height, pasteBack, frame: composed } = compositionOf(settings, portrait, driver.hasPictures);
  const recording = await Recording.start({
    width,
    height,
    frameRate: facts.frameRate,
    format,
    metadata: metadataFor(model, { ...settings, pasteBack: pasteBack || settings.sideBySide }),
    sound: settings.sound ? facts.sound : undefined,
  });
  const stop = (): void => recording.cancel();
  signal.addEventListener('abort', stop);
  const warnings: string[] = [];
  // A single picture shows no change that could be taken over, but a pose.
  if (facts.isStill) warnings.push('one picture shows no motion, so its pose is taken over as it is');
  try {
    const { motion, adaptScale, controls, innerMouth, smoothing } = settings;
    let done = 0;
    let before: { made: Promise<GeneratedFrame>; seen: DriverFrame } | undefined;
    const deliver = async ({ made, seen }: NonNullable<typeof before>, until?: number): Promise<void> => {
      const frame = await made;
      order.onFrame(frame, ++done, facts.frameCount);
      const { timestamp, duration, picture } = seen;
      await recording.add(
        composed(frame.picture, picture),
        timestamp,
        until === undefined ? duration : until - timestamp,
      );
    };
    for await (const seen of driver.frames()) {
      signal.throwIfAborted();
      if (order.enough.aborted) break;
      const { timestamp } = seen;
      const made = engine.animate(
        {
          ...seen.order,
          insight: order.insight(),
          motion: facts.isStill ? 'absolute' : motion,
          ...{ adaptScale, controls, innerMouth, smoothing, timestamp, pasteBack },
        },
        { signal },
      );
      made.catch(() => {}); // told when it is delivered
      // Each is shown until the next one, also where some in between are left out.
      if (before) await deliver(before, timestamp);
      before = { made, seen };
    }
    if (before) await deliver(before);
    if (done === 0) throw new DOMException('stopped before the first frame', 'AbortError');
    const absences = tellAbsences(await engine.absences());
    if (absences !== undefined) warnings.push(absences);
    warnings.push(...driver.warnings);
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

/** How a driver will move a portrait. */
export type Preview = {
  /** The portrait's square and a few frames from all over the driver. */
  picture: Picture;
  frames: number;
  /** Seconds that the whole animation will take, where the number of its frames is known. */
  seconds: number | undefined;
};

/** Makes a few frames only. @throws as `makeAnimation` */
export async function makePreview(order: PreviewOrder): Promise<Preview> {
  const { engine, driver, settings, signal } = order;
  const { motion, adaptScale, controls, innerMouth } = settings;
  const portrait = await prepare(order);
  const { frameCount, isStill } = await driver.facts();
  const every = Math.max(1, Math.floor((frameCount ?? 1) / PREVIEW.frames));
  const pictures = [portrait.picture];
  let worked = 0;
  for await (const seen of driver.frames(every)) {
    order.onStep(`Preview: frame ${pictures.length} of ${Math.min(PREVIEW.frames, frameCount ?? PREVIEW.frames)}`);
    const made = await engine.animate(
      { ...seen.order, ...{ motion: isStill ? 'absolute' : motion, adaptScale, controls, innerMouth } },
      { signal },
    );
    worked += made.times.total / 1000;
    if (pictures.push(made.picture) > PREVIEW.frames) break;
  }
  const frames = pictures.length - 1;
  return {
    picture: grid(pictures, { columns: PREVIEW.columns }),
    frames,
    seconds: frameCount && (frameCount * worked) / frames,
  };
}

/** Gives the engine the portrait, and what motion is measured from. */
async function prepare({ engine, driver, portrait: chosen, ...order }: PreviewOrder): Promise<Portrait> {
  const { signal } = order;
  order.onStep('Preparing the portrait …');
  const portrait = await engine.setPortrait({ picture: chosen.picture, square: chosen.square }, { signal });
  order.onPortrait(portrait);
  const anchor = await driver.anchor(order);
  if (anchor) await engine.setReference(anchor, { signal });
  else await engine.resetReference();
  return portrait;
}
