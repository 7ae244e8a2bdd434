// Models as ONNX graphs, for use without LibTorch.
export * from './export-model.js';
export * from './exported-folder.js';
export * from './graphs.js';
export * from './int8.js';
export * from './manifest.js';
