// ONNX model files. Needs neither LibTorch nor Node, so that browsers can use it too.
export * from './decode.js';
export * from './quantize.js';
export * from './reader.js';
export * from './size-names.js';
export * from './writer.js';
