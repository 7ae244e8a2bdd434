// The studio: panels, the one thing that is going on, and who is told of what.
import { type AnimationOrder, makeAnimation, metadataFor } from './animation.js';
import { type ChosenClip, ClipPanel } from './clip-panel.js';
import { button, element } from './dom.js';
import type { GeneratedFrame, LoadedModel, Portrait, StudioEngine } from './engine/api.js';
import { EngineStatus } from './engine-status.js';
import { InsightPanel } from './insight-panel.js';
import { KeptModels } from './kept-models.js';
import { Live } from './live.js';
import { Recording, writableFormats } from './media/recording.js';
import { type ChosenPortrait, PortraitPanel } from './portrait-panel.js';
import { isStopped, problemText } from './problems.js';
import { ResultPanel } from './result-panel.js';
import { SettingsPanel } from './settings.js';

/** Folder of the model, beside the page. */
const MODEL = './model/';

/** Milliseconds for which a square must rest before the portrait is prepared with it. */
const SETTLED = 500;

/** The key that makes the camera's face of that moment the portrait's own pose. */
const RESET_KEY = 'r';

type LiveRecording = {
  recording: Recording;
  /** Of all its frames. */
  size: { width: number; height: number };
  started: number;
  /** Shown since, and not yet added: how long it is shown, the next one tells. */
  last: { frame: GeneratedFrame; seconds: number } | null;
  /** Frames so far. */
  count: number;
  /** The encoder is behind. */
  waiting: boolean;
};

export class Studio {
  readonly element: HTMLElement;
  readonly #status: EngineStatus;
  readonly #portraits: PortraitPanel;
  readonly #clips: ClipPanel;
  readonly #result = new ResultPanel();
  readonly #settings: SettingsPanel;
  readonly #insight: InsightPanel;
  readonly #problem = element('p', { class: 'problem', hidden: true, attributes: { role: 'alert' } });
  readonly #notice = element('p', { class: 'notice', attributes: { role: 'status' } });
  readonly #animate = button('Animate', () => void this.#makeAnimation(), 'primary');
  readonly #cancel = button('Cancel', () => this.#job?.abort());
  readonly #record = button('Record', () => void this.#toggleRecording(), 'primary');
  readonly #reset = button('Reset pose (R)', () => this.#live?.reset());
  readonly #stop = button('Stop', () => void this.#setLive(false));
  readonly #progress = element('progress', { hidden: true, attributes: { 'aria-label': 'Progress of the animation' } });

