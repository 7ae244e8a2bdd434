// Where the page finds the files of ONNX Runtime and of the face models: the bundler puts them beside the page.
import faceAssets from '@mediapipe/face_mesh/face_mesh_solution_packed_assets.data?url';
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

/** The file that `FACE_ASSETS` of dagan/faces names. */
export const FACE_ASSETS_URL = here(faceAssets);
