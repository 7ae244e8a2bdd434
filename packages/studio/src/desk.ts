// What everything that the studio does has in common: the engine and its model, the panels, and what is going on.
import type { ActionBar } from './action-bar.js';
import type { Current } from './activity.js';
import type { ClipPanel } from './clip-panel.js';
import type { GeneratedFrame, LoadedModel } from './engine/api.js';
import type { StudioEngine } from './engine/studio-engine.js';
import type { InsightPanel } from './insight-panel.js';
import type { PortraitPanel } from './portrait-panel.js';
import type { PreparedPortrait } from './prepared-portrait.js';
import type { ResultPanel } from './result-panel.js';
import type { Settings } from './settings.js';

export type Desk = {
  readonly engine: StudioEngine;
  /** Null until it is loaded. */
  model: LoadedModel | null;
  readonly current: Current;
  readonly portraits: PortraitPanel;
  readonly prepared: PreparedPortrait;
  readonly clips: ClipPanel;
  readonly result: ResultPanel;
  readonly insight: InsightPanel;
  readonly actions: ActionBar;
  /** How the portrait is to move and be saved, as it is chosen now. */
  readonly settings: () => Settings;
};

/** Shows a frame, and what the networks see in it. */
export function showFrame({ result, prepared, insight }: Desk, frame: GeneratedFrame): void {
  result.frame(frame.picture);
  if (prepared.seen) insight.update({ portrait: prepared.seen, frame });
}

/** A file's name for a portrait moved by a clip. */
export function resultName(portrait: string, clip: string): string {
  const stem = (name: string): string => name.replace(/\.[^.]*$/, '') || name;
  return `${stem(portrait)}-${stem(clip)}`;
}
