// Exported models in use: the engine, and what their manifests say. Runs unchanged in Node and in browsers.
export * from './animation/engines/onnx.js';
export * from './export/manifest.js';
