// LibTorch for TypeScript.
export * from './autograd.js';
export * from './creation.js';
export * as distributed from './distributed.js';
export * from './dtype.js';
export * as F from './functional.js';
export type { BuildInfo, OperatorTime } from './native.js';
export * as nn from './nn/index.js';
export type { Argument, CallObserver, Result } from './operator.js';
export { call, isTracing, observeCalls, operatorNames, run, runMany, schemaOf } from './operator.js';
export * as optim from './optim/index.js';
export { profile } from './profile.js';
export * from './runtime.js';
export { keep, tidy } from './scope.js';
export { readStateDict, readTensor, saveStateDict } from './state-dict.js';
export type { NestedArray, Operand } from './tensor.js';
export { Tensor, tensor } from './tensor.js';
export * from './trace/index.js';
