// Analysis of faces: where they are, the mesh of their surface, the pose of the head, what they do, whose they are.

export {
  addChanges,
  type ChangeRegression,
  type ChangeSums,
  NO_CHANGES,
  regressChanges,
  sumChanges,
} from './change-sums.js';
export {
  addFieldTransfers,
  FIELD_SIGNALS,
  type FieldSignal,
  type FieldTransfer,
  type FieldTransferFigures,
  fieldTransfer,
  fieldTransferFigures,
  NO_FIELD_TRANSFER,
} from './field-transfer.js';
export {
  cosineSimilarity,
  type IdentityNetwork,
  type IdentityNetworkOptions,
  loadIdentityNetwork,
} from './identity.js';
export * from './landmarks.js';
export { onnxRuntime } from './onnx-runtime.js';
export * from './portable.js';
export { type FaceRegion, regionRectangles } from './regions.js';
export {
  TRANSFER_SIGNAL_LABELS,
  TRANSFER_SIGNALS,
  type TransferSignal,
  type TransferSignals,
  transferSignals,
} from './transfer-signals.js';
