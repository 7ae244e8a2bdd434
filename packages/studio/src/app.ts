// The studio: lays out its panels, loads the model, and tells each part what the user does. What is done with a clip or with the
// camera is in files of its own.
import { ActionBar } from './action-bar.js';
import { Current, makesFile, usesCamera } from './activity.js';
import { CameraWork } from './camera-work.js';
import { ClipPanel } from './clip-panel.js';
import { ClipWork } from './clip-work.js';
import { Demo } from './demo.js';
import type { Desk } from './desk.js';
import { element } from './dom.js';
import type { LoadProgress } from './engine/api.js';
import { FACE_FILES } from './engine/runtime-files.js';
import type { StudioEngine } from './engine/studio-engine.js';
import { EngineStatus } from './engine-status.js';
import { ExpressionPanel } from './expression-panel.js';
import { InsightPanel } from './insight-panel.js';
import { KeptModels } from './kept-models.js';
import { isVideo } from './media/formats.js';
import { writableFormats } from './media/recording.js';
import { listModels } from './models.js';
import { newestOnly } from './newest.js';
import { keepForLater } from './offline.js';
import { Outputs } from './outputs.js';
import { PortraitPanel } from './portrait-panel.js';
import { PreparedPortrait } from './prepared-portrait.js';
import { ResultPanel } from './result-panel.js';
import { type Settings, SettingsPanel } from './settings.js';
import { TemplateDriver } from './template-driver.js';

export class StudioPage {
  readonly element: HTMLElement;
  readonly #status = new EngineStatus(() => void this.#loadModel());
  readonly #settings: SettingsPanel;
  readonly #outputs = new Outputs();
  readonly #expression = new ExpressionPanel(() => this.#showStill());
  readonly #newestModel = newestOnly((error) => this.#status.failed(error));
  readonly #newestStill = newestOnly((error) => this.#desk.actions.messages.tellProblem(error));
  readonly #desk: Desk;
  readonly #demo: Demo;
  readonly #clip: ClipWork;
  readonly #camera: CameraWork;

