// What drives the portrait: a clip with the square that is used of it, or the camera.
import { analysisSize, centeredSquare, lookEvery, MUCH_MISSING, planCut } from 'dagan/animation';
import exampleClip from '../../../examples/driving.mp4?url';
import { show } from './canvas.js';
import { ClipPart, type FrameRange, WHOLE } from './clip-part.js';
import { button, element } from './dom.js';
import { type Square, StudioEngineError } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { exampleFile } from './example.js';
import { FaceChooser } from './face-chooser.js';
import { FollowedFace } from './followed-face.js';
import { Clip } from './media/clip.js';
import { Messages } from './messages.js';
import { newestOnly } from './newest.js';
import { panel } from './panel.js';
import { Stage } from './stage.js';
import { count } from './words.js';

/** A clip that can drive. */
export type ChosenClip = {
  clip: Clip;
  square: Square;
  /** The face as it was followed; null if there is none. */
  face: FollowedFace | null;
  /** One of so many frames was looked at. */
  every: number;
  /** What is used of it. */
  part: FrameRange;
};

export type ClipEvents = {
  onChange(clip: ChosenClip | null): void;
  /** The user wants the camera, or the clip back. */
  onCamera(wanted: boolean): void;
};

export class ClipPanel {
  readonly element: HTMLElement;
  readonly messages = new Messages();
  /** Where the camera's picture is shown. */
  readonly video = element('video', { muted: true, playsInline: true, hidden: true });
  readonly #stage: Stage;
  readonly #faces: FaceChooser;
  readonly #camera: HTMLButtonElement;
  readonly #facts = element('p', { class: 'facts' });
  readonly #part = new ClipPart();
  readonly #choosing = newestOnly((error) => {
    if (!this.#chosen) {
      this.#stage.empty();
      this.#faces.hide();
    }
    this.#tellFacts();
    this.messages.tellProblem(error);
  });
  #chosen: ChosenClip | null = null;
  /** The clip that is shown, also while its face is still being followed. */
  #file: File | null = null;
  #live = false;

  readonly #engine: StudioEngine;
  readonly #events: ClipEvents;

  constructor(engine: StudioEngine, events: ClipEvents) {
    this.#engine = engine;
    this.#events = events;
    this.#stage = new Stage({
      name: 'Driving clip',
      invitation: 'Choose a clip of a face, or drop one here',
      accept: 'video/*,image/*,.mkv,.ts',
      onFile: (file) => void this.#choosing((signal) => this.#take(file, signal)),
      onCrop: (square) => {
        if (!this.#chosen) return;
        this.#chosen = { ...this.#chosen, square };
        this.#tellFacts();
        this.#events.onChange(this.#chosen);
      },
    });
    this.video.setAttribute('aria-label', 'Camera');
    this.#stage.element.append(this.video);
    this.#faces = new FaceChooser('clip', (face) => {
      this.messages.clear(); // that it was the largest is over
      void this.#choosing((signal) => this.#take(this.#file!, signal, face));
    });
    this.#camera = button('Use the camera', () => this.#events.onCamera(!this.#live), 'link');
    const example = (): void =>
      void this.#choosing(async (signal) => this.#take(await exampleFile(exampleClip, 'driving.mp4'), signal));
    this.element = panel(
      'Motion',
      this.#stage.change,
      this.#stage,
      this.#faces.element,
      button('Use the example clip', example, 'link'),
      this.#camera,
      this.#facts,
      this.messages.element,
      this.#part.element,
    );
  }

  get chosen(): ChosenClip | null {
    return this.#live || !this.#chosen ? null : { ...this.#chosen, part: this.#part.value };
  }

  /** Shows the camera's picture in place of the clip, as a mirror's if so wanted, or the clip again. */
  setLive(live: boolean, mirrored: boolean): void {
    this.#live = live;
    this.video.hidden = !live;
    this.video.classList.toggle('mirrored', mirrored);
    this.#stage.element.classList.toggle('live', live);
    this.#camera.textContent = live ? 'Stop the camera' : 'Use the camera';
  }

  /** Takes a clip: opens it and follows a face, by default the largest, through some of its frames. */
  async #take(file: File, signal: AbortSignal, face?: number): Promise<void> {
    signal.throwIfAborted(); // the example may have come too late
    if (this.#live) this.#events.onCamera(false);
    this.messages.clear();
    this.#facts.textContent = 'Reading …';
    let clip: Clip | undefined;
    try {
      clip = await Clip.open(file);
      signal.throwIfAborted();
      this.#forget();
      this.#file = file;
      if (face === undefined) this.#faces.hide();
      const chosen = await this.#follow(clip, signal, face);
      signal.throwIfAborted();
      this.#chosen = chosen;
      clip.onClosed(() => chosen.face?.close());
      this.#part.offer(clip.facts);
      this.#stage.crop.place(chosen.square, clip.facts.width, clip.facts.height);
      this.#tellFacts();
      if (clip.warnings.length > 0) this.messages.tell(`${file.name}: ${clip.warnings.join('; ')}.`);
      this.#events.onChange(chosen);
    } catch (error) {
      clip?.close();
      throw error;
    }
  }

  #forget(): void {
    this.#chosen?.clip.close();
    this.#chosen = null;
    this.#stage.crop.clear();
    this.#part.offer(null);
    this.#events.onChange(null);
  }

  async #follow(clip: Clip, signal: AbortSignal, number?: number): Promise<ChosenClip> {
    const { width, height, frameCount } = clip.facts;
    const every = lookEvery(clip.facts);
    const size = analysisSize(width, height);
    const face = new FollowedFace(this.#engine, number);
    try {
      let looked = 0;
      for await (const { picture } of clip.frames({ every, transform: { size } })) {
        signal.throwIfAborted();
        if (looked === 0) {
          show(this.#stage.canvas, picture);
          this.#stage.filled(width, height);
        }
        await face.see(picture, { signal });
        looked++;
        const of = frameCount === undefined ? '' : ` of ${Math.ceil(frameCount / every)}`;
        this.#facts.textContent = `Looking for the face: ${looked}${of}`;
      }
      const { square, seen, of, face: followed, faces } = await face.framing({ signal });
      this.#faces.show(followed, faces);
      if (number === undefined && faces > 1) {
        this.messages.tell(`${faces} faces in the clip: the largest is followed.`);
      }
      if (1 - seen / of > MUCH_MISSING) {
        this.messages.tell(`The face is missing in ${Math.round(100 * (1 - seen / of))} % of the clip.`);
      }
      return { clip, square: scaled(square, width / size[0]), face, every, part: WHOLE };
    } catch (error) {
      face.close();
      if (!(error instanceof StudioEngineError && error.code === 'no-face')) throw error;
      this.messages.tellProblem(
        new Error('No face was found in the clip. Move the square over the face by hand, or choose another clip'),
      );
      return { clip, square: centeredSquare(width, height), face: null, every, part: WHOLE };
    }
  }

  #tellFacts(): void {
    if (!this.#chosen) {
      this.#facts.textContent = '';
      return;
    }
    const { width, height, frameRate, frameCount, duration, sound } = this.#chosen.clip.facts;
    const parts = [
      `${width} × ${height}`,
      frameCount === undefined ? '' : count(frameCount, 'frame'),
      duration === undefined ? '' : `${duration.toFixed(1)} s`,
      `${Number(frameRate.toFixed(2))} a second`,
      sound ? 'with sound' : 'no sound',
    ];
    this.#facts.textContent = [parts.filter((part) => part).join(', '), this.#stage.crop.warning]
      .filter((part) => part)
      .join('. ');
  }
}

/** A square in a picture that is larger by a factor, in whole pixels. */
function scaled({ left, top, side }: Square, factor: number): Square {
  return { left: Math.round(left * factor), top: Math.round(top * factor), side: Math.round(side * factor) };
}

/** How the clip's square comes to the networks' size: the transform of decoded frames, and the edges put around. */
export const cutOf = ({ clip, square }: ChosenClip, size: number) =>
  planCut(square, clip.facts.width, clip.facts.height, size);
