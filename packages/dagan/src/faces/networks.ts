// How the face module runs networks, whatever runs them: ONNX Runtime in Node, or its sibling in the browser.

/** A tensor of real numbers, row-major. */
export type NetworkTensor = { shape: readonly number[]; data: Float32Array };

/** What a network takes or gives; a dimension given by name is free. */
export type NetworkValue = { name: string; shape: readonly (number | string)[] };

/** A network ready to run. */
export type Network = {
  readonly inputs: readonly NetworkValue[];
  readonly outputs: readonly NetworkValue[];
  /** Computes all outputs, by their names, from all inputs. */
  run(inputs: Readonly<Record<string, NetworkTensor>>): Promise<Record<string, NetworkTensor>>;
  /** Frees its memory. */
  release(): Promise<void>;
};

/** Loads networks from the bytes of ONNX model files. */
export type NetworkRuntime = { load(model: Uint8Array): Promise<Network> };

/** Which network measured something, for reports. */
export type MeasuredBy = {
  /** The network in words. */
  name: string;
  /** Its exact version: that of its package, or the hash of its weights. */
  version: string;
};
