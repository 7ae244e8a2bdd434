// The portrait driven by a clip or a motion template: the whole animation as a file, or a few frames to see how it will be.
import type { Activity } from './activity.js';
import { type AnimationOrder, makeAnimation, makePreview, type PreviewOrder } from './animation.js';
import { ClipDriver } from './clip-driver.js';
import type { Chosen } from './clip-panel.js';
import { type Desk, resultName, showFrame } from './desk.js';
import type { Driver } from './driver.js';
import type { LoadedModel } from './engine/api.js';
import { isStopped } from './problems.js';
import { TemplateDriver } from './template-driver.js';
import { count, pace, roughTime } from './words.js';

export class ClipWork {
  readonly #desk: Desk;

  constructor(desk: Desk) {
    this.#desk = desk;
  }

  /** Makes the whole animation. */
  animate(): Promise<void> {
    const [job, enough] = [new AbortController(), new AbortController()];
    return this.#work({ kind: 'animating', job, enough }, async (order) => {
      const { result, insight, actions } = this.#desk;
      const { portrait, driver, settings } = order;
      const started = performance.now();
      let square = portrait.picture;
      const saved = await makeAnimation({
        ...order,
        onPortrait: (seen) => {
          square = seen.picture;
          order.onPortrait(seen);
        },
        insight: () => insight.due,
        enough: enough.signal,
        onFrame: this.#teller(started),
      });
      const seconds = (performance.now() - started) / 1000;
      const { sideBySide, pasteBack } = settings;
      const origins = { portrait: pasteBack ? portrait.picture : square, driving: driver.shown, sameShape: !pasteBack };
      result.finished(saved, resultName(portrait.name, driver.name), sideBySide ? null : origins);
      actions.messages.tell(`Done: ${count(saved.frames, 'frame')} in ${seconds.toFixed(1)} s.`);
    });
  }

  /** Makes a few frames, and an estimate for all of them. */
  preview(): Promise<void> {
    return this.#work({ kind: 'previewing', job: new AbortController() }, async (order) => {
      const { picture, frames, seconds } = await makePreview(order);
      this.#desk.result.frame(picture);
      const rest = seconds === undefined ? '' : ` The whole animation takes about ${roughTime(seconds)}.`;
      this.#desk.actions.messages.tell(`The portrait and ${count(frames, 'frame')} of the animation.${rest}`);
    });
  }

  cancel(): void {
    const { activity } = this.#desk.current;
    if (activity.kind === 'animating' || activity.kind === 'previewing') activity.job.abort();
  }

  /** Ends the animation early and keeps what there is. */
  stopAndKeep(): void {
    const { activity } = this.#desk.current;
    if (activity.kind === 'animating') activity.enough.abort();
  }

  /** Does a piece of work if there is all that it needs, and nothing else is going on. */
  async #work(
    activity: Extract<Activity, { job: AbortController }>,
    work: (order: PreviewOrder) => Promise<void>,
  ): Promise<void> {
    const { engine, model, portraits, prepared, clips, current, result, actions, settings } = this.#desk;
    const { portrait } = portraits;
    const chosen = clips.chosen;
    if (!portrait || !chosen || !model || current.activity.kind !== 'idle') return;
    const { messages } = actions;
    current.begin(activity);
    result.clear();
    messages.clear();
    let release = (): void => {};
    try {
      const driver = this.#driverOf(chosen, model);
      release = driver.hold(); // the user may choose another one meanwhile
      await work({
        ...{ engine, model, portrait, driver, settings: settings(), signal: activity.job.signal },
        onPortrait: (seen) => prepared.show(seen),
        onStep: (text) => messages.tell(text),
      });
    } catch (error) {
      result.clear();
      if (isStopped(error)) messages.tell('Stopped.');
      else messages.tellProblem(error);
    } finally {
      release();
      current.end(activity);
      if (portraits.portrait?.square !== portrait.square) prepared.prepare(); // changed meanwhile
    }
  }

  /** @throws Error if a template does not fit the model */
  #driverOf(chosen: Chosen, model: LoadedModel): Driver {
    if (chosen.kind === 'template') return new TemplateDriver(chosen, model);
    return new ClipDriver(chosen, this.#desk.engine, model.size);
  }

  /** Shows each frame, how far it has come, and how long the rest will take. */
  #teller(started: number): AnimationOrder['onFrame'] {
    const { actions } = this.#desk;
    const first = { at: started, done: 0 }; // what comes before it tells nothing of how long frames take
    return (frame, done, total) => {
      actions.messages.clear();
      showFrame(this.#desk, frame);
      if (total !== undefined) actions.progress = done / total;
      const perSecond = (1000 * (done - first.done)) / (performance.now() - first.at);
      if (done === 1) Object.assign(first, { at: performance.now(), done });
      const words = [`Frame ${done}${total === undefined ? '' : ` of ${total}`}`];
      if (done > 1) words.push(pace(perSecond));
      if (done > 2 && total !== undefined) words.push(`${roughTime((total - done) / perSecond)} left`);
      actions.tellRate(words.join(', '));
    };
  }
}
