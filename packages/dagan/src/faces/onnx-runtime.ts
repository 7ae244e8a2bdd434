// Networks in ONNX Runtime's Node package, on the processor.
import { loadOnnxRuntime } from '../onnx-runtime.js';
import type { Network, NetworkRuntime, NetworkValue } from './networks.js';

/** ONNX Runtime with a number of threads per network (default 1: the face networks are too small for more). */
export function onnxRuntime({ threads = 1 }: { threads?: number } = {}): NetworkRuntime {
  return {
    async load(model) {
      const { InferenceSession, Tensor } = await loadOnnxRuntime();
      const session = await InferenceSession.create(model, {
        executionProviders: ['cpu'],
        intraOpNumThreads: threads,
        interOpNumThreads: 1,
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
      });
      const valuesOf = (metadata: typeof session.inputMetadata): NetworkValue[] =>
        metadata.map((value) => ({ name: value.name, shape: value.isTensor ? value.shape : [] }));
      const network: Network = {
        inputs: valuesOf(session.inputMetadata),
        outputs: valuesOf(session.outputMetadata),
        async run(inputs) {
          const feeds = Object.fromEntries(
            Object.entries(inputs).map(([name, { shape, data }]) => [name, new Tensor('float32', data, shape)]),
          );
          const results = await session.run(feeds);
          return Object.fromEntries(
            Object.entries(results).map(([name, { dims, data }]) => {
              if (!(data instanceof Float32Array)) throw new TypeError(`the network's output ${name} is not float32`);
              return [name, { shape: dims, data }];
            }),
          );
        },
        release: () => session.release(),
      };
      return network;
    },
  };
}
