// How an evaluation shows itself: a progress line per case.
import type { EvaluationProgress } from '../evaluation/evaluate.js';
import type { Progress } from '../pipelines/events.js';
import type { Reporter } from './report.js';

/** "[3/16] clip.mp4 [####----] 40/100 frames, 8.0 fps, 8 s left" */
export function evaluationProgress(reporter: Reporter): EvaluationProgress {
  let label = '';
  let progress: Progress | undefined;
  return {
    begin: (name, number, total) => {
      label = `[${number}/${total}] ${name}`;
    },
    count: (count) => {
      progress = reporter.progress(label, count);
    },
    frames: (done) => progress?.update(done),
    end: () => progress?.end(),
  };
}
