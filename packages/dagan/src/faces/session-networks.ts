// Networks as sessions of ONNX Runtime, whichever of its packages it is: in Node and in browsers.
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import type { NetworkRuntime, NetworkValue } from './networks.js';

/** The part of ONNX Runtime's packages that is used: `onnxruntime-node` and `onnxruntime-web` both fit. */
type SessionPackage = {
  InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => Tensor;
};

/**
 * Runs networks in sessions of their own.
 *
 * @param load gives the package, when the first network is loaded
 * @param options of the sessions, such as execution providers and threads
 */
export function sessionNetworks(
  load: () => Promise<SessionPackage>,
  options: InferenceSession.SessionOptions,
): NetworkRuntime {
  return {
    async load(model) {
      const { InferenceSession, Tensor } = await load();
      const session = await InferenceSession.create(model, {
        graphOptimizationLevel: 'all',
        logSeverityLevel: 3,
        ...options,
      });
      const valuesOf = (metadata: typeof session.inputMetadata): NetworkValue[] =>
        metadata.map((value) => ({ name: value.name, shape: value.isTensor ? value.shape : [] }));
      return {
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
    },
  };
}
