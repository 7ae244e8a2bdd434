// A process that animates once and says what it took; see whole.ts.
import { animateClip } from '../animate-clip.js';
import type { WholeOrder, WholeReport } from './whole.js';

const order = JSON.parse(process.argv[2]!) as WholeOrder;
let firstFrameSeconds = 0;
const { frames, seconds, faceSeconds, stages } = await animateClip({
  ...order,
  onEvent: (event) => {
    if (event.type === 'progress' && event.done > 0) firstFrameSeconds ||= performance.now() / 1000;
  },
});
const perFrame = (time: number): number => (1000 * time) / frames;
const report: WholeReport = {
  ...{ frames, faceSeconds, firstFrameSeconds },
  drive: perFrame(stages.drive),
  generate: perFrame(stages.generate),
  rest: perFrame(Math.max(0, seconds - stages.drive - stages.generate)),
  peakMemory: process.resourceUsage().maxRSS * 1024,
};
process.stdout.write(JSON.stringify(report));
