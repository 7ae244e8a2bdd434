// ONNX Runtime's Node package, without its telemetry.

// From version 1.30 on the package gathers facts of machine and models and reports them to its maker unless this is set.
// It is set as soon as this module is loaded, because worker threads cannot change what native code sees.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

/** The package, loaded at first use. */
export const loadOnnxRuntime = (): Promise<typeof import('onnxruntime-node')> => import('onnxruntime-node');
