// How the portrait is to move and what is to be saved, as chosen by the user, and what the browser keeps.
import type { InnerMouthChoice, MotionControls } from 'dagan/animation';
import { choices, element, labelled } from './dom.js';
import type { KeptModels } from './kept-models.js';
import type { CameraName } from './media/camera.js';
import type { SavedFormat } from './media/formats.js';
import type { ModelChoice } from './models.js';

export type Settings = {
  /** Folder of the model, below the page. */
  model: string;
  motion: 'relative' | 'absolute';
  adaptScale: boolean;
  /** Strength of the motion by part of the face, and constant changes of expression. */
  controls: MotionControls;
  /** The clip's frame from which motion is measured. */
  reference: 'auto' | 'first';
  /** Strength of the smoothing, 0 to 1; null for none. */
  smoothing: number | null;
  /** What a mouth shows that the portrait has shut. */
  innerMouth: InnerMouthChoice;
  /** The whole portrait with the animated square in it. */
  pasteBack: boolean;
  /** Portrait, driving frame and result in one picture, of clips and templates; goes before `pasteBack`. */
  sideBySide: boolean;
  sound: boolean;
  /** Null where this browser can write no video. */
  format: SavedFormat | null;
  /** The camera by its identity; null is the one that the browser takes. */
  camera: string | null;
  /** The camera's picture is a mirror's. */
  mirror: boolean;
  /** Frames a second that the camera drives, at most; null for no limit. */
  mostFrames: number | null;
  /** What is around the result where it is shown alone: a colour of CSS. */
  background: string;
};

/** Where the browser keeps what was chosen (Web Storage). */
const KEPT = 'dagan-studio-options';

const checkbox = (checked: boolean): HTMLInputElement => element('input', { type: 'checkbox', checked });