  constructor(engine: StudioEngine) {
    const current = new Current(() => this.#refresh());
    const actions = new ActionBar({
      onAnimate: () => void this.#clip.animate(),
      onPreview: () => void this.#clip.preview(),
      onCancel: () => this.#clip.cancel(),
      onKeep: () => this.#clip.stopAndKeep(),
      onRecord: () => this.#camera.toggleRecording(),
      onReset: () => this.#camera.resetPose(),
      onStop: () => this.#camera.stop(),
    });
    const onProblem = (error: unknown): void => actions.messages.tellProblem(error);
    const portraits = new PortraitPanel(engine, {
      onChange: (portrait, wait) => {
        this.#demo.stop();
        prepared.follow(portrait, wait);
        this.#refresh();
      },
      onForget: (portrait) => {
        prepared.forget(portrait);
        if (!portraits.portrait) this.#camera.stop();
      },
    });
    const clips = new ClipPanel(engine, {
      onChange: () => {
        this.#demo.stop();
        this.#refresh();
      },
      onTemplate: (chosen) => this.#desk.model && new TemplateDriver(chosen, this.#desk.model),
      onCamera: (wanted) => (wanted ? void this.#camera.start() : this.#camera.stop()),
    });
    const insight = new InsightPanel(
      (x, y) => engine.attention({ x, y }),
      () => prepared.prepare(),
    );
    const hasModel = (): boolean => this.#desk.model !== null;
    const prepared = new PreparedPortrait({ engine, panel: portraits, insight, current, hasModel, onProblem });
    this.#demo = new Demo(engine, {
      onFrame: (picture) => result.frame(picture),
      onEnd: () => result.clear(),
    });
    const result = new ResultPanel(this.#demo.element);
    result.onShow = (shown) => this.#outputs.show(shown);
    result.element.lastElementChild!.before(this.#outputs.element); // the stage's, so above what is said of it
    const settings = (): Settings => ({ ...this.#settings.value, controls: this.#expression.value });
    this.#settings = new SettingsPanel(new KeptModels(engine, onProblem), (option) => this.#optionChanged(option));
    this.#desk = { engine, model: null, current, portraits, prepared, clips, result, insight, actions, settings };
    this.#clip = new ClipWork(this.#desk);
    this.#camera = new CameraWork(this.#desk, (found) => this.#settings.offerCameras(found));
    this.element = element(
      'div',
      { class: 'studio' },
      element(
        'header',
        { class: 'masthead' },
        element('h1', {}, 'DaGAN studio'),
        element('p', { class: 'tagline' }, 'A portrait, moved by a clip or by you. Nothing leaves this tab.'),
        this.#status.element,
      ),
      element(
        'main',
        {},
        element('div', { class: 'panels' }, portraits.element, clips.element, result.element),
        actions.element,
        this.#settings.element,
        this.#expression.element,
        insight.element,
      ),
      element(
        'footer',
        { class: 'closing' },
        element(
          'p',
          {},
          'Animate people who have agreed to it, or pictures that are yours to use, and say that it is synthetic where you show it. ',
          'Saved files say in their metadata that they are synthetic.',
        ),
      ),
    );
    // A file that misses its place would otherwise be opened by the browser, in place of the page.
    document.addEventListener('dragover', (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = 'none';
    });
    addEventListener('beforeunload', (event) => {
      if (makesFile(current.activity) || result.unsaved) event.preventDefault(); // the browser asks
    });
    this.#refresh();
  }

  /** Asks which models there are and what can be saved, and loads the model. */
  async start(): Promise<void> {
    this.#settings.offerModels(await listModels());
    await Promise.all([this.#loadModel(), this.#offerFormats()]);
  }

  /** Loads the model that is chosen; portrait and driver stay. */
  #loadModel(): Promise<void> {
    const { engine, insight, prepared, portraits, clips } = this.#desk;
    this.#status.loading(0, 0);
    return this.#newestModel(async (signal) => {
      this.#demo.stop();
      this.#desk.model = null;
      this.#refresh();
      const onProgress = ({ done, total }: LoadProgress): void => this.#status.loading(done, total);
      const url = new URL(this.#settings.value.model, document.baseURI).href;
      const model = await engine.load({ url }, { onProgress, signal });
      this.#desk.model = model;
      this.#status.ready(model);
      for (const url of Object.values(FACE_FILES)) keepForLater(url);
      insight.fit(model);
      this.#expression.fit(model);
      prepared.follow(null, false); // the networks before had it
      if (portraits.portrait) prepared.follow(portraits.portrait, false);
      else if (!clips.chosen) this.#demo.start(model);
      this.#refresh();
    });
  }

  async #offerFormats(): Promise<void> {
    const formats = await writableFormats(256, 256).catch(() => []);
    this.#settings.offer(formats);
    const { messages } = this.#desk.actions;
    if (!formats.some(isVideo)) {
      messages.tell('This browser can encode no video, so animations are saved as GIF.');
    } else if (!formats.some(({ container }) => container === 'mp4')) {
      messages.tell('This browser cannot encode H.264, so animations are saved as WebM.');
    }
    this.#refresh();
  }

  /** Shows what makes sense now. */
  #refresh(): void {
    const { current, clips, result, actions, portraits, model } = this.#desk;
    const { activity } = current;
    clips.setLive(usesCamera(activity), this.#settings.value.mirror);
    this.#settings.modelsFree = activity.kind === 'idle';
    result.making = activity.kind !== 'idle';
    this.#outputs.background = this.#settings.value.background;
    actions.show(activity, portraits.portrait !== null && clips.chosen !== null && model !== null);
  }

  #optionChanged(option: keyof Settings): void {
    this.#refresh();
    if (option === 'model') void this.#loadModel();
    if (option !== 'camera' || this.#desk.current.activity.kind !== 'live') return;
    this.#camera.stop();
    void this.#camera.start();
  }

  /** Shows what the expression's sliders make of the portrait alone, as long as nothing else is going on. */
  #showStill(): void {
    const { engine, portraits, prepared, current, model, result } = this.#desk;
    if (!portraits.portrait || !model || current.activity.kind !== 'idle') return;
    void this.#newestStill(async (signal) => {
      await prepared.ensure();
      const picture = await engine.still(
        { controls: this.#expression.value, innerMouth: this.#settings.value.innerMouth },
        { signal },
      );
      if (!signal.aborted && current.activity.kind === 'idle') result.frame(picture);
    });
  }
}
