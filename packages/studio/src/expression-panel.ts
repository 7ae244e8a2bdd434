// How much of the motion is taken over, by part of the face, and constant changes of expression: sliders.
import type { MotionControls } from 'dagan/animation';
import { button, element } from './dom.js';

/** A slider: what it is called, its range, and the value that changes nothing. */
type Slider = { label: string; least: number; most: number; rest: number };

const strengthOf = (label: string): Slider => ({ label, least: 0, most: 2, rest: 1 });
const changeOf = (label: string): Slider => ({ label, least: -1, most: 1, rest: 0 });

/** What every model can do. */
const WHOLE = { strength: strengthOf('All motion') };

/** What takes a model whose keypoints have names. */
const PARTS = {
  pose: strengthOf('Head'),
  mouth: strengthOf('Mouth'),
  eyes: strengthOf('Eyes'),
  brows: strengthOf('Brows'),
};
const RETARGETS = {
  mouth: changeOf('Open the mouth'),
  smile: changeOf('Smile'),
  lids: changeOf('Open the eyes'),
  brows: changeOf('Raise the brows'),
};

const STEP = 0.05;

/** Sliders by name. */
class Sliders<Name extends string> {
  readonly element: HTMLFieldSetElement;
  readonly #inputs: [Name, HTMLInputElement, Slider][];

  constructor(legend: string, sliders: Readonly<Record<Name, Slider>>, onInput: () => void) {
    this.element = element('fieldset', { class: 'sliders' }, element('legend', {}, legend));
    this.#inputs = Object.entries<Slider>(sliders).map(([name, slider]) => {
      const { label, least, most, rest } = slider;
      const input = element('input', { type: 'range' });
      Object.assign(input, { min: String(least), max: String(most), step: String(STEP), value: String(rest) });
      const shown = element('output', {}, rest.toFixed(2));
      input.addEventListener('input', () => {
        shown.textContent = Number(input.value).toFixed(2);
        onInput();
      });
      this.element.append(
        element('label', { class: 'field' }, element('span', { class: 'label' }, label), input, shown),
      );
      return [name as Name, input, slider];
    });
  }

  /** What is not at rest. */
  get value(): Partial<Record<Name, number>> {
    const moved = this.#inputs.filter(([, input, { rest }]) => Number(input.value) !== rest);
    return Object.fromEntries(moved.map(([name, input]) => [name, Number(input.value)])) as Partial<
      Record<Name, number>
    >;
  }

  reset(): void {
    for (const [, input, { rest }] of this.#inputs) {
      input.value = String(rest);
      input.dispatchEvent(new Event('input'));
    }
  }
}

export class ExpressionPanel {
  readonly element: HTMLDetailsElement;
  readonly #whole: Sliders<keyof typeof WHOLE>;
  readonly #parts: Sliders<keyof typeof PARTS>;
  readonly #retargets: Sliders<keyof typeof RETARGETS>;
  readonly #unnamed = element(
    'p',
    { class: 'facts', hidden: true },
    'The keypoints of this model have no names, so parts of the face cannot be moved alone.',
  );

  /** @param onChange is called while the user moves a slider */
  constructor(onChange: () => void) {
    this.#whole = new Sliders('Strength', WHOLE, onChange);
    this.#parts = new Sliders('Strength by part', PARTS, onChange);
    this.#retargets = new Sliders('Expression, with or without a driver', RETARGETS, onChange);
    const all = [this.#whole, this.#parts, this.#retargets];
    this.element = element(
      'details',
      { class: 'expression' },
      element('summary', {}, 'Expression'),
      element('div', { class: 'sliders-row' }, ...all.map((sliders) => sliders.element)),
      this.#unnamed,
      button('Reset', () => {
        for (const sliders of all) sliders.reset();
      }),
    );
  }

  /** Leaves out what a model cannot do. */
  fit({ hasNames }: { hasNames: boolean }): void {
    this.#parts.element.hidden = !hasNames;
    this.#retargets.element.hidden = !hasNames;
    this.#unnamed.hidden = hasNames;
  }

  get value(): MotionControls {
    const named = !this.#parts.element.hidden;
    return {
      ...this.#whole.value,
      ...(named && { parts: this.#parts.value, retarget: this.#retargets.value }),
    };
  }
}
