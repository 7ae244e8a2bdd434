// What each engine may be told. In a file of its own, since engines in threads are told it as well.
import type { Precision } from '../../models/inference/inference.js';

export type LibtorchEngineOptions = {
  /**
   * Computes layer by layer as the model was trained, in 16 bits by autocast, rather than with the fewer and larger steps of
   * `prepareForInference`: slower, but what is looked at on the way is the model's own. Default false.
   */
  asTrained?: boolean;
  /** Side of the pictures, in pixels; a multiple of the model's `sizeMultiple`, which is 128 for the published ones. */
  size?: number;
  /** See `prepareForInference`. */
  precision?: Precision;
  /** 'cpu', 'cuda', 'cuda:1', ... */
  device?: string;
  /** Frames that are computed together; several make better use of the weights that each layer has to read. */
  batchSize?: number;
  /** One engine that has all threads, in a thread of its own: the program goes on while it computes. Default false. */
  ownThread?: boolean;
};

/** Where ONNX Runtime can compute, by the names that its package gives. */
export const EXECUTION_PROVIDERS = ['cpu', 'cuda', 'tensorrt', 'dml', 'coreml', 'webgpu'] as const;

export type ExecutionProvider = (typeof EXECUTION_PROVIDERS)[number];

export type OnnxRuntimeOptions = {
  /** Side of the pictures in pixels; 256 if not given and not fixed by the export. */
  size?: number;
  /** Frames that one engine computes together; if not given, as many engines as are of use have one frame each. */
  batchSize?: number;
  /** One engine that has all threads, in a thread of its own: the program goes on while it computes. Default false. */
  ownThread?: boolean;
  /** Threads of the processor; one per processor if not given. */
  threads?: number;
  /** Paints by the graph of 8 bits, where the export has one. Default false. */
  int8?: boolean;
  /** Where to compute; which ones there are depends on system and package. */
  provider?: ExecutionProvider;
};
