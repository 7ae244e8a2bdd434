// Where the page finds the files of ONNX Runtime and of the face models: the bundler puts them beside the page.
import canonicalFace from '@dagan/faces/canonical-face.json?url';
import faceDetector from '@dagan/faces/face-detector.onnx?url';
import faceMesh from '@dagan/faces/face-mesh-refined.onnx?url';
import type { FaceModelFile } from 'dagan/faces/portable';
import asyncifyGlue from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import jspiGlue from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.mjs?url';
import jspiWasm from 'onnxruntime-web/ort-wasm-simd-threaded.jspi.wasm?url';
import plainGlue from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import plainWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';

/** Builds of the runtime: without WebGPU, and with it for browsers whose wasm can wait for promises and for others. */
export type RuntimeBuild = 'plain' | 'jspi' | 'asyncify';

const here = (url: string): string => new URL(url, import.meta.url).href;

/** The two files of each build. */
export const RUNTIME_FILES: Readonly<Record<RuntimeBuild, { mjs: string; wasm: string }>> = {
  plain: { mjs: here(plainGlue), wasm: here(plainWasm) },
  jspi: { mjs: here(jspiGlue), wasm: here(jspiWasm) },
  asyncify: { mjs: here(asyncifyGlue), wasm: here(asyncifyWasm) },
};

/** The files of @dagan/faces that the page needs, by their names there. */
export const FACE_FILES: Readonly<Partial<Record<FaceModelFile, string>>> = {
  'canonical-face.json': here(canonicalFace),
  'face-detector.onnx': here(faceDetector),
  'face-mesh-refined.onnx': here(faceMesh),
};
