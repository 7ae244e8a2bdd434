// Stands in for `defaults.ts` in browsers, where nothing is installed.

/** @throws TypeError always: a page brings the files */
export async function readFaceModel(): Promise<never> {
  throw new TypeError('in a browser the face models must be given, as `models`');
}

/** @throws TypeError always: a page brings the runtime */
export async function defaultRuntime(): Promise<never> {
  throw new TypeError('in a browser the runtime of the face models must be given, as `runtime`');
}
