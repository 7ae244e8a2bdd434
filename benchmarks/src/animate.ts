// How fast animation is, against the published flow: milliseconds per frame and stage, and their ratios, from one run.
//
//   node benchmarks/dist/animate.js [--frames 8] [--rounds 3] [--threads N]
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildInfo, setThreads } from '@dagan/libtorch';
import { loadLibtorchEngine, MODEL_PRESETS, saveModel } from 'dagan';
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

setThreads(threads);
console.log(
  `LibTorch ${buildInfo().version}, ${cpus()[0]!.model}, ${threads} threads, ${frameCount} frames, ${rounds} rounds`,
);
const folder = mkdtempSync(join(tmpdir(), 'dagan-benchmark-'));
try {
  const checkpoint = join(folder, 'model.safetensors');
  {
    using model = formulaModel(MODEL_PRESETS.dagan);
    saveModel(checkpoint, model);
  }
  const ours = async (precision: 'float32' | 'bfloat16'): Promise<Flow> =>
    engineFlow(`ours, ${precision}`, await loadLibtorchEngine({ checkpoint }, { precision }));
  const flows = [publishedFlow(MODEL_PRESETS.dagan), await ours('float32'), await ours('bfloat16')];
  await compareFlows(flows, { frameCount, rounds });
  console.log(`peak memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MB (all models loaded)`);
  for (const flow of flows) flow.dispose();
} finally {
  rmSync(folder, { recursive: true });
}
