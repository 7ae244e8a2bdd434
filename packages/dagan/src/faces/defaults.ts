// What the face analysis takes where nothing else is given: the models of the installed package, on ONNX Runtime's Node
// package. In browsers `defaults.browser.ts` stands in for this module (`imports` of package.json).
import { FACE_ASSETS } from './assets.js';
import type { NetworkRuntime } from './networks.js';

/** The bytes of the file that `FACE_ASSETS` names. */
export async function defaultAssets(): Promise<Uint8Array> {
  const { readInstalled } = await import('./installed.js');
  return readInstalled(FACE_ASSETS.package, FACE_ASSETS.file);
}

/** ONNX Runtime with one thread. */
export async function defaultRuntime(): Promise<NetworkRuntime> {
  const { onnxRuntime } = await import('./onnx-runtime.js');
  return onnxRuntime();
}
