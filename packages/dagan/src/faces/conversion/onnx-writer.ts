// ONNX model files, as `@dagan/libtorch/onnx` writes them.
export * from '@dagan/libtorch/onnx';
