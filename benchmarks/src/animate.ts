// How fast animation is, against the published flow: milliseconds per frame and stage, and their ratios, from one run.
//
//   node benchmarks/dist/animate.js [--frames 8] [--rounds 3] [--threads N]
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { buildInfo, setThreads } from '@dagan/libtorch';
import { LibtorchEngine, MODEL_PRESETS } from 'dagan';
import { compareFlows, engineFlow, type Flow, formulaModel, publishedFlow } from './flows.js';

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: `${availableParallelism()}` },
  },
});
const frameCount = Number(values.frames);
const rounds = Number(values.rounds);
const threads = Number(values.threads);

const ourFlow = (precision: 'float32' | 'bfloat16'): Flow =>
  engineFlow(`ours, ${precision}`, new LibtorchEngine(formulaModel(MODEL_PRESETS.dagan), { precision }));

setThreads(threads);
console.log(
  `LibTorch ${buildInfo().version}, ${cpus()[0]!.model}, ${threads} threads, ${frameCount} frames, ${rounds} rounds`,
);
const flows = [publishedFlow(MODEL_PRESETS.dagan), ourFlow('float32'), ourFlow('bfloat16')];
await compareFlows(flows, { frameCount, rounds });
console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB (three models loaded)`);
for (const flow of flows) flow.dispose();
