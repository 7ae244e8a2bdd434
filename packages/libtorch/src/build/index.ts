// Building the native addon: finding LibTorch and a compiler, compiling, and telling where the result lies.

export { addonPath } from '../native.js';
export * from './compile.js';
export * from './find-libtorch.js';
export * from './paths.js';
export * from './prepare.js';
