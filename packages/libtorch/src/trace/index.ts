// Networks as files: a forward pass recorded, and written as ONNX.
export { type Graph, type GraphNode, GraphValue, valuesIn } from './graph.js';
export { computeInHalf } from './half.js';
export { Preparation, recordPreparation, TraceError } from './recording.js';
export type { FreeDimension } from './size.js';
export { exportableOperators, type OnnxOptions, toOnnx } from './to-onnx.js';
export { type Traceable, type TraceOptions, trace } from './trace.js';
export { storedAs } from './weights.js';
