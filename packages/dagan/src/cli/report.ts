// What a command says while it works: notices and progress on stderr, results on stdout.
import { type PipelineEvent, type Progress, Teller } from '../pipelines/events.js';
import { wordsFor } from './remedies.js';

export type ReporterOptions = {
  /** Warnings and errors alone. */
  quiet?: boolean;
  /** Everything as lines of JSON on stdout, for programs. */
  json?: boolean;
};

/** One thing told, as a line for programs. @param told begins with its `type` */
export const printJson = (told: { type: string; [key: string]: unknown }): void =>
  void process.stdout.write(`${JSON.stringify(told)}\n`);

/** Milliseconds between two states of the progress line, on a terminal and elsewhere. */
const INTERVAL = { terminal: 100, plain: 10_000, json: 500 };

const BAR_WIDTH = 24;

export class Reporter {
  readonly #quiet: boolean;
  readonly #json: boolean;
  readonly #terminal = process.stderr.isTTY === true;
  /** When a status was said last. */
  #stated = -Infinity;
  /** The progress line on the terminal, which other lines must not run into. */
  #line = '';

  /** The progress that a pipeline tells of, by label. */
  readonly #running = new Map<string, Progress>();
  /** What pipelines are to tell. */
  readonly tell = new Teller((event) => this.listen(event));

  constructor({ quiet = false, json = false }: ReporterOptions = {}) {
    this.#quiet = quiet;
    this.#json = json;
  }

  /** Says what a pipeline tells. */
  listen(event: PipelineEvent): void {
    if (event.type === 'progress') {
      const { label, done, total, ended } = event;
      const running = this.#running.get(label) ?? this.progress(label, total);
      this.#running.set(label, running);
      if (!ended) {
        if (done > 0) running.update(done);
        return;
      }
      this.#running.delete(label);
      running.end();
      return;
    }
    const text = wordsFor(event.message, event.code, event.values);
    if (this.#json) {
      if (!this.#quiet || event.type === 'warning') printJson({ ...event, message: text });
      return;
    }
    if (event.type === 'warning') this.warn(text);
    else this.notice(text);
  }

  /** Something good to know. */
  notice(text: string): void {
    if (this.#quiet) return;
    if (this.#json) printJson({ type: 'notice', message: text });
    else this.#print(text);
  }

  /** Something that the result suffers from; said even if quiet. */
  warn(text: string): void {
    if (this.#json) printJson({ type: 'warning', message: text });
    else this.#print(`dagan: warning: ${text}`);
  }

  /** What came out; on stdout. @param values the same for programs */
  result(text: string, values: object = {}): void {
    if (this.#json) {
      printJson({ type: 'result', message: text, ...values });
      return;
    }
    if (this.#quiet) return;
    this.#clear();
    process.stdout.write(`${text}\n`);
  }

  /**
   * Starts a progress line: a bar that rewrites itself on a terminal, a plain line every ten seconds elsewhere.
   *
   * @param total frames to come, as far as known; an estimate will do
   */
  progress(label: string, total: number | undefined): Progress {
    const started = performance.now();
    const interval = this.#json ? INTERVAL.json : this.#terminal ? INTERVAL.terminal : INTERVAL.plain;
    let shown = started;
    return {
      update: (done) => {
        const now = performance.now();
        if (this.#quiet || now - shown < interval) return;
        shown = now;
        if (this.#json) {
          printJson({ type: 'progress', label, done, total });
          return;
        }
        const text = progressText(label, { done, total, seconds: (now - started) / 1000, bar: this.#terminal });
        if (this.#terminal) this.#rewrite(text);
        else this.#print(text);
      },
      end: () => this.#clear(),
    };
  }

  /** How something that goes on stands: a line that rewrites itself on a terminal, now and then one elsewhere. */
  status(text: string, values: object): void {
    const now = performance.now();
    const interval = this.#json ? INTERVAL.json : this.#terminal ? INTERVAL.terminal : INTERVAL.plain;
    if (this.#quiet || now - this.#stated < interval) return;
    this.#stated = now;
    if (this.#json) printJson({ type: 'status', message: text, ...values });
    else if (this.#terminal) this.#rewrite(text);
    else this.#print(text);
  }

  #print(text: string): void {
    const line = this.#line;
    this.#clear();
    process.stderr.write(`${text}\n`);
    if (line) this.#rewrite(line);
  }

  #rewrite(text: string): void {
    this.#line = text.slice(0, (process.stderr.columns ?? 80) - 1);
    process.stderr.write(`\r\x1b[2K${this.#line}`);
  }

  #clear(): void {
    if (this.#line) process.stderr.write('\r\x1b[2K');
    this.#line = '';
  }
}

/** "clip.mp4 [######----] 40/100 frames, 8.0 fps, 8 s left" */
export function progressText(
  label: string,
  { done, total, seconds, bar }: { done: number; total: number | undefined; seconds: number; bar: boolean },
): string {
  const rate = done / Math.max(seconds, 1e-9);
  const known = total !== undefined && total >= done;
  const count = known ? `${done}/${total}` : `${done}`;
  const left = known ? `, ${duration((total - done) / Math.max(rate, 1e-9))} left` : '';
  const filled = known ? Math.round((BAR_WIDTH * done) / total) : 0;
  const meter = bar && known ? ` [${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)}]` : '';
  return `${label}${meter} ${count} frames, ${rate.toFixed(1)} fps${left}`;
}

/** Seconds for people: "8 s", "3 min 20 s", "2 h 5 min". */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
