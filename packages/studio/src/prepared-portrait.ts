// The portrait as the networks have it: handed over with its square once that has come to rest, and shown as they see it.
import { type Current, usesCamera, usesClip } from './activity.js';
import type { Portrait, Square } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import type { InsightPanel } from './insight-panel.js';
import type { ChosenPortrait, PortraitPanel } from './portrait-panel.js';

/** Milliseconds for which a square must rest before the portrait is prepared with it. */
const SETTLED = 500;

/** Who has to do with the portrait. */
type Parts = {
  engine: StudioEngine;
  panel: PortraitPanel;
  insight: InsightPanel;
  current: Current;
  /** Whether there are networks that could have it. */
  hasModel: () => boolean;
  /** Told what goes wrong while the camera drives. */
  onProblem: (error: unknown) => void;
};

export class PreparedPortrait {
  readonly #parts: Parts;
  #seen: Portrait | null = null;
  /** The square with which the networks have the portrait. */
  #square: Square | null = null;
  #settling: ReturnType<typeof setTimeout> | undefined;
  /** Under which numbers the engine has had portraits, each with its square. */
  readonly #numbers = new WeakMap<ChosenPortrait, number>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What the networks see of it; null before they have one. */
  get seen(): Portrait | null {
    return this.#seen;
  }

  /** Follows the user, who has chosen another portrait or square, or none. @param wait whether the square may change at once again */
  follow(chosen: ChosenPortrait | null, wait: boolean): void {
    const { engine, insight, current, onProblem } = this.#parts;
    clearTimeout(this.#settling);
    if (chosen === null) {
      this.#seen = null;
      this.#square = null;
      insight.clear();
      const free = !usesClip(current.activity) && !usesCamera(current.activity);
      if (free) void engine.clearPortrait().catch(() => {});
    } else {
      const settled = (): void => {
        if (usesCamera(current.activity)) this.handOver().catch(onProblem);
        else this.prepare();
      };
      if (wait) this.#settling = setTimeout(settled, SETTLED);
      else settled();
    }
  }

  /** Has the engine forget a portrait that is not to be used again. */
  forget(chosen: ChosenPortrait): void {
    const number = this.#numbers.get(chosen);
    if (number !== undefined) void this.#parts.engine.forgetPortrait({ number }).catch(() => {});
  }

  /** Shows what the networks see of the portrait alone, as long as nothing else is going on. */
  prepare(): void {
    const { panel, insight, current, hasModel } = this.#parts;
    const busy = usesClip(current.activity) || usesCamera(current.activity);
    if (!hasModel() || busy || !insight.open) return;
    this.handOver().catch((error) => panel.messages.tellProblem(error));
  }

  /** Gives the networks the portrait with its square as they are now; one that they still have is taken at once. */
  async handOver(): Promise<void> {
    const { engine, panel, current } = this.#parts;
    const { portrait } = panel;
    if (!portrait) return;
    const { picture, square } = portrait;
    const keepReference = usesCamera(current.activity); // the driver is the same
    const number = this.#numbers.get(portrait);
    const known = number === undefined ? null : await engine.recallPortrait({ number, keepReference });
    if (!known && panel.portrait !== portrait) {
      await this.handOver(); // another one was chosen meanwhile
      return;
    }
    const seen = known ?? (await engine.setPortrait({ picture, square, keepReference }));
    this.#numbers.set(portrait, seen.number);
    this.#square = square;
    if (panel.portrait?.square === square && !usesClip(current.activity)) this.show(seen);
  }

  /** The same, unless they have it. */
  async ensure(): Promise<void> {
    if (this.#square !== this.#parts.panel.portrait?.square) await this.handOver();
  }

  show(seen: Portrait): void {
    this.#seen = seen;
    this.#parts.insight.update({ portrait: seen, frame: null });
  }
}
