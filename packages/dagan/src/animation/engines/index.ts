// Engines for Node.
export { ExportedModelError, readManifest } from '../../export/exported-folder.js';
export * from './libtorch.js';
export * from './onnx.js';
export * from './onnx-runtime.js';
export * from './options.js';