export class SettingsPanel {
  readonly element: HTMLDetailsElement;
  readonly #controls = {
    model: choices<string>({ 'model/': 'the usual one' }, 'model/'),
    motion: choices({ relative: 'its change (relative)', absolute: 'as it is (absolute)' }, 'relative'),
    reference: choices({ auto: 'the most alike frame', first: 'the first frame' }, 'auto'),
    smoothing: choices({ off: 'off', '0.25': 'a little', '0.5': 'medium', '0.75': 'a lot' }, 'off'),
    innerMouth: choices({ auto: 'of the driver’s', drawn: 'drawn', painted: 'the networks’ guess' }, 'auto'),
    format: choices<string>({ '': 'not known yet' }, ''),
    camera: choices<string>({ '': 'the usual one' }, ''),
    mostFrames: choices({ 5: '5', 10: '10', 15: '15', 20: '20', 24: '24', 30: '30', any: 'no limit' }, 'any'),
    background: choices(
      { '#000': 'black', '#fff': 'white', '#808080': 'grey', '#0f0': 'green', '#00f': 'blue' },
      '#000',
    ),
    adaptScale: checkbox(false),
    pasteBack: checkbox(false),
    sideBySide: checkbox(false),
    sound: checkbox(true),
    mirror: checkbox(true),
  };
  /** Not there where there is but one. */
  readonly #models = labelled('Model', this.#controls.model);
  readonly #kept = keptChoices();
  #formats: readonly SavedFormat[] = [];

  /** @param onChange is told which option the user has changed */
  constructor(models: KeptModels, onChange: (option: keyof Settings) => void) {
    const { motion, reference, smoothing, format, camera, adaptScale, pasteBack, sideBySide, sound, mirror } =
      this.#controls;
    const { mostFrames, background, innerMouth } = this.#controls;
    this.element = element(
      'details',
      { class: 'settings' },
      element('summary', {}, 'Options'),
      element(
        'div',
        { class: 'fields' },
        this.#models,
        labelled('Take over motion', motion),
        labelled('Measured from', reference),
        labelled('Smoothing', smoothing),
        labelled('Inside of mouths', innerMouth, 'where the portrait’s own is shut'),
        labelled('File', format),
        labelled('Camera', camera),
        labelled('Camera’s frames a second', mostFrames, 'at most: fewer leave the computer room for others'),
        labelled('Around the result', background, 'in a window of its own and on the whole screen'),
        labelled('Whole picture', pasteBack, 'puts the animated square back into the portrait'),
        labelled('Side by side', sideBySide, 'portrait, driving frame and result in one; not with the camera'),
        labelled('Adapt scale', adaptScale, 'scales movement by the sizes of the two faces'),
        labelled('Sound', sound, 'takes the clip’s sound along'),
        labelled('Mirror', mirror, 'shows the camera as a mirror does, and moves the portrait so'),
      ),
      models.element,
    );
    format.disabled = true;
    this.#models.hidden = true;
    this.element.addEventListener('toggle', () => {
      if (this.element.open) void models.refresh();
    });
    for (const [name, control] of Object.entries(this.#controls)) {
      this.#restore(name, control);
      control.addEventListener('change', () => {
        this.#kept[name] = control instanceof HTMLInputElement ? control.checked : control.value;
        keepChoices(this.#kept);
        onChange(name as keyof Settings);
      });
    }
  }

  /** All but the controls, which are the expression panel's. */
  get value(): Omit<Settings, 'controls'> {
    const { model, motion, reference, smoothing, format, camera, adaptScale, pasteBack, sideBySide, sound, mirror } =
      this.#controls;
    const { mostFrames, background, innerMouth } = this.#controls;
    const strength = smoothing.choice();
    return {
      model: model.choice(),
      motion: motion.choice(),
      reference: reference.choice(),
      smoothing: strength === 'off' ? null : Number(strength),
      innerMouth: innerMouth.choice(),
      adaptScale: adaptScale.checked,
      pasteBack: pasteBack.checked,
      sideBySide: sideBySide.checked,
      sound: sound.checked,
      format: this.#formats.find(({ label }) => label === format.value) ?? null,
      camera: camera.value || null,
      mirror: mirror.checked,
      mostFrames: mostFrames.choice() === 'any' ? null : Number(mostFrames.choice()),
      background: background.choice(),
    };
  }

  /** Offers the models that there are. */
  offerModels(models: readonly ModelChoice[]): void {
    const { model } = this.#controls;
    model.replaceChildren(...models.map(({ name, folder }) => new Option(name, folder)));
    this.#models.hidden = models.length < 2;
    this.#restore('model', model);
  }

  /** Whether another model can be chosen now. */
  set modelsFree(free: boolean) {
    this.#controls.model.disabled = !free;
  }

  /** Offers the kinds of file that this browser can write. */
  offer(formats: readonly SavedFormat[]): void {
    this.#formats = formats;
    const { format } = this.#controls;
    if (formats.length > 0) format.replaceChildren(...formats.map(({ label }) => new Option(label)));
    format.disabled = formats.length === 0;
    this.#restore('format', format);
  }

  /** Offers the cameras that there are. */
  offerCameras(cameras: readonly CameraName[]): void {
    const { camera } = this.#controls;
    camera.replaceChildren(camera.options[0]!, ...cameras.map(({ id, label }) => new Option(label, id)));
    this.#restore('camera', camera);
  }

  /** Sets a control to what was chosen before, if that can still be chosen. */
  #restore(name: string, control: HTMLInputElement | HTMLSelectElement): void {
    const kept = this.#kept[name];
    if (control instanceof HTMLInputElement) {
      if (typeof kept === 'boolean') control.checked = kept;
    } else if ([...control.options].some(({ value }) => value === kept)) control.value = String(kept);
  }
}

/** What was chosen in earlier visits, by the names of the controls; the values are whatever is there. */
function keptChoices(): Record<string, unknown> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT) ?? '{}');
    return typeof kept === 'object' && kept !== null ? { ...kept } : {};
  } catch {
    return {}; // nothing is kept in some private windows, and anybody may have written there
  }
}

function keepChoices(choices: Record<string, unknown>): void {
  try {
    localStorage.setItem(KEPT, JSON.stringify(choices));
  } catch {
    // no room, or none for this page: they hold for this visit
  }
}
