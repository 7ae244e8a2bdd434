// What the face analysis takes where nothing else is given: the files of @dagan/faces, on ONNX Runtime's Node package.
// In browsers `defaults.browser.ts` stands in for this module (`imports` of package.json).
import type { FaceModelFile } from './face-models.js';
import type { NetworkRuntime } from './networks.js';

/** The bytes of a file of @dagan/faces. @throws Error that names it if it is not there */
export async function readFaceModel(file: FaceModelFile): Promise<Uint8Array> {
  const [{ readFile }, { faceModelPath }] = await Promise.all([
    import('node:fs/promises'),
    import('../face-models.js'),
  ]);
  return readFile(faceModelPath(file));
}

/** ONNX Runtime with one thread. */
export async function defaultRuntime(): Promise<NetworkRuntime> {
  const { onnxRuntime } = await import('./onnx-runtime.js');
  return onnxRuntime();
}
