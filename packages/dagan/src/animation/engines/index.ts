// Engines for Node.
export * from './libtorch.js';
export * from './onnx.js';
export * from './onnx-runtime.js';
