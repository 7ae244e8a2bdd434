// How fast the engines are, against the published flow: milliseconds per frame and stage on the processor, from one run.
//
//   node benchmarks/dist/engines.js [--frames 8] [--rounds 3] [--threads N] [--models dagan,starter-256]
//
// Exported graphs go into a folder of temporary files, which is removed.
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildInfo, setThreads } from '@dagan/libtorch';
import { exportModel, loadLibtorchEngine, loadOnnxRuntimeEngine, saveModel, TRAINING_PRESETS } from 'dagan';
import { compareFlows, engineFlow, type Flow, formulaModel, publishedFlow } from './flows.js';

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: `${availableParallelism()}` },
    models: { type: 'string', default: 'dagan,starter-256' },
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
  for (const name of values.models.split(',')) {
    const { model: config } = TRAINING_PRESETS[name as keyof typeof TRAINING_PRESETS];
    const checkpoint = join(folder, `${name}.safetensors`);
    const exported = join(folder, name);
    {
      using model = formulaModel(config);
      saveModel(checkpoint, model);
      const { graphs, weights } = await exportModel(model, exported);
      const megabytes = [...Object.values(graphs), weights].reduce((sum, { bytes }) => sum + bytes / 1e6, 0);
      console.log(`\n${name}: ${megabytes.toFixed(0)} MB as ONNX in float32`);
    }
    const libtorch = async (precision: 'float32' | 'bfloat16'): Promise<Flow> =>
      engineFlow(`LibTorch, ${precision}`, await loadLibtorchEngine({ checkpoint }, { precision }));
    const onnx = await loadOnnxRuntimeEngine(exported, { threads });
    const flows = [
      publishedFlow(config),
      await libtorch('float32'),
      await libtorch('bfloat16'),
      engineFlow('ONNX Runtime, float32', onnx),
    ];
    await compareFlows(flows, { frameCount, rounds });
    for (const flow of flows) flow.dispose();
  }
} finally {
  rmSync(folder, { recursive: true });
}
