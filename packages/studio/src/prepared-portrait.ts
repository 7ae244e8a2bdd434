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

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** What the networks see of it; null before they have one. */
  get seen(): Portrait | null {
    return this.#seen;
  }

  /** Follows the user, who has chosen another portrait or square, or none. */
  follow(chosen: ChosenPortrait | null): void {
    const { engine, insight, current, onProblem } = this.#parts;
    clearTimeout(this.#settling);
    if (chosen === null) {
      this.#seen = null;
      this.#square = null;
      insight.clear();
      const free = !usesClip(current.activity) && !usesCamera(current.activity);
      if (free) void engine.clearPortrait().catch(() => {});
    } else {
      this.#settling = setTimeout(() => {
        if (usesCamera(current.activity)) this.handOver().catch(onProblem);
        else this.prepare();
      }, SETTLED);
    }
  }

  /** Shows what the networks see of the portrait alone, as long as nothing else is going on. */
  prepare(): void {
    const { panel, insight, current, hasModel } = this.#parts;
    const busy = usesClip(current.activity) || usesCamera(current.activity);
    if (!hasModel() || busy || !insight.open) return;
    this.handOver().catch((error) => panel.messages.tellProblem(error));
  }

  /** Gives the networks the portrait with its square as they are now. */
  async handOver(): Promise<void> {
    const { engine, panel, current } = this.#parts;
    if (!panel.portrait) return;
    const { picture, square } = panel.portrait;
    const seen = await engine.setPortrait({ picture, square });
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
