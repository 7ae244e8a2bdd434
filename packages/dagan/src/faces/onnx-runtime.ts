// Networks in ONNX Runtime's Node package, on the processor.
import { loadOnnxRuntime } from '../onnx-runtime.js';
import type { NetworkRuntime } from './networks.js';
import { sessionNetworks } from './session-networks.js';

/** ONNX Runtime with a number of threads per network (default 1: the face networks are too small for more). */
export function onnxRuntime({ threads = 1 }: { threads?: number } = {}): NetworkRuntime {
  return sessionNetworks(loadOnnxRuntime, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
}
