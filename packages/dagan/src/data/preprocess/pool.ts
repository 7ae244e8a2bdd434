// Prepares videos in several processes at once: a codec or network that crashes takes one video with it, not the run.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { CodedProblem } from '../../errors.js';
import type { VideoResult } from './process-video.js';
import type { PreprocessOrder, PreprocessReport } from './worker.js';

/** How one video ended; `problem` is what is wrong as a code. */
export type PoolOutcome = { problem?: CodedProblem } & (
  | { result: VideoResult; error?: undefined }
  | { result?: undefined; error: string }
);

export type PoolEvents = {
  /** So many more frames have been worked through. */
  progress(frames: number): void;
};

/** A number of processes, made as they are needed. */
export class PreprocessPool implements Disposable {
  readonly #idle: ChildProcess[] = [];
  readonly #all = new Set<ChildProcess>();
  readonly #events: PoolEvents;

  constructor(events: PoolEvents) {
    this.#events = events;
  }

  /** Prepares one video. Call it as often as processes are wanted at a time. */
  run(order: PreprocessOrder): Promise<PoolOutcome> {
    const child = this.#idle.pop() ?? this.#start();
    return new Promise((resolve) => {
      const finish = (outcome: PoolOutcome, reusable: boolean): void => {
        child.off('message', receive);
        child.off('exit', end);
        if (reusable) this.#idle.push(child);
        resolve(outcome);
      };
      const receive = (message: unknown): void => {
        const report = message as PreprocessReport;
        if (report.type === 'progress') this.#events.progress(report.frames);
        else if (report.type === 'done') finish({ result: report.result }, true);
        else finish({ error: report.message, problem: report.problem }, true);
      };
      const end = (code: number | null, signal: string | null): void => {
        const how = signal ?? `exit code ${code}`;
        finish({ error: `${order.path}: the process that prepared it ended unexpectedly (${how})` }, false);
      };
      child.on('message', receive);
      child.on('exit', end);
      child.send(order, () => undefined);
    });
  }

  [Symbol.dispose](): void {
    for (const child of this.#all) if (child.connected) child.disconnect();
  }

  #start(): ChildProcess {
    const script = fileURLToPath(new URL('./worker.js', import.meta.url));
    const child = fork(script, [], { serialization: 'advanced', execArgv: [] });
    this.#all.add(child);
    child.on('exit', () => this.#all.delete(child));
    return child;
  }
}
