// The row below the panels: what can be done now, how far it has come, and what is said of it.
import type { Activity } from './activity.js';
import { button, element } from './dom.js';
import { Messages } from './messages.js';

export type ActionEvents = {
  onAnimate(): void;
  onPreview(): void;
  onCancel(): void;
  onKeep(): void;
  onRecord(): void;
  onReset(): void;
  onStop(): void;
};

type Control = 'animate' | 'preview' | 'cancel' | 'keep' | 'progress' | 'record' | 'reset' | 'stop';

/** What is there in each activity; of the buttons the first has the focus of one that is gone. */
const SHOWN: Readonly<Record<Activity['kind'], readonly Control[]>> = {
  idle: ['animate', 'preview'],
  animating: ['cancel', 'keep', 'progress'],
  previewing: ['cancel', 'progress'],
  askingCamera: ['animate', 'preview'],
  live: ['record', 'reset', 'stop'],
  recording: ['record', 'reset', 'stop'],
  saving: ['animate', 'preview'],
};

/** The key that makes the camera's face of that moment the portrait's own pose. */
const RESET_KEY = 'r';

export class ActionBar {
  readonly element: HTMLElement;
  readonly messages = new Messages();
  readonly #animate: HTMLButtonElement;
  readonly #preview: HTMLButtonElement;
  readonly #record: HTMLButtonElement;
  readonly #progress = element('progress', { attributes: { 'aria-label': 'Progress of the animation' } });
  /** What changes many times a second is kept from screen readers. */
  readonly #rate = element('p', { class: 'notice', attributes: { 'aria-live': 'off' } });
  readonly #controls: Readonly<Record<Control, HTMLElement>>;

  constructor({ onAnimate, onPreview, onCancel, onKeep, onRecord, onReset, onStop }: ActionEvents) {
    this.#animate = button('Animate', onAnimate, 'primary');
    this.#preview = button('Preview', onPreview);
    this.#record = button('Record', onRecord, 'primary');
    this.#controls = {
      animate: this.#animate,
      preview: this.#preview,
      cancel: button('Cancel', onCancel),
      keep: button('Stop and keep', onKeep),
      record: this.#record,
      reset: button('Reset pose (R)', onReset),
      stop: button('Stop', onStop),
      progress: this.#progress,
    };
    this.element = element(
      'div',
      { class: 'actions' },
      ...Object.values(this.#controls),
      this.#rate,
      this.messages.element,
    );
    // A key of one letter works where its control has the focus, or it would meet those who speak to their computer.
    this.element.addEventListener('keydown', (event) => {
      const { key, ctrlKey, metaKey, altKey } = event;
      if (key.toLowerCase() !== RESET_KEY || ctrlKey || metaKey || altKey || this.#controls.reset.hidden) return;
      onReset();
    });
  }

  /** Shows the controls that make sense now. @param ready whether there is all that an animation needs */
  show({ kind }: Activity, ready: boolean): void {
    const focused = document.activeElement;
    const shown = SHOWN[kind];
    for (const [name, control] of Object.entries(this.#controls)) control.hidden = !shown.includes(name as Control);
    for (const start of [this.#animate, this.#preview]) start.disabled = kind !== 'idle' || !ready;
    this.#record.textContent = kind === 'recording' ? 'Finish recording' : 'Record';
    this.#record.classList.toggle('recording', kind === 'recording');
    if (kind === 'idle' || kind === 'animating' || kind === 'previewing') this.tellRate('');
    if (kind === 'animating' || kind === 'previewing') this.#progress.removeAttribute('value');
    // Whoever has used a control that is gone now goes on at the one in its place.
    const gone = Object.values(this.#controls).some((control) => control === focused && control.hidden);
    if (gone) this.#controls[shown[0]!].focus();
  }

  /** How far it has come, 0 to 1. */
  set progress(part: number) {
    this.#progress.value = Math.min(1, part);
  }

  tellRate(text: string): void {
    this.#rate.textContent = text;
  }
}
