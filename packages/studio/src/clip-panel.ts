// What drives the portrait: a clip with the square that is used of it, a motion template, or the camera.
import { analysisSize, centeredSquare, lookEvery, MUCH_MISSING, playbackLength, playbackRate } from 'dagan/animation';
import { isMotionName, MOTION_ENDING, motionInBytes } from 'dagan/pipelines/portable';
import exampleClip from '../../../examples/driving.mp4?url';
import { show } from './canvas.js';
import type { ChosenClip } from './clip-driver.js';
import { ClipPart, WHOLE } from './clip-part.js';
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
import { PlaybackFields } from './playback-fields.js';
import { Stage } from './stage.js';
import type { ChosenTemplate } from './template-driver.js';
import { TemplateShelf, templateFile } from './template-shelf.js';
import { TemplateView } from './template-view.js';
import { count } from './words.js';

/** Pixels of a drawn template. */
const TEMPLATE_SIDE = 384;

/** What can drive, but the camera. */
export type Chosen = ChosenClip | ChosenTemplate;

export type ClipEvents = {
  onChange(chosen: Chosen | null): void;
  /** @throws Error if a template cannot drive the model that is there */
  onTemplate(template: ChosenTemplate): void;
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
  readonly #playback = new PlaybackFields(() => this.#showTemplate());
  readonly #shelf: TemplateShelf;
  readonly #template: TemplateView;
  readonly #choosing = newestOnly((error) => {
    if (!this.#chosen) {
      this.#stage.empty();
      this.#faces.hide();
    }
    this.#tellFacts();
    this.messages.tellProblem(error);
  });
  #chosen: Chosen | null = null;
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
      accept: 'video/*,image/*,.mkv,.ts,.safetensors',
      onFile: (file) => void this.#choosing((signal) => this.#take(file, signal)),
      onCrop: (square) => {
        if (this.#chosen?.kind !== 'clip') return;
        this.#chosen = { ...this.#chosen, square };
        this.#tellFacts();
        this.#events.onChange(this.#chosen);
      },
    });
    this.#template = new TemplateView(this.#stage.canvas);
    this.#shelf = new TemplateShelf((name) => {
      void this.#choosing(async (signal) => this.#take(await templateFile(name), signal));
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
      this.#shelf.element,
      this.#playback.element,
    );
  }

  get chosen(): Chosen | null {
    if (this.#live || !this.#chosen) return null;
    if (this.#chosen.kind === 'template') return { ...this.#chosen, playback: this.#playback.value };
    return { ...this.#chosen, part: this.#part.value };
  }

  /** Shows the camera's picture in place of the clip, as a mirror's if so wanted, or the clip again. */
  setLive(live: boolean, mirrored: boolean): void {
    this.#live = live;
    this.video.hidden = !live;
    this.video.classList.toggle('mirrored', mirrored);
    this.#stage.element.classList.toggle('live', live);
    this.#camera.textContent = live ? 'Stop the camera' : 'Use the camera';
  }

  /** Takes a file: a motion template, or a clip whose face is followed, by default the largest. */
  async #take(file: File, signal: AbortSignal, face?: number): Promise<void> {
    signal.throwIfAborted(); // the example may have come too late
    if (this.#live) this.#events.onCamera(false);
    this.messages.clear();
    this.#facts.textContent = 'Reading …';
    if (isMotionName(file.name)) await this.#takeTemplate(file, signal);
    else await this.#takeClip(file, signal, face);
  }

  async #takeTemplate(file: File, signal: AbortSignal): Promise<void> {
    const template = motionInBytes(file.name, new Uint8Array(await file.arrayBuffer()));
    signal.throwIfAborted();
    const name = file.name.replace(MOTION_ENDING, '');
    const chosen: ChosenTemplate = { kind: 'template', name, template, playback: this.#playback.value };
    this.#events.onTemplate(chosen);
    this.#forget();
    this.#file = file;
    this.#faces.hide();
    this.#stage.canvas.width = this.#stage.canvas.height = TEMPLATE_SIDE;
    this.#stage.filled(TEMPLATE_SIDE, TEMPLATE_SIDE);
    this.#chosen = chosen;
    this.#playback.element.hidden = false;
    this.#shelf.mark(name);
    this.#showTemplate();
    this.#events.onChange(chosen);
  }

  /** Plays the template as it will be played. */
  #showTemplate(): void {
    if (this.#chosen?.kind !== 'template') return;
    this.#template.play(this.#chosen.template, this.#playback.value);
    this.#tellFacts();
  }

  /** Opens a clip and follows a face through some of its frames. */
  async #takeClip(file: File, signal: AbortSignal, face?: number): Promise<void> {
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
    if (this.#chosen?.kind === 'clip') this.#chosen.clip.close();
    this.#chosen = null;
    this.#template.stop();
    this.#playback.element.hidden = true;
    this.#shelf.mark(null);
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
      return { kind: 'clip', clip, square: scaled(square, width / size[0]), face, every, part: WHOLE };
    } catch (error) {
      face.close();
      if (!(error instanceof StudioEngineError && error.code === 'no-face')) throw error;
      this.messages.tellProblem(
        new Error('No face was found in the clip. Move the square over the face by hand, or choose another clip'),
      );
      return { kind: 'clip', clip, square: centeredSquare(width, height), face: null, every, part: WHOLE };
    }
  }

  #tellFacts(): void {
    if (!this.#chosen) {
      this.#facts.textContent = '';
      return;
    }
    if (this.#chosen.kind === 'template') {
      const { template } = this.#chosen;
      const [frames, rate] = [playbackLength(template, this.#playback.value), playbackRate(template, {})];
      this.#facts.textContent = `Motion template, ${count(frames, 'frame')}, ${(frames / rate).toFixed(1)} s`;
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
