// How the face module runs networks, whatever runs them: ONNX Runtime in Node, or its sibling in the browser.

/** A tensor of real numbers, row-major. */
export type NetworkTensor = { shape: readonly number[]; data: Float32Array };

/** A network ready to run. */
export type Network = {
  /** Computes all outputs, by their names, from all inputs. */
  run(inputs: Readonly<Record<string, NetworkTensor>>): Promise<Record<string, NetworkTensor>>;
  /** Frees its memory. */
  release(): Promise<void>;
};

/** Loads networks from the bytes of ONNX model files. */
export type NetworkRuntime = { load(model: Uint8Array): Promise<Network> };