  #model: LoadedModel | null = null;
  #portrait: Portrait | null = null;
  #job: AbortController | null = null;
  /** The camera, while the browser asks the user for it. */
  #starting: AbortController | null = null;
  #live: Live | null = null;
  #beginsRecording = false;
  #liveRecording: LiveRecording | null = null;
  #settling: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly engine: StudioEngine) {
    const onProblem = (error: unknown): void => this.#tellProblem(error);
    const onNotice = (text: string): void => this.#tell(text);
    this.#status = new EngineStatus(() => void this.#loadModel());
    this.#settings = new SettingsPanel(new KeptModels(engine, onProblem));
    this.#portraits = new PortraitPanel(engine, {
      onChange: (portrait) => this.#portraitChanged(portrait),
      onProblem,
      onNotice,
    });
    this.#clips = new ClipPanel(engine, {
      onChange: (clip) => this.#clipChanged(clip),
      onCamera: (wanted) => void this.#setLive(wanted),
      onProblem,
      onNotice,
    });
    this.#insight = new InsightPanel(
      (x, y) => engine.attention(x, y),
      () => this.#preparePortrait(),
    );
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
        this.#problem,
        element('div', { class: 'panels' }, this.#portraits.element, this.#clips.element, this.#result.element),
        element(
          'div',
          { class: 'actions' },
          this.#animate,
          this.#cancel,
          this.#record,
          this.#reset,
          this.#stop,
          this.#progress,
          this.#notice,
        ),
        this.#settings.element,
        this.#insight.element,
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
    document.addEventListener('keydown', (event) => this.#key(event));
    // A file that misses its place would otherwise be opened by the browser, in place of the page.
    document.addEventListener('dragover', (event) => {
      if (event.defaultPrevented) return;
      event.preventDefault();
      if (event.dataTransfer) event.dataTransfer.dropEffect = 'none';
    });
    this.#refresh();
  }

  /** Loads the model and asks what can be saved. */
  async start(): Promise<void> {
    await Promise.all([this.#loadModel(), this.#offerFormats()]);
  }

  async #loadModel(): Promise<void> {
    this.#status.loading(0, 0);
    try {
      const onProgress = (done: number, total: number): void => this.#status.loading(done, total);
      this.#model = await this.engine.load(new URL(MODEL, document.baseURI), { onProgress });
      this.#status.ready(this.#model);
      this.#insight.fit(this.#model);
      this.#preparePortrait();
      this.#refresh();
    } catch (error) {
      this.#status.failed();
      this.#tellProblem(error);
    }
  }

  async #offerFormats(): Promise<void> {
    const formats = await writableFormats(256, 256).catch(() => []);
    this.#settings.offer(formats);
    if (formats.length === 0) {
      this.#tell('This browser can encode no video: animations can be watched with the camera, but not saved.');
    } else if (!formats.some(({ container }) => container === 'mp4')) {
      this.#tell('This browser cannot encode H.264, so animations are saved as WebM.');
    }
    this.#refresh();
  }

  #portraitChanged(portrait: ChosenPortrait | null): void {
    clearTimeout(this.#settling);
    if (portrait === null) {
      this.#problem.hidden = true;
      this.#portrait = null;
      this.#insight.clear();
      if (!this.#job && !this.#cameraOn) void this.engine.clearPortrait().catch(() => {});
    } else {
      this.#settling = setTimeout(() => {
        if (!this.#cameraOn) this.#preparePortrait();
        else this.#setPortrait().catch((error) => this.#tellProblem(error));
      }, SETTLED);
    }
    this.#refresh();
  }

  #clipChanged(clip: ChosenClip | null): void {
    if (clip === null) this.#problem.hidden = true;
    this.#refresh();
  }

  /** Whether the camera drives the portrait, or will as soon as the user lets it. */
  get #cameraOn(): boolean {
    return this.#live !== null || this.#starting !== null;
  }

  /** Shows what the networks see of the portrait alone, as long as nothing else is going on. */
  #preparePortrait(): void {
    if (!this.#model || this.#job || this.#cameraOn || !this.#insight.open) return;
    this.#setPortrait().catch((error) => this.#tellProblem(error));
  }

  /** Gives the networks the portrait with its square as they are now. */
  async #setPortrait(): Promise<void> {
    const { portrait } = this.#portraits;
    if (!portrait) return;
    const { picture, square } = portrait;
    const ready = await this.engine.setPortrait(picture, { square });
    if (this.#portraits.portrait?.square !== square || this.#job) return;
    this.#portrait = ready;
    this.#insight.update({ portrait: ready, frame: null });
  }

  async #makeAnimation(): Promise<void> {
    const { portrait } = this.#portraits;
    const driving = this.#clips.chosen;
    if (!portrait || !driving || !this.#model || this.#job) return;
    const job = new AbortController();
    this.#job = job;
    this.#result.clear();
    this.#problem.hidden = true;
    this.#progress.removeAttribute('value');
    this.#refresh();
    const started = performance.now();
    const order: AnimationOrder = {
      engine: this.engine,
      model: this.#model,
      portrait,
      driving,
      settings: this.#settings.value,
      insight: () => this.#insight.due,
      signal: job.signal,
      onPortrait: (ready) => {
        this.#portrait = ready;
        this.#insight.update({ portrait: ready, frame: null });
      },
      onStep: (text) => this.#tell(text),
      onFrame: (frame, done, total) => {
        this.#result.frame(frame.picture);
        this.#showInsight(frame);
        if (total !== undefined) this.#progress.value = Math.min(1, done / total);
        const rate = (1000 * done) / (performance.now() - started);
        this.#tell(`Frame ${done}${total === undefined ? '' : ` of ${total}`}, ${rate.toFixed(1)} a second`, false);
      },
    };
    try {
      const saved = await makeAnimation(order);
      const seconds = (performance.now() - started) / 1000;
      this.#result.finished(saved, nameOf(portrait.name, driving.clip.file.name));
      this.#tell(`Done: ${saved.frames} frames in ${seconds.toFixed(1)} s.`);
    } catch (error) {
      this.#result.clear();
      if (isStopped(error)) this.#tell('Stopped.');
      else this.#tellProblem(error);
    } finally {
      this.#job = null;
      this.#refresh();
      if (this.#portraits.portrait?.square !== portrait.square) this.#preparePortrait(); // changed meanwhile
    }
  }

  async #setLive(wanted: boolean): Promise<void> {
    if (wanted) return this.#startLive();
    this.#starting?.abort();
    this.#starting = null;
    if (!this.#liveRecording) this.#tell('The camera is off.');
    const finished = this.#finishRecording();
    this.#endLive();
    await finished;
  }

  async #startLive(): Promise<void> {
    if (!this.#portraits.portrait || !this.#model) {
      this.#tellProblem(
        new Error(this.#model ? 'choose a portrait first, then start the camera' : 'the model is still loading'),
      );
      return;
    }
    if (this.#job || this.#cameraOn) return;
    const starting = new AbortController();
    this.#starting = starting;
    this.#problem.hidden = true;
    this.#clips.setLive(true);
    this.#refresh();
    try {
      await this.#setPortrait();
      starting.signal.throwIfAborted();
      const order = {
        engine: this.engine,
        video: this.#clips.video,
        settings: () => this.#settings.value,
        insight: () => this.#insight.due,
        events: {
          onFrame: (frame: GeneratedFrame, seconds: number, rate: number) => this.#liveFrame(frame, seconds, rate),
          onFace: (seen: boolean) => {
            if (!seen) this.#tell('No face is seen: look into the camera, with light on your face.');
          },
          onProblem: (error: unknown) => {
            void this.#setLive(false);
            this.#tellProblem(error);
          },
        },
      };
      this.#live = await Live.start(order, starting.signal);
    } catch (error) {
      if (starting.signal.aborted) return;
      this.#clips.setLive(false);
      this.#tellProblem(error);
    } finally {
      if (this.#starting === starting) this.#starting = null;
      this.#refresh();
    }
  }

  #endLive(): void {
    this.#live?.stop();
    this.#live = null;
    this.#clips.setLive(false);
    this.#refresh();
  }

  #liveFrame(frame: GeneratedFrame, seconds: number, rate: number): void {
    this.#showInsight(frame);
    this.#result.frame(frame.picture);
    const live = this.#liveRecording;
    if (live) this.#recordFrame(live, frame, seconds);
    if (live !== this.#liveRecording) return; // it has ended, and more was said of that
    this.#tell(`${rate.toFixed(1)} frames a second${live ? `, ${live.count} recorded` : ''}`, false);
  }

  #recordFrame(live: LiveRecording, frame: GeneratedFrame, seconds: number): void {
    const { width, height } = frame.picture;
    if (width !== live.size.width || height !== live.size.height) {
      void this.#finishRecording(); // a video has one size; another portrait or option has brought another
      return;
    }
    if (live.waiting) return; // the frame before is shown for longer
    if (live.last) {
      live.waiting = true;
      this.#addLiveFrame(live, seconds).then(
        () => {
          live.waiting = false;
        },
        (error) => {
          if (this.#liveRecording !== live) return;
          this.#liveRecording = null;
          live.recording.cancel();
          this.#refresh();
          this.#tellProblem(error);
        },
      );
    } else live.started = seconds;
    live.last = { frame, seconds };
    live.count++;
  }

  /** Adds the frame before, which was shown until now. */
  async #addLiveFrame({ recording, started, last }: LiveRecording, until: number): Promise<void> {
    if (!last) return;
    const { picture } = last.frame;
    await recording.add(picture, last.seconds - started, Math.max(0.001, until - last.seconds));
  }

  async #toggleRecording(): Promise<void> {
    if (this.#liveRecording) return this.#finishRecording();
    const { format, pasteBack } = this.#settings.value;
    const camera = this.#live;
    if (!camera || !this.#portrait || !this.#model || this.#beginsRecording) return;
    this.#beginsRecording = true;
    try {
      if (!format)
        throw new Error('this browser can encode no video (neither H.264 nor VP9 or VP8): use a newer one to record');
      const { width, height } = pasteBack ? this.#portrait.whole : this.#portrait.picture;
      const size = { width, height };
      const recording = await Recording.start({ ...size, format, metadata: metadataFor(this.#model, { pasteBack }) });
      if (this.#live === camera) {
        this.#liveRecording = { recording, size, started: 0, last: null, count: 0, waiting: false };
      } else recording.cancel();
    } catch (error) {
      this.#tellProblem(error);
    } finally {
      this.#beginsRecording = false;
      this.#refresh();
    }
  }

  /** Completes what is recorded, and ends the camera. */
  async #finishRecording(): Promise<void> {
    const live = this.#liveRecording;
    if (!live) return;
    this.#liveRecording = null;
    this.#refresh();
    try {
      if (!live.last) throw new Error('nothing was recorded: no frame was made in that time');
      this.#endLive();
      await this.#addLiveFrame(live, live.last.seconds + 1 / 25);
      const saved = await live.recording.finish();
      this.#result.finished(saved, nameOf(this.#portraits.portrait?.name ?? 'portrait', 'camera'));
      this.#tell(`Recorded ${saved.frames} frames.`);
    } catch (error) {
      live.recording.cancel();
      this.#tellProblem(error);
    }
  }

  #showInsight(frame: GeneratedFrame): void {
    if (this.#portrait) this.#insight.update({ portrait: this.#portrait, frame });
  }

  #key(event: KeyboardEvent): void {
    if (event.key.toLowerCase() !== RESET_KEY || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!this.#live || (event.target instanceof Element && event.target.closest('select, input:not([type=checkbox])')))
      return;
    this.#live.reset();
    this.#tell('The reference pose was reset.');
  }

  /** Shows the controls that make sense now. */
  #refresh(): void {
    const [busy, live] = [this.#job !== null, this.#live !== null];
    const ready = this.#portraits.portrait !== null && this.#clips.chosen !== null && this.#model !== null;
    const focused = document.activeElement;
    this.#animate.hidden = busy || live;
    this.#animate.disabled = !ready;
    this.#cancel.hidden = !busy;
    this.#progress.hidden = !busy;
    const cameraControls = [this.#record, this.#reset, this.#stop];
    for (const control of cameraControls) control.hidden = !live;
    this.#record.textContent = this.#liveRecording ? 'Finish recording' : 'Record';
    this.#record.classList.toggle('recording', this.#liveRecording !== null);
    // Whoever has used a control that is gone now goes on at the one in its place.
    const gone = [this.#animate, this.#cancel, ...cameraControls].some((one) => one === focused && one.hidden);
    if (gone) (busy ? this.#cancel : live ? this.#record : this.#animate).focus();
  }

  /** Says something; what changes many times a second is kept from screen readers. */
  #tell(text: string, aloud = true): void {
    this.#notice.setAttribute('aria-live', aloud ? 'polite' : 'off');
    this.#notice.textContent = text;
  }

  #tellProblem(error: unknown): void {
    if (isStopped(error)) return;
    this.#problem.textContent = problemText(error);
    this.#problem.hidden = false;
    this.#notice.textContent = '';
  }
}

/** A file's name for a portrait moved by a clip. */
function nameOf(portrait: string, clip: string): string {
  const stem = (name: string): string => name.replace(/\.[^.]*$/, '') || name;
  return `${stem(portrait)}-${stem(clip)}`;
}
