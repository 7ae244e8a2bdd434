// A thread with an engine in it.
import { answerRequests, threadSetup } from '../../threads/answer-requests.js';
import type { Engine } from '../engine.js';
import type { EngineAnswer, EngineRequest, EngineSetup, LoadedEngine } from './engine-threads.js';

/** Imports what the engine needs and nothing else: ONNX Runtime works where LibTorch has not been set up. */
async function load(setup: EngineSetup, checked: boolean): Promise<LoadedEngine> {
  if (setup.runtime === 'onnx') {
    const { factsOf, loadOnnxEngine } = await import('./onnx-runtime.js');
    return { engine: await loadOnnxEngine(setup.folder, setup.options, { checked }), facts: factsOf(setup.folder) };
  }
  const [{ setThreads }, { loadModel }, { LibtorchEngine }] = await Promise.all([
    import('@dagan/libtorch'),
    import('../../models/files/model-file.js'),
    import('./libtorch.js'),
  ]);
  setThreads(setup.threads);
  const { model, metadata } = loadModel(setup.files);
  const { config } = model;
  return { engine: new LibtorchEngine(model, { ...setup.options, batchSize: 1 }), facts: { config, metadata } };
}

let loading: Promise<LoadedEngine> | undefined;

/** Engines on the networks of the first, by their numbers. */
const twins = new Map<number, Engine>();

function twinOf(engine: Engine, number: number): Engine {
  if (number === 0) return engine;
  const twin = twins.get(number) ?? engine.twin();
  twins.set(number, twin);
  return twin;
}

answerRequests<EngineRequest, EngineAnswer[keyof EngineAnswer]>(async (request) => {
  loading ??= load(threadSetup<EngineSetup>(), request.call === 'load' && request.checked);
  const { engine: first, facts } = await loading;
  if (request.call === 'load') {
    const { description, size, keypointNames, motion, mergesPortraits } = first;
    return { answer: { description, size, keypointNames, motion, mergesPortraits, facts } };
  }
  const engine = twinOf(first, request.twin);
  switch (request.call) {
    case 'setSource':
      return { answer: await engine.setSource(request.portrait, request.options) };
    case 'drive': {
      const [analysis] = await engine.drive([request.frame], { withDisparity: request.withDisparity });
      return { answer: analysis! };
    }
    case 'generate': {
      const [picture] = await engine.generate([request.keypoints]);
      return { answer: picture! };
    }
    case 'inspect':
      return { answer: await engine.inspect(request.keypoints, request.options) };
    case 'dispose':
      engine.dispose();
      twins.delete(request.twin);
      return { answer: null };
  }
});
